"""Background estimation by morphological closing, and the black top-hat normalised by the background.

Enters: a picture, uint8, grey (height, width) or RGB (height, width, 3), 0 = black to 255 = white. Leaves: its Pyramid,
its polarity, its Background, and how much ink each pixel has, uint8 (height, width), 0 to 255 = full ink.

The background is the paper. It is the closing of the picture with a square structuring element: dark details that are
narrower than the square vanish. Dividing by the background cancels shadows and the edge of a sheet. Out of scope: which
ink is the digit (`segmentation`).
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

# A pixel is foreground where its ink, of 255, exceeds this.
BINARISATION_THRESHOLD = 102
# The coarse level has up to this share of the working size: enough to find the background and components.
_COARSE_SHARE = 1 / 4
# The fewest pixels a side of a level.
_MIN_LEVEL_SIDE = 8
# The local mean of polarity estimation is measured in a grid of this many cells a side.
_POLARITY_CELLS = 3
# Pictures with more pixels a side are halved before polarity is estimated.
_POLARITY_SIDE = 40
# Below this skewness dark and light balance, and the border decides.
_MIN_SKEWNESS = 0.12
# A background darker than this, of 255, is taken to be this bright: dividing by less would magnify noise.
_MIN_BACKGROUND = 77
# Backgrounds that differ by no more grey levels count as equal.
_BACKGROUND_TOLERANCE = 25
# The value of the background in a contrast picture. It is above 0 because noise lies on both sides of it.
_BACKGROUND_VALUE = 31
# Ink stands out from the noise of the background by at least this many standard deviations.
_MIN_DEVIATIONS = 7.0
# The percentile that lies a standard deviation below the median of normal noise.
_ONE_DEVIATION = 0.16
# Full ink is this percentile of the inked pixels: the cores of strokes, not their half-covered edges.
_FULL_INK = 0.8


class Polarity(StrEnum):
    """Whether ink is darker or lighter than the paper."""

    DARK_ON_LIGHT = "dark-on-light"
    LIGHT_ON_DARK = "light-on-dark"


@dataclass(frozen=True, eq=False)
class Pyramid:
    """An image pyramid of three levels: `fine`, `medium` and `coarse`, uint8 (height, width), ink darker than paper.

    Ink is measured in the medium level, or for small digits in the fine one. The background and the components are
    found in the coarse one. `medium_factor` is the downsampling factor from fine to medium, `coarse_factor` that from
    medium to coarse; both are 1 or 2. `mask`, uint8 at the medium level, is not 0 where pixels count; None: all do.
    """

    source: ByteArray
    axis: FloatArray | None
    medium: ByteArray
    coarse: ByteArray
    mask: ByteArray | None
    medium_factor: int
    coarse_factor: int
    is_inverted: bool = False

    @cached_property
    def fine(self) -> ByteArray:
        """The picture in grey. It is computed on demand, since few pictures need it."""
        grey = to_grey(self.source, self.axis)
        return cv2.bitwise_not(grey) if self.is_inverted else grey

    def with_dark_ink(self, polarity: Polarity) -> Pyramid:
        """Return this pyramid for dark ink, its negative for light ink."""
        if polarity is Polarity.DARK_ON_LIGHT:
            return self
        medium, coarse = cv2.bitwise_not(self.medium), cv2.bitwise_not(self.coarse)
        return replace(self, medium=medium, coarse=coarse, is_inverted=not self.is_inverted)


def build_pyramid(pixels: ByteArray, working_side: int, mask: ByteArray | None = None) -> Pyramid:
    """Return the pyramid of a picture, uint8 (height, width) or RGB (height, width, 3).

    `working_side` is the longest side, in pixels, of pictures at working size. The last rows and columns are repeated
    where a side is no multiple of the factors or is very short. `mask`, uint8 (height, width), is not 0 where pixels
    count.
    """
    axis = colour_axis(pixels) if pixels.ndim == 3 else None
    height, width = pixels.shape[:2]
    n_halved = sum(max(height, width) > working_side * share for share in (_COARSE_SHARE, 2 * _COARSE_SHARE))
    # The minimum side also avoids rows of four numbers, which OpenCV takes for a colour.
    down, across = (max(-length % 2**n_halved, _MIN_LEVEL_SIDE - length) for length in (height, width))
    if down > 0 or across > 0:
        pixels = cv2.copyMakeBorder(pixels, 0, max(down, 0), 0, max(across, 0), cv2.BORDER_REPLICATE)
    medium = to_grey(halve(pixels) if n_halved == 2 else pixels, axis)
    if mask is not None:
        mask = cv2.resize(mask, (medium.shape[1], medium.shape[0]), interpolation=cv2.INTER_NEAREST)
    coarse = halve(medium) if n_halved else medium
    return Pyramid(pixels, axis, medium, coarse, mask, 1 + (n_halved == 2), 1 + (n_halved > 0))


def halve(pixels: ByteArray) -> ByteArray:
    """Return a picture with even sides at half its size, averaged over blocks of 2x2 pixels."""
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def estimate_polarity(grey: ByteArray) -> Polarity:
    """Return the polarity of a picture, uint8 (height, width).

    Ink differs much from its surroundings, in few places. So the skewness of the picture less its local mean is
    negative for dark ink and positive for light ink, also under uneven light. Where a digit fills its frame, dark and
    light may balance. Then the median of the border is taken for paper.
    """
    if max(grey.shape) > _POLARITY_SIDE:
        grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_LINEAR)
    values = grey.astype(np.float32)
    means = cv2.resize(values, (_POLARITY_CELLS, _POLARITY_CELLS), interpolation=cv2.INTER_AREA)
    centred = values - cv2.resize(means, (values.shape[1], values.shape[0]), interpolation=cv2.INTER_LINEAR)
    squares = centred * centred
    deviation = max(float(squares.mean()) ** 0.5, 1e-3)
    skewness = float(np.vdot(squares, centred)) / values.size / deviation**3
    if abs(skewness) < _MIN_SKEWNESS:
        border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
        skewness = float(values.mean() - np.median(border))
    return Polarity.DARK_ON_LIGHT if skewness <= 0 else Polarity.LIGHT_ON_DARK


class Background:
    """The background of a picture at one scale: the closing of its coarse level, uint8 (height, width)."""

    def __init__(self, coarse: ByteArray, window: float) -> None:
        """Close the coarse level with a square; `window` is its side as a share of the level's longer side."""
        side = max(3, round(window * max(coarse.shape))) | 1
        closed = cv2.morphologyEx(coarse, cv2.MORPH_CLOSE, square(side))
        self.brightness = cv2.max(closed, _MIN_BACKGROUND)

    def is_close_to(self, other: Background) -> bool:
        """Return whether two backgrounds differ by no more than the tolerance at any pixel."""
        return cv2.norm(self.brightness, other.brightness, cv2.NORM_INF) <= _BACKGROUND_TOLERANCE

    @cached_property
    def is_uniform(self) -> bool:
        """Whether it is about equally bright everywhere. Then a larger square would give about the same background."""
        darkest, lightest, _, _ = cv2.minMaxLoc(self.brightness)
        return lightest - darkest <= _BACKGROUND_TOLERANCE

    def contrast(self, level: ByteArray) -> ByteArray:
        """Return the black top-hat of a level, normalised by the background: uint8, 31 = background, 255 = black."""
        background = self.brightness
        if background.shape != level.shape:
            background = cv2.resize(background, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_LINEAR)
        light = cv2.divide(level, background, scale=255 - _BACKGROUND_VALUE)
        return cv2.bitwise_not(light)


@dataclass(frozen=True)
class InkLevels:
    """The values of background and full ink in a contrast picture, 0..255; they are equal where there is no ink.

    `faintest` is the least difference from the background that counts as ink.
    """

    background: float
    full: float
    faintest: float

    @property
    def has_ink(self) -> bool:
        """Whether any ink stands out from the noise of the background."""
        return self.full > self.background

    @property
    def contrast(self) -> float:
        """The difference between full ink and background, 0..255."""
        return self.full - self.background

    def strength(self, contrast: ByteArray) -> ByteArray:
        """Return how much ink each pixel of a contrast picture has, uint8, 0 = background to 255 = full ink."""
        table = np.clip((_LEVELS - self.background) * (255 / self.contrast), 0, 255)
        return cv2.LUT(contrast, table.astype(np.uint8))


_LEVELS = np.arange(256, dtype=np.float32)


def ink_levels(contrast: ByteArray, faintest: float, mask: ByteArray | None = None) -> InkLevels:
    """Return the levels of a contrast picture, uint8 (height, width).

    `faintest` is the least contrast of ink, 1 = black on white. `mask`, uint8 (height, width), is not 0 where pixels
    count.
    """
    counts = cv2.calcHist([contrast], [0], mask, [256], [0, 256]).ravel().cumsum()
    n_pixels = max(float(counts[-1]), 1.0)
    background, lower = counts.searchsorted((n_pixels / 2, _ONE_DEVIATION * n_pixels)).tolist()
    above = max(faintest * (255 - _BACKGROUND_VALUE), _MIN_DEVIATIONS * (background - lower))
    n_below = counts[min(int(background + above), 255)]
    if n_below == counts[-1]:
        return InkLevels(background, background, above)
    full = int(counts.searchsorted(n_below + _FULL_INK * (n_pixels - n_below)))
    return InkLevels(background, max(full, background + 1), above)
