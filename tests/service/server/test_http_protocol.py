"""Tests of service.server.http_protocol, against a real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from tests import servers

pytestmark = pytest.mark.slow

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
REQUEST = b"POST /a?b HTTP/1.1\r\nHost: x\r\n" + OFFER


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with method, path, query and body of the request."""
    request = Request(scope, receive)
    body = (await request.body()).decode()
    await JSONResponse([request.method, request.url.path, request.url.query, body])(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Return host and port of an echo service."""
    with servers.in_thread(echo) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


def send_requests(address: tuple[str, int], *requests: bytes, size: int = 10_000) -> list[object]:
    """Send requests one after the other over one connection, in chunks of `size` bytes, and return the responses."""
    responses = []
    with socket.create_connection(address, timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            for start in range(0, len(request), size):
                connection.sendall(request[start : start + size])
            response = HTTPResponse(connection)
            response.begin()
            responses.append(json.loads(response.read()) if response.status == HTTPStatus.OK else response.status)
    return responses


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("size", [10_000, 7], ids=["one chunk", "small chunks"])
def test_upgrade_offer_keeps_the_body(address: tuple[str, int], rest: bytes, size: int) -> None:
    """The request is served as if it had no header Upgrade, however its bytes are split."""
    assert [["POST", "/a", "b", "abc"]] == send_requests(address, REQUEST + rest, size=size)


def test_connection_stays_open_after_an_upgrade_offer(address: tuple[str, int]) -> None:
    """Further requests are served, with and without offers."""
    first = REQUEST + b"Content-Length: 3\r\n\r\nabc"
    plain = b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"

    assert [["POST", "/a", "b", "abc"], ["GET", "/c", "", ""], ["POST", "/a", "b", "abc"]] == (
        send_requests(address, first, plain, first)
    )


@pytest.mark.parametrize("head", [b"GET /a HTTP/1.0\r\n", b"GET /a HTTP/1.1\r\nConnection: close\r\n"])
def test_upgrade_offer_on_a_connection_without_keep_alive(address: tuple[str, int], head: bytes) -> None:
    """The request is served before the connection is closed."""
    assert [["GET", "/a", "", ""]] == send_requests(address, head + OFFER + b"Host: x\r\n\r\n")


def test_websocket_offer_is_ignored(address: tuple[str, int]) -> None:
    """The service has no WebSockets."""
    head = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    assert [["GET", "/a", "", ""]] == send_requests(address, head)


@pytest.mark.parametrize("offer", [b"", OFFER])
def test_connect_is_rejected(address: tuple[str, int], offer: bytes) -> None:
    """CONNECT requests a tunnel, which only proxies provide."""
    assert [400] == send_requests(address, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
