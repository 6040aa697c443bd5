"""The pictures that benchmarks send: the digit of the model's known answer, as a tiny PNG, a drawing, a large photo."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from service import artifact
from service.network import IMAGE_SIDE
from service.settings import bundled_model


def digit() -> npt.NDArray[np.uint8]:
    """Return the digit in MNIST form, uint8 (28, 28), 0 = background to 255 = ink."""
    known = artifact.load(bundled_model()).metadata.known_answer
    return np.array(known.pixels, np.uint8).reshape(IMAGE_SIDE, IMAGE_SIDE)


def tiny() -> bytes:
    """Return the digit as a PNG of 28x28 pixels."""
    return _encoded(Image.fromarray(digit()), "PNG")


def drawing() -> bytes:
    """Return the digit as a canvas that nobody filled gives it: a PNG of 280x280 pixels, black ink on nothing."""
    image = Image.new("RGBA", (280, 280))
    smooth = Image.fromarray(digit()).resize(image.size, Image.Resampling.BICUBIC)
    # The edge of a drawn stroke is a pixel or two wide, that of one pixel of 28 is ten.
    image.putalpha(smooth.point(lambda coverage: min(max(5 * coverage - 510, 0), 255)))
    return _encoded(image, "PNG")


def photo(width: int = 4000, height: int = 3000) -> bytes:
    """Return the digit as a JPEG, of 12 megapixels if not told otherwise, dark on warm paper with grain."""
    side = 2 * min(width, height) // 3
    top, left = (height - side) // 2, (width - side) // 2
    ink = np.asarray(Image.fromarray(digit()).resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    grey = np.full((height, width), 210, np.float32)
    grey[top : top + side, left : left + side] -= 160 * ink
    grey += np.random.default_rng(0).normal(0, 3, grey.shape).astype(np.float32)
    warm = grey[:, :, None] * np.array([1, 0.95, 0.85], np.float32)
    return _encoded(Image.fromarray(np.clip(warm, 0, 255).astype(np.uint8)), "JPEG", quality=90)


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
