"""Calibrated probabilities (temperature scaling) and out-of-distribution (OOD) score.

Enters: scores (logits) and features of a network, and the parameters that were fitted on validation digits. Leaves:
calibrated probabilities and the OOD score. Out of scope: the verdict on them (`model.verdict`), fitting the parameters
(`training.calibration`) and the OOD detector (`training.novelty`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from service.model.network import Network
from service.types import FloatArray, Probabilities


class Calibration(BaseModel):
    """The parameters that `training.calibration` fits and the model file contains.

    `temperature` divides the scores (temperature scaling). An answer with a confidence below `ambiguous_below` is
    ambiguous. An OOD score of `novel_from` or more means no digit; None disables this rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0, allow_inf_nan=False)
    ambiguous_below: float = Field(ge=0, le=1)
    novel_from: float | None = Field(None, ge=0, le=1)

    def probabilities(self, network: Network, scores: FloatArray) -> Probabilities:
        """Return calibrated probabilities float64 (n, n_classes) for scores (logits) float32 (n, n_out)."""
        return network.probabilities(scores, self.temperature)


def ood_score(detector: Network, features: FloatArray) -> Probabilities:
    """Return the OOD score of each picture, float64 (n,), 0 = in-distribution to 1 = out-of-distribution.

    The detector is a network on top of the features (n, n_features) of the digit network. Its output is the probability
    that the picture shows no digit, under the assumption that half of all pictures show none.
    """
    return detector.last_probability(detector.feedforward(features)[-1])
