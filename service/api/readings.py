"""JSON schemas of a reading, and their construction: every digit in a picture, in lines.

Enters: a Reading. Leaves: a ReadingAnswer. Out of scope: reading the picture (`reader`), and the answer on one digit
(`schemas`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, Field

from service.api.schemas import BriefExplanation, ModelName, brief_explanation
from service.classifier import Classifier
from service.model.verdict import ReadingVerdict, Verdict
from service.reader import Alternative, ReadDigit, Reading, ReadLine

_BOX = "top, left, bottom, right, in pixels of the upright picture; bottom and right are exclusive"


class ReadingDigit(BaseModel):
    """One digit of a line, with calibrated probabilities."""

    digit: int = Field(description="the most probable class")
    confidence: float = Field(description="calibrated probability of `digit`", ge=0, le=1)
    probabilities: list[float] = Field(description="calibrated probabilities in the order of `classes`; they sum to 1")
    verdict: Verdict = Field(
        description="selective prediction for this digit: clear, ambiguous (abstention), or not_a_digit (out of "
        "distribution)"
    )
    novelty: float | None = Field(
        description="out-of-distribution (OOD) score of this digit, 0 to 1; null if the model has no OOD detector",
        ge=0,
        le=1,
    )
    box: list[int] = Field(description=f"bounding box of the digit: {_BOX}")
    explanation: BriefExplanation | None = Field(None, description="if requested with ?explain")


class Cut(BaseModel):
    """One way to cut a part of a line into digits."""

    box: list[int] = Field(description=f"the part of the line: {_BOX}")
    digits: str = Field(description="the digits in this part, from left to right")
    score: float = Field(
        description="probability of this partition divided by that of the best one, 0 to 1; the best one has 1",
        ge=0,
        le=1,
    )


class ReadingLine(BaseModel):
    """One line of digits. It runs across the whole picture, whatever the gaps in it."""

    text: str = Field(description="the digits from left to right, without spaces")
    confidence: float = Field(description="calibrated probability that the whole line is right", ge=0, le=1)
    box: list[int] = Field(description=f"bounding box of the line: {_BOX}")
    digits: list[ReadingDigit] = Field(description="the digits from left to right, one for each character of `text`")
    cuts: list[Cut] | None = Field(
        None, description="the partitions into digits that were considered, if requested with ?explain"
    )


class ReadingAnswer(BaseModel):
    """Every digit in a picture, in lines."""

    text: str = Field(description="the lines from top to bottom, joined by line feeds; empty if there are no digits")
    confidence: float = Field(description="calibrated probability that the whole text is right", ge=0, le=1)
    verdict: ReadingVerdict = Field(
        description="selective prediction: clear, ambiguous (a person should look), or not_digits (none were found)"
    )
    lines: list[ReadingLine] = Field(description="the lines from top to bottom")
    picture_size: list[int] = Field(description="height and width of the upright picture, to which all boxes refer")
    classes: list[int]
    model: ModelName
    truncated: bool | None = Field(
        None, description="true if not all was read, for lack of time or for too many digits; otherwise left out"
    )
    reason: str | None = Field(
        None, description="why the reading is incomplete or doubtful beyond its digits; otherwise left out"
    )


def reading_answer(classifier: Classifier, reading: Reading, *, explain: Collection[str] = ()) -> ReadingAnswer:
    """Return the answer for a reading.

    `explain` has the names of the fields of the explanation of each digit, and `cuts` for the cuts of each line.
    """
    optional: dict[str, Any] = {}
    if reading.is_truncated:
        optional["truncated"] = True
    if reading.reason is not None:
        optional["reason"] = reading.reason
    return ReadingAnswer(
        text=reading.text,
        confidence=reading.confidence,
        verdict=reading.verdict,
        lines=[_line(classifier, line, explain=explain) for line in reading.lines],
        picture_size=list(reading.size),
        classes=list(classifier.model.network.classes),
        model=ModelName(name=classifier.model.metadata.name, version=classifier.model.version),
        **optional,
    )


def _line(classifier: Classifier, line: ReadLine, *, explain: Collection[str]) -> ReadingLine:
    optional = {"cuts": [_cut(alternative) for alternative in line.alternatives]} if "cuts" in explain else {}
    return ReadingLine(
        text=line.text,
        confidence=line.confidence,
        box=list(line.box),
        digits=[_digit(classifier, digit, explain=explain) for digit in line.digits],
        **optional,
    )


def _digit(classifier: Classifier, digit: ReadDigit, *, explain: Collection[str]) -> ReadingDigit:
    prediction = digit.prediction
    is_explained = not BriefExplanation.model_fields.keys().isdisjoint(explain)
    optional = {"explanation": brief_explanation(classifier, prediction, explain)} if is_explained else {}
    return ReadingDigit(
        digit=prediction.digit,
        confidence=prediction.confidence,
        probabilities=prediction.probabilities.tolist(),
        verdict=prediction.verdict,
        novelty=prediction.novelty,
        box=list(digit.box),
        **optional,
    )


def _cut(alternative: Alternative) -> Cut:
    return Cut(box=list(alternative.box), digits=alternative.digits, score=alternative.score)
