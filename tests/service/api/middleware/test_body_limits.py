"""Tests of service.api.middleware.body_limits."""

from __future__ import annotations

import gc
import logging
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from service.api.middleware.body_limits import BodyLimits
from service.api.request_context import open_request_context
from service.app import create_app
from service.settings import Settings
from tests import servers
from tests.pictures import draw, encode

PICTURE = encode(draw())
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


def test_a_declared_length_over_the_limit_is_refused_unread(tiny_client: TestClient) -> None:
    """A Content-Length over the limit is answered 413 as a problem with the request's id."""
    response = tiny_client.post("/predict", content=bytes(100_001))

    assert 413 == response.status_code
    assert "application/problem+json" == response.headers["content-type"]
    assert "image-too-large" == response.json()["code"]
    assert "100,000" in response.json()["detail"]
    assert response.headers["x-request-id"] == response.json()["request_id"]


def test_a_body_without_length_is_refused_where_it_gets_too_long(tiny_client: TestClient) -> None:
    """A chunked body is read up to the limit and not beyond it."""
    n_sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal n_sent
        for _ in range(1_000):
            n_sent += 10_000
            yield bytes(10_000)

    response = tiny_client.post("/predict", content=chunks())

    assert 413 == response.status_code
    assert "image-too-large" == response.json()["code"]


def test_a_body_of_just_the_limit_is_read(tiny_client: TestClient) -> None:
    """The limit itself is allowed: the picture with padding behind it is answered."""
    picture = encode(draw())

    response = tiny_client.post("/predict", content=picture + bytes(100_000 - len(picture)))

    assert 200 == response.status_code


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br, gzip", "identity, gzip"])
def test_a_compressed_body_is_refused_unread(tiny_client: TestClient, encoding: str) -> None:
    """Whatever it would unfold to, nothing of it is unpacked."""
    response = tiny_client.post("/predict", content=PICTURE, headers={"content-encoding": encoding})

    assert (415, "unsupported-media-type") == (response.status_code, response.json()["code"])
    assert "send it as it is" in response.json()["detail"]


@pytest.mark.parametrize("encoding", ["identity", "Identity"])
def test_a_body_that_says_it_is_not_compressed_is_read(tiny_client: TestClient, encoding: str) -> None:
    """`identity` is what a body has without the header."""
    response = tiny_client.post("/predict", content=PICTURE, headers={"content-encoding": encoding})

    assert 200 == response.status_code


def test_a_whole_body_is_not_timed_any_more() -> None:
    """Who waits for the client to leave, while an answer is under way, may wait longer than for a body."""
    sent: list[Message] = [{"type": "http.request", "body": b"x", "more_body": False}, {"type": "http.disconnect"}]
    found: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - as ASGI has it
        found.extend([await receive(), await receive()])

    async def receive() -> Message:
        if len(sent) == 1:
            await anyio.sleep(0.1)  # longer than a body may take
        return sent.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: Scope = {"type": "http", "path": "/", "headers": []}
    open_request_context(scope)
    anyio.run(BodyLimits(app, max_bytes=10, seconds=0.05), scope, receive, send)

    assert ["http.request", "http.disconnect"] == [message["type"] for message in found]


# --- Bodies that do not come


@pytest.fixture(scope="module")
def patient(tiny_model: Path) -> Iterator[int]:
    """Return the port of a service that has a second and a half for a body, and more for a large one."""
    with servers.in_thread(create_app(Settings(model=tiny_model, body_seconds=1.5))) as address:
        yield int(address.rpartition(":")[2])


def connect(port: int) -> socket.socket:
    """Return a connection that does not wait for ever itself."""
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def read_to_the_end(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("sent", [b"", b"x", PICTURE[:-1]], ids=["nothing", "a byte", "all but one"])
def test_a_body_that_does_not_come_ends_in_408(patient: int, sent: bytes) -> None:
    """It is answered with a problem that tells how far it came, and the connection is closed."""
    with connect(patient) as connection:
        connection.sendall(HEAD % len(PICTURE) + sent)
        head, _, body = read_to_the_end(connection).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in head.lower()
    assert b'"code":"request-timeout"' in body
    assert b"too slowly, %d bytes" % len(sent) in body


def test_a_body_that_trickles_ends_in_408(patient: int) -> None:
    """Not the time between two bytes counts, but that of the whole body."""
    with connect(patient) as connection:
        connection.sendall(HEAD % len(PICTURE))
        connection.settimeout(0.1)
        answer = b""
        for byte in PICTURE[:50]:
            connection.sendall(bytes([byte]))
            try:
                answer = connection.recv(65_536)
                break
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_slow_line_gets_the_time_that_it_needs(patient: int) -> None:
    """A body that comes as fast as a poor mobile line carries it is waited for, longer than a small one."""
    body = PICTURE + bytes(24_000 - len(PICTURE))
    with connect(patient) as connection:
        connection.sendall(HEAD % len(body))
        for start in range(0, len(body), 12_000):
            connection.sendall(body[start : start + 12_000])
            time.sleep(1.1)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 200 ")


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when it holds, and fail when it does not within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_client_that_leaves_leaves_nothing_behind(patient: int, caplog: pytest.LogCaptureFixture) -> None:
    """What it had sent is freed, and the log tells that it was the client that closed."""
    caplog.set_level(logging.INFO, "service")
    gc.collect()
    tracemalloc.start()
    with connect(patient) as connection:
        connection.sendall(HEAD % 10_000_000 + bytes(8_000_000))
        wait_for(lambda: tracemalloc.get_traced_memory()[0] > 7_000_000)
    wait_for(lambda: "POST /predict 499" in caplog.messages)
    gc.collect()
    n_left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 1_000_000 > n_left
