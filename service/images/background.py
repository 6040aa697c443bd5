"""Background estimation: how much darker or lighter than its paper each pixel is, whatever the light.

Enters: a grey picture, uint8 (height, width), 0 = black to 255 = white. Leaves: how much ink each pixel has, uint8, 0
to 255 = full ink. The paper is the morphological closing of the picture: what remains when everything dark into which a
square of the window's side does not fit is filled up from its surroundings. So the edge of a shadow, or of the sheet,
is paper. Out of scope: which ink is the digit (`segmentation`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import cv2
import numpy as np

from service.images.components import square
from service.images.grayscale import colour_axis, to_grey
from service.types import ByteArray, FloatArray

# Binarisation threshold: a pixel with more ink than this, of 255, is foreground.
FOREGROUND = 102
# The coarse level has up to this share of the working size: enough to find paper and components.
_COARSE_SHARE = 1 / 4
# A level has so many pixels a side, at least.
_FEWEST_PIXELS = 8
# Cells a side within which polarity is judged, with their neighbours.
_POLARITY_CELLS = 3
# Pixels a side at which it is judged, or up to half as many.
_POLARITY_SIDE = 40
# Skewness under which dark and light balance, and the border decides.
_BALANCED = 0.12
# Paper in deeper shadow than this, of 255, is taken to be this bright, or its noise would be magnified without bounds.
_DEEPEST_SHADOW = 77
# Papers that differ by no more grey levels are the same: what lies between them is no ink in a wide window.
_SAME_PAPER = 25
# What paper has in a contrast picture: noise lies on both sides of it.
_PAPER = 31
# Ink has to stand out from the paper's noise by this many standard deviations.
_ABOVE_NOISE = 7.0
# The percentile that lies a standard deviation under the median of noise.
_ONE_DEVIATION = 0.16
# Full ink is this percentile of what is inked: the cores of strokes, without half-covered edges and fainter things.
_FULL_INK = 0.8


class Polarity(StrEnum):
    """Which of ink and paper is the darker."""

    DARK_ON_LIGHT = "dark-on-light"
    LIGHT_ON_DARK = "light-on-dark"


@dataclass(frozen=True, eq=False)
class Pyramid:
    """One picture at three levels, each smaller than the one before by 1 or 2: `fine`, `medium` and `coarse`.

    All are uint8 (height, width) with ink the darker. Ink is measured in the medium one, or for small digits in the
    fine one; paper and components are found in the coarse one. `considered`, at the medium level, is not 0 where pixels
    count as the picture's; `ink_factor` is how many fine pixels a side make a medium one, `coarse_factor` how many
    medium ones make a coarse one.
    """

    source: ByteArray
    axis: FloatArray | None
    medium: ByteArray
    coarse: ByteArray
    considered: ByteArray | None
    ink_factor: int
    coarse_factor: int
    is_inverted: bool = False

    @cached_property
    def fine(self) -> ByteArray:
        """The picture itself, of which grey is seldom needed."""
        grey = to_grey(self.source, self.axis)
        return cv2.bitwise_not(grey) if self.is_inverted else grey

    def with_dark_ink(self, polarity: Polarity) -> Pyramid:
        """Return the picture itself, or its negative where its ink is the lighter."""
        if polarity is Polarity.DARK_ON_LIGHT:
            return self
        medium, coarse = cv2.bitwise_not(self.medium), cv2.bitwise_not(self.coarse)
        return replace(self, medium=medium, coarse=coarse, is_inverted=not self.is_inverted)


def pyramid(pixels: ByteArray, working_side: int, mask: ByteArray | None = None) -> Pyramid:
    """Return the levels of a picture, uint8 (height, width) or RGB (height, width, 3).

    `working_side` is the longest side, in pixels, of pictures at working size. Last rows and columns are repeated where
    sides are no multiples of the factors, or very short. The mask, uint8 (height, width), tells which pixels count.
    """
    axis = colour_axis(pixels) if pixels.ndim == 3 else None
    height, width = pixels.shape[:2]
    n_halved = sum(max(height, width) > working_side * share for share in (_COARSE_SHARE, 2 * _COARSE_SHARE))
    # OpenCV takes four numbers in a row for a colour.
    down, across = (max(-length % 2**n_halved, _FEWEST_PIXELS - length) for length in (height, width))
    if down > 0 or across > 0:
        pixels = cv2.copyMakeBorder(pixels, 0, max(down, 0), 0, max(across, 0), cv2.BORDER_REPLICATE)
    medium = to_grey(halved(pixels) if n_halved == 2 else pixels, axis)
    if mask is not None:
        mask = cv2.resize(mask, (medium.shape[1], medium.shape[0]), interpolation=cv2.INTER_NEAREST)
    coarse = halved(medium) if n_halved else medium
    return Pyramid(pixels, axis, medium, coarse, mask, 1 + (n_halved == 2), 1 + (n_halved > 0))


def halved(pixels: ByteArray) -> ByteArray:
    """Return a picture with even sides at half its size, 2x2 pixels averaged."""
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def likely_polarity(grey: ByteArray) -> Polarity:
    """Return the polarity of a picture, uint8 (height, width).

    Ink is what is rare: it differs much from its surroundings, in few places. The skewness of a picture less its local
    mean has the sign of the ink, whatever the light does on the way. Where a digit fills its frame dark and light may
    balance; then the border decides, where paper is more common.
    """
    if max(grey.shape) > _POLARITY_SIDE:
        grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_LINEAR)
    values = grey.astype(np.float32)
    means = cv2.resize(values, (_POLARITY_CELLS, _POLARITY_CELLS), interpolation=cv2.INTER_AREA)
    centred = values - cv2.resize(means, (values.shape[1], values.shape[0]), interpolation=cv2.INTER_LINEAR)
    squares = centred * centred
    deviation = max(float(squares.mean()) ** 0.5, 1e-3)
    skewness = float(np.vdot(squares, centred)) / values.size / deviation**3
    if abs(skewness) < _BALANCED:
        border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
        skewness = float(values.mean() - np.median(border))
    return Polarity.DARK_ON_LIGHT if skewness <= 0 else Polarity.LIGHT_ON_DARK


class Paper:
    """The paper of a picture, for strokes narrower than a window: the closing of its coarse level, uint8."""

    def __init__(self, coarse: ByteArray, window: float) -> None:
        """Estimate it from the coarse level, for a window that is a share of its longer side."""
        side = max(3, round(window * max(coarse.shape))) | 1
        closed = cv2.morphologyEx(coarse, cv2.MORPH_CLOSE, square(side))
        self.brightness = cv2.max(closed, _DEEPEST_SHADOW)

    def is_same(self, other: Paper) -> bool:
        """Tell whether two windows find the same paper, nearly."""
        return cv2.norm(self.brightness, other.brightness, cv2.NORM_INF) <= _SAME_PAPER

    @cached_property
    def is_even(self) -> bool:
        """Whether a larger window would find the same paper, nearly: it can be no brighter than the brightest spot."""
        darkest, lightest, _, _ = cv2.minMaxLoc(self.brightness)
        return lightest - darkest <= _SAME_PAPER

    def contrast(self, level: ByteArray) -> ByteArray:
        """Return how much darker than its paper each pixel of a level is, uint8: 31 = paper, 255 = black."""
        paper = self.brightness
        if paper.shape != level.shape:
            paper = cv2.resize(paper, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_LINEAR)
        light = cv2.divide(level, paper, scale=255 - _PAPER)
        return cv2.bitwise_not(light)


@dataclass(frozen=True)
class InkLevels:
    """Where paper ends and full ink begins in a contrast picture, 0..255; they are the same where there is no ink.

    `faintest` is how much more than paper ink has at least.
    """

    paper: float
    full: float
    faintest: float

    @property
    def has_ink(self) -> bool:
        """Whether any ink stands out from the noise of the paper."""
        return self.full > self.paper

    @property
    def contrast(self) -> float:
        """How much more than paper full ink has."""
        return self.full - self.paper

    def strength(self, contrast: ByteArray) -> ByteArray:
        """Return how much ink each pixel has, uint8, 0 = paper to 255 = full ink."""
        table = np.clip((_LEVELS - self.paper) * (255 / self.contrast), 0, 255)
        return cv2.LUT(contrast, table.astype(np.uint8))


_LEVELS = np.arange(256, dtype=np.float32)


def ink_levels(contrast: ByteArray, faintest: float, considered: ByteArray | None = None) -> InkLevels:
    """Return the levels of paper and ink in a contrast picture, uint8 (height, width).

    Less contrast than `faintest`, of 1 between black and white, is no ink. `considered`, uint8 (height, width), is not
    0 where pixels count.
    """
    counts = cv2.calcHist([contrast], [0], considered, [256], [0, 256]).ravel().cumsum()
    n_pixels = max(float(counts[-1]), 1.0)
    paper, lower = counts.searchsorted((n_pixels / 2, _ONE_DEVIATION * n_pixels)).tolist()
    above = max(faintest * (255 - _PAPER), _ABOVE_NOISE * (paper - lower))
    n_below = counts[min(int(paper + above), 255)]
    if n_below == counts[-1]:
        return InkLevels(paper, paper, above)
    full = int(counts.searchsorted(n_below + _FULL_INK * (n_pixels - n_below)))
    return InkLevels(paper, max(full, paper + 1), above)
