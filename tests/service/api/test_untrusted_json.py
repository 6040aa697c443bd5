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
    ids=["number", "object", "UTF-16", "nested", "pair"],
)
def test_small_json_is_read(body: bytes, expected: object) -> None:
    """Any value, in any of the encodings of JSON."""
    assert expected == untrusted_json.parse(body, 20, "")


@pytest.mark.parametrize(
    ("body", "marks"),
    [(b"[1, 2, 3]", 3), (b'{"a": 1, "b": 2}', 8), (b'[[], {}, "x"]', 7), (b'"' + b"A" * 10**6 + b'"', 2)],
)
def test_the_limit_counts_what_takes_space(body: bytes, marks: int) -> None:
    """Just as many commas, colons, quotes and brackets as allowed are read, one more is not; length does not count."""
    untrusted_json.parse(body, marks, "")
    with pytest.raises(InvalidBody, match=f"more than {marks - 1} commas.*: send less"):
        untrusted_json.parse(body, marks - 1, "send less")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 5_000, b"\xff", b"9" * 5_000, b'"\n"', b'["\\uD800"]', b'{"\\udfff": 1}', b'"\xed\xa0\x80"'],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Nonsense, nesting beyond Python's stack, numbers beyond its digits and half characters have a reason each."""
    with pytest.raises(InvalidJson, match="the body is not JSON: "):
        untrusted_json.parse(body, 10_000, "")


@pytest.mark.parametrize("piece", [b"[],", b"{},", b"0,", b'"",', b'"a":[', b"["], ids=repr)
def test_a_bomb_is_refused_before_it_unfolds(piece: bytes) -> None:
    """Of 20 MiB that would become hundreds of MB of objects, none is made."""
    body = b"[" + piece * (20 * 2**20 // len(piece))
    tracemalloc.start()
    with pytest.raises(InvalidBody, match="more than 250,000"):
        untrusted_json.parse(body, 250_000, "")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 1_000_000 > peak
