"""The two clients: DigitClient is synchronous, AsyncDigitClient is asyncio. Both run the request flows of `protocol`.

In come pictures or pixels, out go typed answers. This module does the I/O: it sends, sleeps and closes connections.
Out of scope: what is sent, and what a response means.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import httpx
import numpy.typing as npt

from service.client.answers import Answer, ExplainedAnswer, LayerWeights, Problem, ReadingAnswer
from service.client.errors import InvalidInput
from service.client.pictures import Picture
from service.client.protocol import Done, JsonObject, RequestFlow, Requests, SendResult, advance

T = TypeVar("T")

TIMEOUT = 60.0
RETRIES = 3


class DigitClient:
    """The synchronous client. Close it, or use it as a context manager.

    Every method raises ClientError: InvalidInput before anything is sent, NoAnswer, ProblemError, UnexpectedAnswer.
    """

    def __init__(  # noqa: PLR0913 - options, each with a default
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        """Create a client of the service at this URL, which may have a path. `timeout` is in seconds, per request.

        A request is retried `retries` times, with exponential backoff, when the service is overloaded or the
        connection fails. Raises InvalidInput for an invalid URL or API key.
        """
        self._http = httpx.Client(**_options(url, api_key), timeout=timeout, transport=transport)
        self._requests = Requests(self._http.build_request, retries, random)
        self._sleep = sleep

    def predict(self, picture: Picture, *, top_k: int | None = None) -> Answer:
        """Predict the digit in a picture. With `top_k`, the answer also has that many most probable classes.

        Raises OSError when the picture is a path that cannot be read.
        """
        return self._run(self._requests.predict(picture, top_k))

    def explain(self, picture: Picture, *, top_k: int | None = None) -> ExplainedAnswer:
        """Predict the digit in a picture, and explain how the answer came about.

        Raises OSError when the picture is a path that cannot be read.
        """
        return self._run(self._requests.explain(picture, top_k))

    def predict_pixels(self, pixels: npt.ArrayLike, *, top_k: int | None = None) -> Answer:
        """Predict a digit in MNIST form: integers (28, 28), 0 = background to 255 = ink. It is not normalised."""
        return self._run(self._requests.predict_pixels(pixels, top_k))

    def predict_batch(self, pictures: Iterable[Picture]) -> list[Answer | Problem]:
        """Predict the digits in any number of pictures. Returns an answer or a problem for each, in their order.

        Raises OSError when one is a path that cannot be read.
        """
        return self._run(self._requests.predict_batch(pictures))

    def read(self, picture: Picture, *, length: int | None = None) -> ReadingAnswer:
        """Read every digit in a picture. `length` is the number of its digits, 1 to 256, where that is known.

        Raises OSError when the picture is a path that cannot be read.
        """
        return self._run(self._requests.read(picture, length))

    def read_batch(self, pictures: Iterable[Picture], *, length: int | None = None) -> list[ReadingAnswer | Problem]:
        """Read every digit in any number of pictures. Returns a reading or a problem for each, in their order.

        `length` is the number of digits in each of the pictures. Raises OSError when one is a path that cannot be read.
        """
        return self._run(self._requests.read_batch(pictures, length))

    def model(self) -> JsonObject:
        """Return the description of the model, the body of `/model`."""
        return self._run(self._requests.model())

    def weights(self) -> list[LayerWeights]:
        """Return the weights and biases of each layer, from the input to the output."""
        return self._run(self._requests.weights())

    def health(self) -> JsonObject:
        """Return the health of the service, the body of `/health`, also when it is unavailable. There is no retry."""
        return self._run(self._requests.health())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, flow: RequestFlow[T]) -> T:
        sent: SendResult = None
        while not isinstance(step := advance(flow, sent), Done):
            sent = None
            if isinstance(step, float):
                self._sleep(step)
            else:
                try:
                    sent = self._http.send(step)
                except httpx.RequestError as error:
                    sent = error
        return step.result


class AsyncDigitClient:
    """The asyncio client, with the methods of DigitClient. Close it, or use it as an asynchronous context manager."""

    def __init__(  # noqa: PLR0913 - options, each with a default
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        """Take the parameters of DigitClient, with an asynchronous `transport` and `sleep`."""
        self._http = httpx.AsyncClient(**_options(url, api_key), timeout=timeout, transport=transport)
        self._requests = Requests(self._http.build_request, retries, random)
        self._sleep = sleep

    async def predict(self, picture: Picture, *, top_k: int | None = None) -> Answer:
        """Predict the digit in a picture, as DigitClient.predict."""
        return await self._run(self._requests.predict(picture, top_k))

    async def explain(self, picture: Picture, *, top_k: int | None = None) -> ExplainedAnswer:
        """Predict the digit in a picture and explain the answer, as DigitClient.explain."""
        return await self._run(self._requests.explain(picture, top_k))

    async def predict_pixels(self, pixels: npt.ArrayLike, *, top_k: int | None = None) -> Answer:
        """Predict a digit in MNIST form, as DigitClient.predict_pixels."""
        return await self._run(self._requests.predict_pixels(pixels, top_k))

    async def predict_batch(self, pictures: Iterable[Picture]) -> list[Answer | Problem]:
        """Predict the digits in any number of pictures, as DigitClient.predict_batch."""
        return await self._run(self._requests.predict_batch(pictures))

    async def read(self, picture: Picture, *, length: int | None = None) -> ReadingAnswer:
        """Read every digit in a picture, as DigitClient.read."""
        return await self._run(self._requests.read(picture, length))

    async def read_batch(
        self, pictures: Iterable[Picture], *, length: int | None = None
    ) -> list[ReadingAnswer | Problem]:
        """Read every digit in any number of pictures, as DigitClient.read_batch."""
        return await self._run(self._requests.read_batch(pictures, length))

    async def model(self) -> JsonObject:
        """Return the description of the model, as DigitClient.model."""
        return await self._run(self._requests.model())

    async def weights(self) -> list[LayerWeights]:
        """Return the weights and biases of each layer, as DigitClient.weights."""
        return await self._run(self._requests.weights())

    async def health(self) -> JsonObject:
        """Return the health of the service, as DigitClient.health."""
        return await self._run(self._requests.health())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, flow: RequestFlow[T]) -> T:
        sent: SendResult = None
        # In a thread, since a flow reads files and encodes pictures between its requests.
        while not isinstance(step := await anyio.to_thread.run_sync(advance, flow, sent), Done):
            sent = None
            if isinstance(step, float):
                await self._sleep(step)
            else:
                try:
                    sent = await self._http.send(step)
                except httpx.RequestError as error:
                    sent = error
        return step.result


def _options(url: str, api_key: str | None) -> dict[str, Any]:
    """Return the options of httpx.Client and httpx.AsyncClient. Raises InvalidInput for an invalid URL or API key."""
    try:
        base_url = httpx.URL(url)
    except httpx.InvalidURL as error:
        message = f"{url!r} is not a valid URL: {error}"
        raise InvalidInput(message) from error
    if base_url.scheme not in {"http", "https"} or not base_url.host:
        message = f"{url!r} is not a valid URL of a service: it must begin with http:// or https:// and a host"
        raise InvalidInput(message)
    if api_key is None:
        return {"base_url": base_url}
    if not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        message = "the API key is empty or has characters that are not allowed in a header"
        raise InvalidInput(message)
    return {"base_url": base_url, "headers": {"Authorization": f"Bearer {api_key}"}}
