"""DigitClient waits for its answers, AsyncDigitClient is awaited; what they ask is the same, in `exchange`."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self, TypeVar

import anyio
import anyio.to_thread
import httpx
import numpy.typing as npt

from service.client.answers import Answer, Problem
from service.client.errors import InvalidInput
from service.client.exchange import Done, Facts, Outcome, Questions, Steps, advance
from service.client.pictures import Picture

T = TypeVar("T")

TIMEOUT = 60.0
RETRIES = 3


class DigitClient:
    """Asks a service and waits for its answers; close it, or use it as a context manager.

    Every method raises ClientError: InvalidInput before anything is sent, NoAnswer, ProblemError, UnexpectedAnswer.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that callers differ in
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
        """Ask the service at this address, which may have a path, giving it so many seconds for each answer.

        When it is overloaded or cannot be reached, it is asked again so many times, after growing pauses. Raises
        InvalidInput for an address or a key that no request can carry.
        """
        self._http = httpx.Client(**_options(url, api_key), timeout=timeout, transport=transport)
        self._questions = Questions(self._http.build_request, retries, random)
        self._sleep = sleep

    def predict(self, picture: Picture, *, top_k: int | None = None) -> Answer:
        """Read the digit in a picture; `top_k` asks for so many of the most probable classes, too.

        Raises OSError when the picture is a path that cannot be read.
        """
        return self._run(self._questions.predict(picture, top_k))

    def predict_pixels(self, pixels: npt.ArrayLike, *, top_k: int | None = None) -> Answer:
        """Read a digit in MNIST form, integers (28, 28) from 0 = background to 255 = ink; it is not normalised."""
        return self._run(self._questions.predict_pixels(pixels, top_k))

    def predict_batch(self, pictures: Iterable[Picture]) -> list[Answer | Problem]:
        """Read the digits in any number of pictures: for each, in their order, the answer or what is wrong with it.

        Raises OSError when one is a path that cannot be read.
        """
        return self._run(self._questions.predict_batch(pictures))

    def model(self) -> Facts:
        """Return what the service tells of its model."""
        return self._run(self._questions.model())

    def health(self) -> Facts:
        """Return how the service is, also when it is unavailable; it is asked once."""
        return self._run(self._questions.health())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        while not isinstance(step := advance(steps, outcome), Done):
            outcome = None
            if isinstance(step, float):
                self._sleep(step)
            else:
                try:
                    outcome = self._http.send(step)
                except httpx.RequestError as error:
                    outcome = error
        return step.result


class AsyncDigitClient:
    """Asks a service and is awaited; close it, or use it as a context manager. Otherwise it is as DigitClient."""

    def __init__(  # noqa: PLR0913 - as above
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
        """Take what DigitClient takes."""
        self._http = httpx.AsyncClient(**_options(url, api_key), timeout=timeout, transport=transport)
        self._questions = Questions(self._http.build_request, retries, random)
        self._sleep = sleep

    async def predict(self, picture: Picture, *, top_k: int | None = None) -> Answer:
        """Read the digit in a picture, as DigitClient.predict."""
        return await self._run(self._questions.predict(picture, top_k))

    async def predict_pixels(self, pixels: npt.ArrayLike, *, top_k: int | None = None) -> Answer:
        """Read a digit in MNIST form, as DigitClient.predict_pixels."""
        return await self._run(self._questions.predict_pixels(pixels, top_k))

    async def predict_batch(self, pictures: Iterable[Picture]) -> list[Answer | Problem]:
        """Read the digits in any number of pictures, as DigitClient.predict_batch."""
        return await self._run(self._questions.predict_batch(pictures))

    async def model(self) -> Facts:
        """Return what the service tells of its model."""
        return await self._run(self._questions.model())

    async def health(self) -> Facts:
        """Return how the service is, as DigitClient.health."""
        return await self._run(self._questions.health())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome = None
        # In a thread, since files are read and pictures encoded on the way from one step to the next.
        while not isinstance(step := await anyio.to_thread.run_sync(advance, steps, outcome), Done):
            outcome = None
            if isinstance(step, float):
                await self._sleep(step)
            else:
                try:
                    outcome = await self._http.send(step)
                except httpx.RequestError as error:
                    outcome = error
        return step.result


def _options(url: str, api_key: str | None) -> dict[str, Any]:
    """Return what both kinds of client of httpx take. Raises InvalidInput for what no request can carry."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        message = f"{url!r} is no address: {error}"
        raise InvalidInput(message) from error
    if address.scheme not in {"http", "https"} or not address.host:
        message = f"{url!r} is no address of a service: it must begin with http:// or https:// and a host"
        raise InvalidInput(message)
    if api_key is None:
        return {"base_url": address}
    if not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        message = "the API key is empty, or has characters that a header cannot carry"
        raise InvalidInput(message)
    return {"base_url": address, "headers": {"Authorization": f"Bearer {api_key}"}}
