"""Connected components of ink, and their geometry.

Enters: how much ink each pixel has, uint8 (height, width), 0..255, and a mask of the foreground. Leaves: Components:
labels, boxes, area weighted by ink, and the share of the border that each one touches.

`is_printed_box` answers one question: is this component of ink the printed frame of a box, judged by its outline alone?
Whether an area of the picture is a sheet is answered in `sheet`. Out of scope: which components are the digit
(`segmentation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from service.types import ByteArray, FloatArray

# The lines of a printed box run along at least this share of its outline. They lie no further inside than the second
# number, a share of the shorter side. At most the third number, a share of its pixels, lies further inside.
_BOX_MIN_COVERED = 0.75
_BOX_MAX_DEPTH = 0.06
_BOX_MAX_INSIDE = 0.1
# Its shorter side has at least this many pixels and this share of the longer one. It fills at most the third number, a
# share of its area.
_BOX_MIN_SIDE = 8
_BOX_MIN_ASPECT = 0.35
_BOX_MAX_FILLED = 0.4
# Two boxes are similar when each fills more than this share of the smallest box around both.
_SIMILAR = 0.8


class Box(NamedTuple):
    """A rectangle of pixels: rows top to bottom, columns left to right; bottom and right are exclusive."""

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
        """The index of the box in an array (height, width)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def gap(self, other: Box) -> int:
        """Return the chessboard distance between two boxes in pixels, 0 where they overlap or touch."""
        rows = max(self.top - other.bottom, other.top - self.bottom, 0)
        columns = max(self.left - other.right, other.left - self.right, 0)
        return max(rows, columns)

    def scaled(self, factor: int) -> Box:
        """Return the box in a picture that is larger by a whole factor."""
        return Box(self.top * factor, self.left * factor, self.bottom * factor, self.right * factor)

    def expanded(self, n_pixels: int) -> Box:
        """Return the box with this many pixels more on every side."""
        return Box(self.top - n_pixels, self.left - n_pixels, self.bottom + n_pixels, self.right + n_pixels)

    def clipped(self, size: tuple[int, int]) -> Box:
        """Return the part of the box that lies within a picture of this (height, width), at least one pixel."""
        top, left = min(max(self.top, 0), size[0] - 1), min(max(self.left, 0), size[1] - 1)
        return Box(top, left, max(min(self.bottom, size[0]), top + 1), max(min(self.right, size[1]), left + 1))

    def is_similar(self, other: Box) -> bool:
        """Return whether each of two boxes nearly fills the smallest box around both."""
        union = self.union(other)
        return min(self.height * self.width, other.height * other.width) > _SIMILAR * union.height * union.width

    def union(self, other: Box) -> Box:
        """Return the smallest box around both."""
        ends = max(self.bottom, other.bottom), max(self.right, other.right)
        return Box(min(self.top, other.top), min(self.left, other.left), *ends)

    def contains(self, other: Box) -> bool:
        """Return whether another box lies within this one."""
        return self.union(other) == self


def box_around(points: npt.NDArray[np.float64]) -> Box:
    """Return the smallest box around points (x, y), float64 (n, 2), whose sides are rounded to whole pixels."""
    (left, top), (right, bottom) = np.rint((points.min(axis=0), points.max(axis=0))).astype(int).tolist()
    return Box(top, left, bottom, right)


def bounding_box(mask: ByteArray) -> Box:
    """Return the smallest box around the pixels of a mask, uint8 (height, width), that are not 0; empty if none is."""
    left, top, width, height = cv2.boundingRect(mask)
    return Box(top, left, top + height, left + width)


@cache
def square(side: int) -> ByteArray:
    """Return a square structuring element, uint8 (side, side)."""
    return np.ones((side, side), np.uint8)


@dataclass(frozen=True, eq=False)
class Components:
    """Connected components, numbered from 1; index 0 of every list is the background.

    `labels`, uint16 (height, width), is the component of each pixel. Of each component, `boxes` is the bounding box in
    pixels of `labels`, `intensity_sum` the sum of its ink, in fully inked pixels of the picture, and `border_fraction`
    the share of the border of `labels` that it touches, 0..1.
    """

    labels: npt.NDArray[np.uint16]
    boxes: list[Box]
    intensity_sum: FloatArray
    border_fraction: FloatArray

    def __len__(self) -> int:
        """Return the number of components, the background included."""
        return len(self.boxes)

    def density(self, number: int) -> float:
        """Return the mean ink of a component's pixels, in fully inked pixels of the picture for one of `labels`."""
        area = np.count_nonzero(self.labels[self.boxes[number].slices] == number)
        return float(self.intensity_sum[number]) / area

    def mask(self, number: int) -> ByteArray:
        """Return the mask of a component within its box, uint8, 0 or 255."""
        return np.equal(self.labels[self.boxes[number].slices], number).view(np.uint8) * np.uint8(255)

    def encloses_another(self, number: int) -> bool:
        """Return whether the box of a component is large enough for a printed box and contains another's box."""
        outer = self.boxes[number]
        if min(outer.height, outer.width) < _BOX_MIN_SIDE:
            return False
        return any(n != number and outer.contains(box) for n, box in enumerate(self.boxes[1:], 1))


def find_components(strength: ByteArray, mask: ByteArray, factor: int) -> Components:
    """Return the 8-connected components of a mask, uint8 (height, width), 0 or 255; `strength` is the ink, 0..255.

    The mask is first downsampled by `factor`, which divides both sides. Gaps within one pixel of the smaller mask
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
        # The only component has all the ink: one sum is faster than a sum by label.
        intensity_sum = np.array([0, cv2.sumElems(inked)[0]], np.float32)
    else:
        intensity_sum = np.bincount(labels.ravel(), inked.ravel(), n).astype(np.float32)
    intensity_sum *= np.float32(factor * factor / 255)
    border_fraction = np.zeros(n, np.float32)
    if any(_touches_border(box, mask.shape) for box in boxes[1:]):
        border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        border_fraction[:] = np.bincount(border, minlength=n) / border.size
        border_fraction[0] = 0
    return Components(labels.astype(np.uint16, copy=False), boxes, intensity_sum, border_fraction)


def _touches_border(box: Box, size: tuple[int, ...]) -> bool:
    return box.top == 0 or box.left == 0 or box.bottom == size[0] or box.right == size[1]


def is_printed_box(components: Components, number: int) -> bool:
    """Return whether a component is a printed box: thin lines along all four sides, nothing inside, at any rotation."""
    mask = cv2.copyMakeBorder(components.mask(number), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    rectangle = cv2.minAreaRect(cv2.findNonZero(mask))
    short, long = sorted(rectangle[1])
    area = cv2.countNonZero(mask)
    if short < max(_BOX_MIN_SIDE, _BOX_MIN_ASPECT * long) or area > _BOX_MAX_FILLED * short * long:
        return False
    near = square(2 * max(1, int(_BOX_MAX_DEPTH * short)) + 1)
    outline = cv2.polylines(np.zeros_like(mask), [cv2.boxPoints(rectangle).round().astype(np.int32)], True, 255)  # noqa: FBT003 - closed
    missing = cv2.countNonZero(cv2.subtract(outline, cv2.dilate(mask, near)))
    inside = cv2.countNonZero(cv2.subtract(mask, cv2.dilate(outline, near)))
    return missing < (1 - _BOX_MIN_COVERED) * cv2.countNonZero(outline) and inside < _BOX_MAX_INSIDE * area
