"""Pictures that benchmarks send: the digit of the model's known answer, in the forms in which people send digits.

Each function returns the bytes of a file, which are reproducible with the same libraries. `SAMPLES` has them by name.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from service.model import artifact
from service.settings import bundled_model
from service.types import IMAGE_SIDE, ByteArray, FloatArray
from training.synthetic_digits import synthesize

# 1.1 megapixels: a phone's photo that a messenger or browser has downscaled.
_PHOTO = (1080, 1112)
# 12 megapixels: the original photo of a phone.
_LARGE = (4000, 3000)
_JPEG_QUALITY = 88
# About 2 MB, as a phone's. The other presets of the encoder take up to half a minute.
_HEIC_QUALITY, _HEIC_PRESET = 60, "ultrafast"
_TILE, _THUMBNAIL = 512, 320
_INK, _PAPER, _TABLE = 45.0, 215.0, 55.0
# Rotation of the sheet in the picture, in degrees.
_ROTATION = 7
# Standard deviation of the camera's noise, in grey levels.
_NOISE = 3
# RGB factors of the light of a lamp.
_WARM = np.array([1, 0.95, 0.85], np.float32)


@dataclass(frozen=True)
class Sample:
    """A picture: its title in tables, its media type, and the function that creates it."""

    title: str
    media_type: str
    make: Callable[[], bytes]


def digit() -> ByteArray:
    """Return the digit in MNIST form, uint8 (28, 28), 0 = background to 255 = ink."""
    known = artifact.load(bundled_model()).metadata.known_answer
    return np.array(known.pixels, np.uint8).reshape(IMAGE_SIDE, IMAGE_SIDE)


def tiny() -> bytes:
    """Return the digit as a PNG of 28x28 pixels in MNIST form, light on black."""
    return _encoded(Image.fromarray(digit()), "PNG")


def inverted() -> bytes:
    """Return the digit as a PNG of 28x28 pixels, dark on white."""
    return _encoded(Image.fromarray(255 - digit()), "PNG")


def scan() -> bytes:
    """Return the digit as cropped from a scanned form: a grey PNG of 32x32 pixels, dark on light, with noise."""
    ink = np.asarray(Image.fromarray(digit()).resize((32, 32), Image.Resampling.BICUBIC), np.float32) / np.float32(255)
    return _encoded(Image.fromarray(_eight_bits(_noisy(_PAPER + (_INK - _PAPER) * ink))), "PNG")


def drawing() -> bytes:
    """Return the digit as a canvas exports it: a PNG of 280x280 pixels, black ink on a transparent background."""
    image = Image.new("RGBA", (280, 280))
    image.putalpha(_coverage(image.width, digit()))
    return _encoded(image, "PNG")


def photo(width: int = _PHOTO[0], height: int = _PHOTO[1]) -> bytes:
    """Return the digit as a JPEG, by default of 1.1 megapixels: on paper, in uneven light, with noise."""
    return _encoded(_photographed(_written(width, height)), "JPEG", quality=_JPEG_QUALITY)


def large_photo() -> bytes:
    """Return the digit as a JPEG of 12 megapixels."""
    return photo(*_LARGE)


def heic() -> bytes:
    """Return the digit as HEIC of 12 megapixels, with tiles and a thumbnail, as phones write it. Needs pillow_heif."""
    return _heic(tile_size=_TILE, thumbnails=[_THUMBNAIL])


def bare_heic() -> bytes:
    """Return the digit as HEIC of 12 megapixels without a thumbnail, as converters write it. Needs pillow_heif."""
    return _heic()


def sheet() -> bytes:
    """Return the digit on a rotated sheet on a dark table: a JPEG of 1.1 megapixels."""
    width, height = _PHOTO
    paper = Image.fromarray(_written(2 * width // 3, 2 * height // 3)).convert("LA")
    turned = paper.rotate(_ROTATION, Image.Resampling.BICUBIC, expand=True)
    table = Image.new("L", _PHOTO, round(_TABLE))
    table.paste(turned, ((width - turned.width) // 2, (height - turned.height) // 2), turned.getchannel("A"))
    return _encoded(_photographed(np.asarray(table, np.uint8)), "JPEG", quality=_JPEG_QUALITY)


def page(n_lines: int = 5, n_columns: int = 8) -> bytes:
    """Return lines of synthetic digits on paper, in uneven light: a JPEG of 1.1 megapixels."""
    width, height = _PHOTO
    images = iter(synthesize(n_lines * n_columns, np.random.default_rng(0)).images)
    size = width // n_columns, height // n_lines
    lines = [np.hstack([_written(*size, next(images)) for _ in range(n_columns)]) for _ in range(n_lines)]
    sheet = np.full((height, width), round(_PAPER), np.uint8)
    sheet[: n_lines * size[1], : n_columns * size[0]] = np.vstack(lines)
    return _encoded(_photographed(sheet), "JPEG", quality=_JPEG_QUALITY)


# In the order of tables: first what people send, then what only programs send.
SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "inverted": Sample("28x28 PNG, dark on white", "image/png", inverted),
        "drawing": Sample("280x280 PNG, canvas drawing", "image/png", drawing),
        "photo": Sample("1080x1112 JPEG, photo", "image/jpeg", photo),
        "scan": Sample("32x32 PNG, scan", "image/png", scan),
        "sheet": Sample("1080x1112 JPEG, sheet on a table", "image/jpeg", sheet),
        "large_photo": Sample("12-megapixel JPEG, photo", "image/jpeg", large_photo),
        "heic": Sample("12-megapixel HEIC, photo", "image/heic", heic),
        "bare_heic": Sample("12-megapixel HEIC, no thumbnail", "image/heic", bare_heic),
        "tiny": Sample("28x28 PNG in MNIST form", "image/png", tiny),
    }
)


def available() -> dict[str, Sample]:
    """Return the samples that can be created: HEIC only if pillow_heif is installed, since Pillow cannot write it."""
    has_heic = find_spec("pillow_heif") is not None
    return {name: sample for name, sample in SAMPLES.items() if has_heic or sample.media_type != "image/heic"}


def _coverage(side: int, image: ByteArray) -> Image.Image:
    """Return the ink coverage, 0..255, of a square with a digit in MNIST form, uint8 (28, 28), at this size."""
    smooth = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    # Steeper edges: a drawn stroke has an edge of one or two pixels, a magnified MNIST digit one of ten.
    return smooth.point(lambda coverage: min(max(5 * coverage - 510, 0), 255))


def _written(width: int, height: int, image: ByteArray | None = None) -> ByteArray:
    """Return a digit on paper, uint8 (height, width); its height is two thirds of the shorter side.

    `image` is the digit in MNIST form, by default that of the known answer.
    """
    side = 2 * min(width, height) // 3
    top, left = (height - side) // 2, (width - side) // 2
    grey = np.full((height, width), _PAPER, np.float32)
    grey[top : top + side, left : left + side] += (
        (_INK - _PAPER) / 255 * np.asarray(_coverage(side, digit() if image is None else image), np.float32)
    )
    return _eight_bits(grey)


def _photographed(grey: ByteArray) -> Image.Image:
    """Return a photo of grey (height, width): with warm light from one side, vignetting, and noise."""
    height, width = grey.shape
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    light = (0.85 + 0.15 * columns) * (1 - 0.1 * (rows**2 + columns**2))
    lit: FloatArray = (grey * light).astype(np.float32)
    return Image.fromarray(_eight_bits(_noisy(lit)[:, :, None] * _WARM))


def _noisy(grey: FloatArray) -> FloatArray:
    """Return greys with sensor noise."""
    return grey + np.random.default_rng(0).normal(0, _NOISE, grey.shape).astype(np.float32)


def _eight_bits(values: FloatArray) -> ByteArray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _heic(**options: Any) -> bytes:
    from pillow_heif import from_pillow  # noqa: PLC0415 - only a development dependency

    file = io.BytesIO()
    image = from_pillow(_photographed(_written(*_LARGE)))
    image.save(file, quality=_HEIC_QUALITY, enc_params={"preset": _HEIC_PRESET}, **options)
    return file.getvalue()


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
