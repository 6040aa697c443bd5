"""MNIST framing: the digit into MNIST's 28x28 pixels.

Enters: a Digit. Leaves: float32 (28, 28), 0 = background to 1 = full ink, made as MNIST was (LeCun et al. 1998,
"Gradient-based learning applied to document recognition"): the box fitted into 20x20 with its aspect ratio kept,
anti-aliased, and the centre of mass at the centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from service.images.components import Box, bounding_box
from service.images.strokes import DIGIT_SIDE, Digit
from service.types import IMAGE_SIDE, ByteArray, FloatArray

# Where MNIST puts the centre of mass, in pixels from the first; the mean over its 60,000 training digits is 14.00.
CENTRE = 14.0
# Ink from this share of the blackest on decides where the digit begins and ends.
_OUTLINE = 0.25
# In MNIST form the longer side is 20 pixels (19 in 13 of the 60,000); what is much smaller was not fitted into them.
_SMALLEST = 16
# In MNIST form the core of the strokes is white, of 255.
_FAINTEST = 128


@dataclass(frozen=True)
class Frame:
    """How the digit was placed: a point p of the picture, from its top left corner, lies at scale * p + shift.

    `scale` is in pixels of MNIST's frame for one of the picture's, `shift` (rows, columns) in pixels of the frame.
    """

    scale: float
    shift: tuple[float, float]


UNCHANGED = Frame(scale=1.0, shift=(0.0, 0.0))


def frame(digit: Digit) -> tuple[FloatArray, Frame]:
    """Return the digit in MNIST's frame, float32 (28, 28), and how it got there from the picture."""
    outline = _OUTLINE * int(digit.ink.max())
    box = bounding_box(cv2.threshold(digit.ink, outline, 255, cv2.THRESH_BINARY)[1])
    scale = DIGIT_SIDE / box.longer
    # As MNIST's were, digits are fitted into whole pixels and moved by whole pixels, so that no edge is blurred twice.
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
    """Return the centre of mass (row, column) of ink (height, width) that is not all 0, in pixels from the first."""
    moments = cv2.moments(ink)
    return moments["m01"] / moments["m00"], moments["m10"] / moments["m00"]


def mnist_form_box(grey: ByteArray) -> Box | None:
    """Return the box of the ink of a picture, uint8 (height, width), that is already as MNIST's are; None of any other.

    That is 28x28, light on black, a box fitted into 20x20, with the centre of mass within a pixel of the centre.
    """
    if grey.shape != (IMAGE_SIDE, IMAGE_SIDE) or grey[0, 0] > 0:
        return None
    box = bounding_box(grey)
    if not _SMALLEST <= box.longer <= DIGIT_SIDE or grey.max() < _FAINTEST:
        return None
    off_centre = max(abs(mass - CENTRE) for mass in centre_of_mass(grey))
    return box if off_centre <= 1 else None
