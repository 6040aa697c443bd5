"""Decoding of untrusted picture files.

Enters: the bytes of a file. Leaves: a Picture: its pixels are upright, without alpha, of 8 bits a channel, and
downsampled to a working size. Format, size, damage, orientation and decompression bombs are handled here. `heif` reads
the boxes of HEIC and AVIF, `grayscale` does the arithmetic on pixels. Out of scope: what is ink and what is paper
(`background`).
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
from PIL import AvifImagePlugin, ExifTags, Image
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from service.errors import EmptyPicture, PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.images import grayscale, heif
from service.types import FORMATS, ByteArray

try:
    import pi_heif
except ImportError:  # pragma: no cover - pi_heif has no wheels for Python 3.15; pillow_heif is the same with encoders
    import pillow_heif as pi_heif

# Formats by the names that users write, and their magic numbers. APNG counts as PNG, and MPO, a JPEG with further
# pictures as phones write it, as JPEG. WebP, HEIC and AVIF have their magic number at byte 8.
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
# The most pixels on the longer side after decoding. It is enough for a digit of a seventh of the frame with the stroke
# of a ballpoint, and it bounds the cost of all further steps.
WORKING_SIDE = 288

# HEIC and AVIF cannot be decoded at a reduced size, and take up to 50 ms a megapixel. So they have their own limit.
HEIF_MAX_PIXELS = 16_000_000
# The cost of decoding one of their pixels, as a multiple of that of a JPEG's pixel.
_DECODING_COST: Mapping[str, int] = MappingProxyType({"HEIC": 8, "AVIF": 8})
# A HEIC or AVIF file may have three pictures of full size: colours, alpha channel and gain map.
_LAYERS = 3

# The most reads from a file. Pillow reads the parts of a file one by one in Python, and 20 MiB may contain millions of
# them. A PNG of that size in chunks of 2 KiB needs less than half as many reads.
_MAX_READS = 100_000
# The most scans of a JPEG. Decoding a scan goes over all pixels, and a scan may have only a few bytes. A progressive
# JPEG has ten, an MPO those of each picture.
_MAX_SCANS = 40
_SCAN, _END_OF_JPEG = b"\xff\xda", b"\xff\xd9"
# Bytes to complete a JPEG without end marker. They have no effect behind the last pixel, and give missing pixels
# different values: they decode differently in the usual Huffman codes, and are longer than a block of pixels.
_PADDINGS = (64 * b"\x00", 64 * b"\x55", 64 * b"\xd4")
# The most bytes of EXIF that are parsed. The standard allows 64 KiB.
_MAX_EXIF_BYTES = 1024 * 1024
# Pictures of at most this many pixels are decoded without reserving any of the budget.
_SMALL_PIXELS = 1_000_000

_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# The header bytes behind width and height of a PNG with 8 bits of grey, RGB or RGBA, not interlaced.
_PLAIN_MODES: Mapping[bytes, str] = MappingProxyType(
    {b"\x08\0\0\0\0": "L", b"\x08\2\0\0\0": "RGB", b"\x08\6\0\0\0": "RGBA"}
)
# Chunks that change no pixel. A PNG with no others has neither a transparent colour nor an orientation.
_PLAIN_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME"})
# The most pixels and bytes of a canvas drawing on a web page, metadata included.
_CANVAS_PIXELS = 300 * 300
_CANVAS_BYTES = 32 * 1024
# Compressed chunks of a PNG, which may decompress to a MiB each.
_COMPRESSED_CHUNKS = (b"zTXt", b"iTXt", b"iCCP")

# Keys under which Pillow stores metadata with an orientation: EXIF and XMP.
_ORIENTATION_KEYS = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
_EXIF_ORIENTATION = ExifTags.Base.Orientation.value

# The exceptions of Pillow's decoders for damaged files of any format.
_DECODER_ERRORS = (
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

# Threads within a decoder would compete with other requests for the processors. Further pictures of a HEIC are unused.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
pi_heif.options.DECODE_THREADS = 1
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, the format of its file, and the width and height in its header.

    `pixels` are uint8, C-contiguous, grey (height, width) or RGB (height, width, 3), 0 = black to 255 = white. They are
    downsampled, so that they may be fewer than in the header.
    """

    pixels: ByteArray
    format: str
    width: int
    height: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """The (height, width) in the header, swapped where the EXIF orientation turned the picture on its side.

        They are not swapped where they differ by so little that downsampling made the picture square.
        """
        size = self.height, self.width
        rows, columns = self.pixels.shape[:2]
        return size if rows == columns or (rows > columns) == (self.height > self.width) else size[::-1]


class PixelBudget:
    """An in-flight pixel budget: a weighted semaphore that bounds the pixels which all threads decode at once."""

    def __init__(self, pixels: int) -> None:
        self._capacity = self._available = pixels
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, pixels: int) -> Iterator[None]:
        """Reserve pixels within a context, at most the whole capacity. Blocks until they are available."""
        pixels = min(pixels, self._capacity)
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._available)
            self._available -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._available += pixels
                self._changed.notify_all()


def format_names(formats: Collection[str] = FORMATS) -> str:
    """Return the names of formats as text, as in "PNG, JPEG or TIFF"."""
    *most, last = formats
    return f"{', '.join(most)} or {last}" if most else last


def is_small_png(data: bytes) -> bool:
    """Return whether a file is a PNG that takes less time to decode than a hop to a thread, by its length and header.

    The file may be damaged.
    """
    return (
        len(data) <= _CANVAS_BYTES
        and data.startswith(_PNG_START)
        # A second header might have another size.
        and data.rfind(b"IHDR") == 12
        and not any(kind in data for kind in _COMPRESSED_CHUNKS)
        and int.from_bytes(data[16:20]) * int.from_bytes(data[20:24]) <= _CANVAS_PIXELS
    )


def decode(
    data: bytes,
    max_pixels: int,
    budget: PixelBudget | None = None,
    *,
    side: int = WORKING_SIDE,
    formats: Collection[str] = FORMATS,
) -> Picture:
    """Decode a file, and downsample the picture by a whole factor until its longer side has at most `side` pixels.

    Pixels of large pictures are reserved in `budget`, which may block. Raises EmptyPicture for a file of no bytes,
    UnsupportedFormat for a file in none of `formats`, PictureTooLarge for more than max_pixels pixels, by the header
    alone, and UnreadablePicture for a damaged file.
    """
    if not data:
        message = "no file was chosen: the picture has 0 bytes"
        raise EmptyPicture(message)
    form = format_of(data)
    if form is None or form not in formats:
        what = f"{form} pictures are not accepted here" if form else "this is not a picture in an accepted format"
        message = f"{what}: send {format_names(formats)}"
        raise UnsupportedFormat(message)
    try:
        mode = _PLAIN_MODES.get(data[24:29]) if data.startswith(_PNG_START) else None
        size = struct.unpack(">II", data[16:24]) if mode else (0, 0)
        if mode and all(size):
            _check_size(size, math.prod(size), max_pixels, side)
            packed = _plain_idat(data)
            if packed is not None:
                # Opening a tiny PNG by Pillow's plugin takes longer than decoding it.
                with _reserve(budget, math.prod(size)):
                    return Picture(_to_array(Image.frombytes(mode, size, packed, "zip", mode), side), form, *size)
        _silence_pillow()
        return _decode_with_pillow(data, form, max_pixels, budget, side)
    except Image.DecompressionBombError as error:
        message = "the picture has more pixels than any that is accepted: send a smaller one"
        raise PictureTooLarge(message) from error
    except _DECODER_ERRORS as error:
        message = f"the picture is truncated or corrupt: {error}".split("\n", 1)[0]
        raise UnreadablePicture(message) from error


def format_of(data: bytes) -> str | None:
    """Return the format of a file by its magic number, None for any other. The file may be damaged."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return heif.format_of(data)
    return next((name for name, starts in _SIGNATURES.items() if data.startswith(starts)), None)


def _check_size(size: tuple[int, int], n_pixels: int, max_pixels: int, side: int) -> None:
    """Raise PictureTooLarge for too many pixels to decode, and where downsampling would leave less than one across."""
    width, height = size
    if n_pixels > max_pixels:
        message = (
            f"the picture has {width} x {height} pixels, {n_pixels / 1e6:.1f} megapixels to decode, "
            f"more than the {max_pixels / 1e6:g} that are allowed: send a smaller one"
        )
        raise PictureTooLarge(message)
    if min(size) < grayscale.downsampling_factor(size, side):
        message = (
            f"the picture has {width} x {height} pixels, too long and thin for a digit to be seen: "
            "send the part with the digit"
        )
        raise PictureTooLarge(message)


def _reserve(budget: PixelBudget | None, n_pixels: int) -> AbstractContextManager[None]:
    return budget.reserve(n_pixels) if budget and n_pixels > _SMALL_PIXELS else nullcontext()


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and content of each chunk of a PNG, up to IEND.

    Raises OSError for a wrong checksum, a truncated chunk, and too many chunks.
    """
    view, at = memoryview(data), 8
    for _ in range(_MAX_READS):
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


def _plain_idat(data: bytes) -> bytearray | None:
    """Return the compressed pixels of a PNG, None where another chunk may change their meaning."""
    packed = bytearray()
    for kind, content in png_chunks(data):
        if kind not in _PLAIN_CHUNKS:
            return None
        if kind == b"IDAT":
            packed += content
    return packed


def _decode_with_pillow(data: bytes, form: str, max_pixels: int, budget: PixelBudget | None, side: int) -> Picture:
    """Decode with Pillow, or with libheif by Pillow's interface."""
    if form in _DECODING_COST:
        data = heif.without_metadata(data, form)
    image = _open(data, form)
    width, height = image.size
    thumbnail = heif.with_thumbnail_as_primary(data, side) if form == "HEIC" else None
    if thumbnail:
        _check_size(image.size, width * height, max_pixels, side)
        image = _open(thumbnail, form)
    n_pixels = _n_decoded_pixels(image, thumbnail or data)
    _check_size(image.size, n_pixels, min(max_pixels, HEIF_MAX_PIXELS) if form in _DECODING_COST else max_pixels, side)
    with _reserve(budget, n_pixels * _DECODING_COST.get(form, 1)):
        image, orientation = _load(image, data, form, side)
        pixels = _apply_orientation(_to_array(image, max(image.size) if thumbnail else side), orientation)
        if thumbnail:
            # By a fractional factor, since a thumbnail has hardly more pixels than are needed.
            pixels = grayscale.downsample(pixels, side)
        return Picture(np.ascontiguousarray(pixels), form, width, height)


class ReadLimitedBytesIO(io.BytesIO):
    """A file in memory that raises OSError after too many reads, before a decoder has read millions of parts."""

    _n_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        self._n_reads += 1
        if self._n_reads > _MAX_READS:
            message = "it has too many parts"
            raise OSError(message)
        return super().read(size)


def _silence_pillow() -> None:
    """Filter out Pillow's warnings about files. The file can be read all the same, or an error is raised.

    The filter stays for good, because `warnings.catch_warnings` is not thread-safe. It is set only where it is not in
    force, because setting a filter resets the registry of warnings that were shown once.
    """
    if not warnings.filters or warnings.filters[0][2] is not Image.DecompressionBombWarning:
        for category in (UserWarning, Image.DecompressionBombWarning):
            warnings.filterwarnings("ignore", category=category, module=r"PIL\.")


def _open(data: bytes, form: str) -> Image.Image:
    """Read the header."""
    try:
        if form == "HEIC":
            return pi_heif.HeifImageFile(io.BytesIO(data))
        # Counting reads takes time, and a file of fewer bytes cannot exceed the limit.
        return Image.open(ReadLimitedBytesIO(data) if len(data) > _MAX_READS else io.BytesIO(data), formats=[form])
    except _DECODER_ERRORS as error:
        message = "its header cannot be read"
        raise OSError(message) from error


def _n_decoded_pixels(image: Image.Image, data: bytes) -> int:
    """Return how many pixels the decoder keeps at once: those of the picture, or of its tiles or frames if more."""
    n_pixels = image.width * image.height
    if isinstance(image, TiffImageFile):
        tile = (image.tag_v2.get(TILEWIDTH), image.tag_v2.get(TILELENGTH))
        width, height = (
            max(side, limit) if isinstance(limit, int) else side for side, limit in zip(image.size, tile, strict=True)
        )
        return width * height
    if image.format == "AVIF":
        frames = heif.frame_pixels(data)
        return max(n_pixels, sum(frames) // _LAYERS, *frames)
    if image.format == "HEIF":
        return max(n_pixels, heif.tile_pixels(data) // _LAYERS)
    return n_pixels


def _load(image: Image.Image, data: bytes, form: str, side: int) -> tuple[Image.Image, int]:
    """Decode the pixels of an opened picture. Returns it with its EXIF orientation, 1 where there is none."""
    if form == "PNG":
        # Pillow decodes some PNGs with flipped bits without an error. Its own verify() needs another copy of the image.
        for _ in png_chunks(data):
            pass
    if form == "JPEG" and data.count(_SCAN) > _MAX_SCANS:
        message = f"it has more than {_MAX_SCANS} scans: save it anew"
        raise OSError(message)
    try:
        _load_draft(image, side)
    except OSError:
        if form != "JPEG":
            raise
        image = _open(_with_end_marker(data), form)
        _load_draft(image, side)
    return image, _orientation(image, form)


def _load_draft(image: Image.Image, side: int) -> None:
    """Decode the pixels, those of a JPEG at 1/2, 1/4 or 1/8 of its size, which saves most of the work."""
    factor = grayscale.downsampling_factor(image.size, side)
    image.draft(image.mode, (image.width // factor, image.height // factor))
    image.load()


def _with_end_marker(data: bytes) -> bytes:
    """Return a JPEG with the end marker that it lacks. Raises OSError where it also lacks pixels.

    Missing pixels are decoded from the padding, so that different paddings give different pictures.
    """
    completed = [data.removesuffix(_END_OF_JPEG[:1]) + padding + _END_OF_JPEG for padding in _PADDINGS]
    checksums = set()
    for one in completed:
        image = _open(one, "JPEG")
        _load_draft(image, max(image.size) // 2 + 1)
        checksums.add(crc32(image.tobytes()))
    if len(checksums) > 1 or image.info.get("progressive"):
        message = "it is cut off"
        raise OSError(message)
    return completed[0]


def _orientation(image: Image.Image, form: str) -> int:
    # Parsing EXIF takes longer than decoding a tiny picture. Pillow rotates TIFF itself, and libheif HEIC.
    if form in {"TIFF", "HEIC"} or _ORIENTATION_KEYS.isdisjoint(image.info):
        return 1
    if any(len(image.info.get(kind, b"")) > _MAX_EXIF_BYTES for kind in ("exif", "Raw profile type exif")):
        return 1
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _apply_orientation(pixels: ByteArray, orientation: int) -> ByteArray:
    """Rotate and mirror a picture by its EXIF orientation, so that it is upright."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels


def _to_array(image: Image.Image, side: int) -> ByteArray:
    """Return the pixels of a decoded picture of any mode, without alpha, downsampled by a whole factor."""
    factor = grayscale.downsampling_factor(image.size, side)
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow's reduce() does not support 16-bit integers.
        wide = image.convert("I") if image.mode.startswith("I;") else image
        return grayscale.to_uint8(np.asarray(wide.reduce(factor) if factor > 1 else wide))
    if image.format == "BMP" and image.mode == "RGBA" and not image.getchannel("A").getbbox():
        # The fourth byte is padding. As alpha it would make the whole picture transparent.
        image = image.convert("RGB")
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        # Alpha is flattened first: averages would include the hidden colours of transparent pixels.
        return grayscale.average_blocks(grayscale.flatten_alpha(_array(image, "RGBA")), side)
    mode = "L" if image.mode in {"1", "L"} else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    return _array(image.reduce(factor) if factor > 1 else image, mode)


def _array(image: Image.Image, mode: str) -> ByteArray:
    """Return an image as an array, converted to a mode of 8 bits a channel."""
    image = image if image.mode == mode else image.convert(mode)
    shape = (image.height, image.width) if mode == "L" else (image.height, image.width, len(mode))
    return np.frombuffer(image.tobytes(), np.uint8).reshape(shape)
