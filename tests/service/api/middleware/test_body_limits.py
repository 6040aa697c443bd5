"""Tests of service.api.middleware.body_limits."""

from __future__ import annotations

import gc
import logging
import socket
import time
import tracemalloc
from collections.abc import Iterator
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


def test_content_length_over_the_limit(tiny_client: TestClient) -> None:
    """413 as a problem with the request id."""
    response = tiny_client.post("/predict", content=bytes(100_001))

    assert 413 == response.status_code
    assert "application/problem+json" == response.headers["content-type"]
    assert "image-too-large" == response.json()["code"]
    assert "100,000" in response.json()["detail"]
    assert response.headers["x-request-id"] == response.json()["request_id"]


def test_chunked_body_over_the_limit(tiny_client: TestClient) -> None:
    """It is read up to the limit only."""
    response = tiny_client.post("/predict", content=(bytes(10_000) for _ in range(1_000)))

    assert 413 == response.status_code
    assert "image-too-large" == response.json()["code"]


def test_body_of_exactly_the_limit(tiny_client: TestClient) -> None:
    """The limit itself is allowed: a picture with padding is answered."""
    picture = encode(draw())

    response = tiny_client.post("/predict", content=picture + bytes(100_000 - len(picture)))

    assert 200 == response.status_code


@pytest.mark.parametrize("encoding", ["gzip", "identity, gzip"])
def test_compressed_body_is_rejected(tiny_client: TestClient, encoding: str) -> None:
    """It is not decompressed: no decompression bombs."""
    response = tiny_client.post("/predict", content=PICTURE, headers={"content-encoding": encoding})

    assert (415, "unsupported-media-type") == (response.status_code, response.json()["code"])
    assert "send it uncompressed" in response.json()["detail"]


def test_content_encoding_identity(tiny_client: TestClient) -> None:
    """`identity` means uncompressed. It is case-insensitive."""
    response = tiny_client.post("/predict", content=PICTURE, headers={"content-encoding": "Identity"})

    assert 200 == response.status_code


def test_complete_body_stops_the_timeout() -> None:
    """A handler may wait for the disconnect of the client without a timeout."""
    messages: list[Message] = [{"type": "http.request", "body": b"x", "more_body": False}, {"type": "http.disconnect"}]
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - signature of ASGI
        received.extend([await receive(), await receive()])

    async def receive() -> Message:
        if len(messages) == 1:
            await anyio.sleep(0.1)  # longer than the timeout
        return messages.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: Scope = {"type": "http", "path": "/", "headers": []}
    open_request_context(scope)
    anyio.run(BodyLimits(app, max_bytes=10, timeout=0.05), scope, receive, send)

    assert ["http.request", "http.disconnect"] == [message["type"] for message in received]


# --- Slow clients


@pytest.fixture(scope="module")
def slow_body_port(tiny_model: Path) -> Iterator[int]:
    """Return the port of a service with a body timeout of 1.5 seconds."""
    with servers.in_thread(create_app(Settings(model=tiny_model, body_seconds=1.5))) as address:
        yield int(address.rpartition(":")[2])


def connect(port: int) -> socket.socket:
    """Return a connection with a timeout of its own."""
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def read_until_closed(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("sent", [b"", PICTURE[:-1]], ids=["nothing", "all but one byte"])
def test_incomplete_body_is_408(slow_body_port: int, sent: bytes) -> None:
    """The problem has the number of bytes received, and the connection is closed."""
    with connect(slow_body_port) as connection:
        connection.sendall(HEAD % len(PICTURE) + sent)
        head, _, body = read_until_closed(connection).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in head.lower()
    assert b'"code":"request-timeout"' in body
    assert b"timed out after %d bytes" % len(sent) in body


def test_trickled_body_is_408(slow_body_port: int) -> None:
    """Slowloris: the timeout is of the whole body, not of the time between two bytes."""
    with connect(slow_body_port) as connection:
        connection.sendall(HEAD % len(PICTURE))
        connection.settimeout(0.1)
        response = b""
        for byte in PICTURE[:50]:
            connection.sendall(bytes([byte]))
            try:
                response = connection.recv(65_536)
                break
            except TimeoutError:
                continue

    assert response.startswith(b"HTTP/1.1 408 ")


def test_slow_connection_gets_more_time_for_a_large_body(slow_body_port: int) -> None:
    """A body at the minimum transfer rate does not time out, although it takes longer than the timeout."""
    body = PICTURE + bytes(60_000 - len(PICTURE))
    with connect(slow_body_port) as connection:
        connection.sendall(HEAD % len(body) + body[:20_000])
        for start in (20_000, 40_000):
            time.sleep(0.9)
            connection.sendall(body[start : start + 20_000])
        response = connection.recv(65_536)

    assert response.startswith(b"HTTP/1.1 200 ")


def test_disconnect_frees_the_body(slow_body_port: int, caplog: pytest.LogCaptureFixture) -> None:
    """No memory of the body remains, and the log has status 499."""
    caplog.set_level(logging.INFO, "service")
    gc.collect()
    tracemalloc.start()
    with connect(slow_body_port) as connection:
        connection.sendall(HEAD % 10_000_000 + bytes(8_000_000))
        servers.wait_for(lambda: tracemalloc.get_traced_memory()[0] > 7_000_000)
    servers.wait_for(lambda: "POST /predict 499" in caplog.messages)
    gc.collect()
    n_left, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 1_000_000 > n_left
