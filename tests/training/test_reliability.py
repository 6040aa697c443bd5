"""Probabilities are scored as scikit-learn does, and told from what a perfectly calibrated model shows by chance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom
from sklearn.metrics import brier_score_loss, log_loss

from tests.training.answers import confident, make_answers
from training import reliability
from training.evaluation import Answers
from training.reliability import (
    Bin,
    bins,
    brier_score,
    chance_calibration_error,
    error_at_coverage,
    expected_calibration_error,
    negative_log_likelihood,
)


@st.composite
def answered(draw: st.DrawFn) -> Answers:
    """Draw answers of two to ten classes, not always counted from 0, to one to forty digits."""
    n_classes, n = draw(st.integers(2, 10)), draw(st.integers(1, 40))
    classes = sorted(draw(st.sets(st.integers(0, 9), min_size=n_classes, max_size=n_classes)))
    weights = draw(arrays(np.float64, (n, n_classes), elements=st.floats(0.001, 1)))
    labels = draw(st.lists(st.sampled_from(classes), min_size=n, max_size=n))
    return make_answers(weights / weights.sum(axis=1, keepdims=True), labels, classes=classes)


@settings(deadline=None)
@given(answered())
def test_negative_log_likelihood_is_scikit_learns(answers: Answers) -> None:
    """It is `log_loss` over the model's classes."""
    expected = log_loss(answers.labels, answers.probabilities, labels=answers.classes)

    assert pytest.approx(expected) == negative_log_likelihood(answers)


@settings(deadline=None)
@given(answered())
def test_brier_score_is_scikit_learns(answers: Answers) -> None:
    """It is `brier_score_loss`, summed over classes and not halved for two."""
    expected = brier_score_loss(answers.labels, answers.probabilities, labels=answers.classes, scale_by_half=False)

    assert pytest.approx(expected) == brier_score(answers)


@pytest.mark.parametrize(
    ("probabilities", "likelihood", "brier"),
    [
        pytest.param([[1.0, 0.0, 0.0]], 0.0, 0.0, id="certain and right"),
        pytest.param([[0.5, 0.25, 0.25]], math.log(2), 0.25 + 2 / 16, id="half right"),
        # Minus the logarithm of nought would be infinite: the probability counts as 1e-30.
        pytest.param([[0.0, 1.0, 0.0]], 30 * math.log(10), 2.0, id="certain and wrong"),
        pytest.param([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], 15 * math.log(10), 1.0, id="mean"),
    ],
)
def test_scores_worked_by_hand(probabilities: list[list[float]], likelihood: float, brier: float) -> None:
    """Both scores are nought for certainty that is right, finite for certainty that is wrong, and means over digits."""
    answers = make_answers(probabilities, [0] * len(probabilities))

    assert pytest.approx(likelihood) == negative_log_likelihood(answers)
    assert pytest.approx(brier) == brier_score(answers)


# By hand: in fifteenths 0.5 is 7.5, 0.52 is 7.8, 0.9 is 13.5 and 1 the end of the last bin.
HAND = confident([0.5, 1.0, 0.9, 0.52, 1.0], [False, True, True, True, False])


def test_bins_worked_by_hand() -> None:
    """Each answer is in the bin of its confidence, certainty in the last one, and empty bins are left out."""
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
    """It is the distance of each bin's means, by the number of its answers."""
    expected = (2 * abs(0.51 - 0.5) + 1 * abs(0.9 - 1) + 2 * abs(1 - 0.5)) / 5

    assert pytest.approx(expected) == expected_calibration_error(HAND)


@settings(deadline=None)
@given(answered())
def test_bins_hold_every_answer_once(answers: Answers) -> None:
    """Bins rise, hold all answers, and their means lie within their bounds; from them follows the calibration error."""
    found = bins(answers)
    n = len(answers.labels)

    assert n == sum(b.n for b in found)
    assert sorted({b.low for b in found}) == [b.low for b in found]
    assert all(b.low - 1e-12 <= b.confidence <= b.high + 1e-12 and 0 <= b.accuracy <= 1 for b in found)
    assert pytest.approx(sum(b.n * b.accuracy for b in found)) == answers.right.sum()
    assert pytest.approx(
        sum(b.n / n * abs(b.accuracy - b.confidence) for b in found), abs=1e-12
    ) == expected_calibration_error(answers)


@pytest.mark.parametrize(("confidence", "n"), [(0.95, 40), (0.7, 200)])
def test_chance_error_is_the_binomials(confidence: float, n: int) -> None:
    """With all confidences alike, it is how far the share of successes in n throws strays, on average and at most."""
    right = np.arange(n + 1)
    weights, strays = binom.pmf(right, n, confidence), np.abs(right / n - confidence)
    order = np.argsort(strays)
    within = strays[order][np.searchsorted(np.cumsum(weights[order]), 0.95)]

    mean, limit = chance_calibration_error(confident(np.full(n, confidence), np.ones(n)))

    assert pytest.approx(weights @ strays, rel=0.1) == mean
    # Shares are multiples of 1/n, so the quantile of a thousand draws may be the next one.
    assert pytest.approx(within, abs=1 / n + 1e-9) == limit


def test_chance_spares_the_certain() -> None:
    """A perfectly calibrated model that is certain is right: by chance it shows no error at all."""
    assert (0.0, 0.0) == chance_calibration_error(confident(np.ones(50), np.zeros(50)))


def test_chance_asks_for_confidences_only() -> None:
    """What is right plays no part, and the same confidences give the same numbers."""
    confidences = np.random.default_rng(1).uniform(0.3, 1, 300)

    expected = chance_calibration_error(confident(confidences, np.ones(300)))

    assert expected == chance_calibration_error(confident(confidences, np.zeros(300)))
    assert 0 < expected[0] < expected[1]


def times_within_chance(accuracy: Callable[[np.ndarray], np.ndarray]) -> int:
    """Return how many of twenty models with this accuracy by confidence show no more error than chance makes."""
    confidences = np.random.default_rng(2).beta(8, 1, 1_000) * 0.9 + 0.1
    _, limit = chance_calibration_error(confident(confidences, confidences > 0))
    models = (np.random.default_rng(seed) for seed in range(20))
    return sum(
        expected_calibration_error(confident(confidences, rng.random(1_000) < accuracy(confidences))) <= limit
        for rng in models
    )


def test_perfectly_calibrated_models_stay_within_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right as often as their confidences say, models stay below the limit, but for one in twenty or so."""
    monkeypatch.setattr(reliability, "_DRAWS", 200)

    assert 17 <= times_within_chance(lambda confidences: confidences)


@pytest.mark.parametrize("power", [0.5, 2.0], ids=["underconfident", "overconfident"])
def test_other_models_do_not(monkeypatch: pytest.MonkeyPatch, power: float) -> None:
    """Right less often, or more often, than they say, models show more error than chance makes."""
    monkeypatch.setattr(reliability, "_DRAWS", 200)

    assert 0 == times_within_chance(lambda confidences: confidences**power)


def test_error_at_coverage_worked_by_hand() -> None:
    """The most confident answers are given first; those of the same confidence in their order."""
    answers = confident([0.6, 0.9, 0.6, 0.99], [False, True, True, False])

    shares, errors = error_at_coverage(answers)

    assert [1 / 4, 2 / 4, 3 / 4, 1] == shares.tolist()
    assert [1, 1 / 2, 2 / 3, 2 / 4] == errors.tolist()


def test_answers_of_the_same_confidence_keep_their_order() -> None:
    """However many answers are as confident as others, which of them are given first is not left to chance."""
    right = np.random.default_rng(3).random(200) < 0.5
    confidences = np.where(np.arange(200) % 2, 0.9, 0.8)

    _, errors = error_at_coverage(confident(confidences, right))

    expected = np.concatenate([right[1::2], right[::2]])
    assert pytest.approx(np.cumsum(~expected) / np.arange(1, 201)) == errors


@settings(deadline=None)
@given(answered())
def test_error_at_full_coverage_is_the_error(answers: Answers) -> None:
    """Each share is that of the most confident answers, and all of them have the error of all."""
    shares, errors = error_at_coverage(answers)

    n = len(answers.labels)
    weakest_first = np.sort(answers.confidences)
    for k in range(1, n + 1):
        # Where confidences are equal, any of them may come first.
        surely = answers.confidences > weakest_first[n - k]
        perhaps = answers.confidences >= weakest_first[n - k]
        wrong = round(float(errors[k - 1]) * k)
        assert int(np.sum(~answers.right[surely])) <= wrong <= int(np.sum(~answers.right[perhaps]))
    assert pytest.approx(np.arange(1, n + 1) / n) == shares
    assert pytest.approx(answers.error.rate) == errors[-1]
