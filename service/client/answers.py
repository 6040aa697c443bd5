"""Response bodies of the service as frozen, typed models. Fields that a newer service adds are ignored.

The server's schemas are in `service.api.schemas`. A test compares these models with them. Out of scope: HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from service.model.verdict import ReadingVerdict, Verdict
from service.types import FloatArray

T = TypeVar("T")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelName(_Frozen):
    """The model that answered. `version` is the first 12 hex digits of the SHA-256 of the model file."""

    name: str
    version: str


class Ranked(_Frozen):
    """One class and its calibrated probability, 0 to 1."""

    digit: int
    probability: float


class Answer(_Frozen):
    """The predicted digit and its uncertainty.

    `probabilities` are calibrated, in the order of `classes`, and sum to 1. `confidence` is the largest of them.
    `verdict` is the outcome of selective prediction; one that this client does not know is a plain str. `novelty` is
    the out-of-distribution (OOD) score, from 0, like the training digits, to 1, unlike them; None when the model has no
    OOD detector. `top` has the most probable classes, the most probable first; None unless `top_k` was given.
    """

    digit: int
    confidence: float
    probabilities: tuple[float, ...]
    classes: tuple[int, ...]
    verdict: Annotated[Verdict | str, Field(union_mode="left_to_right")]
    novelty: float | None
    model: ModelName
    top: tuple[Ranked, ...] | None = None


Rows = tuple[tuple[float, ...], ...]
"""28 rows of 28 numbers."""


class StrokeFacts(_Frozen):
    """Stroke-width normalisation, in pixels of the 28x28 input. A negative `widening` is an erosion."""

    width: float
    widening: float


class Normalization(_Frozen):
    """How a picture was brought into MNIST form.

    `polarity` is `dark-on-light` or `light-on-dark`. `ink_box` is the bounding box of the digit: top, left, bottom,
    right, in pixels of `size`, the height and width of the decoded picture. A point p of the picture maps to
    scale * p + shift. `stroke` is None for a picture that was in MNIST form already.
    """

    polarity: str
    stroke: StrokeFacts | None
    ink_box: tuple[int, int, int, int]
    size: tuple[int, int]
    scale: float
    shift: tuple[float, float]


class Explanation(_Frozen):
    """Intermediate results from the picture to the answer.

    `input` is what the network gets, 0 = background to 1 = ink. `activations` are the outputs of the layers, `scores`
    the logits; the probabilities are softmax(scores / temperature). `relevance` is the gradient x input attribution.
    For each logit, sum(stencil * input) + offset is the logit; both are None for networks whose activations are not
    piecewise linear. `normalization` is None for pixels.
    """

    input: Rows
    activations: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...]
    temperature: float
    relevance: Rows
    normalization: Normalization | None
    stencils: tuple[Rows, ...] | None
    offsets: tuple[float, ...] | None


class ExplainedAnswer(Answer):
    """An Answer with its explanation."""

    explanation: Explanation


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """One layer, like scikit-learn's coefs_ and intercepts_: weights float32 (n_in, n_out), biases float32 (n_out,)."""

    weights: FloatArray
    biases: FloatArray


class ReadingDigit(_Frozen):
    """One digit of a line and its uncertainty. The fields are those of Answer.

    `box` is its bounding box in pixels of the upright picture: top, left, bottom, right; bottom and right are
    exclusive.
    """

    digit: int
    confidence: float
    probabilities: tuple[float, ...]
    verdict: Annotated[Verdict | str, Field(union_mode="left_to_right")]
    novelty: float | None
    box: tuple[int, int, int, int]


class ReadingLine(_Frozen):
    """One line of digits, from left to right. `text` has a character for each.

    `confidence` is the calibrated probability that the whole line is right. `box` is as of ReadingDigit.
    """

    text: str
    confidence: float
    box: tuple[int, int, int, int]
    digits: tuple[ReadingDigit, ...]


class ReadingAnswer(_Frozen):
    """Every digit in a picture, in lines from top to bottom.

    `text` joins the texts of the lines by line feeds; it is empty if there are no digits. `confidence` is the
    calibrated probability that all of it is right. `verdict` is `clear`, `ambiguous` or `not_digits`, or one that this
    client does not know. `picture_size` is the height and width of the upright picture in pixels, to which all boxes
    refer. `truncated` is True if not all was read. `reason` says why the reading is incomplete or doubtful beyond its
    digits; None where it is not.
    """

    text: str
    confidence: float
    verdict: Annotated[ReadingVerdict | str, Field(union_mode="left_to_right")]
    lines: tuple[ReadingLine, ...]
    picture_size: tuple[int, int]
    classes: tuple[int, ...]
    model: ModelName
    truncated: bool = False
    reason: str | None = None


class Problem(_Frozen):
    """Problem details of an error (RFC 9457).

    `code` is stable and meant for programs, `detail` is meant for people. `request_id` finds the request in the logs.
    """

    code: str
    status: int
    title: str
    detail: str
    request_id: str


class Answered(_Frozen, Generic[T]):
    """The result of one picture of a batch that was answered: an Answer or a ReadingAnswer."""

    answer: T = Field(validation_alias=AliasChoices("prediction", "reading"))


class Failed(_Frozen):
    """The result of one picture of a batch that was not answered."""

    problem: Problem


class Batch(_Frozen, Generic[T]):
    """The results of a batch, in the order of its pictures."""

    results: tuple[Answered[T] | Failed, ...]

    @property
    def outcomes(self) -> list[T | Problem]:
        """The answer or the problem of each picture."""
        return [item.problem if isinstance(item, Failed) else item.answer for item in self.results]
