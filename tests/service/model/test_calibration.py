"""Temperature scaling, OOD score and verdict are as defined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import special

from service.model.calibration import Calibration, Verdict, ood_score
from tests.conftest import make_network


@pytest.mark.parametrize("temperature", [0.5, 1.7])
def test_temperature_divides_the_scores(temperature: float) -> None:
    """Calibrated probabilities are the softmax of the scores divided by the temperature."""
    scores = np.random.default_rng(0).normal(0, 3, (4, 10)).astype(np.float32)
    calibration = Calibration(temperature=temperature, ambiguous_below=0.5)

    np.testing.assert_allclose(
        calibration.probabilities(make_network(), scores),
        special.softmax(scores.astype(np.float64) / temperature, axis=1),
        rtol=1e-12,
    )


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (0.5999, Verdict.AMBIGUOUS),
        (0.6, Verdict.CLEAR),
    ],
)
def test_answer_below_the_threshold_is_ambiguous(confidence: float, expected: Verdict) -> None:
    """An answer with the confidence of the threshold is clear."""
    for score in (None, 0.0, 0.29):
        calibration = Calibration(temperature=1, ambiguous_below=0.6, novel_from=0.3)
        assert expected is calibration.judge(confidence, score)


@pytest.mark.parametrize("confidence", [0.1, 1.0])
@pytest.mark.parametrize("score", [0.3, 1.0])
def test_ood_score_from_the_threshold_is_no_digit(confidence: float, score: float) -> None:
    """The verdict is `not_a_digit` whatever the confidence is."""
    calibration = Calibration(temperature=1, ambiguous_below=0.6, novel_from=0.3)

    assert Verdict.NOT_A_DIGIT is calibration.judge(confidence, score)


@pytest.mark.parametrize("score", [None, 1.0])
def test_without_a_threshold_no_verdict_is_not_a_digit(score: float | None) -> None:
    """A calibration without `novel_from` ignores the OOD score."""
    calibration = Calibration(temperature=1, ambiguous_below=0.6)

    assert [Verdict.AMBIGUOUS, Verdict.CLEAR] == [calibration.judge(c, score) for c in (0.5, 0.7)]


@pytest.mark.parametrize("head", ["logistic", "softmax"])
def test_ood_score_is_the_probability_of_the_second_class(head: str) -> None:
    """It is the detector's probability of out-of-distribution, float64 (n,)."""
    detector = make_network(3, n_in=5, head=head, classes=(0, 1))
    features = np.random.default_rng(0).normal(0, 10, (4, 5)).astype(np.float32)
    hidden = np.maximum(features @ detector.layers[0].weights + detector.layers[0].biases, 0)
    scores = (hidden @ detector.layers[1].weights + detector.layers[1].biases).astype(np.float64)
    expected = special.expit(scores[:, 0]) if head == "logistic" else special.softmax(scores, axis=1)[:, 1]

    score = ood_score(detector, features)

    assert ((4,), np.dtype(np.float64)) == (score.shape, score.dtype)
    np.testing.assert_allclose(expected, score, rtol=1e-6)
    assert np.ptp(score) > 0.05


def test_verdicts_are_strings() -> None:
    """A verdict is the string in the JSON of the API."""
    assert ["clear", "ambiguous", "several_digits", "not_a_digit"] == [f"{verdict}" for verdict in Verdict]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"ambiguous_below": -0.1},
        {"ambiguous_below": 1.1},
        {"novel_from": -0.1},
        {"novel_from": 1.1},
        {"ambiguous_above": 0.5},
    ],
    ids=repr,
)
def test_invalid_calibration_is_rejected(wrong: dict[str, Any]) -> None:
    """Values out of range and unknown fields are rejected."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Calibration(**({"temperature": 1.0, "ambiguous_below": 0.5} | wrong))


def test_calibration_is_immutable() -> None:
    """A fitted calibration cannot be modified."""
    calibration = Calibration(temperature=1, ambiguous_below=0.5)

    with pytest.raises(ValidationError, match="frozen"):
        calibration.temperature = 2  # type: ignore[misc]
