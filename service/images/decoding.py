"""A file's bytes in, pixels out: upright, flattened, 8 bits a channel, reduced to a working size.

Everything that a file from a stranger can do is met here: format, size, damage, orientation, bombs. `heif` reads the
boxes of HEIC and AVIF, `grayscale` does the arithmetic on pixels. Out of scope: what is ink and what is paper.
"""

from __future__ import annotations

import io
import math
import struct
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from zlib import crc32

import numpy as np
import pi_heif
from PIL import AvifImagePlugin, ExifTags, Image
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from service.errors import PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.images import grayscale, heif
from service.types import FORMATS, ByteArray

# What is accepted, as users write it, and what its files start with. APNG is a PNG, and MPO, what phones write for JPEG
# with a second picture inside, a JPEG. WebP, HEIC and AVIF are known by what stands at byte 8.
_SIGNATURES: Mapping[str, tuple[bytes, ...]] = MappingProxyType(
    {
        "PNG": (b"\x89PNG",),
        "JPEG": (b"\xff\xd8",),
        "HEIC": (),
        "AVIF": (),
        "WebP": (),
        "GIF": (b"GIF8",),
        "BMP": (b"BM",),
        "TIFF": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    }
)
# Pixels on the longer side: enough for a digit that fills a seventh of the frame with a ballpoint's stroke, and what
# bounds the cost of everything behind.
WORKING_SIDE = 288

# HEIC and AVIF cannot be decoded at a reduced size: they take up to 50 ms a megapixel.
HEIF_MAX_PIXELS = 16_000_000
# What one of their pixels takes of a budget, beside one of a JPEG: as much as it takes longer.
_WEIGHTS: Mapping[str, int] = MappingProxyType({"HEIC": 8, "AVIF": 8})
# Pictures of full size in one of them: its colours, its alpha channel and its gain map.
_LAYERS = 3

# Pillow goes through the parts of a file one by one in Python, and 20 MiB hold millions of the smallest. A PNG as large
# in chunks of 2 KiB is read in less than half as many steps.
_MOST_READS = 100_000
# Each scan goes over all pixels, and may be a few bytes. A progressive JPEG has ten, an MPO those of each picture.
_MOST_SCANS = 40
_SCAN, _END_OF_JPEG = b"\xff\xda", b"\xff\xd9"
# What may follow the last pixel of a JPEG without effect, but would change any pixel that is missing: bits that stand
# for different values in the usual codes, more of them than a block of pixels can have left.
_PADDINGS = (64 * b"\x00", 64 * b"\x55", 64 * b"\xd4")
# EXIF itself has 64 KiB at most.
_MOST_EXIF = 1024 * 1024
# Smaller pictures take no memory worth counting.
_LARGE_PIXELS = 1_000_000

_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# What stands behind width and height where pixels are 8 bits of grey, RGB or RGBA, not interlaced.
_PLAIN_MODES: Mapping[bytes, str] = MappingProxyType(
    {b"\x08\0\0\0\0": "L", b"\x08\2\0\0\0": "RGB", b"\x08\6\0\0\0": "RGBA"}
)
# With no other chunks than these a PNG has neither a transparent colour nor an orientation.
_PLAIN_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME"})
# A drawing on a canvas, as pages have it; and what it needs at most, with some for metadata.
_SMALL_PIXELS = 300 * 300
_SMALL_BYTES = 32 * 1024
# Chunks of a PNG that may unfold to a MiB each.
_COMPRESSED = (b"zTXt", b"iTXt", b"iCCP")

# Where Pillow keeps what tells the orientation: EXIF, or XMP.
_TELLING = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
_EXIF_ORIENTATION = ExifTags.Base.Orientation.value

# What decoders raise on damaged files, format by format.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
)

# More threads of one decoder would fight with other requests for the processors. What else a HEIC has is not looked at.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
pi_heif.options.DECODE_THREADS = 1
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, and what the file was: its format, and the width and height in its header.

    `pixels` are uint8, C-contiguous, grey (height, width) or RGB (height, width, 3), 0 = black to 255 = white.
    """

    pixels: ByteArray
    format: str
    width: int
    height: int


class Budget:
    """Pixels that all threads together may be decoding; whoever needs more than are left waits."""

    def __init__(self, pixels: int) -> None:
        self._all = self._left = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, pixels: int) -> Iterator[None]:
        """Take so many, all where there are fewer, for the time of a context."""
        pixels = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._left)
            self._left -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()


def accepted(formats: Collection[str] = FORMATS) -> str:
    """Return the names of formats as a text, as in "PNG, JPEG and TIFF"."""
    *most, last = formats
    return f"{', '.join(most)} and {last}" if most else last


def is_small(data: bytes) -> bool:
    """Return whether this is a PNG so small that it is read before a thread would begin, by its length and header.

    It may be damaged.
    """
    return (
        len(data) <= _SMALL_BYTES
        and data.startswith(_PNG_START)
        # Nor does a second header contradict the first.
        and data.rfind(b"IHDR") == 12
        and not any(kind in data for kind in _COMPRESSED)
        and int.from_bytes(data[16:20]) * int.from_bytes(data[20:24]) <= _SMALL_PIXELS
    )


def decode(
    data: bytes,
    max_pixels: int,
    budget: Budget | None = None,
    *,
    side: int = WORKING_SIDE,
    formats: Collection[str] = FORMATS,
) -> Picture:
    """Decode a picture of at most max_pixels pixels, reduced by averaging until its longer side has at most `side`.

    What it costs is taken from a budget while it is large. Raises UnsupportedFormat for what is no picture in one of
    the formats, PictureTooLarge from the header alone, and UnreadablePicture for a damaged file.
    """
    form = _format(data)
    if form is None or form not in formats:
        what = f"{form} pictures are not accepted here" if form else "this is not a picture in an accepted format"
        message = f"{what}: send {accepted(formats)}"
        raise UnsupportedFormat(message)
    try:
        mode = _PLAIN_MODES.get(data[24:29]) if data.startswith(_PNG_START) else None
        size = struct.unpack(">II", data[16:24]) if mode else (0, 0)
        if mode and all(size):
            _check(size, math.prod(size), max_pixels, side)
            packed = _plain_pixels(data)
            if packed is not None:
                # To open it would take Pillow longer than to decode a tiny one.
                with _share(budget, math.prod(size)):
                    return Picture(_pixels(Image.frombytes(mode, size, packed, "zip", mode), side), form, *size)
        _silence_pillow()
        return _read(data, form, max_pixels, budget, side)
    except Image.DecompressionBombError as error:
        message = "the picture has more pixels than any that is accepted: send a smaller one"
        raise PictureTooLarge(message) from error
    except _DAMAGE as error:
        message = f"the picture is truncated or corrupt: {error}".split("\n", 1)[0]
        raise UnreadablePicture(message) from error


def _format(data: bytes) -> str | None:
    """Return the format that a file starts like, damaged or not."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return heif.format_of(data)
    return next((name for name, starts in _SIGNATURES.items() if data.startswith(starts)), None)


def _check(size: tuple[int, int], n_pixels: int, max_pixels: int, side: int) -> None:
    """Raise PictureTooLarge for what decodes to too many pixels, or would be reduced to less than one across."""
    width, height = size
    if n_pixels > max_pixels:
        message = (
            f"the picture has {width} x {height} pixels, {n_pixels / 1e6:.1f} megapixels to decode, "
            f"more than the {max_pixels / 1e6:g} that are allowed: send a smaller one"
        )
        raise PictureTooLarge(message)
    if min(size) < _factor(size, side):
        message = (
            f"the picture has {width} x {height} pixels, too long and thin for a digit to be seen: "
            "send the part with the digit"
        )
        raise PictureTooLarge(message)


def _factor(size: tuple[int, int], side: int) -> int:
    return max(1, -(-max(size) // side))


def _share(budget: Budget | None, n_pixels: int) -> AbstractContextManager[None]:
    return budget.taking(n_pixels) if budget and n_pixels > _LARGE_PIXELS else nullcontext()


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and content of each chunk of a PNG, to its end.

    Raises OSError at a chunk that does not fit its checksum, and when there are too many.
    """
    view, at = memoryview(data), 8
    for _ in range(_MOST_READS):
        start, end = at + 8, at + 8 + int.from_bytes(view[at : at + 4])
        if end + 4 > len(data) or crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4]):
            message = "a part of it does not fit its checksum"
            raise OSError(message)
        kind = data[start - 4 : start]
        yield kind, view[start:end]
        if kind == b"IEND":
            return
        at = end + 4
    message = "it has too many parts"
    raise OSError(message)


def _plain_pixels(data: bytes) -> bytearray | None:
    """Return the packed pixels of a PNG, None where another chunk may say how they are to be understood."""
    packed = bytearray()
    for kind, content in png_chunks(data):
        if kind not in _PLAIN_CHUNKS:
            return None
        if kind == b"IDAT":
            packed += content
    return packed


def _read(data: bytes, form: str, max_pixels: int, budget: Budget | None, side: int) -> Picture:
    """Decode with Pillow, or with libheif by Pillow's interface."""
    if form in _WEIGHTS:
        data = heif.simplified(data, form)
    image = _open(data, form)
    width, height = image.size
    thumbnail = heif.with_thumbnail_first(data, side) if form == "HEIC" else None
    if thumbnail:
        _check(image.size, width * height, max_pixels, side)
        image = _open(thumbnail, form)
    n_pixels = _n_pixels(image, thumbnail or data)
    _check(image.size, n_pixels, min(max_pixels, HEIF_MAX_PIXELS) if form in _WEIGHTS else max_pixels, side)
    with _share(budget, n_pixels * _WEIGHTS.get(form, 1)):
        image, orientation = _loaded(image, data, form, side)
        pixels = _upright(_pixels(image, max(image.size) if thumbnail else side), orientation)
        if thumbnail:
            # By a fraction: it has few pixels to lose.
            pixels = grayscale.fitted(pixels, side)
        return Picture(np.ascontiguousarray(pixels), form, width, height)


class ReadLimitedBytesIO(io.BytesIO):
    """A file that fails when it is read in more pieces than a picture is made of."""

    _n_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        self._n_reads += 1
        if self._n_reads > _MOST_READS:
            message = "it has too many parts"
            raise OSError(message)
        return super().read(size)


def _silence_pillow() -> None:
    """Keep what Pillow remarks on a stranger's file out of the log: it is harmless, or an error follows.

    For good, because `warnings.catch_warnings` in one thread undoes what it did in another; and only where these are
    not in force, because setting a filter makes Python forget which warnings it has already shown.
    """
    if not warnings.filters or warnings.filters[0][2] is not Image.DecompressionBombWarning:
        for category in (UserWarning, Image.DecompressionBombWarning):
            warnings.filterwarnings("ignore", category=category, module=r"PIL\.")


def _open(data: bytes, form: str) -> Image.Image:
    """Read the header."""
    try:
        if form == "HEIC":
            return pi_heif.HeifImageFile(io.BytesIO(data))
        # Of a small file there are not as many pieces, and counting them takes time.
        return Image.open(ReadLimitedBytesIO(data) if len(data) > _MOST_READS else io.BytesIO(data), formats=[form])
    except _DAMAGE as error:
        message = "its header cannot be read"
        raise OSError(message) from error


def _n_pixels(image: Image.Image, data: bytes) -> int:
    """Return how many pixels are decoded at once: of the picture, of a TIFF's tile or of frames where that is more."""
    n_pixels = image.width * image.height
    if isinstance(image, TiffImageFile):
        tile = (image.tag_v2.get(TILEWIDTH), image.tag_v2.get(TILELENGTH))
        width, height = (
            max(side, limit) if isinstance(limit, int) else side for side, limit in zip(image.size, tile, strict=True)
        )
        return width * height
    if image.format == "AVIF":
        frames = heif.frame_sizes(data)
        return max(n_pixels, sum(frames) // _LAYERS, *frames)
    if image.format == "HEIF":
        return max(n_pixels, heif.tile_pixels(data) // _LAYERS)
    return n_pixels


def _loaded(image: Image.Image, data: bytes, form: str, side: int) -> tuple[Image.Image, int]:
    """Decode the pixels of an opened picture. Returns it with its EXIF orientation, 1 where there is none."""
    if form == "PNG":
        # Pillow makes some picture of flipped bits. It could look itself, but only in a copy that it uses up.
        for _ in png_chunks(data):
            pass
    if form == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
        message = f"it has more than {_MOST_SCANS} scans: save it anew"
        raise OSError(message)
    try:
        _load(image, side)
    except OSError:
        if form != "JPEG":
            raise
        image = _open(_ended(data), form)
        _load(image, side)
    return image, _orientation(image, form)


def _load(image: Image.Image, side: int) -> None:
    """Decode the pixels, those of a JPEG at 1/2, 1/4 or 1/8 of its size, which saves most of the work."""
    factor = _factor(image.size, side)
    image.draft(image.mode, (image.width // factor, image.height // factor))
    image.load()


def _ended(data: bytes) -> bytes:
    """Return a JPEG with the end marker that it lacks. Raises OSError where it lacks pixels, too.

    These would depend on what follows, so that different paddings give different pictures.
    """
    ended = [data.removesuffix(_END_OF_JPEG[:1]) + padding + _END_OF_JPEG for padding in _PADDINGS]
    found = set()
    for one in ended:
        image = _open(one, "JPEG")
        _load(image, max(image.size) // 2 + 1)
        found.add(crc32(image.tobytes()))
    if len(found) > 1 or image.info.get("progressive"):
        message = "it is cut off"
        raise OSError(message)
    return ended[0]


def _orientation(image: Image.Image, form: str) -> int:
    # Looking takes longer than to decode a tiny picture. Pillow turns TIFF itself, and libheif HEIC.
    if form in {"TIFF", "HEIC"} or _TELLING.isdisjoint(image.info):
        return 1
    if any(len(image.info.get(kind, b"")) > _MOST_EXIF for kind in ("exif", "Raw profile type exif")):
        return 1
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGE:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _upright(pixels: ByteArray, orientation: int) -> ByteArray:
    """Turn a picture as it was seen, by its EXIF orientation."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels


def _pixels(image: Image.Image, side: int) -> ByteArray:
    """Return the pixels of a decoded picture, whatever its mode, reduced by a whole factor."""
    factor = _factor(image.size, side)
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow reduces no 16-bit integers.
        wide = image.convert("I") if image.mode.startswith("I;") else image
        return grayscale.from_wide_range(np.asarray(wide.reduce(factor) if factor > 1 else wide))
    if image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        image = image.convert("RGB")  # A picture that nobody could see: the channel is a byte left over.
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        # Before colours are averaged, since what is transparent has none.
        return grayscale.reduced(grayscale.flatten_alpha(_array(image, "RGBA")), side)
    mode = "L" if image.mode in {"1", "L"} else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    return _array(image.reduce(factor) if factor > 1 else image, mode)


def _array(image: Image.Image, mode: str) -> ByteArray:
    """Return an image as an array, converted to a mode of 8 bits a channel."""
    image = image if image.mode == mode else image.convert(mode)
    shape = (image.height, image.width) if mode == "L" else (image.height, image.width, len(mode))
    return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)
