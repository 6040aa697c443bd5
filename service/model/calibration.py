"""Calibrated probabilities (temperature scaling), out-of-distribution (OOD) score, and verdict (selective prediction).

Enters: scores (logits) and features of a network, and the parameters that were fitted on validation digits. Leaves:
calibrated probabilities, the OOD score, and the verdict. Out of scope: fitting the parameters (`training.calibration`)
and the OOD detector (`training.novelty`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from service.model.network import Network
from service.types import FloatArray, Probabilities


class Verdict(StrEnum):
    """The selective prediction: accept the answer, or abstain.

    The answer is ambiguous, the picture shows several digits, or it shows none.
    """

    CLEAR = "clear"
    AMBIGUOUS = "ambiguous"
    SEVERAL_DIGITS = "several_digits"
    NOT_A_DIGIT = "not_a_digit"


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

    def judge(self, confidence: float, novelty: float | None) -> Verdict:
        """Return the verdict for an answer's largest probability and its OOD score, both 0..1."""
        if novelty is not None and self.novel_from is not None and novelty >= self.novel_from:
            return Verdict.NOT_A_DIGIT
        return Verdict.AMBIGUOUS if confidence < self.ambiguous_below else Verdict.CLEAR


def ood_score(detector: Network, features: FloatArray) -> Probabilities:
    """Return the OOD score of each picture, float64 (n,), 0 = in-distribution to 1 = out-of-distribution.

    The detector is a network on top of the features (n, n_features) of the digit network. Its output is the probability
    that the picture shows no digit, under the assumption that half of all pictures show none.
    """
    return detector.last_probability(detector.feedforward(features)[-1])
