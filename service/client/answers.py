"""Response bodies of the service as frozen, typed models. Fields that a newer service adds are ignored.

The server's schemas are in `service.api.schemas`. A test compares these models with them. Out of scope: HTTP.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.model.verdict import Verdict


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


class Problem(_Frozen):
    """Problem details of an error (RFC 9457).

    `code` is stable and meant for programs, `detail` is meant for people. `request_id` finds the request in the logs.
    """

    code: str
    status: int
    title: str
    detail: str
    request_id: str


class Predicted(_Frozen):
    """The result of one picture of a batch that was answered."""

    prediction: Answer


class Failed(_Frozen):
    """The result of one picture of a batch that was not answered."""

    problem: Problem


class Batch(_Frozen):
    """The results of a batch, in the order of its pictures."""

    results: tuple[Predicted | Failed, ...]

    @property
    def outcomes(self) -> list[Answer | Problem]:
        """The answer or the problem of each picture."""
        return [item.prediction if isinstance(item, Predicted) else item.problem for item in self.results]
