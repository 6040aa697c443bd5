"""Tests of service.api.middleware.lingering."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from service.api.middleware.lingering import LingeringClose
from service.app import create_app
from service.settings import Settings
from tests import servers

POST: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"30")]}


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond without reading the body."""
    await PlainTextResponse("no", 413)(scope, receive, send)


def run(middleware: LingeringClose, scope: Scope, *bodies: bytes, ends: bool = True) -> tuple[list[Message], int]:
    """Serve a request with a body in these chunks. Returns the messages of the response, and how many chunks are left.

    With `ends`, the last chunk is the end of the body; otherwise nothing follows it for a long time.
    """
    sent: list[Message] = []
    left = list(bodies)

    async def receive() -> Message:
        if not left:
            await anyio.sleep(60)
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": not (ends and not left)}

    async def send(message: Message) -> None:
        sent.append(message)

    anyio.run(middleware, scope, receive, send)
    return sent, len(left)


def ends_of(sent: list[Message]) -> list[bool]:
    """Return `more_body` of each message of the body."""
    return [message.get("more_body", False) for message in sent if message["type"] == "http.response.body"]


def test_rest_of_the_body_is_read_after_the_response() -> None:
    """The response is sent first, and ended after the last chunk."""
    sent, n_left = run(LingeringClose(refuse), POST, *[b"x" * 10] * 3)

    assert (0, [True, False]) == (n_left, ends_of(sent))
    assert [b"no", b""] == [message["body"] for message in sent[1:]]


def test_size_and_time_are_bounded() -> None:
    """More bytes are left unread, and a client that sends nothing is not waited for."""
    many, n_left = run(LingeringClose(refuse, max_bytes=15), POST, *[b"x" * 10] * 3)
    started = time.monotonic()
    stalled, _ = run(LingeringClose(refuse, max_seconds=0.1), POST, b"x", ends=False)

    assert (1, [True, False]) == (n_left, ends_of(many))
    assert [True, False] == ends_of(stalled)
    assert 10 > time.monotonic() - started


def test_disconnect_ends_it() -> None:
    """Nothing follows it."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    anyio.run(LingeringClose(refuse), POST, receive, send)

    assert [True, False] == ends_of(sent)


@pytest.mark.parametrize("status", [200, 408])
def test_other_responses_are_unchanged(status: int) -> None:
    """One after the whole body, one to a request that timed out, and one to a request without a body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if status == 200:
            await receive()
        await PlainTextResponse("ok", status)(scope, receive, send)

    read, n_left = run(LingeringClose(app), POST, b"x")
    without_body, _ = run(LingeringClose(refuse), {**POST, "headers": []})

    assert ([False], [False]) == (ends_of(read), ends_of(without_body))
    assert (status == 408) == n_left


# --- Against a server


@pytest.fixture(scope="module")
def address(tiny_model: Path) -> Iterator[str]:
    """Return the address of a service with a body limit of 100 kB."""
    with servers.in_thread(create_app(Settings(model=tiny_model, max_bytes=100_000))) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "chunked", "code"),
    [
        ("/predict", False, "image-too-large"),
        ("/predict", True, "image-too-large"),
        ("/health", True, "method-not-allowed"),
        ("/none", True, "not-found"),
    ],
)
def test_client_that_writes_before_it_reads_gets_the_refusal(
    address: str, path: str, code: str, *, chunked: bool
) -> None:
    """As urllib does: it asks for the end of the connection, writes all of the body, and only then reads."""
    body = bytes(20_000_000)
    data = iter([body[:10_000_000], body[10_000_000:]]) if chunked else body
    request = urllib.request.Request(f"{address}{path}", data, {"Content-Type": "image/png"}, method="POST")  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)  # noqa: S310 - http

    with caught.value as response:
        assert code == json.loads(response.read())["code"]


@pytest.mark.slow
def test_response_comes_before_the_body_ends(address: str) -> None:
    """A client that waits for 100 Continue gets the refusal instead, and the connection serves its next request."""
    host, port = address.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head)
        first = connection.recv(65_536)
        connection.sendall(bytes(200_000) + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        second = connection.recv(65_536)

    assert first.startswith(b"HTTP/1.1 413 ")
    assert second.startswith(b"HTTP/1.1 200 ")
