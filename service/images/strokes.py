"""Stroke-width normalisation: strokes as wide as MNIST's.

Enters: the digit's ink and its box. Leaves: the digit alone at 4 pixels for one of MNIST's, its strokes dilated or
eroded to what is usual in MNIST. Ballpoint on a large sheet would otherwise vanish in 28x28 pixels, and a marker would
fill the loops.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import pi

import cv2

from service.images.components import Box
from service.types import ByteArray

# Pixels here for one of MNIST's frame, and the digit's longer side in the latter.
FINENESS = 4
DIGIT_SIDE = 20
# Of MNIST's training digits, measured as here, 15 % have thinner strokes than the first, 5 % wider ones than the
# second: pixels of MNIST's frame.
_THINNEST = 1.8
_WIDEST = 3.6
# Empty pixels around the digit, into which strokes can grow.
_MARGIN = 12
# The most that is added to or taken from each side of a stroke: pixels of MNIST's frame.
_MOST = 2.0


@dataclass(frozen=True)
class Stroke:
    """Width of the strokes as found and the widening on each side, in pixels of MNIST's frame; negative thins."""

    width: float
    widening: float


@dataclass(frozen=True, eq=False)
class Digit:
    """The digit's ink, uint8 (height, width), 0..255, at 4 pixels for one of MNIST's.

    A point p of the picture, from its top left corner, lies at scale * p + shift of this, per axis.
    """

    ink: ByteArray
    scale: float
    shift: tuple[float, float]


def normalize_strokes(ink: ByteArray, box: Box) -> tuple[Digit, Stroke]:
    """Return the digit in a box of ink, uint8 (height, width), with strokes of MNIST's width, and what that took."""
    digit = _scaled(ink, box)
    width = stroke_width(digit.ink) / FINENESS
    widening = wanted_widening(width)
    changed = dilate(digit.ink, widening * FINENESS)
    if int(changed.max()) < int(digit.ink.max()) // 2:
        # A mean width can mislead, where area and outline are no stroke's; nothing may be thinned away by it.
        return digit, Stroke(width, 0.0)
    return Digit(changed, digit.scale, digit.shift), Stroke(width, widening)


def _scaled(ink: ByteArray, box: Box) -> Digit:
    scale = FINENESS * DIGIT_SIDE / box.longer
    size = (max(1, round(box.width * scale)), max(1, round(box.height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(ink[box.slices], size, interpolation=method)
    padded = cv2.copyMakeBorder(image, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=0)
    return Digit(padded, scale, (_MARGIN - box.top * scale, _MARGIN - box.left * scale))


def stroke_width(ink: ByteArray) -> float:
    """Return the mean width of strokes in pixels: twice their area for the length of their outline.

    The outline of a shape is pi/4 of the steps between pixels along both axes (Crofton's formula).
    """
    inside = cv2.threshold(ink, 127, 1, cv2.THRESH_BINARY)[1]
    steps = cv2.countNonZero(inside[1:] ^ inside[:-1]) + cv2.countNonZero(inside[:, 1:] ^ inside[:, :-1])
    return 2 / 255 * cv2.sumElems(ink)[0] / max(pi / 4 * steps, 1)


def wanted_widening(width: float) -> float:
    """Return by how much strokes of this width have to grow on each side, in pixels of MNIST's frame.

    The digit is then shrunk to its 20 pixels again, strokes and all, which is made good here.
    """
    target = min(max(width, _THINNEST), _WIDEST)
    widening = (target - width) * DIGIT_SIDE / (2 * (DIGIT_SIDE - target))
    return min(max(widening, -_MOST), _MOST)


def dilate(ink: ByteArray, radius: float) -> ByteArray:
    """Return ink, uint8 (height, width), dilated by a disc of this radius in pixels, or eroded by a negative one.

    For a fraction the results of the two whole radii next to it are mixed. A disc is measured from the middle of its
    central pixel, of which half is ink anyway.
    """
    change = cv2.dilate if radius > 0 else cv2.erode
    growth = max(abs(radius) - 0.5, 0)
    whole = int(growth)
    smaller = change(ink, _disc(whole)) if whole else ink
    part = growth - whole
    if part == 0:
        return smaller
    return cv2.addWeighted(smaller, 1 - part, change(ink, _disc(whole + 1)), part, 0)


@cache
def _disc(radius: int) -> ByteArray:
    """Return a disc as a structuring element, uint8 (2 radius + 1, 2 radius + 1)."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
