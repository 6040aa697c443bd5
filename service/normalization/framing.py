"""Last step: the digit into MNIST's frame.

Enters: a Digit at working size. Leaves: float32 (28, 28), 0 = background to 1 = full ink, made as MNIST was (LeCun et
al. 1998): the box fitted into 20x20 with its aspect ratio kept, anti-aliased, and the centre of mass at the centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from service.network import IMAGE_SIDE, FloatArray
from service.normalization.marks import Box, bounding_box
from service.normalization.stroke import DIGIT_SIDE, Digit

# Where MNIST puts the centre of mass, in pixels from the first; the mean over its 60,000 training digits is 14.00.
CENTRE = 14.0
# Ink from this share of the blackest on decides where the digit begins and ends.
_OUTLINE = 0.25
# In MNIST form the longer side is 20 pixels (19 in 13 of the 60,000); what is much smaller was not fitted into them.
_SMALLEST = 16
# In MNIST form the core of the strokes is white.
_FAINTEST = 0.5
_PLACES = np.arange(IMAGE_SIDE, dtype=np.float32)
_ONES = np.ones(IMAGE_SIDE, np.float32)


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
    top, left, bottom, right = box = bounding_box(digit.ink > _OUTLINE * digit.ink.max())
    scale = DIGIT_SIDE / max(box.height, box.width)
    # As MNIST's were, digits are fitted into whole pixels and moved by whole pixels, so that no edge is blurred twice.
    size = (max(1, round(box.width * scale)), max(1, round(box.height * scale)))
    image = Image.fromarray(digit.ink).resize(size, Image.Resampling.BOX, (left, top, right, bottom))
    small = np.clip(np.asarray(image, np.float32), 0, 1)
    row, column = (
        min(max(round(CENTRE - mass), 0), IMAGE_SIDE - side)
        for mass, side in zip(centre_of_mass(small), small.shape, strict=True)
    )
    framed = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.float32)
    framed[row : row + small.shape[0], column : column + small.shape[1]] = small
    shift = (row + scale * (digit.shift[0] - top), column + scale * (digit.shift[1] - left))
    return framed, Frame(scale * digit.scale, shift)


def centre_of_mass(ink: FloatArray) -> tuple[float, float]:
    """Return the centre of mass (row, column) of ink that is not all 0, in pixels from the first."""
    by_row, by_column = ink.sum(axis=1), ink.sum(axis=0)
    total = float(by_row.sum())
    return (
        float(by_row @ np.arange(len(by_row), dtype=np.float32)) / total,
        float(by_column @ np.arange(len(by_column), dtype=np.float32)) / total,
    )


def mnist_form_box(grey: FloatArray) -> Box | None:
    """Return the box of the ink of a picture that is already as MNIST's are, None of any other.

    That is 28x28, light on black, a box fitted into 20x20, with the centre of mass within a pixel of the centre.
    """
    if grey.shape != (IMAGE_SIDE, IMAGE_SIDE) or grey[0, 0] > 0:
        return None
    # `dot` takes half the time of `@` on arrays as small as these.
    by_row, by_column = grey.dot(_ONES), _ONES.dot(grey)
    rows, columns = by_row.nonzero()[0], by_column.nonzero()[0]
    if rows.size == 0:
        return None
    box = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    if not _SMALLEST <= max(box.height, box.width) <= DIGIT_SIDE:
        return None
    total = float(by_row.dot(_ONES))
    off_centre = max(abs(float(mass.dot(_PLACES)) / total - CENTRE) for mass in (by_row, by_column))
    if off_centre > 1 or grey.max() < _FAINTEST:
        return None
    return box
