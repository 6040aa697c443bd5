"""Stroke-width normalisation: strokes as wide as MNIST's.

Enters: the digit's ink and its box. Leaves: the digit alone, at 4 times the resolution of MNIST's frame, with strokes
dilated or eroded to the widths that are usual in MNIST. Without this step the strokes of a ballpoint on a large sheet
would vanish in 28x28 pixels, and those of a marker would fill the loops. Out of scope: the frame (`mnist_frame`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import pi

import cv2

from service.images.components import Box
from service.types import ByteArray

# Pixels of a Digit for one pixel of MNIST's frame, and the digit's longer side in pixels of MNIST's frame.
OVERSAMPLING = 4
DIGIT_SIDE = 20
# The range of stroke widths, in pixels of MNIST's frame. Of MNIST's training digits, measured as here, 15 % have
# thinner strokes and 5 % wider ones.
_MIN_WIDTH = 1.8
_MAX_WIDTH = 3.6
# Empty pixels around the digit, into which strokes can be dilated.
_MARGIN = 12
# The largest radius of dilation or erosion, in pixels of MNIST's frame.
_MAX_RADIUS = 2.0


@dataclass(frozen=True)
class Stroke:
    """Mean stroke width before this step, and the radius of dilation, in pixels of MNIST's frame; negative: erosion."""

    width: float
    widening: float


@dataclass(frozen=True, eq=False)
class Digit:
    """The digit's ink, uint8 (height, width), 0..255, at 4 times the resolution of MNIST's frame.

    A point p of the picture, from its top left corner, is at scale * p + shift here, for each axis (rows, columns).
    """

    ink: ByteArray
    scale: float
    shift: tuple[float, float]


def normalize_strokes(ink: ByteArray, box: Box) -> tuple[Digit, Stroke]:
    """Return the digit in a box of ink, uint8 (height, width), with strokes of MNIST's width, and their change."""
    digit = _scaled(ink, box)
    width = stroke_width(digit.ink) / OVERSAMPLING
    widening = dilation_radius(width)
    changed = dilate(digit.ink, widening * OVERSAMPLING)
    if int(changed.max()) < int(digit.ink.max()) // 2:
        # The mean width is too large where the ink has no strokes. Erosion by it would remove all ink.
        return digit, Stroke(width, 0.0)
    return Digit(changed, digit.scale, digit.shift), Stroke(width, widening)


def _scaled(ink: ByteArray, box: Box) -> Digit:
    scale = OVERSAMPLING * DIGIT_SIDE / box.longer
    size = (max(1, round(box.width * scale)), max(1, round(box.height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(ink[box.slices], size, interpolation=method)
    padded = cv2.copyMakeBorder(image, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=0)
    return Digit(padded, scale, (_MARGIN - box.top * scale, _MARGIN - box.left * scale))


def stroke_width(ink: ByteArray) -> float:
    """Return the mean stroke width of ink, uint8 (height, width), in pixels: twice the area over the perimeter.

    By Crofton's formula the perimeter is pi/4 times the number of transitions between pixels along both axes.
    """
    inside = cv2.threshold(ink, 127, 1, cv2.THRESH_BINARY)[1]
    transitions = cv2.countNonZero(inside[1:] ^ inside[:-1]) + cv2.countNonZero(inside[:, 1:] ^ inside[:, :-1])
    return 2 / 255 * cv2.sumElems(ink)[0] / max(pi / 4 * transitions, 1)


def dilation_radius(width: float) -> float:
    """Return the radius by which strokes of this mean width are dilated, negative: eroded, in pixels of MNIST's frame.

    The dilated digit is scaled to 20 pixels again, which makes its strokes thinner. The radius allows for that.
    """
    target = min(max(width, _MIN_WIDTH), _MAX_WIDTH)
    radius = (target - width) * DIGIT_SIDE / (2 * (DIGIT_SIDE - target))
    return min(max(radius, -_MAX_RADIUS), _MAX_RADIUS)


def dilate(ink: ByteArray, radius: float) -> ByteArray:
    """Return ink, uint8 (height, width), dilated by a disc of this radius in pixels; a negative radius erodes.

    A fractional radius interpolates between the results of the two whole ones next to it. Half a pixel is subtracted,
    since a disc of radius 0 is one pixel, which reaches half a pixel from its middle.
    """
    operation = cv2.dilate if radius > 0 else cv2.erode
    growth = max(abs(radius) - 0.5, 0)
    whole = int(growth)
    smaller = operation(ink, _disc(whole)) if whole else ink
    fraction = growth - whole
    if fraction == 0:
        return smaller
    return cv2.addWeighted(smaller, 1 - fraction, operation(ink, _disc(whole + 1)), fraction, 0)


@cache
def _disc(radius: int) -> ByteArray:
    """Return a disc as structuring element, uint8 (2 radius + 1, 2 radius + 1)."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
