"""Tests of service.api.responses."""

from __future__ import annotations

import gzip

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from service.api.responses import MIN_GZIP_BYTES, json_response


class Text(BaseModel):
    """A body of a given length."""

    text: str
    unset: int | None = None


SHORT, LONG = Text(text="x" * 100), Text(text="x" * MIN_GZIP_BYTES)


def request(accept_encoding: str | None) -> Request:
    """Return a request with this header."""
    headers = [] if accept_encoding is None else [(b"accept-encoding", accept_encoding.encode())]
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize("accept_encoding", [None, "", "br", "gzip;q=0", "identity"])
def test_long_answers_are_plain_for_clients_without_gzip(accept_encoding: str | None) -> None:
    """Caches are told that the header matters."""
    response = json_response(request(accept_encoding), LONG)

    assert LONG.model_dump_json(exclude_unset=True).encode() == response.body
    assert "content-encoding" not in response.headers
    assert "Accept-Encoding" == response.headers["vary"]


@pytest.mark.parametrize("accept_encoding", ["gzip", "br, gzip;q=0.5", "*", "GZIP"])
def test_long_answers_are_compressed(accept_encoding: str) -> None:
    """With the length of what is sent."""
    response = json_response(request(accept_encoding), LONG)

    assert LONG.model_dump_json(exclude_unset=True).encode() == gzip.decompress(bytes(response.body))
    assert ("gzip", "Accept-Encoding") == (response.headers["content-encoding"], response.headers["vary"])
    assert str(len(response.body)) == response.headers["content-length"]


def test_short_answers_are_plain() -> None:
    """Compressing them takes longer than sending them."""
    response = json_response(request("gzip"), SHORT)

    assert SHORT.model_dump_json(exclude_unset=True).encode() == response.body
    assert not {"content-encoding", "vary"} & set(response.headers)
