"""Request body -> encoded pictures, or a digit in MNIST form.

Enters: the bytes of a body and its Content-Type: multipart form, JSON, base64 as text, or the picture itself. Leaves:
the bytes of the pictures, or an int64 array (28, 28). The first bytes decide which of them it is, and the Content-Type
only where they do not: libraries and `curl -d` set it to their own default. Out of scope: decoding pictures
(`images.decoding`), and limits of size and time (`middleware.body_limits`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api import untrusted_json
from service.errors import InvalidBody, TooManyPictures
from service.images.decoding import format_of
from service.types import IMAGE_SIDE

FILE_FIELD = "file"
# Names that stand for it: `image` is that of the JSON, and PHP and some upload components append brackets.
_FILE_FIELDS = frozenset({b"file", b"file[]", b"image", b"image[]"})
_IMAGE_HINT = 'send {"image": "<base64 or data: URL>"}'
_JSON_HINT = 'send {"image": "<base64 or data: URL>"} or {"pixels": [[...] x 28] x 28}'
# Enough for 70x70 pixels, so that a client that sends those gets the message about 28x28.
_MAX_STRUCTURAL = 5_000
# Parts of a form besides pictures. Parsing a part takes microseconds, and 20 MiB can contain a million parts.
_MAX_OTHER_PARTS = 100
# The first line of a multipart form, whose header fields begin in the second: RFC 2046 allows 70 characters.
_FIRST_BOUNDARY = re.compile(rb"--([^\r\n]{1,70})\r\n(?:[^\r\n]+\r\n){0,9}content-disposition:", re.IGNORECASE)
# The first field of a URL-encoded form, as HTML forms without `enctype` and `curl -d image=...` send it.
_URL_ENCODED = re.compile(rb"(?:file|image)(?:\[\]|%5B%5D)?=([^&]*)", re.IGNORECASE)
_DATA_URL = re.compile(rb"data(?::|%3A)", re.IGNORECASE)
_BASE64_TEXT = re.compile(rb"[A-Za-z0-9+/_=%\s-]+")
# The URL-safe alphabet (RFC 4648, 5) -> the standard one.
_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_JSON_STARTS = (b"{", b"[")
_BLANKS = b"\xef\xbb\xbf \t\r\n"  # with the byte order mark of UTF-8
# Larger bodies are parsed in a thread, since parsing them would block the event loop.
MAX_INLINE_BYTES = 256 * 1024

T = TypeVar("T")

Pixels = npt.NDArray[np.int64]
Picture = bytes | Pixels
"""An encoded picture, or a digit in MNIST form: int64 (28, 28), 0 = background to 255 = ink."""


class ImageBody(BaseModel):
    """An encoded picture in JSON."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="base64 of the picture file, or a data: URL such as canvas.toDataURL() returns")


class PixelsBody(BaseModel):
    """A digit in MNIST form in JSON. It is not normalised again."""

    model_config = ConfigDict(extra="forbid")

    pixels: list[list[int]] = Field(
        min_length=IMAGE_SIDE,
        max_length=IMAGE_SIDE,
        description="28 rows of 28 integers, 0 = background to 255 = ink",
    )


def parse_picture(body: bytes, content_type: str) -> Picture:
    """Return the bytes of the picture, or an int64 array (28, 28) if the body contains pixels.

    The first bytes tell a picture, a form, JSON and base64 apart, whatever the content type. A body that is none of
    them is what its content type says, else the picture itself, which the decoder refuses. Raises InvalidBody,
    InvalidJson, and TooManyPictures for a form with too many parts.
    """
    return _parse(body, content_type, parse_json)


def parse_encoded_picture(body: bytes, content_type: str) -> bytes:
    """Return the bytes of the picture, as parse_picture. Raises InvalidBody if the body contains pixels."""
    return _parse(body, content_type, _parse_image_json)


def _parse(body: bytes, content_type: str, parse_json: Callable[[bytes], T]) -> T | bytes:
    if not body:
        message = f"the body is empty: send a picture, or a form with the field `{FILE_FIELD}`"
        raise InvalidBody(message)
    if format_of(body):
        return body
    if _FIRST_BOUNDARY.match(body):
        return parse_form(body, content_type)
    if body[:64].lstrip(_BLANKS).startswith(_JSON_STARTS):
        return parse_json(body)
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return parse_form(body, content_type)
    if media_type == "application/json":
        return parse_json(body)
    field = _URL_ENCODED.match(body)
    return _decode_text(body if field is None else field[1])


def parse_form(body: bytes, content_type: str) -> bytes:
    """Return the picture in the single field `file` of a multipart form, which may also be called `image`.

    The content of the field may be base64 or a data: URL. Fields without content are ignored beside one with content,
    since forms send them for inputs in which nothing was chosen. Raises InvalidBody, and TooManyPictures for a form
    with too many parts.
    """
    parts = _parse_parts(body, content_type, 1 + _MAX_OTHER_PARTS)
    files = _file_contents(parts)
    files = list(filter(None, files)) or files[:1]
    if len(files) != 1:
        message = f"send one picture in the field `{FILE_FIELD}`; the form has {_field_names(parts)}"
        raise InvalidBody(message)
    return _decode_text(files[0])


def parse_batch_form(body: bytes, content_type: str, max_pictures: int) -> list[bytes]:
    """Return the pictures in the fields `file` or `image` of a multipart form, in their order.

    The content of a field may be base64 or a data: URL. Raises InvalidBody and TooManyPictures.
    """
    parts = _parse_parts(body, content_type, max_pictures + _MAX_OTHER_PARTS)
    files = _file_contents(parts)
    if not files:
        message = f"send pictures in a form, each in a field `{FILE_FIELD}`; the form has {_field_names(parts)}"
        raise InvalidBody(message)
    check_batch_size(files, max_pictures)
    return [_decode_part(content) for content in files]


def check_batch_size(pictures: Sequence[bytes], max_pictures: int) -> None:
    """Raise TooManyPictures if there are more than `max_pictures`."""
    if len(pictures) > max_pictures:
        message = f"the request has {len(pictures)} pictures: send at most {max_pictures} per request"
        raise TooManyPictures(message)


_Part = tuple[bytes, bytearray]
"""Field name and content."""


def _file_contents(parts: list[_Part]) -> list[bytes]:
    return [bytes(content) for name, content in parts if name in _FILE_FIELDS]


def _decode_part(content: bytes) -> bytes:
    """Return the picture in one part of a batch. A malformed data: URL is returned as it is: it fails no other part."""
    with suppress(InvalidBody):
        return _decode_text(content)
    return content


def _field_names(parts: list[_Part]) -> str:
    return ", ".join(repr(name.decode(errors="replace")) for name, _ in parts) or "no fields"


def _parse_parts(body: bytes, content_type: str, max_parts: int) -> list[_Part]:
    """Return all parts of a multipart form. Raises InvalidBody, and TooManyPictures for more than `max_parts`."""
    # The low-level parser, since FastAPI's form parsing spools to disk what is in memory already.
    first_line = _FIRST_BOUNDARY.match(body)
    boundary = first_line[1] if first_line else parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        message = (
            f"send a form with the field `{FILE_FIELD}`, as multipart/form-data: your HTTP library makes its boundary"
        )
        raise InvalidBody(message)
    collector = _PartCollector(max_parts)
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        message = f"the form cannot be parsed: {error}"
        raise InvalidBody(message) from error
    if not collector.is_complete:
        message = "the form is truncated: its closing boundary is missing"
        raise InvalidBody(message)
    return collector.parts


class _PartCollector:
    """Callbacks of MultipartParser that collect the parts of a form."""

    def __init__(self, max_parts: int) -> None:
        self.parts: list[_Part] = []
        self.is_complete = False
        self._max_parts = max_parts
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._name = b""
        self._content = bytearray()

    def callbacks(self) -> Any:
        """Return the callbacks by the names that MultipartParser expects."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": lambda: self.parts.append((self._name, self._content)),
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        if len(self.parts) == self._max_parts:
            message = f"the form has more than {self._max_parts} parts: send fewer pictures per request"
            raise TooManyPictures(message)
        self._name = b""
        self._content = bytearray()

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._name = parse_options_header(bytes(self._header_value))[1].get(b"name", b"")
        self._header_name.clear()
        self._header_value.clear()

    def _end(self) -> None:
        self.is_complete = True


def parse_json(body: bytes) -> Picture:
    """Return the picture of {"image": ...}, or the array of {"pixels": ...}. Raises InvalidBody and InvalidJson."""
    content = untrusted_json.parse(body, _MAX_STRUCTURAL, _JSON_HINT)
    if not isinstance(content, dict) or set(content) not in ({"image"}, {"pixels"}):
        raise InvalidBody(_JSON_HINT)
    if "image" in content:
        return decode_base64(content["image"])
    return _parse_pixels(content["pixels"])


def _parse_image_json(body: bytes) -> bytes:
    """Return the picture of {"image": ...}. Raises InvalidBody and InvalidJson."""
    content = untrusted_json.parse(body, _MAX_STRUCTURAL, _IMAGE_HINT)
    if isinstance(content, dict) and "pixels" in content:
        message = f"/read takes pictures, and /predict takes pixels: {_IMAGE_HINT}"
        raise InvalidBody(message)
    if not isinstance(content, dict) or set(content) != {"image"}:
        raise InvalidBody(_IMAGE_HINT)
    return decode_base64(content["image"])


def decode_base64(text: object) -> bytes:
    """Return the bytes of a base64 string or of a data: URL.

    The alphabet may be the URL-safe one, the padding may be missing, and all of it may be %-encoded. The bytes of an
    empty string, and of a data: URL without content, are empty. Raises InvalidBody.
    """
    if not isinstance(text, str):
        message = "image must be a string: base64 or a data: URL"
        raise InvalidBody(message)
    return _decode_base64(text.encode())


def _decode_text(content: bytes) -> bytes:
    """Return the picture in text that is base64 or a data: URL, and any other content unchanged.

    Raises InvalidBody for a data: URL that is malformed.
    """
    if _DATA_URL.match(content):
        return _decode_base64(content)
    if _BASE64_TEXT.fullmatch(content):
        # Words are base64, too: it is a picture only if it decodes to one.
        with suppress(InvalidBody):
            decoded = _decode_base64(content)
            return decoded if format_of(decoded) else content
    return content


def _decode_base64(encoded: bytes) -> bytes:
    if b"%" in encoded:
        encoded = unquote_to_bytes(encoded)
    if _DATA_URL.match(encoded):
        head, _, encoded = encoded.partition(b",")
        if not encoded:
            return b""  # `data:,` is what toDataURL() returns of a canvas without pixels
        if not head.lower().endswith(b";base64"):
            message = "image must be a data: URL in base64, such as canvas.toDataURL() returns"
            raise InvalidBody(message)
    # Whitespace is removed, since `base64 FILE` wraps its lines. Any other foreign character is an error.
    encoded = encoded.translate(_STANDARD_ALPHABET, b" \t\r\n").rstrip(b"=")
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"image is not base64: {error}"
        raise InvalidBody(message) from error


def _parse_pixels(value: object) -> Pixels:
    try:
        # Strict: 0.5, "7" and true are not coerced to integers.
        pixels = np.array(PixelsBody.model_validate({"pixels": value}, strict=True).pixels, np.int64)
    except (ValidationError, ValueError, OverflowError) as error:
        raise _invalid_pixels(_describe(value)) from error
    if pixels.shape != (IMAGE_SIDE, IMAGE_SIDE):
        raise _invalid_pixels(_describe(value))
    if pixels.min() < 0 or pixels.max() > 255:
        raise _invalid_pixels(_range(pixels))
    # Ink of 1 is invisible, and the answer on it worthless. A blank array, such as one with all ink rubbed out, is not
    # scaled.
    if pixels.max() == 1:
        raise _invalid_pixels(_ALL_BITS)
    return pixels


_ALL_BITS = "are all 0 or 1"
_SCALED = "; if they are scaled to 0..1, multiply them by 255"
_TYPE_NAMES = {float: "fractions", str: "strings", bool: "booleans", type(None): "null", dict: "objects"}


def _invalid_pixels(sent: str) -> InvalidBody:
    hint = _SCALED if sent == _ALL_BITS or _TYPE_NAMES[float] in sent else ""
    return InvalidBody(f"pixels {sent}: send 28 rows of 28 integers from 0 (background) to 255 (ink){hint}")


def _range(pixels: Pixels) -> str:
    return f"are from {pixels.min()} to {pixels.max()}"


def _describe(value: object) -> str:
    """Return what is wrong with the value of `pixels`, as the predicate of a sentence."""
    # Of objects, since strings of which one is long would take its memory for each of them.
    array = np.array(value, object)
    types = {type(leaf) for leaf in array.ravel()}
    if array.ndim == 0:
        return "are a single value"
    if list in types:
        return "have rows of different lengths"
    shape = "x".join(map(str, array.shape))
    names = sorted(name for kind, name in _TYPE_NAMES.items() if kind in types)
    if names:
        return f"have the shape {shape} and contain {' and '.join(names)}"
    if array.shape != (IMAGE_SIDE, IMAGE_SIDE):
        return f"have the shape {shape}"
    return "contain integers that are far out of range"
