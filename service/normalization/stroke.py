"""Third step: strokes as wide as MNIST's.

Enters: the digit's ink in the picture. Leaves: the digit alone at a working size of 4 pixels for one of MNIST's,
float32, 0 to 1, its strokes widened or thinned to what is usual in MNIST. Ballpoint on a large sheet would otherwise
vanish in 28x28 pixels, and a marker would fill the loops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from service.network import FloatArray
from service.normalization.ink import Ink

# Pixels of the working size for one of MNIST's frame, and the digit's longer side in the latter.
FINENESS = 4
DIGIT_SIDE = 20
# Of MNIST's training digits, measured as here, 15 % have thinner strokes than the first, 5 % wider ones than the
# second.
_THINNEST = 1.8
_WIDEST = 3.6
# Empty pixels around the digit, into which strokes can grow.
_MARGIN = 12
_MOST = 2.0


@dataclass(frozen=True)
class Stroke:
    """Width of the strokes as found and the widening on each side, in pixels of MNIST's frame; negative thins."""

    width: float
    widening: float


@dataclass(frozen=True, eq=False)
class Digit:
    """The digit's ink at working size, float32 (height, width), 0 to 1.

    A point p of the picture, from its top left corner, lies at scale * p + shift of this, per axis.
    """

    ink: FloatArray
    scale: float
    shift: tuple[float, float]


def even_strokes(ink: Ink) -> tuple[Digit, Stroke]:
    """Return the digit with strokes of MNIST's width, and what that took."""
    digit = _at_working_size(ink)
    width = stroke_width(digit.ink) / FINENESS
    widening = wanted_widening(width)
    changed = spread(digit.ink, widening * FINENESS)
    if changed.max() < digit.ink.max() / 2:
        # A mean width can mislead, where area and outline are no stroke's; nothing may be thinned away by it.
        return digit, Stroke(width, 0.0)
    return Digit(changed, digit.scale, digit.shift), Stroke(width, widening)


def _at_working_size(ink: Ink) -> Digit:
    top, left, bottom, right = ink.box
    scale = FINENESS * DIGIT_SIDE / max(ink.box.height, ink.box.width)
    height, width = max(1, round(ink.box.height * scale)), max(1, round(ink.box.width * scale))
    box = (left, top, right, bottom)
    image = Image.fromarray(ink.strength).resize((width, height), Image.Resampling.BILINEAR, box)
    padded = np.pad(np.asarray(image, np.float32), _MARGIN)
    return Digit(padded, scale, (_MARGIN - top * scale, _MARGIN - left * scale))


def stroke_width(ink: FloatArray) -> float:
    """Return the mean width of strokes in pixels: twice their area for the length of their outline.

    The outline of a shape is pi/4 of the steps between pixels along both axes (Crofton's formula).
    """
    inside = ink > 0.5
    n_steps = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    return 2 * float(ink.sum()) / max(np.pi / 4 * n_steps, 1)


def wanted_widening(width: float) -> float:
    """Return by how much strokes of this width have to grow on each side, in pixels of MNIST's frame.

    The digit is then shrunk to its 20 pixels again, strokes and all, which is made good here.
    """
    target = min(max(width, _THINNEST), _WIDEST)
    widening = (target - width) * DIGIT_SIDE / (2 * (DIGIT_SIDE - target))
    return min(max(widening, -_MOST), _MOST)


def spread(ink: FloatArray, radius: float) -> FloatArray:
    """Return ink grown by a disc of this radius in pixels, fractions included, or thinned by a negative one."""
    if radius < 0:
        return 1 - spread(1 - ink, -radius)
    reach = int(np.ceil(radius + 0.5)) - 1
    if reach < 1:
        return ink
    height, width = ink.shape
    padded = np.pad(ink, reach, mode="edge")
    grown = ink.copy()
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            # The rim of the disc covers its pixels in part.
            covered = min(radius + 0.5 - float(np.hypot(down, across)), 1.0)
            if covered > 0:
                part = padded[reach + down : reach + down + height, reach + across : reach + across + width]
                np.maximum(grown, part * np.float32(covered), out=grown)
    return grown
