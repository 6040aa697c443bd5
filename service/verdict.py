"""From scores to calibrated probabilities and a verdict.

Enters: a network's scores z(L) and what was fitted on validation digits. Leaves: probabilities that mean what they
say, and whether a person should look. Out of scope: fitting these numbers (`training.calibration`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from service.network import FloatArray, Network, Probabilities


class Verdict(StrEnum):
    """How far an answer can be trusted."""

    CLEAR = "clear"
    AMBIGUOUS = "ambiguous"


class Calibration(BaseModel):
    """What `training.calibration` fits, and the artifact carries.

    `temperature` divides the scores; an answer with less confidence than `ambiguous_below` is ambiguous.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0, allow_inf_nan=False)
    ambiguous_below: float = Field(ge=0, le=1)

    def probabilities(self, network: Network, scores: FloatArray) -> Probabilities:
        """Return calibrated probabilities (n, n_classes) for scores (n, n_out)."""
        return network.probabilities(scores, self.temperature)

    def judge(self, confidence: float) -> Verdict:
        """Return the verdict on an answer whose largest probability is `confidence`."""
        return Verdict.AMBIGUOUS if confidence < self.ambiguous_below else Verdict.CLEAR
