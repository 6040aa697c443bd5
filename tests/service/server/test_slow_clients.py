"""Tests of service.server.slow_clients, against a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from service.server.slow_clients import MOST_HEAD_BYTES, Connection
from tests import servers

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
LARGE = bytes(30_000_000)


class Hasty(Connection):
    """A connection that waits half a second."""

    head_seconds = fetch_seconds = 0.5


async def short(request: Request) -> Response:
    """Answer at once, whatever is sent."""
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def large(_: Request) -> Response:
    """Answer with more than lies between two sockets."""
    return Response(LARGE)


async def streamed(_: Request) -> Response:
    """Answer the same, piece by piece."""
    return StreamingResponse(iter([LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000)]))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Return the port of a server that waits half a second."""
    routes = [
        Route("/short", short, methods=["GET", "POST"]),
        Route("/large", large),
        Route("/streamed", streamed),
    ]
    # Idle connections are uvicorn's, and kept long enough here to see the difference.
    with servers.in_thread(Starlette(routes=routes), http=Hasty, ws="none", timeout_keep_alive=60) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture
def connection(port: int) -> Iterator[socket.socket]:
    """Return a connection to that server, which takes in little that it has not read."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", port))
        yield connection


def answer(connection: socket.socket) -> bytes:
    """Return the body of the next answer, in however many pieces it comes."""
    response = HTTPResponse(connection)
    response.begin()
    return response.read()


def rest(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes or breaks off."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionError:
        return found
    return found


def flood(connection: socket.socket) -> int:
    """Return how many bytes, of very many, are taken before the other side breaks off."""
    sent = 0
    while sent < 50_000_000:
        try:
            sent += connection.send(b"x" * 10_000)
        except ConnectionError:
            break
    return sent


@pytest.mark.parametrize("sent", [b"", b"G", GET[:-2], b"\r\n" * 9, b"POST /short HTTP/1.1\r\nContent-Length: 9\r\n"])
def test_a_connection_without_a_head_is_closed(connection: socket.socket, sent: bytes) -> None:
    """Whoever connects and does not ask is not waited for."""
    connection.sendall(sent)

    assert b"" == rest(connection)


def test_a_head_that_trickles_is_closed(connection: socket.socket) -> None:
    """Bytes that come one by one do not buy time."""
    for byte in GET[:40]:
        try:
            connection.sendall(bytes([byte]))
        except ConnectionError:
            break
        time.sleep(0.05)

    assert b"" == rest(connection)


def test_half_a_head_after_an_answer_is_closed(connection: socket.socket) -> None:
    """The next request of a connection has as long as the first."""
    connection.sendall(GET % b"short")
    first = answer(connection)
    connection.sendall(GET[:9])

    assert b"0 bytes" == first
    assert b"" == rest(connection)


def test_requests_one_after_the_other_are_answered(connection: socket.socket) -> None:
    """A connection lives as long as somebody asks, longer than it is waited for."""
    answers = []
    for _ in range(4):
        connection.sendall(GET % b"short")
        answers.append(answer(connection))
        time.sleep(0.2)

    assert [b"0 bytes"] * 4 == answers


def test_requests_sent_at_once_are_answered(connection: socket.socket) -> None:
    """Pipelined requests are answered in turn, and then the connection is closed."""
    connection.sendall(GET % b"short" * 3)

    assert 3 == rest(connection).count(b"0 bytes")


def test_a_body_is_not_timed_here(connection: socket.socket) -> None:
    """How long a body may take is the application's to say."""
    connection.sendall(b"POST /short HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
    for _ in range(2):
        time.sleep(0.6)
        connection.sendall(b"x")

    assert b"2 bytes" == answer(connection)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /short HTTP/1.1\r\nA: ",
        b"GET /",
        b"POST /short HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: ",
        b"POST /short HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ],
    ids=["header", "path", "trailer", "chunk extension"],
)
def test_a_head_without_end_is_broken_off(connection: socket.socket, head: bytes) -> None:
    """What is collected until a request is complete has a limit."""
    connection.sendall(head)

    assert MOST_HEAD_BYTES < flood(connection) < 50_000_000


def test_a_large_body_is_no_head(connection: socket.socket) -> None:
    """A body has no limit here."""
    connection.sendall(b"POST /short HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" + bytes(5_000_000))

    assert b"5000000 bytes" == answer(connection)


@pytest.mark.parametrize("path", [b"large", b"streamed"])
def test_an_answer_that_is_not_fetched_is_broken_off(connection: socket.socket, path: bytes) -> None:
    """Whoever asks and does not read is not waited for."""
    connection.sendall(GET % path)
    time.sleep(2)

    assert len(LARGE) > len(rest(connection))


@pytest.mark.parametrize("path", [b"large", b"streamed"])
def test_an_answer_that_is_fetched_slowly_is_sent_whole(connection: socket.socket, path: bytes) -> None:
    """Whoever reads, however slowly, gets it all."""
    connection.sendall(GET % path)
    n_read = 0
    for part in range(1, 11):
        time.sleep(0.2)
        while n_read < part * len(LARGE) // 10:
            n_read += len(connection.recv(1_000_000))

    assert len(LARGE) < n_read + len(rest(connection))
