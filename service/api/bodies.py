"""The body of a request -> the bytes of its pictures, or a digit in MNIST form."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api import untrusted_json
from service.errors import InvalidBody, TooManyPictures
from service.types import IMAGE_SIDE

FILE_FIELD = "file"
_WANTED = 'send {"image": "<base64 or data: URL>"} or {"pixels": [[...] x 28] x 28}'
# A picture of 70x70 as pixels, so that whoever sends one is told of 28x28.
_MOST_MARKS = 5_000
# Of a form, besides pictures. Each part costs some microseconds, and 20 MiB could hold a million.
_OTHER_PARTS = 100
# Taking apart a body that is larger would keep others waiting: that is for a thread.
LARGE = 256 * 1024

Pixels = npt.NDArray[np.int64]
Picture = bytes | Pixels
"""An encoded picture, or a digit in MNIST form: int64 (28, 28), 0 = background to 255 = ink."""


class ImageBody(BaseModel):
    """An encoded picture in JSON."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="base64 of the picture file, or a data: URL as a canvas gives it")


class PixelsBody(BaseModel):
    """A digit in MNIST form in JSON; it is not normalised again."""

    model_config = ConfigDict(extra="forbid")

    pixels: list[list[int]] = Field(
        min_length=IMAGE_SIDE,
        max_length=IMAGE_SIDE,
        description="28 rows of 28 integers, 0 = background to 255 = ink",
    )


def picture_in(body: bytes, content_type: str) -> Picture:
    """Return the picture's bytes, or an array (28, 28) when the body gave pixels.

    Apart from forms and JSON the content type says nothing: the decoder looks at the bytes. Raises InvalidBody,
    InvalidJson, and TooManyPictures for a form of too many parts.
    """
    if not body:
        message = f"the body is empty: send a picture, or a form with the field `{FILE_FIELD}`"
        raise InvalidBody(message)
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return file_in_form(body, content_type)
    if kind == "application/json":
        return picture_in_json(body)
    return body


def file_in_form(body: bytes, content_type: str) -> bytes:
    """Return the content of the one field `file` of a form. Raises InvalidBody, and TooManyPictures for its parts."""
    parts = _parts(body, content_type, 1 + _OTHER_PARTS)
    files = _files(parts)
    if len(files) != 1:
        message = f"send one picture in the field `{FILE_FIELD}`; the form has {_names(parts)}"
        raise InvalidBody(message)
    return files[0]


def files_in_form(body: bytes, content_type: str, most: int) -> list[bytes]:
    """Return the contents of the fields `file` of a form, in their order. Raises InvalidBody and TooManyPictures."""
    parts = _parts(body, content_type, most + _OTHER_PARTS)
    files = _files(parts)
    if not files:
        message = f"send pictures in a form, each in a field `{FILE_FIELD}`; the form has {_names(parts)}"
        raise InvalidBody(message)
    check_number(files, most)
    return files


def check_number(pictures: Sequence[bytes], most: int) -> None:
    """Raise TooManyPictures when there are more than are allowed."""
    if len(pictures) > most:
        message = f"the request has {len(pictures)} pictures: send at most {most} at once"
        raise TooManyPictures(message)


_Part = tuple[bytes, bytearray]


def _files(parts: list[_Part]) -> list[bytes]:
    return [bytes(content) for name, content in parts if name == FILE_FIELD.encode()]


def _names(parts: list[_Part]) -> str:
    return ", ".join(repr(name.decode(errors="replace")) for name, _ in parts) or "nothing"


def _parts(body: bytes, content_type: str, most: int) -> list[_Part]:
    """Return name and content of each part of a form. Raises InvalidBody, and TooManyPictures for too many parts."""
    # The whole body is in memory already, so there is nothing to spool to disk.
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        message = (
            "send multipart/form-data with its boundary in the Content-Type: let your HTTP library set that header"
        )
        raise InvalidBody(message)
    parts = _Parts(most)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        message = f"the form cannot be read: {error}"
        raise InvalidBody(message) from error
    if not parts.complete:
        message = "the form is truncated: its closing boundary is missing"
        raise InvalidBody(message)
    return parts.found


class _Parts:
    """Collects the parts of a form as the parser meets them."""

    def __init__(self, most: int) -> None:
        self.found: list[_Part] = []
        self._most = most
        self.complete = False
        self._header = bytearray()
        self._value = bytearray()
        self._name = b""
        self._content = bytearray()

    def callbacks(self) -> Any:
        """Return what MultipartParser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": lambda: self.found.append((self._name, self._content)),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.found) == self._most:
            message = f"the form has more than {self._most} parts: send fewer pictures at once"
            raise TooManyPictures(message)
        self._name = b""
        self._content = bytearray()

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._name = parse_options_header(bytes(self._value))[1].get(b"name", b"")
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        self.complete = True


def picture_in_json(body: bytes) -> Picture:
    """Return what {"image": ...} or {"pixels": ...} holds."""
    content = untrusted_json.parse(body, _MOST_MARKS, _WANTED)
    if not isinstance(content, dict) or set(content) not in ({"image"}, {"pixels"}):
        raise InvalidBody(_WANTED)
    if "image" in content:
        return from_base64(content["image"])
    return _pixels(content["pixels"])


def from_base64(text: object) -> bytes:
    """Return what base64, or a data: URL, holds. Raises InvalidBody."""
    if not isinstance(text, str):
        message = "image must be a string: base64 or a data: URL"
        raise InvalidBody(message)
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            message = "image must be a data: URL in base64, as canvas.toDataURL() makes it"
            raise InvalidBody(message)
    try:
        # Line breaks, as `base64 FILE` prints them, are the only thing between digits that is no mistake.
        return base64.b64decode(text.encode().translate(None, b" \t\r\n"), validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"image is not base64: {error}"
        raise InvalidBody(message) from error


def _pixels(value: object) -> Pixels:
    try:
        # Strict, so that neither 0.5 nor "7" nor true is taken for an integer.
        rows = PixelsBody.model_validate({"pixels": value}, strict=True).pixels
        return np.array(rows, np.int64)
    except (ValidationError, ValueError, OverflowError) as error:
        message = (
            "pixels must be 28 rows of 28 integers from 0, background, to 255, ink; "
            "fractions mean that they were scaled to 0..1: send them unscaled"
        )
        raise InvalidBody(message) from error
