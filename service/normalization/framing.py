"""Last step: the digit into MNIST's frame.

Enters: a Digit at working size. Leaves: float32 (28, 28), 0 = background to 1 = full ink, made as MNIST was (LeCun et
al. 1998): the box fitted into 20x20 with its aspect ratio kept, anti-aliased, and the centre of mass at the centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from service.network import IMAGE_SIDE, FloatArray
from service.normalization.marks import bounding_box
from service.normalization.stroke import DIGIT_SIDE, Digit

# Where MNIST puts the centre of mass, in pixels from the first; the mean over its 60,000 training digits is 14.00.
CENTRE = 14.0


@dataclass(frozen=True)
class Frame:
    """How the digit was placed: a point p of the picture, from its top left corner, lies at scale * p + shift.

    `scale` is in pixels of MNIST's frame for one of the picture's, `shift` (rows, columns) in pixels of the frame.
    """

    scale: float
    shift: tuple[float, float]


UNCHANGED = Frame(scale=1.0, shift=(0.0, 0.0))


def frame(digit: Digit) -> tuple[FloatArray, Frame]:
    """Return the digit in MNIST's frame, and how it got there from the picture."""
    box = bounding_box(digit.ink > 0.5)
    scale = DIGIT_SIDE / max(box.height, box.width)
    # Resampling reads a square, given by its edges, onto the 28x28 pixels.
    side = IMAGE_SIDE / scale
    top, left = (mass + 0.5 - (CENTRE + 0.5) / scale for mass in centre_of_mass(digit.ink))
    # It may reach beyond the digit's picture, which resampling does not allow.
    height, width = digit.ink.shape
    before = (max(0, int(np.ceil(-top))), max(0, int(np.ceil(-left))))
    after = (max(0, int(np.ceil(top + side - height))), max(0, int(np.ceil(left + side - width))))
    padded = np.pad(digit.ink, tuple(zip(before, after, strict=True)))
    square = (left + before[1], top + before[0], left + before[1] + side, top + before[0] + side)
    image = Image.fromarray(padded).resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.BOX, square)
    framed = np.clip(np.asarray(image, np.float32), 0, 1)
    shift = (scale * (digit.shift[0] - top), scale * (digit.shift[1] - left))
    return framed, Frame(scale * digit.scale, shift)


def centre_of_mass(ink: FloatArray) -> tuple[float, float]:
    """Return the centre of mass (row, column) of ink that is not all 0, in pixels from the first."""
    by_row, by_column = ink.sum(axis=1), ink.sum(axis=0)
    total = float(by_row.sum())
    return (
        float(by_row @ np.arange(len(by_row), dtype=np.float32)) / total,
        float(by_column @ np.arange(len(by_column), dtype=np.float32)) / total,
    )


def has_mnist_form(grey: FloatArray) -> bool:
    """Tell whether a picture is already as MNIST's are: 28x28, light on black, within 20x20, mass at the centre."""
    if grey.shape != (IMAGE_SIDE, IMAGE_SIDE) or grey[0, 0] > 0 or grey.max() < 0.5:
        return False
    box = bounding_box(grey > 0)
    if max(box.height, box.width) > DIGIT_SIDE:
        return False
    row, column = centre_of_mass(grey)
    return abs(row - CENTRE) <= 1 and abs(column - CENTRE) <= 1
