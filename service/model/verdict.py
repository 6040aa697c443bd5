"""The verdict on an answer (selective prediction): accept it, or abstain.

Enters: the confidence and the OOD score of an answer, and the thresholds that were fitted on validation digits. Leaves:
a Verdict. `service.classifier` overrides it with `several_digits`, which is decided on the picture's components.
"""

from __future__ import annotations

from enum import StrEnum

from service.model.calibration import Calibration


class Verdict(StrEnum):
    """The selective prediction: accept the answer, or abstain.

    The answer is ambiguous, the picture shows several digits, or it shows none.
    """

    CLEAR = "clear"
    AMBIGUOUS = "ambiguous"
    SEVERAL_DIGITS = "several_digits"
    NOT_A_DIGIT = "not_a_digit"


class ReadingVerdict(StrEnum):
    """The selective prediction of all digits in a picture: accept the reading, abstain, or there are no digits."""

    CLEAR = "clear"
    AMBIGUOUS = "ambiguous"
    NOT_DIGITS = "not_digits"


def decide(confidence: float, novelty: float | None, calibration: Calibration) -> Verdict:
    """Return the verdict for an answer's largest probability and its OOD score, both 0..1; None: no OOD detector."""
    threshold = calibration.novel_from
    if novelty is not None and threshold is not None and novelty >= threshold:
        return Verdict.NOT_A_DIGIT
    return Verdict.AMBIGUOUS if confidence < calibration.ambiguous_below else Verdict.CLEAR
