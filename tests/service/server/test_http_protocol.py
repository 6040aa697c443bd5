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

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
REQUEST = b"POST /a?b HTTP/1.1\r\nHost: x\r\n" + OFFER


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what was asked."""
    request = Request(scope, receive)
    body = (await request.body()).decode()
    await JSONResponse([request.method, request.url.path, request.url.query, body])(scope, receive, send)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Return host and port of a service that says what it was asked."""
    with servers.in_thread(echo) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


def ask(address: tuple[str, int], *requests: bytes, size: int = 10_000) -> list[object]:
    """Return what is answered to requests that come one after the other in one connection, in pieces of this size."""
    answers = []
    with socket.create_connection(address, timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            for at in range(0, len(request), size):
                connection.sendall(request[at : at + size])
            response = HTTPResponse(connection)
            response.begin()
            answers.append(json.loads(response.read()) if response.status == HTTPStatus.OK else response.status)
    return answers


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("size", [10_000, 7], ids=["at once", "in pieces"])
def test_an_offer_of_another_protocol_costs_no_body(address: tuple[str, int], rest: bytes, size: int) -> None:
    """The request is answered as if there were no offer, however it arrives."""
    assert [["POST", "/a", "b", "abc"]] == ask(address, REQUEST + rest, size=size)


def test_the_next_request_is_answered_too(address: tuple[str, int]) -> None:
    """The connection goes on, with and without offers."""
    first = REQUEST + b"Content-Length: 3\r\n\r\nabc"
    plain = b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n"

    assert [["POST", "/a", "b", "abc"], ["GET", "/c", "", ""], ["POST", "/a", "b", "abc"]] == (
        ask(address, first, plain, first)
    )


@pytest.mark.parametrize("head", [b"GET /a HTTP/1.0\r\n", b"GET /a HTTP/1.1\r\nConnection: close\r\n"])
def test_a_connection_that_is_to_be_closed_is_answered_before(address: tuple[str, int], head: bytes) -> None:
    """As it is without an offer."""
    assert [["GET", "/a", "", ""]] == ask(address, head + OFFER + b"Host: x\r\n\r\n")


def test_an_offer_of_a_websocket_is_an_ordinary_request(address: tuple[str, int]) -> None:
    """Nothing here speaks it."""
    head = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    assert [["GET", "/a", "", ""]] == ask(address, head)


@pytest.mark.parametrize("offer", [b"", OFFER])
def test_a_tunnel_is_refused(address: tuple[str, int], offer: bytes) -> None:
    """CONNECT is for proxies."""
    assert [400] == ask(address, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
