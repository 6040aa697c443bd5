"""Tests of service.api.untrusted_json."""

from __future__ import annotations

import tracemalloc

import pytest

from service.api import untrusted_json
from service.errors import InvalidBody, InvalidJson


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"7", 7),
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ('"ö"'.encode("utf-16"), "ö"),
        (b"[[[]]]", [[[]]]),
        (b'"\\ud83d\\ude00"', "😀"),
    ],
    ids=["number", "object", "UTF-16", "nested", "surrogate pair"],
)
def test_small_json_is_parsed(body: bytes, expected: object) -> None:
    """Any value, in any encoding of JSON."""
    assert expected == untrusted_json.parse(body, 20, "")


@pytest.mark.parametrize(
    ("body", "n_structural"),
    [(b"[1, 2, 3]", 3), (b'{"a": 1, "b": 2}', 8), (b'[[], {}, "x"]', 7), (b'"' + b"A" * 10**6 + b'"', 2)],
)
def test_structural_characters_are_limited(body: bytes, n_structural: int) -> None:
    """The limit itself is allowed, one more is not. The length of strings does not count."""
    untrusted_json.parse(body, n_structural, "")
    with pytest.raises(InvalidBody, match=f"more than {n_structural - 1} commas.*: send less"):
        untrusted_json.parse(body, n_structural - 1, "send less")


@pytest.mark.parametrize(
    "body",
    [b"", b"[" * 5_000, b"\xff", b"9" * 5_000, b'"\n"', b'["\\uD800"]', b'"\xed\xa0\x80"'],
)
def test_malformed_json_is_rejected(body: bytes) -> None:
    """Also nesting beyond the stack, integers beyond Python's digit limit, and lone surrogates."""
    with pytest.raises(InvalidJson, match="the body is not JSON: "):
        untrusted_json.parse(body, 10_000, "")


@pytest.mark.parametrize("piece", [b"[],", b'"",'], ids=repr)
def test_json_bomb_is_rejected_before_parsing(piece: bytes) -> None:
    """20 MiB that would become hundreds of MB of objects are rejected with less than 1 MB."""
    body = b"[" + piece * (20 * 2**20 // len(piece))
    tracemalloc.start()
    with pytest.raises(InvalidBody, match="more than 250,000"):
        untrusted_json.parse(body, 250_000, "")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 1_000_000 > peak
