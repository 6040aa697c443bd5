"""Temperature and the threshold of doubt are found where they were put."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.network import FloatArray, Layer, Network
from training.calibration import UNCALIBRATED, calibrate, doubt_threshold

N = 5_000


def echo(n_scores: int, classes: tuple[int, ...], head: str) -> Network:
    """Return a network whose scores are its first inputs."""
    return Network((Layer(np.eye(784, n_scores, dtype=np.float32), np.zeros(n_scores, np.float32), head),), classes)


def inputs_of(scores: npt.NDArray[np.float64]) -> FloatArray:
    """Return inputs (n, 784) that `echo` answers with these scores."""
    inputs = np.zeros((len(scores), 784), np.float32)
    inputs[:, : scores.shape[1]] = scores
    return inputs


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_of_a_softmax_is_recovered(temperature: float) -> None:
    """Labels drawn from a softmax, its scores then multiplied, give back what they were multiplied with."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (N, 10))
    # The largest of scores with Gumbel noise is a draw from their softmax.
    labels = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)

    calibration = calibrate(echo(10, tuple(range(10)), "softmax"), inputs_of(scores * temperature), labels)

    assert pytest.approx(temperature, rel=0.05) == calibration.temperature


def test_temperature_is_the_likeliest() -> None:
    """At the temperature found, the slope of the likelihood is nought: labels' and expected scores agree."""
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 3, (N, 10))
    labels = (scores / 2 + rng.gumbel(size=scores.shape)).argmax(axis=1)
    network = echo(10, tuple(range(10)), "softmax")

    calibration = calibrate(network, inputs_of(scores), labels)

    shares = np.exp(scores / calibration.temperature)
    shares /= shares.sum(axis=1, keepdims=True)
    expected = np.sum(shares * scores, axis=1).mean()
    assert pytest.approx(expected, abs=1e-3) == scores[np.arange(N), labels].mean()


def test_temperature_of_a_logistic_head_is_recovered() -> None:
    """With two classes other than 0 and 1, the second is the one that the sigmoid speaks for."""
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 3, (N, 1))
    labels = np.where(rng.random(N) < 1 / (1 + np.exp(-scores[:, 0])), 7, 3)

    calibration = calibrate(echo(1, (3, 7), "logistic"), inputs_of(scores * 2), labels)

    assert pytest.approx(2, rel=0.05) == calibration.temperature


def test_threshold_is_that_of_the_calibrated_answers() -> None:
    """Of the answers that are not in doubt at the threshold found, 99.9 % are right, and one more would be too many."""
    rng = np.random.default_rng(3)
    scores = rng.normal(0, 6, (N, 10))
    labels = (scores / 1.5 + rng.gumbel(size=scores.shape)).argmax(axis=1)
    network = echo(10, tuple(range(10)), "softmax")

    calibration = calibrate(network, inputs_of(scores), labels)

    confidences = network.probabilities(scores.astype(np.float32), calibration.temperature).max(axis=1)
    assert 0.5 < calibration.ambiguous_below < 1
    assert by_definition(confidences, scores.argmax(axis=1) == labels) == calibration.ambiguous_below


def by_definition(confidences: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float:
    """Try every confidence as a threshold."""
    enough = [float(c) for c in confidences if right[confidences >= c].mean() >= 0.999]
    return min(enough, default=1.0)


@pytest.mark.parametrize(
    ("confidences", "right", "expected"),
    [
        pytest.param([0.6, 0.9, 0.7, 0.8], [True, True, False, True], 0.8, id="down to the first mistake"),
        pytest.param([0.6, 0.9, 0.7, 0.8], [True, True, True, True], 0.6, id="all right"),
        pytest.param([0.6, 0.9], [True, False], 1.0, id="the surest is wrong"),
        pytest.param([0.9, 0.8, 0.8], [True, True, False], 0.9, id="equally sure, one right and one wrong"),
        pytest.param([1.0, 1.0], [True, False], 1.0, id="all as sure as can be"),
        pytest.param([], [], 1.0, id="nothing to go by"),
        pytest.param(np.arange(1000, 0, -1) / 1000, np.arange(1000) != 500, 0.001, id="one mistake in a thousand"),
        pytest.param(np.arange(999, 0, -1) / 1000, np.arange(999) != 998, 0.002, id="one mistake in 999"),
    ],
)
def test_threshold_worked_by_hand(confidences: npt.ArrayLike, right: npt.ArrayLike, expected: float) -> None:
    """The threshold is the lowest confidence from which on up 99.9 % of the answers are right."""
    assert pytest.approx(expected) == doubt_threshold(np.array(confidences, np.float64), np.array(right, np.bool_))


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.4, 0.6, 0.8, 1.0]), st.booleans()), min_size=1, max_size=12))
def test_threshold_is_found_by_trying_all(answers: list[tuple[float, bool]]) -> None:
    """Whatever the answers, equally sure ones among them, trying every confidence finds the same threshold."""
    confidences = np.array([confidence for confidence, _ in answers])
    right = np.array([correct for _, correct in answers])

    assert by_definition(confidences, right) == doubt_threshold(confidences, right)


def test_uncalibrated_leaves_scores_alone() -> None:
    """Without validation digits, scores are not divided, and an answer is in doubt that is more likely wrong."""
    assert (1.0, 0.5) == (UNCALIBRATED.temperature, UNCALIBRATED.ambiguous_below)
