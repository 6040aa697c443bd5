"""Request body -> encoded pictures, or a digit in MNIST form.

Enters: the bytes of a body and its Content-Type: multipart form, JSON, or the picture itself. Leaves: the bytes of the
pictures, or an int64 array (28, 28). Out of scope: decoding pictures (`images.decoding`), and limits of size and time
(`middleware.body_limits`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.api import untrusted_json
from service.errors import InvalidBody, TooManyPictures
from service.types import IMAGE_SIDE

FILE_FIELD = "file"
_IMAGE_HINT = 'send {"image": "<base64 or data: URL>"}'
_JSON_HINT = 'send {"image": "<base64 or data: URL>"} or {"pixels": [[...] x 28] x 28}'
# Enough for 70x70 pixels, so that a client that sends those gets the message about 28x28.
_MAX_STRUCTURAL = 5_000
# Parts of a form besides pictures. Parsing a part takes microseconds, and 20 MiB can contain a million parts.
_MAX_OTHER_PARTS = 100
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

    A body that is neither a form nor JSON is the picture itself, whatever its content type: the decoder detects the
    format. Raises InvalidBody, InvalidJson, and TooManyPictures for a form with too many parts.
    """
    return _parse(body, content_type, parse_json)


def parse_encoded_picture(body: bytes, content_type: str) -> bytes:
    """Return the bytes of the picture, as parse_picture. Raises InvalidBody if the body contains pixels."""
    return _parse(body, content_type, _parse_image_json)


def _parse(body: bytes, content_type: str, parse_json: Callable[[bytes], T]) -> T | bytes:
    if not body:
        message = f"the body is empty: send a picture, or a form with the field `{FILE_FIELD}`"
        raise InvalidBody(message)
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return parse_form(body, content_type)
    if media_type == "application/json":
        return parse_json(body)
    return body


def parse_form(body: bytes, content_type: str) -> bytes:
    """Return the content of the single field `file` of a multipart form.

    Raises InvalidBody, and TooManyPictures for a form with too many parts.
    """
    parts = _parse_parts(body, content_type, 1 + _MAX_OTHER_PARTS)
    files = _file_contents(parts)
    if len(files) != 1:
        message = f"send one picture in the field `{FILE_FIELD}`; the form has {_field_names(parts)}"
        raise InvalidBody(message)
    return files[0]


def parse_batch_form(body: bytes, content_type: str, max_pictures: int) -> list[bytes]:
    """Return the contents of the fields `file` of a multipart form, in their order.

    Raises InvalidBody and TooManyPictures.
    """
    parts = _parse_parts(body, content_type, max_pictures + _MAX_OTHER_PARTS)
    files = _file_contents(parts)
    if not files:
        message = f"send pictures in a form, each in a field `{FILE_FIELD}`; the form has {_field_names(parts)}"
        raise InvalidBody(message)
    check_batch_size(files, max_pictures)
    return files


def check_batch_size(pictures: Sequence[bytes], max_pictures: int) -> None:
    """Raise TooManyPictures if there are more than `max_pictures`."""
    if len(pictures) > max_pictures:
        message = f"the request has {len(pictures)} pictures: send at most {max_pictures} per request"
        raise TooManyPictures(message)


_Part = tuple[bytes, bytearray]
"""Field name and content."""


def _file_contents(parts: list[_Part]) -> list[bytes]:
    return [bytes(content) for name, content in parts if name == FILE_FIELD.encode()]


def _field_names(parts: list[_Part]) -> str:
    return ", ".join(repr(name.decode(errors="replace")) for name, _ in parts) or "no fields"


def _parse_parts(body: bytes, content_type: str, max_parts: int) -> list[_Part]:
    """Return all parts of a multipart form. Raises InvalidBody, and TooManyPictures for more than `max_parts`."""
    # The low-level parser, since FastAPI's form parsing spools to disk what is in memory already.
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        message = (
            "send multipart/form-data with its boundary in the Content-Type: let your HTTP library set that header"
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
    """Return the bytes of a base64 string or of a data: URL. Raises InvalidBody."""
    if not isinstance(text, str):
        message = "image must be a string: base64 or a data: URL"
        raise InvalidBody(message)
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            message = "image must be a data: URL in base64, such as canvas.toDataURL() returns"
            raise InvalidBody(message)
    try:
        # Whitespace is removed, since `base64 FILE` wraps its lines. Any other foreign character is an error.
        return base64.b64decode(text.encode().translate(None, b" \t\r\n"), validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"image is not base64: {error}"
        raise InvalidBody(message) from error


def _parse_pixels(value: object) -> Pixels:
    try:
        # Strict: 0.5, "7" and true are not coerced to integers.
        rows = PixelsBody.model_validate({"pixels": value}, strict=True).pixels
        return np.array(rows, np.int64)
    except (ValidationError, ValueError, OverflowError) as error:
        message = (
            "pixels must be 28 rows of 28 integers from 0 (background) to 255 (ink), "
            "not fractions that were scaled to 0..1"
        )
        raise InvalidBody(message) from error
