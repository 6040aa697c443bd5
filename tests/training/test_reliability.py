"""Scoring rules, calibration errors and risk-coverage curves equal their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom

from tests.training.answers import confident, make_answers
from training import reliability
from training.evaluation import Answers
from training.reliability import (
    Bin,
    bins,
    brier_score,
    calibration_error_by_chance,
    error_by_coverage,
    expected_calibration_error,
    negative_log_likelihood,
)


@st.composite
def answered(draw: st.DrawFn) -> Answers:
    """Draw answers to one to forty digits, over two to ten classes that need not start at 0."""
    n_classes, n = draw(st.integers(2, 10)), draw(st.integers(1, 40))
    classes = sorted(draw(st.sets(st.integers(0, 9), min_size=n_classes, max_size=n_classes)))
    weights = draw(arrays(np.float64, (n, n_classes), elements=st.floats(0.001, 1)))
    labels = draw(st.lists(st.sampled_from(classes), min_size=n, max_size=n))
    return make_answers(weights / weights.sum(axis=1, keepdims=True), labels, classes=classes)


@pytest.mark.parametrize(
    ("probabilities", "likelihood", "brier"),
    [
        pytest.param([[1.0, 0.0, 0.0]], 0.0, 0.0, id="certain and right"),
        pytest.param([[0.5, 0.25, 0.25]], math.log(2), 0.25 + 2 / 16, id="half right"),
        # -log(0) is infinite. The probability is clipped to the resolution of float64, 2 ** -52.
        pytest.param([[0.0, 1.0, 0.0]], 52 * math.log(2), 2.0, id="certain and wrong"),
        pytest.param([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 26 * math.log(2), 1.0, id="mean"),
    ],
)
def test_scores_worked_by_hand(probabilities: list[list[float]], likelihood: float, brier: float) -> None:
    """Both scores are 0 for certain correct answers, finite for certain wrong ones, and means over digits."""
    answers = make_answers(probabilities, [0] * len(probabilities))

    assert pytest.approx(likelihood) == negative_log_likelihood(answers)
    assert pytest.approx(brier) == brier_score(answers)


def test_scores_are_by_the_classes_of_the_model() -> None:
    """Probabilities belong to the model's classes in order, and the Brier score of two classes is summed over both."""
    answers = make_answers([[0.25, 0.75], [0.5, 0.5]], [8, 8], classes=[3, 8])

    assert pytest.approx((math.log(4 / 3) + math.log(2)) / 2) == negative_log_likelihood(answers)
    assert pytest.approx((2 / 16 + 2 / 4) / 2) == brier_score(answers)


# By hand: in fifteenths 0.5 is 7.5, 0.52 is 7.8, 0.9 is 13.5 and 1 the end of the last bin.
HAND = confident([0.5, 1.0, 0.9, 0.52, 1.0], [False, True, True, True, False])


def test_bins_worked_by_hand() -> None:
    """Each answer is in the bin of its confidence, 1.0 in the last one. There are no empty bins."""
    expected = [
        Bin(low=7 / 15, high=8 / 15, n=2, confidence=0.51, accuracy=0.5),
        Bin(low=13 / 15, high=14 / 15, n=1, confidence=0.9, accuracy=1.0),
        Bin(low=14 / 15, high=1.0, n=2, confidence=1.0, accuracy=0.5),
    ]

    found = bins(HAND)

    assert [(b.low, b.high, b.n) for b in expected] == [(b.low, b.high, b.n) for b in found]
    assert pytest.approx([b.confidence for b in expected]) == [b.confidence for b in found]
    assert [b.accuracy for b in expected] == [b.accuracy for b in found]


def test_calibration_error_worked_by_hand() -> None:
    """It is the mean of |confidence - accuracy| over bins, weighted by their answers."""
    expected = (2 * abs(0.51 - 0.5) + 1 * abs(0.9 - 1) + 2 * abs(1 - 0.5)) / 5

    assert pytest.approx(expected) == expected_calibration_error(HAND)


@given(answered())
def test_bins_contain_every_answer_once(answers: Answers) -> None:
    """Bins are sorted and contain all answers, with means in their bounds. The calibration error follows from them."""
    found = bins(answers)
    n = len(answers.labels)

    assert n == sum(b.n for b in found)
    assert sorted({b.low for b in found}) == [b.low for b in found]
    assert all(b.low - 1e-12 <= b.confidence <= b.high + 1e-12 and 0 <= b.accuracy <= 1 for b in found)
    assert pytest.approx(sum(b.n * b.accuracy for b in found)) == answers.correct.sum()
    assert pytest.approx(
        sum(b.n / n * abs(b.accuracy - b.confidence) for b in found), abs=1e-12
    ) == expected_calibration_error(answers)


@pytest.mark.parametrize(("confidence", "n"), [(0.95, 40), (0.7, 200)])
def test_error_by_chance_of_one_confidence_is_binomial(confidence: float, n: int) -> None:
    """With equal confidences, mean and quantile are those of |k/n - p| for binomial k."""
    right = np.arange(n + 1)
    weights, strays = binom.pmf(right, n, confidence), np.abs(right / n - confidence)
    order = np.argsort(strays)
    within = strays[order][np.searchsorted(np.cumsum(weights[order]), 0.95)]

    mean, limit = calibration_error_by_chance(confident(np.full(n, confidence), np.ones(n)))

    assert pytest.approx(weights @ strays, rel=0.1) == mean
    # Shares are multiples of 1/n, so the quantile of a thousand draws may be the next one.
    assert pytest.approx(within, abs=1 / n + 1e-9) == limit


def test_error_by_chance_of_certain_answers_is_0() -> None:
    """A perfectly calibrated model that is certain is always correct."""
    assert (0.0, 0.0) == calibration_error_by_chance(confident(np.ones(50), np.zeros(50)))


def test_error_by_chance_depends_on_confidences_only() -> None:
    """It does not depend on which answers are correct, and repeats exactly."""
    confidences = np.random.default_rng(1).uniform(0.3, 1, 300)

    expected = calibration_error_by_chance(confident(confidences, np.ones(300)))

    assert expected == calibration_error_by_chance(confident(confidences, np.zeros(300)))
    assert 0 < expected[0] < expected[1]


def n_within_chance(accuracy: Callable[[np.ndarray], np.ndarray]) -> int:
    """Return how many of twenty models with this accuracy by confidence have an error below the 95 % quantile."""
    confidences = np.random.default_rng(2).beta(8, 1, 1_000) * 0.9 + 0.1
    _, limit = calibration_error_by_chance(confident(confidences, confidences > 0))
    models = (np.random.default_rng(seed) for seed in range(20))
    return sum(
        expected_calibration_error(confident(confidences, rng.random(1_000) < accuracy(confidences))) <= limit
        for rng in models
    )


def test_perfectly_calibrated_models_stay_within_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least 17 of 20 perfectly calibrated models are below the 95 % quantile."""
    monkeypatch.setattr(reliability, "_RESAMPLES", 200)

    assert 17 <= n_within_chance(lambda confidences: confidences)


@pytest.mark.parametrize("power", [0.5, 2.0], ids=["underconfident", "overconfident"])
def test_miscalibrated_models_are_not_within_chance(monkeypatch: pytest.MonkeyPatch, power: float) -> None:
    """No underconfident or overconfident model is below the 95 % quantile."""
    monkeypatch.setattr(reliability, "_RESAMPLES", 200)

    assert 0 == n_within_chance(lambda confidences: confidences**power)


def test_error_by_coverage_worked_by_hand() -> None:
    """The most confident answers are given first; those of the same confidence in their order."""
    answers = confident([0.6, 0.9, 0.6, 0.99], [False, True, True, False])

    shares, errors = error_by_coverage(answers)

    assert [1 / 4, 2 / 4, 3 / 4, 1] == shares.tolist()
    assert [1, 1 / 2, 2 / 3, 2 / 4] == errors.tolist()


def test_answers_of_the_same_confidence_keep_their_order() -> None:
    """The sort by confidence is stable."""
    right = np.random.default_rng(3).random(200) < 0.5
    confidences = np.where(np.arange(200) % 2, 0.9, 0.8)

    _, errors = error_by_coverage(confident(confidences, right))

    expected = np.concatenate([right[1::2], right[::2]])
    assert pytest.approx(np.cumsum(~expected) / np.arange(1, 201)) == errors


@given(answered())
def test_error_by_coverage_is_of_the_most_confident_answers(answers: Answers) -> None:
    """At each coverage it is the error of the most confident answers. At full coverage it is the error of all."""
    shares, errors = error_by_coverage(answers)

    n = len(answers.labels)
    weakest_first = np.sort(answers.confidences)
    for k in range(1, n + 1):
        # Where confidences are equal, any of them may come first.
        surely = answers.confidences > weakest_first[n - k]
        perhaps = answers.confidences >= weakest_first[n - k]
        wrong = round(float(errors[k - 1]) * k)
        assert int(np.sum(~answers.correct[surely])) <= wrong <= int(np.sum(~answers.correct[perhaps]))
    assert pytest.approx(np.arange(1, n + 1) / n) == shares
    assert pytest.approx(answers.error.rate) == errors[-1]
