"""What a caller has -> what is sent: the bytes of a picture file, or a digit in MNIST form as rows of integers.

Leaves out what the service does anyway: pictures are neither decoded nor checked here.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from service.client.errors import InvalidInput
from service.types import IMAGE_SIDE

Picture = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]
"""A path, the bytes of a file, an image, or an array: uint8 (h, w), or (h, w, 3) and (h, w, 4) for RGB and RGBA."""

T = TypeVar("T")

# What a service takes by default, and half of the bytes.
BATCH_PICTURES = 64
BATCH_BYTES = 32 * 1024 * 1024

# Modes that PNG lacks and RGB holds.
_OTHER_COLOURS = {"CMYK", "YCbCr", "HSV"}


def encode(picture: Picture) -> bytes:
    """Return the picture as the bytes of a file: a path's and bytes as they are, all else as PNG.

    Raises InvalidInput for what is no picture, and OSError for a file that cannot be read.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    if isinstance(picture, np.ndarray):
        return _png(_image(picture))
    if isinstance(picture, Image.Image):
        return _png(picture)
    message = f"a picture is a path, bytes, an image of Pillow or an array, not {type(picture).__name__}"
    raise InvalidInput(message)


def encode_pixels(pixels: npt.ArrayLike) -> list[list[int]]:
    """Return a digit in MNIST form, integers (28, 28) from 0 = background to 255 = ink, as rows.

    Raises InvalidInput for anything else.
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
        message = f"pixels must be from 0, background, to 255, ink, not {values.min()} to {values.max()}"
        raise InvalidInput(message)
    rows: list[list[int]] = values.tolist()
    return rows


def batches(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut items into lists that one request can carry, taking no more of them than the next list needs.

    `size` tells the bytes of an item; one that is too large for any list is a list of its own.
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


def _image(array: npt.NDArray[Any]) -> Image.Image:
    if array.dtype != np.uint8 or not array.size or not (array.ndim == 2 or array.shape[2:] in {(3,), (4,)}):
        message = (
            "an array must be uint8 of shape (height, width), or (height, width, 3 or 4) for RGB or RGBA, "
            f"not {array.dtype} of shape {array.shape}"
        )
        raise InvalidInput(message)
    return Image.fromarray(np.ascontiguousarray(array))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    try:
        # PNG would leave out how a camera was held.
        upright = ImageOps.exif_transpose(image)
        (upright.convert("RGB") if upright.mode in _OTHER_COLOURS else upright).save(buffer, "PNG")
    except (OSError, ValueError, SyntaxError) as error:
        message = f"the image cannot be sent as PNG: {error}"
        raise InvalidInput(message) from error
    return buffer.getvalue()
