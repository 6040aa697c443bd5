"""Tests of service.api.bodies."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import parse_batch_form, parse_form
from service.errors import InvalidBody, TooManyPictures

NAMES = st.none() | st.text(st.characters(codec="utf-8"), max_size=10)
TYPES = st.sampled_from([None, "image/png", "application/octet-stream"])


def encode_form(*fields: tuple[str, bytes, str | None, str | None]) -> tuple[bytes, str]:
    """Return a form of (field, content, file name, content type), encoded by httpx, and its Content-Type."""
    files = [(field, (name, content, kind)) for field, content, name, kind in fields]
    request = httpx.Request("POST", "http://x", files=files)
    return request.read(), request.headers["Content-Type"]


def encode_unusual_form(*contents: bytes) -> tuple[bytes, str]:
    """Return a form of files in valid but unusual syntax, and its Content-Type."""
    head = b"--unique boundary\r\nX: y\r\ncontent-disposition:form-data; name=file\r\n\r\n"
    body = b"".join(head + content + b"\r\n" for content in contents) + b"--unique boundary--"
    return body, 'multipart/form-data; charset=utf-8; boundary="unique boundary"'


@given(st.lists(st.tuples(st.binary(max_size=50), NAMES, TYPES), min_size=1, max_size=5))
def test_files_in_usual_and_unusual_syntax(files: list[tuple[bytes, str | None, str | None]]) -> None:
    """All contents in their order, whatever the file names."""
    form = encode_form(*(("file", content, name, kind) for content, name, kind in files))
    contents = [content for content, _, _ in files]

    assert contents == parse_batch_form(*form, len(files))
    assert contents == parse_batch_form(*encode_unusual_form(*contents), len(files))


@given(st.binary(max_size=200).map(lambda content: content.replace(b"x", b"\r\n--")))
def test_dashes_in_content_are_no_boundary(content: bytes) -> None:
    """A line that starts with two dashes is content."""
    assert content == parse_form(*encode_form(("file", content, "a.png", "image/png")))
    assert content == parse_form(*encode_unusual_form(content))


def test_field_names_are_case_sensitive() -> None:
    """`FILE` is another field."""
    with pytest.raises(InvalidBody, match="'FILE'"):
        parse_form(*encode_form(("FILE", b"1", "a.png", "image/png")))


def test_other_fields_are_ignored() -> None:
    """Before and after the pictures."""
    form = encode_form(("note", b"1", None, None), ("file", b"2", "a.png", "image/png"), ("note", b"3", None, None))

    assert b"2" == parse_form(*form)
    assert [b"2"] == parse_batch_form(*form, 1)


@pytest.mark.parametrize("end", [b"--\r\n", b"--", b"--\r\nepilogue"])
def test_end_of_form(end: bytes) -> None:
    """With and without a line break, and with an epilogue."""
    body, content_type = encode_form(("file", b"1", "a.png", "image/png"))

    assert b"1" == parse_form(body.removesuffix(b"--\r\n") + end, content_type)


def test_truncated_form_is_rejected() -> None:
    """At every position."""
    body, content_type = encode_form(("file", b"content", "a.png", "image/png"))
    for length in range(len(body) - 2):
        with pytest.raises(InvalidBody):
            parse_form(body[:length], content_type)


def test_too_many_files_are_rejected() -> None:
    """Three files are rejected as a batch of at most two, and as a single picture."""
    for form in (encode_form(*(3 * [("file", b"1", "a.png", "image/png")])), encode_unusual_form(b"1", b"2", b"3")):
        with pytest.raises(TooManyPictures, match="3 pictures"):
            parse_batch_form(*form, 2)
        with pytest.raises(InvalidBody, match="one picture"):
            parse_form(*form)


def test_boundary_has_to_match_the_header() -> None:
    """A body with another boundary is rejected."""
    body, _ = encode_form(("file", b"1", "a.png", "image/png"))
    with pytest.raises(InvalidBody):
        parse_form(body, "multipart/form-data; boundary=another")
