"""Temperature and thresholds are fitted to their definitions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.calibration import ood_score
from service.model.network import Layer, Network
from service.model.verdict import Verdict, decide
from service.types import FloatArray
from training.calibration import calibrate, fit_temperature, thresholds, uncalibrated

N = 5_000
TEN = tuple(range(10))


def identity_network(n_scores: int, classes: tuple[int, ...], head: str) -> Network:
    """Return a network whose scores are its first inputs."""
    return Network((Layer(np.eye(784, n_scores, dtype=np.float32), np.zeros(n_scores, np.float32), head),), classes)


def last_input_detector() -> Network:
    """Return a detector whose score is its last input."""
    weights = np.zeros((784, 1), np.float32)
    weights[-1] = 1
    return Network((Layer(weights, np.zeros(1, np.float32), "logistic"),), (0, 1))


def inputs_of(scores: npt.NDArray[np.float64], score: npt.ArrayLike = 0) -> FloatArray:
    """Return inputs (n, 784) for which `identity_network` has these scores, and `last_input_detector` those."""
    inputs = np.zeros((len(scores), 784), np.float32)
    inputs[:, : scores.shape[1]] = scores
    inputs[:, -1] = score
    return inputs


# --- Temperature


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_temperature_of_a_softmax_is_recovered(temperature: float) -> None:
    """Labels are drawn from a softmax, whose scores are then multiplied. The temperature is the factor."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (N, 10))
    # The largest of scores with Gumbel noise is a draw from their softmax.
    labels = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)

    found = fit_temperature(identity_network(10, TEN, "softmax"), (scores * temperature).astype(np.float32), labels)

    assert pytest.approx(temperature, rel=0.05) == found


def test_mean_confidence_is_the_accuracy() -> None:
    """At the fitted temperature the mean confidence is the accuracy, also for otherwise wrong scores."""
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 3, (N, 10)).astype(np.float32)
    labels = (scores / 2 + rng.gumbel(size=scores.shape)).argmax(axis=1)
    labels[:200] = rng.integers(0, 10, 200)
    network = identity_network(10, TEN, "softmax")

    confidences = network.probabilities(scores, fit_temperature(network, scores, labels)).max(axis=1)

    accuracy = np.mean(scores.argmax(axis=1) == labels)
    assert pytest.approx(accuracy, abs=1e-3) == confidences.mean()


def test_temperature_of_a_logistic_head_is_recovered() -> None:
    """For two classes the sigmoid is the probability of the second one."""
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 3, (N, 1))
    labels = np.where(rng.random(N) < 1 / (1 + np.exp(-scores[:, 0])), 7, 3)

    found = fit_temperature(identity_network(1, (3, 7), "logistic"), (scores * 2).astype(np.float32), labels)

    assert pytest.approx(2, rel=0.05) == found


def test_digits_that_are_all_read_right_are_no_certainty() -> None:
    """Ten of ten right leave room for an error in twenty-two."""
    scores = 10 * np.eye(10, dtype=np.float32)
    network = identity_network(10, TEN, "softmax")

    confidences = network.probabilities(scores, fit_temperature(network, scores, np.arange(10))).max(axis=1)

    assert pytest.approx(21 / 22) == confidences.mean()


@pytest.mark.parametrize(("scale", "right", "expected"), [(1e6, 0, np.exp(3)), (1e-6, 10, np.exp(-3))])
def test_the_search_ends_within_its_bounds(scale: float, right: int, expected: float) -> None:
    """Where no temperature will do, the nearest is taken."""
    scores = (scale * np.eye(10)).astype(np.float32)
    labels = np.where(np.arange(10) < right, np.arange(10), (np.arange(10) + 1) % 10)

    assert pytest.approx(expected) == fit_temperature(identity_network(10, TEN, "softmax"), scores, labels)


# --- Thresholds


def counts(verdicts: list[Verdict]) -> tuple[int, int]:
    """Return the number of verdicts `not_a_digit`, and of all that are not `clear`."""
    return verdicts.count(Verdict.NOT_A_DIGIT), sum(verdict is not Verdict.CLEAR for verdict in verdicts)


def verdicts_of(confidences: npt.NDArray[np.float64], ood_scores: npt.NDArray[np.float64]) -> list[Verdict]:
    """Return the verdicts of digits with the thresholds that are fitted to them."""
    calibration = thresholds(1.0, confidences, ood_scores)
    return [decide(*both, calibration) for both in zip(confidences.tolist(), ood_scores.tolist(), strict=True)]


@pytest.mark.parametrize(("n", "expected"), [(5_000, (25, 50)), (200, (1, 2)), (1, (1, 1))])
def test_thresholds_have_the_target_shares(n: int, expected: tuple[int, int]) -> None:
    """0.5 % of the digits, at least one, are `not_a_digit`, and 1 % in all are not `clear`."""
    rng = np.random.default_rng(3)

    assert expected == counts(verdicts_of(rng.random(n), rng.random(n)))


def test_thresholds_worked_by_hand() -> None:
    """Of 400 digits, two are `not_a_digit` by their OOD scores, and the two least confident others are ambiguous."""
    confidences, ood_scores = np.full(400, 0.9), np.full(400, 0.1)
    ood_scores[[7, 8, 9]] = 0.6, 0.8, 0.7
    # The least confident one is `not_a_digit`.
    confidences[[8, 20, 21, 22]] = 0.2, 0.3, 0.5, 0.4

    calibration = thresholds(1.5, confidences, ood_scores)

    # Answers below the threshold are ambiguous: 0.3 and 0.4.
    assert (1.5, 0.7, 0.5) == (calibration.temperature, calibration.novel_from, calibration.ambiguous_below)
    verdicts = verdicts_of(confidences, ood_scores)
    assert [8, 9] == [i for i, verdict in enumerate(verdicts) if verdict is Verdict.NOT_A_DIGIT]
    assert [20, 22] == [i for i, verdict in enumerate(verdicts) if verdict is Verdict.AMBIGUOUS]


def test_equal_ood_scores_get_the_same_verdict() -> None:
    """Where many digits share the largest OOD score, all of them are `not_a_digit`, and no other is ambiguous."""
    confidences, ood_scores = np.linspace(0.5, 1, 1000), np.zeros(1000)
    ood_scores[:30] = 0.9

    assert (30, 30) == counts(verdicts_of(confidences, ood_scores))


def test_constant_ood_score_leaves_no_answer_clear() -> None:
    """With one OOD score for all digits the thresholds are still valid."""
    calibration = thresholds(1.0, np.full(50, 0.8), np.full(50, 0.3))

    assert (0.3, 1.0) == (calibration.novel_from, calibration.ambiguous_below)


def test_ood_score_of_0_is_in_distribution() -> None:
    """With OOD scores of 0 no digit is `not_a_digit`, and 1 % are ambiguous."""
    confidences = np.linspace(0.5, 1, 1000)

    assert (0, 10) == counts(verdicts_of(confidences, np.zeros(1000)))


PROBABILITY = st.floats(0, 1)


@given(st.lists(st.tuples(PROBABILITY, st.floats(1e-6, 1)), min_size=1, max_size=300))
def test_thresholds_keep_their_bounds(answers: list[tuple[float, float]]) -> None:
    """At least 0.5 % are `not_a_digit`, at most 1 % ambiguous, and both by the largest scores and least confidences."""
    confidences, ood_scores = np.array(answers).T

    verdicts = verdicts_of(confidences, ood_scores)

    n_novel, n_not_clear = counts(verdicts)
    assert n_novel >= max(1, round(0.005 * len(answers)))
    assert n_not_clear - n_novel <= round(0.01 * len(answers))
    # What is judged otherwise is not more novel, or not less sure.
    for (confidence, score), verdict in zip(answers, verdicts, strict=True):
        for (other_confidence, other_score), other in zip(answers, verdicts, strict=True):
            if verdict is Verdict.NOT_A_DIGIT is not other:
                assert score > other_score
            if (verdict, other) == (Verdict.AMBIGUOUS, Verdict.CLEAR):
                assert confidence < other_confidence


# --- Both together


def test_thresholds_are_of_the_calibrated_confidences() -> None:
    """Thresholds are those of the confidences at the fitted temperature and of the detector's OOD scores."""
    rng = np.random.default_rng(4)
    scores = rng.normal(0, 6, (N, 10))
    labels = (scores / 1.5 + rng.gumbel(size=scores.shape)).argmax(axis=1)
    score = rng.normal(-3, 1, N)
    network, detector = identity_network(10, TEN, "softmax"), last_input_detector()
    inputs = inputs_of(scores, score)

    calibration = calibrate(network, detector, inputs, labels)

    assert pytest.approx(1.5, rel=0.05) == calibration.temperature
    confidences = calibration.probabilities(network, scores.astype(np.float32)).max(axis=1)
    # Without a hidden layer, the detector stands on the inputs themselves.
    ood_scores = ood_score(detector, inputs)
    np.testing.assert_allclose(1 / (1 + np.exp(-score)), ood_scores, rtol=1e-5)
    assert thresholds(calibration.temperature, confidences, ood_scores) == calibration


@pytest.mark.parametrize(("n_classes", "ambiguous_below"), [(2, 0.75), (3, 0.5), (10, 0.5)])
def test_uncalibrated_has_temperature_1(n_classes: int, ambiguous_below: float) -> None:
    """Without validation digits, answers below 1/2 are ambiguous, of two classes below 3/4; none is `not_a_digit`."""
    calibration = uncalibrated(n_classes)

    assert (1.0, ambiguous_below, None) == (
        calibration.temperature,
        calibration.ambiguous_below,
        calibration.novel_from,
    )
