"""Tests of service.server.slow_clients, against a real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from service.server.slow_clients import MAX_HEAD_BYTES, Connection
from tests import servers

pytestmark = pytest.mark.slow

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
LARGE = bytes(30_000_000)


class HastyConnection(Connection):
    """A connection with timeouts of half a second."""

    head_timeout = write_timeout = 0.5


async def short(request: Request) -> Response:
    """Respond with the size of the body."""
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def large(_: Request) -> Response:
    """Respond with more than socket buffers hold."""
    return Response(LARGE)


async def streamed(_: Request) -> Response:
    """Respond with the same in chunks."""
    return StreamingResponse(iter([LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000)]))


class PatientConnection(Connection):
    """A connection with a write timeout that a busy machine does not reach by itself."""

    write_timeout = 4.0


@contextmanager
def served(protocol: type[Connection]) -> Iterator[int]:
    """Serve with these connections, on the port that is returned."""
    routes = [
        Route("/short", short, methods=["GET", "POST"]),
        Route("/large", large),
        Route("/streamed", streamed),
    ]
    # uvicorn's keep-alive timeout is long, so that only the timeouts under test close connections.
    with servers.in_thread(Starlette(routes=routes), http=protocol, ws="none", timeout_keep_alive=60) as address:
        yield int(address.rpartition(":")[2])


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """Return a connection with a small receive buffer."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", port))
        yield connection


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Return the port of a server with timeouts of half a second."""
    with served(HastyConnection) as port:
        yield port


@pytest.fixture
def connection(port: int) -> Iterator[socket.socket]:
    """Return a connection to that server."""
    with connected(port) as connection:
        yield connection


def read_response(connection: socket.socket) -> bytes:
    """Return the body of the next response."""
    response = HTTPResponse(connection)
    response.begin()
    return response.read()


def read_until_closed(connection: socket.socket) -> bytes:
    """Return all bytes until the server closes or aborts the connection."""
    received = b""
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionError:
        return received
    return received


def flood(connection: socket.socket) -> int:
    """Send up to 50 MB and return the number of bytes sent before the server aborts."""
    sent = 0
    while sent < 50_000_000:
        try:
            sent += connection.send(b"x" * 10_000)
        except ConnectionError:
            break
    return sent


@pytest.mark.parametrize("sent", [b"", GET[:-2], b"\r\n" * 9], ids=["nothing", "unfinished", "blank lines"])
def test_head_timeout(connection: socket.socket, sent: bytes) -> None:
    """A connection without a complete head is closed."""
    connection.sendall(sent)

    assert b"" == read_until_closed(connection)


def test_trickled_head_does_not_extend_the_timeout(connection: socket.socket) -> None:
    """Slowloris: single bytes do not restart the timer."""
    for byte in GET[:40]:
        try:
            connection.sendall(bytes([byte]))
        except ConnectionError:
            break
        time.sleep(0.05)

    assert b"" == read_until_closed(connection)


def test_head_timeout_of_the_second_request(connection: socket.socket) -> None:
    """The timer starts again after a response."""
    connection.sendall(GET % b"short")
    first = read_response(connection)
    connection.sendall(GET[:9])

    assert b"0 bytes" == first
    assert b"" == read_until_closed(connection)


def test_keep_alive_connection_outlives_the_timeout(connection: socket.socket) -> None:
    """Each request restarts the timer."""
    bodies = []
    # Together they take longer than the timeout, and each pause is so short that a busy machine may add to it.
    for _ in range(16):
        connection.sendall(GET % b"short")
        bodies.append(read_response(connection))
        time.sleep(0.05)

    assert [b"0 bytes"] * 16 == bodies


def test_pipelined_requests(connection: socket.socket) -> None:
    """All are answered, and then the idle connection is closed."""
    connection.sendall(GET % b"short" * 3)

    assert 3 == read_until_closed(connection).count(b"0 bytes")


def test_body_has_no_timeout_here(connection: socket.socket) -> None:
    """The application limits the duration of a body."""
    connection.sendall(b"POST /short HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n")
    for _ in range(2):
        time.sleep(0.6)
        connection.sendall(b"x")

    assert b"2 bytes" == read_response(connection)


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
def test_endless_head_is_aborted(connection: socket.socket, head: bytes) -> None:
    """Heads, trailers and chunk extensions together have a size limit."""
    connection.sendall(head)

    assert MAX_HEAD_BYTES < flood(connection) < 50_000_000


def test_large_body_does_not_count_as_head(connection: socket.socket) -> None:
    """The application limits the size of a body."""
    connection.sendall(b"POST /short HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n" + bytes(5_000_000))

    assert b"5000000 bytes" == read_response(connection)


@pytest.mark.parametrize("path", [b"large", b"streamed"])
def test_write_timeout(connection: socket.socket, path: bytes) -> None:
    """A client that reads nothing of the response is aborted."""
    connection.sendall(GET % path)
    time.sleep(2)

    assert len(LARGE) > len(read_until_closed(connection))


@pytest.mark.parametrize("path", [b"large", b"streamed"])
def test_slowly_read_response_is_sent_completely(path: bytes) -> None:
    """A client that makes progress is not aborted, however long the whole takes."""
    n_parts, pause = 20, 1.1 * PatientConnection.write_timeout / 20
    with served(PatientConnection) as port, connected(port) as connection:
        connection.sendall(GET.replace(b"Accept: */*", b"Connection: close") % path)
        n_read = 0
        for part in range(1, n_parts + 1):
            time.sleep(pause)
            while n_read < part * len(LARGE) // n_parts:
                received = len(connection.recv(1_000_000))
                assert received > 0
                n_read += received

        assert len(LARGE) < n_read + len(read_until_closed(connection))
