"""Tests of service.client.clients: the synchronous and the asyncio client, against a real server."""

from __future__ import annotations

import io
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

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tiny_model: Path) -> Iterator[str]:
    """Return the address of the service with the tiny model."""
    with servers.in_thread(create_app(Settings(model=tiny_model))) as address:
        yield address


def test_every_type_of_picture_gets_the_same_answer(service: str, tmp_path: Path) -> None:
    """A path, bytes, an image and an array of the same picture get equal, typed answers."""
    path = tmp_path / "seven.png"
    path.write_bytes(encode(draw(7)))
    with Image.open(path) as image, DigitClient(service) as client:
        pictures = (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), image, np.asarray(image))
        answers = [client.predict(picture) for picture in pictures]
        top = client.predict(path, top_k=3).top
        version = client.model()["version"]
        health = client.health()

    assert [answers[0]] * 6 == answers
    assert ("tiny", version) == (answers[0].model.name, answers[0].model.version)
    assert max(answers[0].probabilities) == answers[0].confidence
    assert top is not None
    assert (3, answers[0].digit) == (len(top), top[0].digit)
    assert "ok" == health["status"]


def test_both_clients_return_the_same(service: str) -> None:
    """Every method of the asyncio client returns what the synchronous one returns."""
    picture, pixels = encode(draw(7)), np.eye(28, dtype=np.uint8) * 255

    async def awaited() -> tuple[object, ...]:
        async with AsyncDigitClient(service) as client:
            facts = await client.model()
            status = (await client.health())["status"]
            return (
                await client.predict(picture, top_k=2),
                await client.predict_pixels(pixels, top_k=2),
                await client.explain(picture, top_k=2),
                [layer.weights.tolist() for layer in await client.weights()],
                await client.read(picture, length=1),
                (await client.read_batch([picture, b"nothing"], length=1))[0],
                facts,
                status,
            )

    with DigitClient(service) as client:
        expected = (
            client.predict(picture, top_k=2),
            client.predict_pixels(pixels, top_k=2),
            client.explain(picture, top_k=2),
            [layer.weights.tolist() for layer in client.weights()],
            client.read(picture, length=1),
            client.read_batch([picture, b"nothing"], length=1)[0],
            client.model(),
            client.health()["status"],
        )
    assert expected == anyio.run(awaited)


def test_explanation_and_weights_give_the_logits(service: str) -> None:
    """The input that was explained, through the weights, is the scores; the rest of the answer is that of predict."""
    picture = encode(draw(7))
    with DigitClient(service) as client:
        explained, answer, (hidden, output) = client.explain(picture), client.predict(picture), client.weights()
    explanation = explained.explanation
    units = np.maximum(np.array(explanation.input).reshape(784) @ hidden.weights + hidden.biases, 0)

    assert answer.model_dump() == explained.model_dump(exclude={"explanation"})
    np.testing.assert_allclose(explanation.scores, units @ output.weights + output.biases, atol=1e-4)
    assert ((784, 20), (10,)) == (hidden.weights.shape, output.biases.shape)
    assert np.float32 == output.weights.dtype
    assert (10, 28, 28) == np.array(explanation.stencils).shape
    assert explanation.normalization is not None
    assert "dark-on-light" == explanation.normalization.polarity


def test_error_of_the_service_is_raised_as_problem_error(service: str) -> None:
    """The problem has the code and the request id."""
    with DigitClient(service) as client, pytest.raises(ProblemError) as caught:
        client.predict(encode(draw(ink=255)))

    assert (422, "no-ink") == (caught.value.problem.status, caught.value.problem.code)
    assert caught.value.problem.request_id


def test_batch_answers_match_single_answers(service: str) -> None:
    """70 pictures, more than one request carries and some of them blank, are predicted by both clients."""
    pictures = [encode(draw(i % 10, ink=255 if i % 9 == 1 else 0)) for i in range(70)]

    async def awaited() -> list[Answer | Problem]:
        async with AsyncDigitClient(service) as client:
            return await client.predict_batch(pictures)

    with DigitClient(service) as client:
        alone = [None if i % 9 == 1 else client.predict(picture) for i, picture in enumerate(pictures)]
        together = client.predict_batch(pictures)

    for single, batched, async_batched in zip(alone, together, anyio.run(awaited), strict=True):
        if single is None:
            assert isinstance(batched, Problem)
            assert isinstance(async_batched, Problem)
            assert "no-ink" == batched.code == async_batched.code
        else:
            assert isinstance(batched, Answer)
            assert batched == async_batched
            assert (single.digit, single.verdict, single.model) == (batched.digit, batched.verdict, batched.model)
            # A batch is one matrix product, whose sums have another order and so other rounding errors.
            assert pytest.approx(single.probabilities, abs=1e-6) == batched.probabilities


def test_asyncio_client_retries() -> None:
    """It sleeps with exponential backoff, after a connection error and after status 503."""
    responses = iter([httpx.Response(503, json=make_problem(503)), httpx.Response(200, json=make_answer())])
    sleeps: list[float] = []

    def handler(_: httpx.Request) -> httpx.Response:
        if not sleeps:
            message = "refused"
            raise httpx.ConnectError(message)
        return next(responses)

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        await anyio.lowlevel.checkpoint()

    async def asked() -> Answer:
        transport = httpx.MockTransport(handler)
        async with AsyncDigitClient("http://digits", transport=transport, sleep=sleep, random=lambda: 1.0) as client:
            return await client.predict(b"picture")

    assert 7 == anyio.run(asked).digit
    assert [0.25, 0.5] == sleeps


def test_refused_connection_raises_no_answer() -> None:
    """The operating system refuses the connection; the message has the URL."""
    with (
        DigitClient("http://127.0.0.1:1", retries=0) as client,
        pytest.raises(NoAnswer, match=r"http://127\.0\.0\.1:1/predict does not answer: "),
    ):
        client.predict(b"picture")


def test_api_key_is_sent_as_bearer_token() -> None:
    """The header Authorization is absent without a key."""
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("Authorization"))
        return httpx.Response(200, json={})

    for key in ("secret", None):
        with DigitClient("http://digits", api_key=key, transport=httpx.MockTransport(handler)) as client:
            client.model()

    assert ["Bearer secret", None] == seen


@pytest.mark.parametrize("key", ["", " secret", "geheimnüs", "se\x00cret"], ids=repr)
def test_invalid_api_key_raises_invalid_input(key: str) -> None:
    """A key that no header can carry is rejected before it is sent, and the message does not contain it."""
    with pytest.raises(InvalidInput, match="the API key is empty or has characters") as caught:
        DigitClient("http://digits", api_key=key)

    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "", "ftp://digits", "http://", "http://a:b"])
def test_invalid_url_raises_invalid_input(url: str) -> None:
    """The scheme, the host, or the syntax is wrong."""
    with pytest.raises(InvalidInput, match="is not a valid URL"):
        AsyncDigitClient(url)
