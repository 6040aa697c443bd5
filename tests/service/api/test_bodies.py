"""Tests of service.api.bodies."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.bodies import file_in_form, files_in_form
from service.errors import InvalidBody, TooManyPictures

NAMES = st.none() | st.text(st.characters(codec="utf-8"), max_size=10)
TYPES = st.sampled_from([None, "image/png", "application/octet-stream"])


def encoded(*fields: tuple[str, bytes, str | None, str | None]) -> tuple[bytes, str]:
    """Return a form of (field, content, file name, content type), as httpx writes it, and its Content-Type."""
    files = [(field, (name, content, kind)) for field, content, name, kind in fields]
    request = httpx.Request("POST", "http://x", files=files)
    return request.read(), request.headers["Content-Type"]


def otherwise(*contents: bytes) -> tuple[bytes, str]:
    """Return a form of files in words that only a parser knows, and its Content-Type."""
    head = b"--no content has this\r\nX: y\r\ncontent-disposition:form-data; name=file\r\n\r\n"
    body = b"".join(head + content + b"\r\n" for content in contents) + b"--no content has this--"
    return body, 'multipart/form-data; charset=utf-8; boundary="no content has this"'


@given(st.lists(st.tuples(st.binary(max_size=50), NAMES, TYPES), min_size=1, max_size=5))
def test_files_are_found_in_the_usual_words_and_in_others(files: list[tuple[bytes, str | None, str | None]]) -> None:
    """Byte for byte, in their order, whatever they are called."""
    form = encoded(*(("file", content, name, kind) for content, name, kind in files))
    contents = [content for content, _, _ in files]

    assert contents == files_in_form(*form, len(files))
    assert contents == files_in_form(*otherwise(*contents), len(files))


@given(st.binary(max_size=200).map(lambda content: content.replace(b"x", b"\r\n--")))
def test_what_looks_like_a_boundary_is_content(content: bytes) -> None:
    """A line that begins with two dashes does not end a file."""
    assert content == file_in_form(*encoded(("file", content, "a.png", "image/png")))
    assert content == file_in_form(*otherwise(content))


def test_names_of_fields_have_a_case() -> None:
    """`FILE` is another field, in any form."""
    with pytest.raises(InvalidBody, match="'FILE'"):
        file_in_form(*encoded(("FILE", b"1", "a.png", "image/png")))


def test_other_fields_are_passed_over() -> None:
    """A form may have more than pictures, before or behind them."""
    form = encoded(("note", b"1", None, None), ("file", b"2", "a.png", "image/png"), ("note", b"3", None, None))

    assert b"2" == file_in_form(*form)
    assert [b"2"] == files_in_form(*form, 1)


@pytest.mark.parametrize("end", [b"--\r\n", b"--", b"--\r\nwhat comes behind is nobody's"])
def test_a_form_may_end_in_any_way_that_is_allowed(end: bytes) -> None:
    """With a line break, without, and with an epilogue."""
    body, content_type = encoded(("file", b"1", "a.png", "image/png"))

    assert b"1" == file_in_form(body.removesuffix(b"--\r\n") + end, content_type)


def test_a_form_that_is_cut_off_is_refused() -> None:
    """Wherever that is."""
    body, content_type = encoded(("file", b"content", "a.png", "image/png"))
    for length in range(len(body) - 2):
        with pytest.raises(InvalidBody):
            file_in_form(body[:length], content_type)


def test_too_many_files_are_refused_in_any_words() -> None:
    """Three, where two are allowed; and two, where one is asked for."""
    for form in (encoded(*(3 * [("file", b"1", "a.png", "image/png")])), otherwise(b"1", b"2", b"3")):
        with pytest.raises(TooManyPictures, match="3 pictures"):
            files_in_form(*form, 2)
        with pytest.raises(InvalidBody, match="one picture"):
            file_in_form(*form)


def test_another_boundary_than_the_header_names_is_none() -> None:
    """What is between the lines of another is no form."""
    body, _ = encoded(("file", b"1", "a.png", "image/png"))
    with pytest.raises(InvalidBody):
        file_in_form(body, "multipart/form-data; boundary=another")
