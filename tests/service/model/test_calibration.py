"""Temperature scaling, OOD score and the confidence of a line are as defined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import special

from service.model.calibration import Calibration, ReadingCalibration, logit, ood_score
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


# --- Readings


@pytest.mark.parametrize("probability", [1e-6, 0.2, 0.5, 0.93, 1 - 1e-6])
def test_logit_is_the_log_odds(probability: float) -> None:
    """It is that of scipy, and the inverse of the logistic function."""
    assert pytest.approx(special.logit(probability)) == logit(probability)
    assert pytest.approx(probability) == special.expit(logit(probability))


def test_logit_is_finite() -> None:
    """Certainty counts as a billionth less."""
    assert pytest.approx(np.log(1e9)) == logit(1.0) == logit(1 - 1e-12)
    assert pytest.approx(-np.log(1e9)) == logit(0.0)


def test_confidence_is_platts() -> None:
    """It is the logistic function of a linear function of the log-odds."""
    calibration = ReadingCalibration(slope=0.7, offset=-0.4, ambiguous_below=0.5)

    for probability in (0.1, 0.5, 0.99):
        expected = special.expit(0.7 * special.logit(probability) - 0.4)
        assert pytest.approx(expected) == calibration.confidence(probability)


def test_slope_1_and_offset_0_change_nothing() -> None:
    """A probability that is calibrated already stays as it is, also 0 and 1."""
    calibration = ReadingCalibration(slope=1, offset=0, ambiguous_below=0.5)

    for probability in (0.0, 0.3, 0.999, 1.0):
        assert pytest.approx(probability, abs=2e-9) == calibration.confidence(probability)


@pytest.mark.parametrize(
    "wrong",
    [
        {"slope": 0},
        {"slope": -1},
        {"slope": float("inf")},
        {"offset": float("nan")},
        {"offset": float("-inf")},
        {"ambiguous_below": 1.1},
        {"ambiguous_below": -0.1},
        {"threshold": 0.5},
    ],
    ids=repr,
)
def test_invalid_calibration_of_readings_is_rejected(wrong: dict[str, Any]) -> None:
    """Values out of range and unknown fields are rejected."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ReadingCalibration(**({"slope": 1.0, "offset": 0.0, "ambiguous_below": 0.5} | wrong))


def test_calibration_with_and_without_that_of_readings() -> None:
    """It survives JSON; a file without it has none."""
    reading = ReadingCalibration(slope=0.7, offset=-0.4, ambiguous_below=0.5)
    calibration = Calibration(temperature=1, ambiguous_below=0.5, reading=reading)

    assert calibration == Calibration.model_validate_json(calibration.model_dump_json())
    assert Calibration.model_validate({"temperature": 1, "ambiguous_below": 0.5}).reading is None
