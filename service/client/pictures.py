"""Pictures as a caller has them in, request bodies out: the bytes of a picture file, or a digit in MNIST form as rows.

Out of scope: decoding and validating picture files, which the service does.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from service.client.errors import InvalidInput
from service.types import IMAGE_SIDE


class BinaryFile(Protocol):
    """A file that is open for reading bytes, io.BytesIO, or anything else with such a method."""

    def read(self) -> bytes:
        """Return what is left of the file."""


Picture = str | os.PathLike[str] | bytes | BinaryFile | Image.Image | npt.NDArray[Any]
"""A path, the bytes of a picture file, a file that is open for reading bytes, a Pillow image, or an array.

An array is (h, w) or (h, w, 1) grey, (h, w, 3) RGB or (h, w, 4) RGBA: uint8 from 0 = black to 255 = white, or bool with
True = white.
"""

T = TypeVar("T")

# The default limit of the service on pictures per request, and half of its default limit on bytes.
BATCH_PICTURES = 64
BATCH_BYTES = 32 * 1024 * 1024

# Modes that PNG does not support. They are converted to RGB.
_MODES_WITHOUT_PNG = {"CMYK", "YCbCr", "HSV"}


def encode(picture: Picture) -> bytes:
    """Return the bytes of a picture file: those of a path, bytes and an open file unchanged, images and arrays as PNG.

    An open file is read from its position to its end. Raises InvalidInput for any other type or array and for a file
    that is open as text, and OSError for a file that cannot be read.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    if isinstance(picture, np.ndarray):
        return _png(_image(picture))
    if isinstance(picture, Image.Image):
        return _png(picture)
    if hasattr(picture, "read"):
        return _read(picture)
    message = f"a picture must be a path, bytes, an open file, a Pillow image or an array, not {type(picture).__name__}"
    raise InvalidInput(message)


def encode_pixels(pixels: npt.ArrayLike) -> list[list[int]]:
    """Return a digit in MNIST form as 28 rows of 28 integers, 0 = background to 255 = ink.

    Raises InvalidInput for another shape, dtype or range.
    """
    try:
        values = np.asarray(pixels)
    except ValueError as error:
        message = "pixels must be 28 rows of 28 integers each"
        raise InvalidInput(message) from error
    if values.shape != (IMAGE_SIDE, IMAGE_SIDE) or values.dtype.kind not in "iu":
        message = f"pixels must be integers of shape (28, 28), not {values.dtype} of shape {values.shape}"
        raise InvalidInput(message)
    if values.min() < 0 or values.max() > 255:
        message = f"pixels must be in the range 0 (background) to 255 (ink), not {values.min()} to {values.max()}"
        raise InvalidInput(message)
    rows: list[list[int]] = values.tolist()
    return rows


def batches(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the items in lists of at most BATCH_PICTURES items and BATCH_BYTES bytes, in their order.

    `size` returns the bytes of an item. An item larger than BATCH_BYTES is a list of its own. Items are consumed
    lazily, only one past the end of the current list.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        if batch and (len(batch) == BATCH_PICTURES or total + size(item) > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch


def _read(file: BinaryFile) -> bytes:
    try:
        content: object = file.read()
    except UnicodeDecodeError:
        content = ""
    if not isinstance(content, bytes):
        message = "the file is open as text: open it for reading bytes, as open(path, 'rb') does"
        raise InvalidInput(message)
    return content


def _image(array: npt.NDArray[Any]) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8 or not array.size or not (array.ndim == 2 or array.shape[2:] in {(3,), (4,)}):
        message = (
            "an array must be uint8 or bool of shape (height, width), or (height, width, 3 or 4) for RGB or RGBA, "
            f"not {array.dtype} of shape {array.shape}"
        )
        raise InvalidInput(message)
    return Image.fromarray(np.ascontiguousarray(array))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    try:
        # Pillow does not write the EXIF orientation to PNG by default.
        upright = ImageOps.exif_transpose(image)
        (upright.convert("RGB") if upright.mode in _MODES_WITHOUT_PNG else upright).save(buffer, "PNG")
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the image cannot be sent as PNG: {error}"
        raise InvalidInput(message) from error
    return buffer.getvalue()
