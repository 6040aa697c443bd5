"""JSON schemas of an answer, and their construction from a prediction.

Enters: a Prediction. Leaves: an Answer. Out of scope: computing the prediction and its explanation (`classifier`), and
the digits of a reading (`readings`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from service.classifier import Classifier, Prediction
from service.images.background import Polarity
from service.model.explanation import Explanation as NetworkExplanation
from service.model.verdict import Verdict
from service.types import FloatArray


class ModelName(BaseModel):
    """Name and version of the model that answered."""

    name: str
    version: str = Field(description="first 12 hex digits of the SHA-256 of its file")


class Ranked(BaseModel):
    """One class and its probability."""

    digit: int
    probability: float


class StrokeFacts(BaseModel):
    """Stroke-width normalisation, in pixels of the 28x28 input."""

    width: float = Field(description="mean stroke width before normalisation")
    widening: float = Field(description="radius of the dilation applied to the strokes; negative: erosion")


class Normalization(BaseModel):
    """Geometry and polarity of the normalisation into MNIST form."""

    polarity: Polarity
    stroke: StrokeFacts | None = Field(description="null if the picture was in MNIST form already")
    ink_box: list[int] = Field(description="bounding box of the digit: top, left, bottom, right, in pixels of `size`")
    size: list[int] = Field(
        description="height and width of the decoded picture; large pictures are downscaled when decoded"
    )
    scale: float = Field(description="scale factor from pixels of `size` to pixels of the 28x28 input")
    shift: list[float] = Field(
        description="translation in rows, columns: a point p of the picture maps to scale * p + shift"
    )


class BriefExplanation(BaseModel):
    """Intermediate results from the input of the network to the answer. Fields that are not requested are left out."""

    input: list[list[float]] | None = Field(None, description="28x28, input of the network, 0 = background to 1 = ink")
    activations: list[list[float]] | None = Field(
        None, description="outputs a(1), ..., a(L) of the layers, the last one before temperature scaling"
    )
    scores: list[float] | None = Field(
        None, description="logits z(L); the probabilities are softmax(scores / temperature)"
    )
    temperature: float | None = Field(
        None, description="temperature of the temperature scaling: probabilities are softmax(logits / temperature)"
    )
    relevance: list[list[float]] | None = Field(
        None,
        description="28x28, gradient x input attribution: positive where ink raises the answer's logit over the mean",
    )


class Explanation(BriefExplanation):
    """Intermediate results from the picture to the answer, and the locally linear network."""

    normalization: Normalization | None = Field(None, description="null for pixels, which are not normalised")
    stencils: list[list[list[float]]] | None = Field(
        None,
        description=(
            "effective weights of the locally linear network, 28x28 for each logit: "
            "logit = sum(stencil * input) + offset; null for activations that are not piecewise linear"
        ),
    )
    offsets: list[float] | None = Field(
        None, description="effective bias of the locally linear network, one for each stencil"
    )


class Answer(BaseModel):
    """The classified digit with calibrated probabilities."""

    digit: int = Field(description="the most probable class")
    confidence: float = Field(description="calibrated probability of `digit`", ge=0, le=1)
    probabilities: list[float] = Field(description="calibrated probabilities in the order of `classes`; they sum to 1")
    classes: list[int]
    verdict: Verdict = Field(
        description="selective prediction: clear, ambiguous (abstention), several_digits (more than one digit in the "
        "picture), or not_a_digit (out of distribution)"
    )
    novelty: float | None = Field(
        description=(
            "out-of-distribution (OOD) score, 0 = like the training digits, 1 = unlike any digit; "
            "null if the model has no OOD detector"
        ),
        ge=0,
        le=1,
    )
    model: ModelName
    top: list[Ranked] | None = Field(None, description="the most probable classes, if requested with ?top_k")
    explanation: Explanation | None = Field(None, description="if requested with ?explain")


def answer(
    classifier: Classifier, prediction: Prediction, top_k: int | None = None, *, explain: Collection[str] = ()
) -> Answer:
    """Return the answer for a prediction, with the `top_k` most probable classes on request.

    `explain` has the names of the fields of its explanation. Without any, there is none.
    """
    optional: dict[str, Any] = {}
    if top_k is not None:
        optional["top"] = _top(prediction, top_k)
    if explain:
        optional["explanation"] = _explanation(classifier, prediction, explain)
    return Answer(
        digit=prediction.digit,
        confidence=prediction.confidence,
        probabilities=prediction.probabilities.tolist(),
        classes=list(prediction.classes),
        verdict=prediction.verdict,
        novelty=prediction.novelty,
        model=ModelName(name=classifier.model.metadata.name, version=classifier.model.version),
        **optional,
    )


def brief_explanation(classifier: Classifier, prediction: Prediction, fields: Collection[str]) -> BriefExplanation:
    """Return these fields of an explanation, of those that need no picture and no effective weights."""
    return BriefExplanation(**_chosen(_brief_fields(classifier, prediction, classifier.explain(prediction)), fields))


_Fields = dict[str, Callable[[], Any]]
"""What computes the value of each field, since lists of numbers take longer to make than the answer."""


def _chosen(fields: _Fields, names: Collection[str]) -> dict[str, Any]:
    return {name: compute() for name, compute in fields.items() if name in names}


def _brief_fields(classifier: Classifier, prediction: Prediction, explanation: NetworkExplanation) -> _Fields:
    return {
        "input": lambda: _shortest_decimals(prediction.input),
        "activations": lambda: [_shortest_decimals(activation) for activation in explanation.activations],
        "scores": lambda: _shortest_decimals(explanation.scores),
        "temperature": lambda: classifier.model.metadata.calibration.temperature,
        "relevance": lambda: _shortest_decimals(explanation.relevance),
    }


def _top(prediction: Prediction, top_k: int) -> list[Ranked]:
    ranking = (-prediction.probabilities).argsort(kind="stable")[:top_k]
    return [Ranked(digit=prediction.classes[i], probability=float(prediction.probabilities[i])) for i in ranking]


def _explanation(classifier: Classifier, prediction: Prediction, names: Collection[str]) -> Explanation:
    explanation = classifier.explain(prediction)
    fields: _Fields = {
        **_brief_fields(classifier, prediction, explanation),
        "normalization": lambda: _normalization(prediction),
        "stencils": lambda: None if explanation.stencils is None else _shortest_decimals(explanation.stencils),
        "offsets": lambda: None if explanation.offsets is None else _shortest_decimals(explanation.offsets),
    }
    return Explanation(**_chosen(fields, names))


def _normalization(prediction: Prediction) -> Normalization | None:
    report = prediction.report
    if report is None:
        return None
    return Normalization(
        polarity=report.polarity,
        stroke=None if report.stroke is None else StrokeFacts(**asdict(report.stroke)),
        ink_box=list(report.ink_box),
        size=list(report.size),
        scale=report.frame.scale,
        shift=list(report.frame.shift),
    )


def _shortest_decimals(values: FloatArray) -> Any:
    """Return nested lists of the shortest decimals that round-trip to the same float32, half as long as float64's."""
    # Most pixels and units are 0, and conversion by way of text is slow.
    decimals = np.zeros(values.shape)
    is_nonzero = values != 0
    decimals[is_nonzero] = values[is_nonzero].astype(str).astype(float)
    return decimals.tolist()
