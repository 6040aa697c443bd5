"""Tests of service.client.clients: the waiting and the awaiting one, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest
from PIL import Image

from service.app import create_app
from service.client import Answer, AsyncDigitClient, DigitClient, InvalidInput, NoAnswer, Problem, ProblemError
from service.settings import Settings
from tests import servers
from tests.pictures import draw, encode
from tests.service.client.answers import make_answer, make_problem


@pytest.fixture(scope="module")
def service(tiny_model: Path) -> Iterator[str]:
    """Return the address of the service with the tiny model."""
    with servers.in_thread(create_app(Settings(model=tiny_model))) as address:
        yield address


def test_every_form_of_a_picture_gets_the_same_answer(service: str, tmp_path: Path) -> None:
    """A path, its bytes, an image and an array of the same picture; the answer is typed."""
    path = tmp_path / "seven.png"
    path.write_bytes(encode(draw(7)))
    with Image.open(path) as image, DigitClient(service) as client:
        answers = [
            client.predict(picture) for picture in (path, str(path), path.read_bytes(), image, np.asarray(image))
        ]
        top = client.predict(path, top_k=3).top
        version = client.model()["version"]
        health = client.health()

    assert [answers[0]] * 5 == answers
    assert ("tiny", version) == (answers[0].model.name, answers[0].model.version)
    assert max(answers[0].probabilities) == answers[0].confidence
    assert top is not None
    assert (3, answers[0].digit) == (len(top), top[0].digit)
    assert "ok" == health["status"]


def test_both_clients_get_the_same(service: str) -> None:
    """Whatever they ask, what the one waits for the other awaits."""
    picture, pixels = encode(draw(7)), np.eye(28, dtype=np.uint8) * 255

    async def awaited() -> tuple[object, ...]:
        async with AsyncDigitClient(service) as client:
            facts = await client.model()
            status = (await client.health())["status"]
            return (
                await client.predict(picture, top_k=2),
                await client.predict_pixels(pixels, top_k=2),
                facts,
                status,
            )

    with DigitClient(service) as client:
        expected = (
            client.predict(picture, top_k=2),
            client.predict_pixels(pixels, top_k=2),
            client.model(),
            client.health()["status"],
        )
    assert expected == anyio.run(awaited)


def test_a_problem_of_the_service_is_raised(service: str) -> None:
    """With its stable code and the id of the request."""
    with DigitClient(service) as client, pytest.raises(ProblemError) as caught:
        client.predict(encode(draw(ink=255)))

    assert (422, "no-ink") == (caught.value.problem.status, caught.value.problem.code)
    assert caught.value.problem.request_id


def test_batches_are_answered_as_their_pictures_are(service: str) -> None:
    """More pictures than one request carries, blank ones among them, by either client."""
    pictures = [encode(draw(i % 10, ink=255 if i % 9 == 1 else 0)) for i in range(70)]

    async def awaited() -> list[Answer | Problem]:
        async with AsyncDigitClient(service) as client:
            return await client.predict_batch(pictures)

    with DigitClient(service) as client:
        alone = [None if i % 9 == 1 else client.predict(picture) for i, picture in enumerate(pictures)]
        together = client.predict_batch(pictures)

    for one, waited, asked in zip(alone, together, anyio.run(awaited), strict=True):
        if one is None:
            assert isinstance(waited, Problem)
            assert isinstance(asked, Problem)
            assert "no-ink" == waited.code == asked.code
        else:
            assert isinstance(waited, Answer)
            assert waited == asked
            assert (one.digit, one.verdict, one.model) == (waited.digit, waited.verdict, waited.model)
            # All rows of a batch are one matrix product, which is added up in another order.
            assert pytest.approx(one.probabilities, abs=1e-6) == waited.probabilities


def test_the_awaiting_client_asks_again_too() -> None:
    """After the same pauses, which it awaits, and after errors of the connection."""
    responses = iter([httpx.Response(503, json=make_problem(503)), httpx.Response(200, json=make_answer())])
    pauses: list[float] = []

    def handler(_: httpx.Request) -> httpx.Response:
        if not pauses:
            message = "refused"
            raise httpx.ConnectError(message)
        return next(responses)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await anyio.lowlevel.checkpoint()

    async def asked() -> Answer:
        transport = httpx.MockTransport(handler)
        async with AsyncDigitClient("http://digits", transport=transport, sleep=sleep, random=lambda: 1.0) as client:
            return await client.predict(b"picture")

    assert 7 == anyio.run(asked).digit
    assert [0.25, 0.5] == pauses


def test_nobody_there_is_told() -> None:
    """A connection that is refused, by the operating system itself."""
    with (
        DigitClient("http://127.0.0.1:1", retries=0) as client,
        pytest.raises(NoAnswer, match=r"http://127\.0\.0\.1:1/predict does not answer: "),
    ):
        client.predict(b"picture")


def test_the_key_is_a_bearer_s() -> None:
    """In the header Authorization of every request, which is absent without one."""
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(200, json={})

    for key in ("secret", None):
        with DigitClient("http://digits", api_key=key, transport=httpx.MockTransport(handler)) as client:
            client.model()

    assert ["Bearer secret", None] == seen


@pytest.mark.parametrize("key", ["", " secret", "secret\n", "geheimnüs", "se\x00cret"], ids=repr)
def test_a_key_that_no_header_carries_is_refused(key: str) -> None:
    """Before it is sent, and without being told to whoever reads the error."""
    with pytest.raises(InvalidInput, match="the API key is empty, or has characters") as caught:
        DigitClient("http://digits", api_key=key)

    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "/predict", "", "ftp://digits", "http://", "http://a:b", "\x00"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """The error shows it."""
    with pytest.raises(InvalidInput, match="is no address"):
        AsyncDigitClient(url)
