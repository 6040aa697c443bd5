"""The protocol of the client, sans-IO: it creates requests and interprets responses, but sends nothing.

Each method of `Requests` is a generator, a `RequestFlow`. It yields an httpx.Request to send or a number of seconds to
sleep. It receives the response or the transport error, and returns the parsed result. So the synchronous and the
asyncio client share everything but sending and sleeping: retries, batches, parsing and errors. Out of scope: encoding
pictures, which is in `pictures`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import httpx
import numpy.typing as npt
import safetensors.numpy
from pydantic import BaseModel, RootModel, ValidationError
from safetensors import SafetensorError

from service.client.answers import Answer, Batch, ExplainedAnswer, LayerWeights, Problem, ReadingAnswer
from service.client.errors import NoAnswer, ProblemError, UnexpectedAnswer
from service.client.pictures import Picture, batches, encode, encode_pixels

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)
SendResult = httpx.Response | httpx.RequestError | None
"""The response, or the transport error; None after a sleep and before the first request."""
RequestFlow = Generator[httpx.Request | float, SendResult, T]
JsonObject = dict[str, Any]
Query = dict[str, int | str]

# Every request is idempotent, so every request may be sent again.
_RETRYABLE_STATUSES = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
# A read timeout is not retryable: the service is slow, and a second request would add to its load.
_RETRYABLE_ERRORS = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)
# Exponential backoff, in seconds; the delay doubles with each attempt.
_INITIAL_BACKOFF = 0.25
_MAX_BACKOFF = 30.0


@dataclass(frozen=True, eq=False)
class Done(Generic[T]):
    """The end of a flow, with its result."""

    result: T


def advance(flow: RequestFlow[T], sent: SendResult) -> httpx.Request | float | Done[T]:
    """Resume a flow with the result of its last request and return its next step.

    Returns a request to send, seconds to sleep, or Done. Raises ClientError, and OSError for a file that cannot be
    read.
    """
    try:
        return flow.send(sent)
    except StopIteration as end:
        return Done(end.value)


@dataclass(frozen=True, eq=False)
class Requests:
    """The requests of the API, each as a flow.

    `build` creates an httpx.Request. `retries` is the number of attempts after the first. `random` returns 0 to 1 and
    adds jitter to the backoff.
    """

    build: Callable[..., httpx.Request]
    retries: int
    random: Callable[[], float]

    def predict(self, picture: Picture, top_k: int | None) -> RequestFlow[Answer]:
        """Predict the digit in a picture."""
        response = yield from self._send_picture("predict", picture, _query(top_k=top_k))
        return _parse(Answer, response)

    def explain(self, picture: Picture, top_k: int | None) -> RequestFlow[ExplainedAnswer]:
        """Predict the digit in a picture, with an explanation."""
        response = yield from self._send_picture("predict", picture, _query(top_k=top_k, explain="true"))
        return _parse(ExplainedAnswer, response)

    def predict_pixels(self, pixels: npt.ArrayLike, top_k: int | None) -> RequestFlow[Answer]:
        """Predict a digit in MNIST form."""
        response = yield from self._send("predict", json={"pixels": encode_pixels(pixels)}, params=_query(top_k=top_k))
        return _parse(Answer, response)

    def predict_batch(self, pictures: Iterable[Picture]) -> RequestFlow[list[Answer | Problem]]:
        """Predict the digits in pictures, in as many requests as the limits on their number and bytes need."""
        return (yield from self._send_batches("predict/batch", pictures, Batch[Answer], {}))

    def read(self, picture: Picture, length: int | None) -> RequestFlow[ReadingAnswer]:
        """Read every digit in a picture."""
        response = yield from self._send_picture("read", picture, _query(length=length))
        return _parse(ReadingAnswer, response)

    def read_batch(self, pictures: Iterable[Picture], length: int | None) -> RequestFlow[list[ReadingAnswer | Problem]]:
        """Read every digit in pictures, in as many requests as predict_batch needs."""
        return (yield from self._send_batches("read/batch", pictures, Batch[ReadingAnswer], _query(length=length)))

    def model(self) -> RequestFlow[JsonObject]:
        """Return the description of the model."""
        response = yield from self._send("model", method="GET")
        return _parse(RootModel[JsonObject], response).root

    def weights(self) -> RequestFlow[list[LayerWeights]]:
        """Return the weights and biases of each layer."""
        response = yield from self._send("model/weights", method="GET", params={"format": "safetensors"})
        try:
            tensors = safetensors.numpy.load(response.content)
        except SafetensorError as error:
            raise _unexpected_answer(response) from error
        # The file is that of the model, whose other tensors are those of the OOD detector and of the reader.
        names = [(f"layers.{i}.weights", f"layers.{i}.biases") for i in range(len(tensors) // 2)]
        layers = [LayerWeights(tensors[w], tensors[b]) for w, b in names if w in tensors and b in tensors]
        if not layers:
            raise _unexpected_answer(response)
        return layers

    def health(self) -> RequestFlow[JsonObject]:
        """Return the health of the service, without retries. Status 503 is a result, not an error."""
        request = self.build("GET", "health")
        response = _check(request, (yield request), HTTPStatus.SERVICE_UNAVAILABLE)
        return _parse(RootModel[JsonObject], response).root

    def _send_picture(self, path: str, picture: Picture, params: Query) -> RequestFlow[httpx.Response]:
        headers = {"Content-Type": "application/octet-stream"}
        return (yield from self._send(path, content=encode(picture), headers=headers, params=params))

    def _send_batches(
        self, path: str, pictures: Iterable[Picture], model: type[Batch[T]], params: Query
    ) -> RequestFlow[list[T | Problem]]:
        outcomes: list[T | Problem] = []
        for batch in batches(map(encode, pictures), len):
            outcomes += yield from self._send_batch(path, batch, model, params)
        return outcomes

    def _send_batch(
        self, path: str, batch: list[bytes], model: type[Batch[T]], params: Query
    ) -> RequestFlow[list[T | Problem]]:
        files = [("file", ("picture", content)) for content in batch]
        try:
            response = yield from self._send(path, files=files, params=params)
        except (ProblemError, UnexpectedAnswer) as error:
            if error.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            # The service, or a proxy in front of it, has a smaller limit than the default: bisect the batch.
            if len(batch) > 1:
                middle = len(batch) // 2
                first = yield from self._send_batch(path, batch[:middle], model, params)
                return first + (yield from self._send_batch(path, batch[middle:], model, params))
            if isinstance(error, ProblemError):
                return [error.problem]
            raise
        outcomes = _parse(model, response).outcomes
        if len(outcomes) != len(batch):
            raise _unexpected_answer(response, f"{len(outcomes)} results for {len(batch)} pictures")
        return outcomes

    def _send(self, path: str, method: str = "POST", **content: Any) -> RequestFlow[httpx.Response]:
        """Send a request, with retries after exponential backoff. Raises ClientError."""
        request = self.build(method, path, **content)
        sent = yield request
        for attempt in range(self.retries):
            retry_after = _retry_delay(sent)
            if retry_after is None:
                break
            yield retry_after + min(_INITIAL_BACKOFF * 2**attempt, _MAX_BACKOFF) * (1 + self.random()) / 2
            sent = yield request
        return _check(request, sent)


def _query(**params: int | str | None) -> Query:
    """Return the parameters that are given."""
    return {name: value for name, value in params.items() if value is not None}


def _retry_delay(sent: SendResult) -> float | None:
    """Return the seconds of Retry-After, 0 without it, or None when the request is not retryable."""
    if isinstance(sent, _RETRYABLE_ERRORS):
        return 0
    if not isinstance(sent, httpx.Response) or sent.status_code not in _RETRYABLE_STATUSES:
        return None
    seconds = _retry_after(sent.headers)
    return seconds if seconds <= _MAX_BACKOFF else None


def _retry_after(headers: httpx.Headers) -> float:
    """Return the header Retry-After in seconds; 0 when it is absent, in the past or malformed."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        # Relative to the header Date, since the clock of this machine may differ from that of the service.
        delay = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return 0
    return max(0, delay.total_seconds())


def _check(request: httpx.Request, sent: SendResult, *accepted: HTTPStatus) -> httpx.Response:
    """Return the response if its status is 2xx or accepted. Raises ClientError otherwise."""
    if not isinstance(sent, httpx.Response):
        message = f"{request.url} does not answer: {str(sent) or type(sent).__name__}"
        raise NoAnswer(message) from sent
    if sent.is_success or sent.status_code in accepted:
        return sent
    try:
        raise ProblemError(Problem.model_validate_json(sent.content))
    except ValidationError as error:
        raise _unexpected_answer(sent) from error


def _parse(model: type[Model], response: httpx.Response) -> Model:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise _unexpected_answer(response) from error


def _unexpected_answer(response: httpx.Response, found: str = "a body that is not of this service") -> UnexpectedAnswer:
    content_type = response.headers.get("Content-Type", "no content type")
    redirect = f", redirecting to {response.headers['Location']}" if response.has_redirect_location else ""
    status = f"{response.status_code} {response.reason_phrase}"
    message = f"{response.request.url} answers {status} ({content_type}){redirect} with {found}: is the URL right?"
    return UnexpectedAnswer(message, response.status_code)
