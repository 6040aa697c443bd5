"""MNIST framing: the digit is fitted into 20x20 pixels, with its centre of mass at the centre of 28x28.

Enters: a Digit. Leaves: float32 (28, 28), 0 = background to 1 = full ink, made as MNIST was (LeCun et al. 1998,
"Gradient-based learning applied to document recognition"): the bounding box is scaled into 20x20 with its aspect ratio
kept and anti-aliased. `mnist_form_box` recognises pictures that have this form already. Out of scope: the width of
strokes (`strokes`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from service.images.components import Box, bounding_box
from service.images.strokes import DIGIT_SIDE, Digit
from service.types import IMAGE_SIDE, ByteArray, FloatArray

# Row and column of MNIST's centre of mass, in pixels from the first; the mean of its 60,000 training digits is 14.00.
CENTRE = 14.0
# Ink above this share of the strongest is inside the bounding box.
_OUTLINE = 0.25
# The least longer side in MNIST form. It is 20 pixels in MNIST, but for 13 of its 60,000 training digits with 19.
_MIN_SIDE = 16
# The least full ink in MNIST form, of 255.
_MIN_FULL_INK = 128


@dataclass(frozen=True)
class Frame:
    """The transform into the frame: a point p of the picture, from its top left corner, is at scale * p + shift.

    `scale` is in pixels of the frame for one of the picture's, `shift` (rows, columns) in pixels of the frame.
    """

    scale: float
    shift: tuple[float, float]


IDENTITY = Frame(scale=1.0, shift=(0.0, 0.0))


def frame(digit: Digit) -> tuple[FloatArray, Frame]:
    """Return the digit in MNIST's frame, float32 (28, 28), and the transform from the picture into it."""
    outline = _OUTLINE * int(digit.ink.max())
    box = bounding_box(cv2.threshold(digit.ink, outline, 255, cv2.THRESH_BINARY)[1])
    scale = DIGIT_SIDE / box.longer
    # As in MNIST, size and position are whole pixels, so that edges are interpolated only once.
    size = (max(1, round(box.width * scale)), max(1, round(box.height * scale)))
    small = cv2.resize(digit.ink[box.slices], size, interpolation=cv2.INTER_AREA)
    row, column = (
        min(max(round(CENTRE - mass), 0), IMAGE_SIDE - side)
        for mass, side in zip(centre_of_mass(small), small.shape, strict=True)
    )
    below, beside = IMAGE_SIDE - row - small.shape[0], IMAGE_SIDE - column - small.shape[1]
    framed = cv2.copyMakeBorder(small, row, below, column, beside, cv2.BORDER_CONSTANT, value=0)
    shift = (row + scale * (digit.shift[0] - box.top), column + scale * (digit.shift[1] - box.left))
    return framed.astype(np.float32) / np.float32(255), Frame(scale * digit.scale, shift)


def centre_of_mass(ink: ByteArray | FloatArray) -> tuple[float, float]:
    """Return the centre of mass (row, column) of ink (height, width), not all 0, in pixels from the first."""
    moments = cv2.moments(ink)
    return moments["m01"] / moments["m00"], moments["m10"] / moments["m00"]


def mnist_form_box(grey: ByteArray) -> Box | None:
    """Return the box of the ink of a picture, uint8 (height, width), that has MNIST form; None for any other picture.

    MNIST form is 28x28 pixels, light on black, a box that fits 20x20, and the centre of mass within a pixel of the
    centre.
    """
    if grey.shape != (IMAGE_SIDE, IMAGE_SIDE) or grey[0, 0] > 0:
        return None
    box = bounding_box(grey)
    if not _MIN_SIDE <= box.longer <= DIGIT_SIDE or grey.max() < _MIN_FULL_INK:
        return None
    off_centre = max(abs(mass - CENTRE) for mass in centre_of_mass(grey))
    return box if off_centre <= 1 else None
