"""The verdict compares confidence and OOD score with the thresholds of the model."""

from __future__ import annotations

import pytest

from service.model.calibration import Calibration
from service.model.verdict import Verdict, decide


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
        assert expected is decide(confidence, score, calibration)


@pytest.mark.parametrize("confidence", [0.1, 1.0])
@pytest.mark.parametrize("score", [0.3, 1.0])
def test_ood_score_from_the_threshold_is_no_digit(confidence: float, score: float) -> None:
    """The verdict is `not_a_digit` whatever the confidence is."""
    calibration = Calibration(temperature=1, ambiguous_below=0.6, novel_from=0.3)

    assert Verdict.NOT_A_DIGIT is decide(confidence, score, calibration)


@pytest.mark.parametrize("score", [None, 1.0])
def test_without_a_threshold_no_verdict_is_not_a_digit(score: float | None) -> None:
    """A calibration without `novel_from` ignores the OOD score."""
    calibration = Calibration(temperature=1, ambiguous_below=0.6)

    assert [Verdict.AMBIGUOUS, Verdict.CLEAR] == [decide(c, score, calibration) for c in (0.5, 0.7)]


def test_verdicts_are_strings() -> None:
    """A verdict is the string in the JSON of the API."""
    assert ["clear", "ambiguous", "several_digits", "not_a_digit"] == [f"{verdict}" for verdict in Verdict]
