"""A prediction -> the JSON of an answer, with its schemas."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from service.classifier import Classifier, Prediction
from service.images.background import Polarity
from service.model.calibration import Verdict
from service.types import FloatArray


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    version: str = Field(description="first 12 hex digits of the SHA-256 of its file")


class Ranked(BaseModel):
    """One class and its probability."""

    digit: int
    probability: float


class StrokeFacts(BaseModel):
    """What was done to the strokes, in pixels of the 28x28 input."""

    width: float = Field(description="mean width as found")
    widening: float = Field(description="by how much they were widened on each side; negative: thinned")


class Normalization(BaseModel):
    """What was done to the picture to bring it into MNIST form."""

    polarity: Polarity
    stroke: StrokeFacts | None = Field(description="null where the picture had MNIST form already")
    ink_box: list[int] = Field(description="top, left, bottom, right of the digit, in pixels of `size`")
    size: list[int] = Field(description="height and width at which the picture was looked at")
    scale: float = Field(description="pixels of the 28x28 input for one of `size`")
    shift: list[float] = Field(description="rows, columns: a point p of the picture lies at scale * p + shift")


class Explanation(BaseModel):
    """How the answer came about."""

    input: list[list[float]] = Field(description="28x28, what the network saw, 0 = background to 1 = ink")
    normalization: Normalization | None = Field(description="null for pixels, which are not normalised")
    activations: list[list[float]] = Field(description="a(1), ..., a(L), the last one before calibration")
    scores: list[float] = Field(description="z(L); the probabilities are softmax(scores / temperature)")
    temperature: float
    relevance: list[list[float]] = Field(description="28x28: ink that speaks for the answer is positive")
    stencils: list[list[list[float]]] | None = Field(
        description="28x28 for each score, which is sum(stencil * input) + offset; null for curved activations"
    )
    offsets: list[float] | None = Field(description="one for each stencil")


class Answer(BaseModel):
    """The digit and how sure the network is."""

    digit: int = Field(description="the most probable class")
    confidence: float = Field(description="its probability", ge=0, le=1)
    probabilities: list[float] = Field(description="calibrated, in the order of `classes`; they sum to 1")
    classes: list[int]
    verdict: Verdict = Field(description="clear; ambiguous: a person should look; or not_a_digit")
    novelty: float | None = Field(
        description="0 = like the digits that were learned, 1 = unlike any; null where the model cannot tell",
        ge=0,
        le=1,
    )
    model: ModelName
    top: list[Ranked] | None = Field(None, description="the most probable classes, with ?top_k")
    explanation: Explanation | None = Field(None, description="with ?explain=true")


def answer(
    classifier: Classifier, prediction: Prediction, top_k: int | None = None, *, explain: bool = False
) -> Answer:
    """Return what a client is told; the most probable classes and an explanation where they are asked for."""
    more: dict[str, Any] = {}
    if top_k is not None:
        more["top"] = _top(prediction, top_k)
    if explain:
        more["explanation"] = _explanation(classifier, prediction)
    return Answer(
        digit=prediction.digit,
        confidence=prediction.confidence,
        probabilities=prediction.probabilities.tolist(),
        classes=list(prediction.classes),
        verdict=prediction.verdict,
        novelty=prediction.novelty,
        model=ModelName(name=classifier.model.metadata.name, version=classifier.model.version),
        **more,
    )


def _top(prediction: Prediction, top_k: int) -> list[Ranked]:
    best_first = (-prediction.probabilities).argsort(kind="stable")[:top_k]
    return [Ranked(digit=prediction.classes[i], probability=float(prediction.probabilities[i])) for i in best_first]


def _explanation(classifier: Classifier, prediction: Prediction) -> Explanation:
    explanation = classifier.explain(prediction)
    normalization = None
    if prediction.report is not None:
        report = prediction.report
        normalization = Normalization(
            polarity=report.polarity,
            stroke=None if report.stroke is None else StrokeFacts(**asdict(report.stroke)),
            ink_box=list(report.ink_box),
            size=list(report.size),
            scale=report.frame.scale,
            shift=list(report.frame.shift),
        )
    return Explanation(
        input=decimals(prediction.input),
        normalization=normalization,
        activations=[decimals(activation) for activation in explanation.activations],
        scores=decimals(explanation.scores),
        temperature=classifier.model.metadata.calibration.temperature,
        relevance=decimals(explanation.relevance),
        stencils=None if explanation.stencils is None else decimals(explanation.stencils),
        offsets=None if explanation.offsets is None else decimals(explanation.offsets),
    )


def decimals(values: FloatArray) -> Any:
    """Return nested lists of the shortest decimals that give back the same float32, half as long as float64's."""
    return values.astype(str).astype(float).tolist()
