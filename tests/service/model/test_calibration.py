"""Temperature scaling and OOD score are as defined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import special

from service.model.calibration import Calibration, ood_score
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
