"""Temperature and thresholds are found where they were put."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.model.calibration import Verdict, novelty
from service.model.network import Layer, Network
from service.types import FloatArray
from training.calibration import UNCALIBRATED, calibrate, fit_temperature, thresholds

N = 5_000
TEN = tuple(range(10))


def echo(n_scores: int, classes: tuple[int, ...], head: str) -> Network:
    """Return a network whose scores are its first inputs."""
    return Network((Layer(np.eye(784, n_scores, dtype=np.float32), np.zeros(n_scores, np.float32), head),), classes)


def echo_of_the_last() -> Network:
    """Return a detector whose score is its last input."""
    weights = np.zeros((784, 1), np.float32)
    weights[-1] = 1
    return Network((Layer(weights, np.zeros(1, np.float32), "logistic"),), (0, 1))


def inputs_of(scores: npt.NDArray[np.float64], unlike: npt.ArrayLike = 0) -> FloatArray:
    """Return inputs (n, 784) that `echo` answers with these scores, and `echo_of_the_last` with those."""
    inputs = np.zeros((len(scores), 784), np.float32)
    inputs[:, : scores.shape[1]] = scores
    inputs[:, -1] = unlike
    return inputs


# --- Temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_of_a_softmax_is_recovered(temperature: float) -> None:
    """Labels drawn from a softmax, its scores then multiplied, give back what they were multiplied with."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (N, 10))
    # The largest of scores with Gumbel noise is a draw from their softmax.
    labels = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)

    found = fit_temperature(echo(10, TEN, "softmax"), (scores * temperature).astype(np.float32), labels)

    assert pytest.approx(temperature, rel=0.05) == found


def test_answers_are_as_sure_as_they_are_right() -> None:
    """At the temperature found, the mean confidence is the accuracy, however wrong the scores are in other ways."""
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 3, (N, 10)).astype(np.float32)
    labels = (scores / 2 + rng.gumbel(size=scores.shape)).argmax(axis=1)
    labels[:200] = rng.integers(0, 10, 200)
    network = echo(10, TEN, "softmax")

    confidences = network.probabilities(scores, fit_temperature(network, scores, labels)).max(axis=1)

    accuracy = np.mean(scores.argmax(axis=1) == labels)
    assert pytest.approx(accuracy, abs=1e-3) == confidences.mean()


def test_temperature_of_a_logistic_head_is_recovered() -> None:
    """With two classes other than 0 and 1, the second is the one that the sigmoid speaks for."""
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 3, (N, 1))
    labels = np.where(rng.random(N) < 1 / (1 + np.exp(-scores[:, 0])), 7, 3)

    found = fit_temperature(echo(1, (3, 7), "logistic"), (scores * 2).astype(np.float32), labels)

    assert pytest.approx(2, rel=0.05) == found


def test_digits_that_are_all_read_right_are_no_certainty() -> None:
    """Ten of ten right leave room for an error in twenty-two."""
    scores = 10 * np.eye(10, dtype=np.float32)
    network = echo(10, TEN, "softmax")

    confidences = network.probabilities(scores, fit_temperature(network, scores, np.arange(10))).max(axis=1)

    assert pytest.approx(21 / 22) == confidences.mean()


@pytest.mark.parametrize(("scale", "right", "expected"), [(1e6, 0, np.exp(3)), (1e-6, 10, np.exp(-3))])
def test_the_search_ends_within_its_bounds(scale: float, right: int, expected: float) -> None:
    """Where no temperature will do, the nearest is taken."""
    scores = (scale * np.eye(10)).astype(np.float32)
    labels = np.where(np.arange(10) < right, np.arange(10), (np.arange(10) + 1) % 10)

    assert pytest.approx(expected) == fit_temperature(echo(10, TEN, "softmax"), scores, labels)


# --- Thresholds


def shares(verdicts: list[Verdict]) -> tuple[int, int]:
    """Return how many answers are no digit, and how many are not clear."""
    return verdicts.count(Verdict.NOT_A_DIGIT), sum(verdict is not Verdict.CLEAR for verdict in verdicts)


def judged(confidences: npt.NDArray[np.float64], novelties: npt.NDArray[np.float64]) -> list[Verdict]:
    """Return the verdicts on digits with the thresholds that were found on them."""
    calibration = thresholds(1.0, confidences, novelties)
    return [calibration.judge(*both) for both in zip(confidences.tolist(), novelties.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("n", "expected"), [(5_000, (25, 50)), (1_000, (5, 10)), (200, (1, 2)), (100, (1, 1)), (40, (1, 1)), (1, (1, 1))]
)
def test_thresholds_leave_one_in_a_hundred_in_doubt(n: int, expected: tuple[int, int]) -> None:
    """Of digits, half a per cent is taken for none, at least one; one per cent in all is not clear."""
    rng = np.random.default_rng(3)

    assert expected == shares(judged(rng.random(n), rng.random(n)))


def test_thresholds_worked_by_hand() -> None:
    """Of 400 digits, two have the largest novelty; of the others, two have the least confidence."""
    confidences, novelties = np.full(400, 0.9), np.full(400, 0.1)
    novelties[[7, 8, 9]] = 0.6, 0.8, 0.7
    # The least sure is among those that are no digit.
    confidences[[8, 20, 21, 22]] = 0.2, 0.3, 0.5, 0.4

    calibration = thresholds(1.5, confidences, novelties)

    # 0.4 is in doubt as well, since answers below the threshold are.
    assert (1.5, 0.7, 0.5) == (calibration.temperature, calibration.novel_from, calibration.ambiguous_below)
    verdicts = judged(confidences, novelties)
    assert [8, 9] == [i for i, verdict in enumerate(verdicts) if verdict is Verdict.NOT_A_DIGIT]
    assert [20, 22] == [i for i, verdict in enumerate(verdicts) if verdict is Verdict.AMBIGUOUS]


def test_equally_novel_digits_get_the_same_verdict() -> None:
    """Where many digits share the largest novelty, all of them are taken for none, and no other is in doubt."""
    confidences, novelties = np.linspace(0.5, 1, 1000), np.zeros(1000)
    novelties[:30] = 0.9

    assert (30, 30) == shares(judged(confidences, novelties))


def test_digits_that_are_all_alike_leave_no_answer_clear() -> None:
    """Where all digits have one novelty, nothing tells them from what is none, and the thresholds are still valid."""
    calibration = thresholds(1.0, np.full(50, 0.8), np.full(50, 0.3))

    assert (0.3, 1.0) == (calibration.novel_from, calibration.ambiguous_below)


def test_a_detector_that_is_quite_sure_of_all_digits_refuses_none() -> None:
    """Where no digit has any novelty, none is taken for no digit, and one per cent is in doubt."""
    confidences = np.linspace(0.5, 1, 1000)

    assert (0, 10) == shares(judged(confidences, np.zeros(1000)))


PROBABILITY = st.floats(0, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(PROBABILITY, st.floats(1e-6, 1)), min_size=1, max_size=300))
def test_thresholds_are_never_stricter_than_said(answers: list[tuple[float, float]]) -> None:
    """Whatever the answers, at least half a per cent is no digit; no more than one per cent is only ambiguous."""
    confidences, novelties = np.array(answers).T

    verdicts = judged(confidences, novelties)

    n_novel, n_not_clear = shares(verdicts)
    assert n_novel >= max(1, round(0.005 * len(answers)))
    assert n_not_clear - n_novel <= round(0.01 * len(answers))
    # What is judged otherwise is not more novel, or not less sure.
    for (sure, unlike), verdict in zip(answers, verdicts, strict=True):
        for (other_sure, other_unlike), other in zip(answers, verdicts, strict=True):
            if verdict is Verdict.NOT_A_DIGIT is not other:
                assert unlike > other_unlike
            if (verdict, other) == (Verdict.AMBIGUOUS, Verdict.CLEAR):
                assert sure < other_sure


# --- Both together


def test_calibration_is_that_of_the_calibrated_answers() -> None:
    """Thresholds hold for the confidences at the temperature found and for the detector's novelties."""
    rng = np.random.default_rng(4)
    scores = rng.normal(0, 6, (N, 10))
    labels = (scores / 1.5 + rng.gumbel(size=scores.shape)).argmax(axis=1)
    unlike = rng.normal(-3, 1, N)
    network, detector = echo(10, TEN, "softmax"), echo_of_the_last()
    inputs = inputs_of(scores, unlike)

    calibration = calibrate(network, detector, inputs, labels)

    assert pytest.approx(1.5, rel=0.05) == calibration.temperature
    confidences = calibration.probabilities(network, scores.astype(np.float32)).max(axis=1)
    # Without a hidden layer, the detector stands on the inputs themselves.
    novelties = novelty(detector, inputs)
    np.testing.assert_allclose(1 / (1 + np.exp(-unlike)), novelties, rtol=1e-5)
    assert thresholds(calibration.temperature, confidences, novelties) == calibration


def test_uncalibrated_leaves_scores_alone() -> None:
    """Without validation digits, scores are not divided, and an answer is in doubt that is more likely wrong."""
    assert (1.0, 0.5, None) == (UNCALIBRATED.temperature, UNCALIBRATED.ambiguous_below, UNCALIBRATED.novel_from)
