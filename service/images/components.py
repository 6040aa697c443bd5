"""Connected components of ink, with what tells a digit from print, margins and specks.

Enters: how much ink each pixel has, uint8 (height, width), 0..255. Leaves: Components. Out of scope: which of them are
the digit (`segmentation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from service.types import ByteArray, FloatArray

# A printed box has thin lines along this share of its sides, no further inside than the second share of its shorter
# side, and this share of its ink at most is elsewhere within. It has so many pixels on its shorter side, at least this
# share of the longer one, and is filled up to the last share.
_BOX_COVERED = 0.75
_BOX_DEPTH = 0.06
_BOX_WITHIN = 0.1
_BOX_SMALLEST = 8
_BOX_NARROWEST = 0.35
_BOX_FILLED = 0.4
# Boxes are alike from this share of the smallest box around them on.
_ALIKE = 0.8


class Box(NamedTuple):
    """Rows top to bottom and columns left to right of a picture; bottom and right are not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def longer(self) -> int:
        """The longer of the two sides."""
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts the box out of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def gap(self, other: Box) -> int:
        """Return how many pixels lie between two boxes, 0 where they overlap or touch."""
        rows = max(self.top - other.bottom, other.top - self.bottom, 0)
        columns = max(self.left - other.right, other.left - self.right, 0)
        return max(rows, columns)

    def scaled(self, factor: int) -> Box:
        """Return the box in a picture that is larger by a whole factor."""
        return Box(self.top * factor, self.left * factor, self.bottom * factor, self.right * factor)

    def expanded(self, more: int) -> Box:
        """Return a box with so many pixels more on every side."""
        return Box(self.top - more, self.left - more, self.bottom + more, self.right + more)

    def is_like(self, other: Box) -> bool:
        """Tell whether two boxes are about the same: the smallest around both is hardly larger than either."""
        around = self.around(other)
        return min(self.height * self.width, other.height * other.width) > _ALIKE * around.height * around.width

    def around(self, other: Box) -> Box:
        """Return the smallest box around both."""
        ends = max(self.bottom, other.bottom), max(self.right, other.right)
        return Box(min(self.top, other.top), min(self.left, other.left), *ends)

    def contains(self, other: Box) -> bool:
        """Tell whether another box lies within this one."""
        return self.around(other) == self


def bounding_box(mask: ByteArray) -> Box:
    """Return the smallest box around what is not 0 of uint8 (height, width), where anything is."""
    left, top, width, height = cv2.boundingRect(mask)
    return Box(top, left, top + height, left + width)


@cache
def square(side: int) -> ByteArray:
    """Return a square structuring element, uint8 (side, side)."""
    return np.ones((side, side), np.uint8)


@dataclass(frozen=True, eq=False)
class Components:
    """Connected components, numbered from 1; index 0 of every list is the background.

    `labels`, uint16 (height, width), gives each pixel its component. `boxes` is where each lies, in pixels of `labels`,
    `intensity_sum` its ink, in fully inked pixels of the picture, and `border_fraction` the share of the border of
    `labels` that it touches.
    """

    labels: npt.NDArray[np.uint16]
    boxes: list[Box]
    intensity_sum: FloatArray
    border_fraction: FloatArray

    def __len__(self) -> int:
        """Return the number of components, the background included."""
        return len(self.boxes)

    def mask(self, number: int) -> ByteArray:
        """Return a component within its box, uint8, 255 inside."""
        return np.equal(self.labels[self.boxes[number].slices], number).view(np.uint8) * np.uint8(255)

    def hold_another(self, number: int) -> bool:
        """Tell whether another component lies within the box of this one, if that is as large as a printed box."""
        outer = self.boxes[number]
        if min(outer.height, outer.width) < _BOX_SMALLEST:
            return False
        return any(n != number and outer.contains(box) for n, box in enumerate(self.boxes[1:], 1))


def find_components(strength: ByteArray, mask: ByteArray, factor: int) -> Components:
    """Return the connected components of a mask, uint8 (height, width), 0 or 255, with 8 neighbours a pixel.

    They are found on a level that is smaller by a whole factor, which divides both sides: gaps within one of its pixels
    close, so that a dry stroke is one component.
    """
    inked = cv2.bitwise_and(strength, mask)
    if factor > 1:
        size = (mask.shape[1] // factor, mask.shape[0] // factor)
        inked = cv2.resize(inked, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    boxes = [Box(top, left, top + height, left + width) for left, top, width, height, _ in stats.tolist()]
    if n == 2:
        # All ink is that of one component.
        intensity_sum = np.array([0, cv2.sumElems(inked)[0]], np.float32)
    else:
        intensity_sum = np.bincount(labels.ravel(), inked.ravel(), n).astype(np.float32)
    intensity_sum *= np.float32(factor * factor / 255)
    border_fraction = np.zeros(n, np.float32)
    if any(_touches(box, mask.shape) for box in boxes[1:]):
        border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        border_fraction[:] = np.bincount(border, minlength=n) / border.size
        border_fraction[0] = 0
    return Components(labels.astype(np.uint16, copy=False), boxes, intensity_sum, border_fraction)


def _touches(box: Box, size: tuple[int, ...]) -> bool:
    return box.top == 0 or box.left == 0 or box.bottom == size[0] or box.right == size[1]


def is_printed_box(components: Components, number: int) -> bool:
    """Tell whether a component is a printed box, turned or not: thin lines along all four sides, and nothing within."""
    mask = cv2.copyMakeBorder(components.mask(number), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    rectangle = cv2.minAreaRect(cv2.findNonZero(mask))
    short, long = sorted(rectangle[1])
    if short < max(_BOX_SMALLEST, _BOX_NARROWEST * long) or cv2.countNonZero(mask) > _BOX_FILLED * short * long:
        return False
    near = square(2 * max(1, int(_BOX_DEPTH * short)) + 1)
    outline = cv2.polylines(np.zeros_like(mask), [cv2.boxPoints(rectangle).round().astype(np.int32)], True, 255)  # noqa: FBT003 - closed
    missing = cv2.countNonZero(cv2.subtract(outline, cv2.dilate(mask, near)))
    within = cv2.countNonZero(cv2.subtract(mask, cv2.dilate(outline, near)))
    return missing < (1 - _BOX_COVERED) * cv2.countNonZero(outline) and within < _BOX_WITHIN * cv2.countNonZero(mask)
