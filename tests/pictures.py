"""Pictures and picture files for tests, drawn while they run. Photos and scans: `scenes`."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image, ImageDraw

Colour = int | tuple[int, ...]

# The strokes of each digit: polylines in a unit square, points (x, y) from the top left.
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [
        [
            (0.5, 0.0),
            (0.2, 0.2),
            (0.15, 0.5),
            (0.25, 0.85),
            (0.5, 1.0),
            (0.75, 0.85),
            (0.85, 0.5),
            (0.75, 0.15),
            (0.5, 0.0),
        ]
    ],
    1: [[(0.5, 0.0), (0.5, 1.0)]],
    2: [[(0.15, 0.2), (0.4, 0.0), (0.75, 0.1), (0.8, 0.35), (0.5, 0.65), (0.15, 1.0), (0.9, 1.0)]],
    3: [[(0.2, 0.05), (0.6, 0.0), (0.8, 0.2), (0.45, 0.45), (0.8, 0.65), (0.75, 0.9), (0.45, 1.0), (0.15, 0.9)]],
    4: [[(0.25, 0.0), (0.15, 0.55), (0.85, 0.55)], [(0.75, 0.0), (0.7, 1.0)]],
    5: [[(0.8, 0.0), (0.25, 0.0), (0.2, 0.45), (0.6, 0.4), (0.85, 0.65), (0.65, 0.95), (0.15, 0.95)]],
    6: [[(0.65, 0.0), (0.3, 0.35), (0.2, 0.75), (0.45, 1.0), (0.75, 0.85), (0.7, 0.6), (0.45, 0.55), (0.22, 0.75)]],
    7: [[(0.15, 0.05), (0.85, 0.0), (0.4, 1.0)]],
    8: [
        [
            (0.5, 0.45),
            (0.2, 0.2),
            (0.5, 0.0),
            (0.8, 0.2),
            (0.5, 0.45),
            (0.15, 0.75),
            (0.5, 1.0),
            (0.85, 0.75),
            (0.5, 0.45),
        ]
    ],
    9: [[(0.75, 0.2), (0.45, 0.0), (0.2, 0.2), (0.4, 0.45), (0.75, 0.25), (0.75, 0.6), (0.65, 1.0)]],
}


def draw(  # noqa: PLR0913 - one parameter for each property of a picture
    digit: int = 7,
    *,
    size: tuple[int, int] = (200, 200),
    box: tuple[float, float, float, float] = (0.3, 0.2, 0.7, 0.8),
    width: float = 0.06,
    ink: Colour = 0,
    paper: Colour = 255,
    mode: str = "L",
) -> Image.Image:
    """Return a picture of a digit; `box` (left, top, right, bottom) and the pen's `width` are shares of the picture."""
    image = Image.new(mode, size, paper)
    pen = ImageDraw.Draw(image)
    radius = width * min(size) / 2
    left, top, right, bottom = box
    for stroke in STROKES[digit]:
        points = [((left + x * (right - left)) * size[0], (top + y * (bottom - top)) * size[1]) for x, y in stroke]
        pen.line(points, fill=ink, width=max(1, round(2 * radius)))
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
    return image


def encode(image: Image.Image | npt.NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    """Return a picture as the bytes of a file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def heic(image: Image.Image, thumbnail: int | None = None, **options: Any) -> bytes:
    """Return a picture as a HEIC file, with a thumbnail of this longer side."""
    # from_pillow() would rotate the picture by its EXIF.
    file = pillow_heif.from_bytes(image.mode, image.size, image.tobytes())
    thumbnails: list[int | None] = [thumbnail] if thumbnail else []
    file[0].info["thumbnails"] = thumbnails
    buffer = io.BytesIO()
    file.save(buffer, quality=90, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def compressed_chunk(kind: bytes, n_bytes: int) -> bytes:
    """Return a compressed chunk of a PNG that decompresses to this many bytes."""
    head = b"key\0" + bytes(1) if kind != b"iTXt" else b"key\0\1\0\0\0"
    return chunk(kind, head + zlib.compress(bytes(n_bytes), 9))
