"""PNG, as far as it is read without Pillow's help: its checksums, and tiny pictures, for which that help takes longest.

Enters: the bytes of a file. Leaves: an image whose pixels Pillow's decoder has unpacked, or None for all that is not
plain, which is then Pillow's to read and to complain of. The format is that of the W3C's recommendation, third edition.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from zlib import crc32

from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER, _PIXELS, _END = b"IHDR", b"IDAT", b"IEND"
# Width, height, bits of a value, colour type, methods of compression and filtering, interlacing.
_FACTS = struct.Struct(">IIBBBBB")
# The colour types of which a pixel is its values as they stand.
_MODES: Mapping[int, str] = MappingProxyType({0: "L", 2: "RGB", 6: "RGBA"})
_PLAIN = (8, 0, 0, 0)
# Chunks that change nothing in how the pixels are understood here, and their lengths.
_WITHOUT_EFFECT: Mapping[bytes, int] = MappingProxyType({b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7})

# Chunks that may unfold to a MiB each.
_COMPRESSED = (b"zTXt", b"iTXt", b"iCCP")

# Twice MNIST's form on each side; and what it needs at most, with some for metadata.
_TINY_PIXELS = 56 * 56
_TINY_BYTES = 16 * 1024


def chunks(data: bytes, most: int) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and content of each chunk of a PNG, to its end.

    Raises OSError at a chunk that does not fit its checksum, and when there are more than so many.
    """
    view, at = memoryview(data), len(SIGNATURE)
    for _ in range(most):
        start, end = at + 8, at + 8 + int.from_bytes(view[at : at + 4])
        if end + 4 > len(data) or crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            message = "a part of it does not fit its checksum"
            raise OSError(message)
        kind = bytes(view[start - 4 : start])
        yield kind, view[start:end]
        if kind == _END:
            return
        at = end + 4
    message = "it has too many parts"
    raise OSError(message)


def is_tiny(data: bytes) -> bool:
    """Say whether this is a PNG so small that it is read before a thread would begin, by its length and header.

    It may be damaged.
    """
    return (
        len(data) <= _TINY_BYTES
        and data.startswith(SIGNATURE)
        # Nor does a second header contradict the first.
        and data.find(_HEADER) == data.rfind(_HEADER) == 12
        and not any(kind in data for kind in _COMPRESSED)
        and int.from_bytes(data[16:20]) * int.from_bytes(data[20:24]) <= _TINY_PIXELS
    )


def read_tiny(data: bytes) -> Image.Image | None:
    """Return a tiny picture in mode L, RGB or RGBA; None of any that is not tiny, plain and whole.

    Plain is what is neither interlaced nor of a palette, has 8 bits a value, and tells of no transparent colour nor
    orientation.
    """
    if not is_tiny(data):
        return None
    mode, size, last = "", (0, 0), _HEADER
    pixels: list[memoryview] = []
    try:
        for kind, content in chunks(data, len(data)):
            if kind == _PIXELS:
                if pixels and last != _PIXELS:
                    return None  # They may not be interrupted.
                pixels.append(content)
            elif kind == _HEADER:
                width, height, bits, colours, *methods = _FACTS.unpack(content)
                if (bits, *methods) != _PLAIN or colours not in _MODES or 0 in {width, height}:
                    return None
                mode, size = _MODES[colours], (width, height)
            elif kind != _END and _WITHOUT_EFFECT.get(kind) != len(content):
                return None
            last = kind
        return Image.frombytes(mode, size, b"".join(pixels), "zip", mode)
    except (OSError, ValueError, struct.error):
        return None
