"""What the service answers, as a client takes it: typed and frozen, without what a newer service may add.

The server's own schemas are in `service.api.schemas`; a test holds these to them.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from service.model.calibration import Verdict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelName(_Frozen):
    """Which model answered; `version` is the first 12 hex digits of the SHA-256 of its file."""

    name: str
    version: str


class Ranked(_Frozen):
    """One class and its probability."""

    digit: int
    probability: float


class Answer(_Frozen):
    """The digit and how sure the network is.

    `probabilities` are calibrated, in the order of `classes`, and sum to 1; `confidence` is the largest. `novelty` runs
    from 0, like the digits that were learned, to 1, unlike any; None where the model cannot tell. `top` holds the most
    probable classes where they were asked for.
    """

    digit: int
    confidence: float
    probabilities: tuple[float, ...]
    classes: tuple[int, ...]
    verdict: Verdict
    novelty: float | None
    model: ModelName
    top: tuple[Ranked, ...] | None = None


class Problem(_Frozen):
    """What went wrong (RFC 9457): `code` is for programs, `detail` for people, `request_id` for asking for help."""

    code: str
    status: int
    title: str
    detail: str
    request_id: str


class Predicted(_Frozen):
    """One picture of several, answered."""

    prediction: Answer


class Refused(_Frozen):
    """One picture of several, not answered."""

    problem: Problem


class Batch(_Frozen):
    """What became of several pictures, in the order sent."""

    results: tuple[Predicted | Refused, ...]

    @property
    def outcomes(self) -> list[Answer | Problem]:
        """The answer to each picture, or its problem."""
        return [item.prediction if isinstance(item, Predicted) else item.problem for item in self.results]
