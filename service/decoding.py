"""Bytes in, grey picture out: float32 (height, width), 0 = black to 1 = white, upright, at most a working size.

Everything a stranger's file can do is met here: format, size, damage, alpha, colour, bit depth, orientation. Out of
scope: what is ink and what is paper (`normalization`).
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from service import png
from service.errors import PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.network import FloatArray

if TYPE_CHECKING:
    from collections.abc import Iterator

# For Pillow, APNG is under PNG, and MPO, what phones write for JPEG with a second picture inside, under JPEG.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
ACCEPTED = "PNG, JPEG, WebP, GIF, BMP and TIFF"

# What each accepted format starts with: such a file is a damaged picture, any other is none at all.
_SIGNATURES = (png.SIGNATURE[:4], b"\xff\xd8", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# ISO media brands at byte 8, after `ftyp`.
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")

# Larger pictures are reduced to between half this and this many pixels on their longer side: enough for a digit that
# fills a seventh of the frame with a ballpoint's stroke, and what bounds the cost of normalising.
WORKING_SIDE = 288

# Pillow goes through the parts of a file one by one in Python, and 20 MiB hold millions of the smallest. A PNG as large
# in chunks of 2 KiB is read in less than half as many steps.
_MOST_READS = 100_000
# Each goes over all pixels, and may be a few bytes. A progressive JPEG has ten, an MPO those of each of its pictures.
_MOST_SCANS = 40
_SCAN = b"\xff\xda"
# EXIF itself has 64 KiB at most.
_MOST_EXIF = 1024 * 1024

# How much of a picture is numbers at a time, where these take more than its pixels.
_BAND_PIXELS = 1_000_000

# Smaller pictures take no memory worth counting.
_LARGE_PIXELS = 1_000_000

# Where Pillow keeps what tells the orientation: EXIF, or XMP.
_TELLING = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
_EXIF_ORIENTATION = ExifTags.Base.Orientation.value
# EXIF orientation -> the picture as it was seen, as views of an array.
_UPRIGHT: Mapping[int, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.T,
        6: lambda a: a.T[:, ::-1],
        7: lambda a: a[::-1, ::-1].T,
        8: lambda a: a.T[::-1],
    }
)

# What Pillow raises on damaged files besides OSError, format by format.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ArithmeticError,
    AttributeError,
    struct.error,
)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: grey float32 (height, width), 0..1, and what the file was."""

    grey: FloatArray
    format: str
    width: int
    height: int


class Budget:
    """Pixels that all threads together may be decoding; whoever needs more than are left waits."""

    def __init__(self, pixels: int) -> None:
        self._left = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taking(self, pixels: int) -> Iterator[None]:
        """Take so many, of no more than there are in all, for the time of a context."""
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._left)
            self._left -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._left += pixels
                self._changed.notify_all()


def decode(data: bytes, max_pixels: int, budget: Budget | None = None) -> Picture:
    """Decode a picture of at most max_pixels pixels, which are taken from a budget of no fewer while it is large.

    Raises UnsupportedFormat for what is no accepted picture, PictureTooLarge from the header alone, and
    UnreadablePicture for a damaged file.
    """
    tiny = png.read_tiny(data)
    if tiny is not None and tiny.width * tiny.height <= max_pixels:
        _refuse_thin(tiny)
        return Picture(_grey(tiny), "PNG", tiny.width, tiny.height)
    _silence_pillow()
    try:
        with _open(data) as image:
            width, height = _extent(image)
            if width * height > max_pixels:
                message = (
                    f"the picture has {width} x {height} = {width * height / 1e6:.1f} megapixels, "
                    f"more than the {max_pixels / 1e6:g} that are allowed: send a smaller one"
                )
                raise PictureTooLarge(message)
            _refuse_thin(image)
            is_large = width * height > _LARGE_PIXELS
            with budget.taking(width * height) if budget and is_large else nullcontext():
                return _read(image, data)
    except Image.DecompressionBombError as error:
        message = "the picture has more pixels than any that is accepted: send a smaller one"
        raise PictureTooLarge(message) from error
    except _DAMAGE as error:
        message = f"the picture is truncated or corrupt: {error}"
        raise UnreadablePicture(message) from error


def _read(image: Image.Image, data: bytes) -> Picture:
    if image.format == "PNG":
        # Pillow makes some picture of flipped bits. It could look itself, but only in a copy that it uses up.
        for _ in png.chunks(data, _MOST_READS):
            pass
    if image.format in {"JPEG", "MPO"} and data.count(_SCAN) > _MOST_SCANS:
        message = f"the picture has more than {_MOST_SCANS} scans: save it anew"
        raise UnreadablePicture(message)
    width, height = image.size
    orientation = _orientation(image)
    # Lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, which saves most of the work.
    image.draft(image.mode, (WORKING_SIDE, WORKING_SIDE))
    grey = _grey(image)
    upright = _UPRIGHT.get(orientation)
    if upright is not None:
        grey = upright(grey)
    return Picture(np.ascontiguousarray(grey), image.format or "", width, height)


class _Rationed(io.BytesIO):
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


def _open(data: bytes) -> Image.Image:
    try:
        # Of a small file there are not as many pieces, and counting them takes time.
        return Image.open(_Rationed(data) if len(data) > _MOST_READS else io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, *_DAMAGE) as error:
        if data.startswith(_SIGNATURES) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
            message = "the picture is truncated or corrupt: its header cannot be read"
            raise UnreadablePicture(message) from error
        if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
            message = f"HEIC and AVIF pictures are not accepted: send {ACCEPTED}, a phone can export JPEG"
        else:
            message = f"this is not a picture in an accepted format: send {ACCEPTED}"
        raise UnsupportedFormat(message) from error


def _extent(image: Image.Image) -> tuple[int, int]:
    """Return the width and height to be decoded: the picture's, or those of a TIFF's tiles where they are larger."""
    width, height = image.size
    if isinstance(image, TiffImageFile):
        tile = (image.tag_v2.get(TILEWIDTH), image.tag_v2.get(TILELENGTH))
        width, height = (
            max(side, limit) if isinstance(limit, int) else side for side, limit in zip(image.size, tile, strict=True)
        )
    return width, height


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or the tag is damaged."""
    if image.format == "PNG":
        image.load()  # It may tell behind its pixels.
    # Looking takes longer than to decode a tiny picture. And Pillow turns TIFF itself, on load.
    if image.format == "TIFF" or _TELLING.isdisjoint(image.info):
        return 1
    if any(len(image.info.get(kind, b"")) > _MOST_EXIF for kind in ("exif", "Raw profile type exif")):
        return 1
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGE:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _grey(image: Image.Image) -> FloatArray:
    """Return the picture's brightness, whatever its mode."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = _wide_range(image)
    elif image.mode.endswith(("A", "a")) or "transparency" in image.info:
        grey = _without_alpha(_planes(_reduced(image, "RGBA")))
    elif image.mode in {"1", "L"}:
        only: FloatArray = _planes(_reduced(image, "L"))[0]
        return only
    else:
        grey = _brightness(_planes(_reduced(image, "RGB")))
    return np.clip(grey, 0, 1)  # Rounding leads a little beyond.


def _refuse_thin(image: Image.Image) -> None:
    """Raise PictureTooLarge where a picture would be reduced to less than a pixel across."""
    if min(image.size) < _factor(*image.size):
        message = (
            f"the picture has {image.width} x {image.height} pixels, too long and thin for a digit to be seen: "
            "send the part with the digit"
        )
        raise PictureTooLarge(message)


def _factor(width: int, height: int) -> int:
    return max(1, -(-max(width, height) // WORKING_SIDE))


def _reduced(image: Image.Image, mode: str) -> Image.Image:
    """Return an image in a mode of 8 bits, blocks of its pixels averaged so that the working size is not exceeded."""
    factor = _factor(*image.size)
    if image.mode != mode:
        image = image.convert(mode)  # It would copy it where there is nothing to be done.
    return image if factor == 1 else image.reduce(factor)


def _planes(image: Image.Image) -> FloatArray:
    """Return the channels of an image with 8 bits each, 0 to 1, one after the other: (channels, height, width)."""
    values = np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, -1)
    # In this order numpy takes a fraction of the time for what is done to a channel.
    planes: FloatArray = values.transpose(2, 0, 1).astype(np.float32, order="C")
    planes *= np.float32(1 / 255)
    return planes


def _wide_range(image: Image.Image) -> FloatArray:
    """Scale 16-bit, 32-bit and float greys to 0..1, reduced to working size; `convert("L")` would clip them to white.

    In bands, since all pixels as numbers at once would be several times the picture.
    """
    factor = _factor(*image.size)
    n_rows = factor * max(1, _BAND_PIXELS // (factor * image.width))
    lowest, highest, bands = 0.0, -np.inf, []
    for top in range(0, image.height, n_rows):
        band = image.crop((0, top, image.width, min(top + n_rows, image.height)))
        values = np.nan_to_num(np.asarray(band).astype(np.float32), posinf=0, neginf=0)
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        bands.append(values if factor == 1 else np.asarray(Image.fromarray(values).reduce(factor)))
    reduced: FloatArray = np.concatenate(bands)
    # PNG with 16 bits may arrive as 32-bit integers; any other range is known only from its extremes.
    if image.mode.startswith("I;16") or (image.mode == "I" and lowest >= 0 and highest <= 65535):
        return reduced / np.float32(65535)
    # Halves, since the extremes may lie further apart than float32 reaches.
    spread = max(highest / 2 - lowest / 2, 1e-6)
    scaled: FloatArray = (reduced / np.float32(2) - np.float32(lowest / 2)) / np.float32(spread)
    return scaled


def _brightness(rgb: FloatArray) -> FloatArray:
    """Return colours (3, height, width) as brightness along the axis on which this picture's colours differ most.

    Black on white gives the usual grey; yellow on white or red on green of the same luminance keep their contrast.
    """
    colours = rgb.reshape(3, -1)
    red, green, blue = colours
    if (red == green).all() and (red == blue).all():
        return red.reshape(rgb.shape[1:])
    centred = colours - colours.mean(axis=1, keepdims=True)
    # One by one, since BLAS is slow on three rows as long as these.
    scatter = [[one.dot(other) for other in centred] for one in centred]
    axis: FloatArray = np.linalg.eigh(scatter)[1][:, -1].astype(np.float32)
    if axis.sum() < 0:
        axis = -axis
    # Colours lie in the unit cube, whose diagonal is sqrt(3): black and white stay 0 and 1.
    darkest = np.minimum(axis, 0).sum()
    grey: FloatArray = (axis @ colours - darkest) / np.float32(3**0.5)
    return grey.reshape(rgb.shape[1:])


def _without_alpha(rgba: FloatArray) -> FloatArray:
    """Return brightness (height, width) of a picture with transparency, laid on a ground that shows its ink."""
    colours: FloatArray = rgba[:3]
    alpha: FloatArray = rgba[3]
    if alpha.min() >= 1:
        return _brightness(colours)
    seen = alpha > 0.5
    if not seen.any():
        return 1 - alpha  # Nothing, or a breath of ink, whatever its colour.
    visible = np.array([colour[seen] for colour in colours])  # colours[:, seen] takes up to four times as long.
    if np.ptp(visible, axis=1).max() < 0.25:
        return 1 - alpha  # One colour: the drawing is in the alpha channel alone.
    middle = np.median(visible, axis=1)
    if seen.mean() > 0.5:
        ground: Any = middle[:, None, None]  # A cut-out: go on with its own paper.
    else:
        ground = np.float32(1 if middle.mean() < 0.5 else 0)
    return _brightness(colours * alpha + ground * (1 - alpha))
