"""What is asked and what the answers mean, without sending anything: requests out, responses in, results at the end.

Each question is a generator. It yields a request, to be sent, or seconds, to be waited, is given the response or the
error on the way to it, and returns the result. So the client that waits and the one to await share all but that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import httpx
import numpy.typing as npt
from pydantic import BaseModel, RootModel, ValidationError

from service.client.answers import Answer, Batch, Problem
from service.client.errors import NoAnswer, ProblemError, UnexpectedAnswer
from service.client.pictures import Picture, batches, encode, encode_pixels

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
Outcome = httpx.Response | httpx.RequestError | None
Steps = Generator[httpx.Request | float, Outcome, T]
Facts = dict[str, Any]

# No answer depends on an earlier one, so that everything may be asked again.
_TRY_AGAIN = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
# An answer that takes longer than the caller's timeout is not among them: asking again would make it take longer still.
_NOT_REACHED = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)
# Seconds; each pause is twice the one before.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, eq=False)
class Done(Generic[T]):
    """The end of a question."""

    result: T


def advance(steps: Steps[T], outcome: Outcome) -> httpx.Request | float | Done[T]:
    """Tell a question what came of its last step, None at first, and return its next one."""
    try:
        return steps.send(outcome)
    except StopIteration as end:
        return Done(end.value)


@dataclass(frozen=True, eq=False)
class Questions:
    """Everything that can be asked: `build` makes requests, `random` returns 0..1 and spreads the pauses."""

    build: Callable[..., httpx.Request]
    retries: int
    random: Callable[[], float]

    def predict(self, picture: Picture, top_k: int | None) -> Steps[Answer]:
        """Ask for the digit in a picture."""
        headers = {"Content-Type": "application/octet-stream"}
        response = yield from self._ask("predict", content=encode(picture), headers=headers, params=_parameters(top_k))
        return _parsed(Answer, response)

    def predict_pixels(self, pixels: npt.ArrayLike, top_k: int | None) -> Steps[Answer]:
        """Ask for a digit in MNIST form."""
        response = yield from self._ask("predict", json={"pixels": encode_pixels(pixels)}, params=_parameters(top_k))
        return _parsed(Answer, response)

    def predict_batch(self, pictures: Iterable[Picture]) -> Steps[list[Answer | Problem]]:
        """Ask for the digits in pictures, in as many requests as their number and size demand."""
        outcomes: list[Answer | Problem] = []
        for batch in batches(map(encode, pictures), len):
            outcomes += yield from self._batch(batch)
        return outcomes

    def model(self) -> Steps[Facts]:
        """Ask what the model is."""
        response = yield from self._ask("model", method="GET")
        return _parsed(RootModel[Facts], response).root

    def health(self) -> Steps[Facts]:
        """Ask how the service is, once; that it is unavailable is an answer."""
        request = self.build("GET", "health")
        response = _received(request, (yield request), HTTPStatus.SERVICE_UNAVAILABLE)
        return _parsed(RootModel[Facts], response).root

    def _batch(self, batch: list[bytes]) -> Steps[list[Answer | Problem]]:
        files = [("file", ("picture", content)) for content in batch]
        try:
            response = yield from self._ask("predict/batch", files=files)
        except (ProblemError, UnexpectedAnswer) as error:
            if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            # The service, or a proxy before it, takes less at once than is usual.
            if len(batch) > 1:
                middle = len(batch) // 2
                return (yield from self._batch(batch[:middle])) + (yield from self._batch(batch[middle:]))
            if isinstance(error, ProblemError):
                return [error.problem]
            raise
        outcomes = _parsed(Batch, response).outcomes
        if len(outcomes) != len(batch):
            raise _unexpected(response, f"{len(outcomes)} results for {len(batch)} pictures")
        return outcomes

    def _ask(self, path: str, method: str = "POST", **content: Any) -> Steps[httpx.Response]:
        """Ask as often as allowed and of use, with growing pauses."""
        request = self.build(method, path, **content)
        outcome = yield request
        for attempt in range(self.retries):
            patience = _patience(outcome)
            if patience is None:
                break
            yield patience + min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * (1 + self.random()) / 2
            outcome = yield request
        return _received(request, outcome)


def _parameters(top_k: int | None) -> dict[str, int]:
    return {} if top_k is None else {"top_k": top_k}


def _patience(outcome: Outcome) -> float | None:
    """Return for how many seconds the service wants to be left alone, None where asking again is of no use."""
    if isinstance(outcome, _NOT_REACHED):
        return 0
    if not isinstance(outcome, httpx.Response) or outcome.status_code not in _TRY_AGAIN:
        return None
    seconds = _retry_after(outcome.headers)
    return seconds if seconds <= _LONGEST_PAUSE else None


def _retry_after(headers: httpx.Headers) -> float:
    """Return the seconds that Retry-After names or leads to, 0 without it or when it cannot be read."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        # By the clock of the service, from which that of this machine may differ.
        pause = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return 0
    return max(0, pause.total_seconds())


def _received(request: httpx.Request, outcome: Outcome, *accepted: HTTPStatus) -> httpx.Response:
    """Return a response that is well, or of an accepted status. Raises ClientError for anything else."""
    if not isinstance(outcome, httpx.Response):
        message = f"{request.url} does not answer: {str(outcome) or type(outcome).__name__}"
        raise NoAnswer(message) from outcome
    if outcome.is_success or outcome.status_code in accepted:
        return outcome
    try:
        raise ProblemError(Problem.model_validate_json(outcome.content))
    except ValidationError as error:
        raise _unexpected(outcome) from error


def _parsed(model: type[Model], response: httpx.Response) -> Model:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise _unexpected(response) from error


def _unexpected(response: httpx.Response, found: str = "nothing that this service says") -> UnexpectedAnswer:
    kind = response.headers.get("Content-Type", "no content type")
    to = f", which points to {response.headers['Location']}" if response.has_redirect_location else ""
    status = f"{response.status_code} {response.reason_phrase}"
    message = f"{response.request.url} answers {status} ({kind}){to} with {found}: does the address lead to it?"
    return UnexpectedAnswer(message, response.status_code)
