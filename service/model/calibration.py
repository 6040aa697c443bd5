"""From scores to calibrated probabilities, novelty and a verdict.

Enters: what a network computed for digits, and what was fitted on validation digits. Leaves: probabilities that mean
what they say, how unlike a digit the picture is, and whether a person should look. Out of scope: fitting these numbers
(`training.calibration`, `training.novelty`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from service.model.network import Network
from service.types import FloatArray, Probabilities


class Verdict(StrEnum):
    """How far an answer can be trusted."""

    CLEAR = "clear"
    AMBIGUOUS = "ambiguous"
    NOT_A_DIGIT = "not_a_digit"


class Calibration(BaseModel):
    """What `training.calibration` fits, and the artifact carries.

    `temperature` divides the scores; what has this novelty, or more, is no digit (None: whatever it has), and an answer
    with less confidence than `ambiguous_below` is ambiguous.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(gt=0, allow_inf_nan=False)
    ambiguous_below: float = Field(ge=0, le=1)
    novel_from: float | None = Field(None, ge=0, le=1)

    def probabilities(self, network: Network, scores: FloatArray) -> Probabilities:
        """Return calibrated probabilities (n, n_classes) for scores (n, n_out)."""
        return network.probabilities(scores, self.temperature)

    def judge(self, confidence: float, novelty: float | None) -> Verdict:
        """Return the verdict on an answer whose largest probability is `confidence`."""
        if novelty is not None and self.novel_from is not None and novelty >= self.novel_from:
            return Verdict.NOT_A_DIGIT
        return Verdict.AMBIGUOUS if confidence < self.ambiguous_below else Verdict.CLEAR


def novelty(detector: Network, features: FloatArray) -> Probabilities:
    """Return how unlike a digit each picture is, float64 (n,), 0 = like what was learned to 1 = unlike it.

    `features` are those of the network that reads the digits, (n, n_features): the detector is a network on top of
    them. Its output is the probability that the picture shows no digit, were half of all pictures none.
    """
    return detector.last_probability(detector.feedforward(features)[-1])
