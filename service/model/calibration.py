"""Calibrated probabilities (temperature scaling) and out-of-distribution (OOD) score.

Enters: scores (logits) and features of a network, and the parameters that were fitted on validation digits. Leaves:
calibrated probabilities, the OOD score, and the calibrated confidence of a line of digits. Out of scope: the verdict on
them (`model.verdict`), fitting the parameters (`training.calibration`, `training.reading`) and the OOD detector
(`training.novelty`).
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from service.model.network import Network, logistic
from service.types import FloatArray, Probabilities

_MIN_PROBABILITY = 1e-9


class ReadingCalibration(BaseModel):
    """The parameters for a line of digits: logistic(`slope` * logit(p) + `offset`) is its confidence (Platt scaling).

    p is the probability of the line's text by `model.partition`. A line with a confidence below `ambiguous_below` is
    ambiguous. Source: Platt 1999, "Probabilistic outputs for support vector machines".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(gt=0, allow_inf_nan=False)
    offset: float = Field(allow_inf_nan=False)
    ambiguous_below: float = Field(ge=0, le=1)

    def confidence(self, probability: float) -> float:
        """Return the calibrated probability, 0..1, that all digits of a line are right."""
        return float(logistic(np.array([self.slope * logit(probability) + self.offset]))[0])


def logit(probability: float) -> float:
    """Return the log-odds of a probability, which is first moved a billionth away from 0 and 1."""
    inner = min(max(probability, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
    return math.log(inner / (1 - inner))


class Calibration(BaseModel):
    """The parameters that `training.calibration` fits and the model file contains.

    `temperature` divides the scores (temperature scaling). An answer with a confidence below `ambiguous_below` is
    ambiguous. An OOD score of `novel_from` or more means no digit; None disables this rule. `reading` is for lines of
    digits; None: the probability of a line is its confidence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0, allow_inf_nan=False)
    ambiguous_below: float = Field(ge=0, le=1)
    novel_from: float | None = Field(None, ge=0, le=1)
    reading: ReadingCalibration | None = None

    def probabilities(self, network: Network, scores: FloatArray) -> Probabilities:
        """Return calibrated probabilities float64 (n, n_classes) for scores (logits) float32 (n, n_out)."""
        return network.probabilities(scores, self.temperature)


def ood_score(detector: Network, features: FloatArray) -> Probabilities:
    """Return the OOD score of each picture, float64 (n,), 0 = in-distribution to 1 = out-of-distribution.

    The detector is a network on top of the features (n, n_features) of the digit network. Its output is the probability
    that the picture shows no digit, under the assumption that half of all pictures show none.
    """
    return detector.last_probability(detector.feedforward(features)[-1])
