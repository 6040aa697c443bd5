"""Tests of service.model.calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import special

from service.model.calibration import Calibration, Verdict, novelty
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
    for unlike in (None, 0.0, 0.29):
        calibration = Calibration(temperature=1, ambiguous_below=0.6, novel_from=0.3)
        assert expected is calibration.judge(confidence, unlike)


@pytest.mark.parametrize("confidence", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("unlike", [0.3, 0.31, 1.0])
def test_what_is_novel_enough_is_no_digit(confidence: float, unlike: float) -> None:
    """From that threshold up there is no digit, however sure the network is of one."""
    calibration = Calibration(temperature=1, ambiguous_below=0.6, novel_from=0.3)

    assert Verdict.NOT_A_DIGIT is calibration.judge(confidence, unlike)


@pytest.mark.parametrize("unlike", [None, 0.0, 1.0])
def test_without_a_threshold_everything_is_a_digit(unlike: float | None) -> None:
    """A model that was not calibrated for it calls nothing no digit."""
    calibration = Calibration(temperature=1, ambiguous_below=0.6)

    assert [Verdict.AMBIGUOUS, Verdict.CLEAR] == [calibration.judge(c, unlike) for c in (0.5, 0.7)]


@pytest.mark.parametrize("head", ["logistic", "softmax"])
def test_novelty_is_the_probability_of_no_digit(head: str) -> None:
    """It is what the detector answers of its second class, one number a picture."""
    detector = make_network(3, n_in=5, head=head, classes=(0, 1))
    features = np.random.default_rng(0).normal(0, 10, (4, 5)).astype(np.float32)
    hidden = np.maximum(features @ detector.layers[0].weights + detector.layers[0].biases, 0)
    scores = (hidden @ detector.layers[1].weights + detector.layers[1].biases).astype(np.float64)
    expected = special.expit(scores[:, 0]) if head == "logistic" else special.softmax(scores, axis=1)[:, 1]

    unlike = novelty(detector, features)

    assert ((4,), np.dtype(np.float64)) == (unlike.shape, unlike.dtype)
    np.testing.assert_allclose(expected, unlike, rtol=1e-6)
    assert np.ptp(unlike) > 0.05


def test_verdicts_are_words_for_json() -> None:
    """A verdict is the string that clients compare with."""
    assert ["clear", "ambiguous", "not_a_digit"] == [f"{verdict}" for verdict in Verdict]


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
        {"novel_from": -0.1},
        {"novel_from": 1.1},
        {"novel_from": float("nan")},
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
