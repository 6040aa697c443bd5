"""Tests of service.verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import special

from service.verdict import Calibration, Verdict
from tests.conftest import make_network


@pytest.mark.parametrize("temperature", [0.5, 1, 1.7])
def test_the_temperature_divides_the_scores(temperature: float) -> None:
    """Calibrated probabilities are the softmax of the scores over the temperature."""
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
        (0.1, Verdict.AMBIGUOUS),
        (0.5999, Verdict.AMBIGUOUS),
        (0.6, Verdict.CLEAR),
        (1.0, Verdict.CLEAR),
    ],
)
def test_an_answer_below_the_threshold_is_ambiguous(confidence: float, expected: Verdict) -> None:
    """From the threshold up an answer is clear."""
    assert expected is Calibration(temperature=1, ambiguous_below=0.6).judge(confidence)


def test_verdicts_are_words_for_json() -> None:
    """A verdict is the string that clients compare with."""
    assert ["clear", "ambiguous"] == [f"{verdict}" for verdict in Verdict]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0},
        {"temperature": -1},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"ambiguous_below": -0.1},
        {"ambiguous_below": 1.1},
        {"ambiguous_below": float("nan")},
        {"ambiguous_above": 0.5},
    ],
    ids=repr,
)
def test_a_calibration_without_sense_is_refused(wrong: dict[str, Any]) -> None:
    """A temperature that is not positive, a threshold that is no probability, and names that nobody knows."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Calibration(**({"temperature": 1.0, "ambiguous_below": 0.5} | wrong))


def test_a_calibration_does_not_change() -> None:
    """What was fitted stays as it was fitted."""
    calibration = Calibration(temperature=1, ambiguous_below=0.5)

    with pytest.raises(ValidationError, match="frozen"):
        calibration.temperature = 2  # type: ignore[misc]
