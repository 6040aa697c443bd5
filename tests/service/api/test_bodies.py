"""Tests of service.api.bodies."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable
from urllib.parse import quote_from_bytes

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.hostile import PICTURES
from service.api.bodies import decode_base64, parse_batch_form, parse_encoded_picture, parse_form, parse_picture
from service.errors import InvalidBody, TooManyPictures
from service.types import FORMATS
from tests.pictures import draw, encode

PNG = encode(draw(4))
CONTENT_TYPES = [
    "",
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "application/json",
    "multipart/form-data; boundary=x",
    "image/png",
]
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


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "multipart/mixed; boundary=x",
    ],
)
def test_first_line_has_the_boundary(content_type: str) -> None:
    """It counts more than the Content-Type, which people set without a boundary, or copy from another request."""
    body, _ = encode_form(("file", b"1", "a.png", "image/png"))
    unusual, _ = encode_unusual_form(b"1")

    assert [b"1"] * 2 == [parse_picture(form, content_type) for form in (body, unusual)]
    assert [b"1"] == parse_batch_form(body, content_type, 1)


def test_header_has_the_boundary_where_the_first_line_has_none() -> None:
    """A form that begins with its last boundary is parsed by the boundary of the Content-Type, and has no fields."""
    with pytest.raises(InvalidBody, match="no fields"):
        parse_picture(b"--b--\r\n", "multipart/form-data; boundary=b")
    with pytest.raises(InvalidBody):
        parse_form(b"--another\r\n\r\n1\r\n--another--", "multipart/form-data; boundary=b")


@pytest.mark.parametrize("name", ["file", "file[]", "image", "image[]"])
def test_names_of_the_field(name: str) -> None:
    """`image` is that of the JSON, and brackets are PHP's."""
    form = encode_form((name, b"1", "a.png", "image/png"), ("note", b"2", None, None))

    assert b"1" == parse_form(*form)
    assert [b"1"] == parse_batch_form(*form, 1)


def test_empty_fields_beside_a_picture_are_ignored() -> None:
    """A page with an input for a file and one for a photo sends both. Alone, an empty field is an empty picture."""
    empty = ("file", b"", "", "application/octet-stream")

    assert b"1" == parse_form(*encode_form(empty, ("image", b"1", "a.png", "image/png")))
    assert b"" == parse_form(*encode_form(empty)) == parse_form(*encode_form(empty, empty))
    assert [b"", b"1"] == parse_batch_form(*encode_form(empty, ("file", b"1", "a.png", "image/png")), 2)


# --- Content types


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_json_under_any_content_type(content_type: str) -> None:
    """`curl -d` declares a URL-encoded form, and fetch a text. The byte order mark is that of Windows' editors."""
    body = json.dumps({"image": base64.b64encode(PNG).decode()}).encode()
    pixels = json.dumps({"pixels": [[255] * 28] * 28}).encode()

    assert [PNG] * 3 == [parse_picture(start + body, content_type) for start in (b"", b" \r\n\t", b"\xef\xbb\xbf")]
    assert PNG == parse_encoded_picture(body, content_type)
    np.testing.assert_array_equal(np.full((28, 28), 255), parse_picture(pixels, content_type))


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("form", FORMATS)
def test_picture_under_any_content_type(form: str, content_type: str) -> None:
    """The magic number decides, also where a JSON or a form is declared."""
    picture = PICTURES[form]

    assert picture == parse_picture(picture, content_type) == parse_encoded_picture(picture, content_type)


@pytest.mark.parametrize(
    "encode_text",
    [
        base64.b64encode,
        base64.encodebytes,
        base64.urlsafe_b64encode,
        lambda data: base64.b64encode(data).rstrip(b"="),
        lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
        lambda data: quote_from_bytes(base64.b64encode(data), safe="").encode(),
        lambda data: b"data:image/png;base64," + base64.b64encode(data),
        lambda data: b"DATA:image/png;BASE64," + base64.urlsafe_b64encode(data).rstrip(b"="),
        lambda data: quote_from_bytes(b"data:image/png;base64," + base64.b64encode(data), safe="").encode(),
    ],
    ids=[
        "base64", "lines", "URL-safe", "unpadded", "URL-safe, unpadded", "%-encoded", "data URL", "data URL, URL-safe",
        "data URL, %-encoded",
    ],
)  # fmt: skip
@pytest.mark.parametrize("length", [0, 1, 2])
def test_base64_wherever_a_picture_may_be(encode_text: Callable[[bytes], bytes], length: int) -> None:
    """In JSON, as the body, as text in a field of a form, and in a URL-encoded form. All 64 characters occur."""
    picture = PNG + bytes(range(256)) + bytes(length)
    text = encode_text(picture)
    form = encode_form(("file", text, None, None))

    assert picture == decode_base64(text.decode())
    assert [picture] * 4 == [
        parse_picture(body, kind)
        for body, kind in (
            (text, "text/plain"),
            form,
            (b"image=" + text, "application/x-www-form-urlencoded"),
            (b"file%5B%5D=" + text + b"&top_k=3", ""),
        )
    ]
    assert [picture] == parse_batch_form(*form, 1)


@pytest.mark.parametrize("text", [b"hello", b"hell", b"aGVsbG8=", b"+++", b"%%%", b"x=1&y=2", b"data", b"h\xc3\xa9"])
def test_other_text_is_unchanged(text: bytes) -> None:
    """The decoder says that it is no picture, also of base64 of something else."""
    assert text == parse_picture(text, "text/plain") == parse_form(*encode_form(("file", text, None, None)))


def test_malformed_data_url() -> None:
    """As one picture it is an error of its own. In a batch it fails no other picture."""
    broken = b"data:image/png;base64,!"
    for body in ((broken, "text/plain"), encode_form(("file", broken, None, None))):
        with pytest.raises(InvalidBody, match="not base64"):
            parse_picture(*body)

    assert [broken] == parse_batch_form(*encode_form(("file", broken, None, None)), 1)


@pytest.mark.parametrize("text", ["", "data:,", "data:image/png;base64,", " ", "="])
def test_base64_of_nothing_is_an_empty_picture(text: str) -> None:
    """A canvas without pixels returns `data:,`."""
    assert b"" == decode_base64(text)


# --- Pixels

ROW = [0] * 27 + [255]


@pytest.mark.parametrize(
    ("pixels", "sent"),
    [
        ([[[value] for value in ROW]] * 28, "have the shape 28x28x1"),
        ([0] * 784, "have the shape 784"),
        ([[[0] * 28] * 28], "have the shape 1x28x28"),
        ([[0] * 70] * 70, "have the shape 70x70"),
        ([ROW] * 27 + [[0] * 27], "have rows of different lengths"),
        ([ROW] * 27, "have the shape 27x28"),
        ([[0] * 27] * 28, "have the shape 28x27"),
        ([], "have the shape 0"),
        ([["7"] * 28] * 28, "have the shape 28x28 and contain strings"),
        ([[None, *ROW[1:]]] * 28, "have the shape 28x28 and contain null"),
        ([[True, 0.5, *ROW[2:]]] * 28, "have the shape 28x28 and contain booleans and fractions"),
        ([[1.0] * 784], "have the shape 1x784 and contain fractions"),
        ([[{}] * 28] * 28, "have the shape 28x28 and contain objects"),
        ([[-1, *ROW[1:]]] * 28, "are from -1 to 255"),
        ([[256, *ROW[1:]]] * 28, "are from 0 to 256"),
        ([[10**30] * 28] * 28, "contain integers that are far out of range"),
        ([[0] * 27 + [1]] * 28, "are all 0 or 1"),
        ("none", "are a single value"),
        (None, "are a single value"),
        ({"0": 1}, "are a single value"),
    ],
)  # fmt: skip
def test_invalid_pixels(pixels: object, sent: str) -> None:
    """The message has what was sent, what is wanted, and for fractions and bits that they are not to be scaled."""
    with pytest.raises(InvalidBody) as caught:
        parse_picture(json.dumps({"pixels": pixels}).encode(), "application/json")

    message = f"pixels {sent}: send 28 rows of 28 integers from 0 (background) to 255 (ink)"
    hint = "; if they are scaled to 0..1, multiply them by 255"
    assert message + hint * ("fractions" in sent or "0 or 1" in sent) == str(caught.value)


def test_deeply_nested_pixels() -> None:
    """The number of dimensions is bounded."""
    body = b'{"pixels": ' + b"[" * 150 + b"]" * 150 + b"}"
    with pytest.raises(InvalidBody, match="pixels have"):
        parse_picture(body, "application/json")


def test_one_long_string_among_pixels_takes_no_memory() -> None:
    """An array of strings would have its length for each of them: 28 MB here."""
    body = json.dumps({"pixels": [["x" * 10_000] + ["x"] * 27] + [["x"] * 28] * 27}).encode()
    tracemalloc.start()
    with pytest.raises(InvalidBody, match="strings"):
        parse_picture(body, "application/json")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 2_000_000 > peak
