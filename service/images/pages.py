"""Pages: the ways in which a picture may be read as lines of text, the likeliest first.

Enters: a picture, uint8 (height, width) grey or (height, width, 3) RGB. Leaves: Pages: the ink of a view, of one
polarity and at one scale, and the lines on it. Out of scope: which page is read (`service.reader`), and how one digit
is found in a picture (`search`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from service.images.background import Polarity, build_pyramid, estimate_polarity
from service.images.components import Box, box_around
from service.images.grayscale import average_blocks, downsampling_factor
from service.images.lines import Line, find_lines, ink_for_lines
from service.images.search import IDENTITY, View
from service.images.sheet import RegionKind, find_regions, rectify
from service.types import ByteArray

# Pixels on the longer side of a picture that is decoded for reading: four times as many as for one digit.
READING_SIDE = 1152
# Pixels on the longer side at which ink is looked at, and those at which sheets are searched.
_INK_SIDE = 576
_REGION_SIDE = 288
# Lines of lower digits, in pixels, are looked at with all pixels.
_MIN_HEIGHT = 18
# Scales, the finer first: the side of the background's square, and the least contrast of ink.
_SCALES = ((0.14, 0.12), (0.42, 0.12))
# The most sheets of a picture, the least share of its pixels that each has, and the least pixels of its shorter side.
_MAX_SHEETS = 2
_MIN_SHEET = 0.15
_MIN_SHEET_SIDE = 20


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way in which a picture may be read: a view of it, the polarity of its ink, and the scale of its background.

    `is_likely` is False for the polarity that was not estimated.
    """

    view: View
    polarity: Polarity
    scale: tuple[float, float]
    is_likely: bool

    def turned(self, n_quarters: int) -> Candidate:
        """Return the candidate after 1 to 3 quarter turns counter-clockwise."""
        height, width = self.view.pixels.shape[:2]
        # The matrix maps points of the turned view back.
        matrix = {
            1: np.array([[0, -1, width], [1, 0, 0], [0, 0, 1]], np.float64),
            2: np.array([[-1, 0, width], [0, -1, height], [0, 0, 1]], np.float64),
            3: np.array([[0, 1, 0], [-1, 0, height], [0, 0, 1]], np.float64),
        }[n_quarters]
        pixels = np.ascontiguousarray(np.rot90(self.view.pixels, n_quarters))
        return replace(self, view=View(pixels, self.view.to_picture @ matrix))

    def page(self) -> Page | None:
        """Return the lines of this candidate, None where it has none. Small digits are looked at with all pixels."""
        side = max(self.view.pixels.shape[:2])
        page = self._page(max(side, 2 * _INK_SIDE))
        if page is None or page.factor == 1 or np.median([line.height for line in page.lines]) >= _MIN_HEIGHT:
            return page
        # A pyramid's medium level has all pixels of pictures of up to half its working side.
        return self._page(2 * side)

    def _page(self, working_side: int) -> Page | None:
        pyramid = build_pyramid(self.view.pixels, working_side).with_dark_ink(self.polarity)
        ink = ink_for_lines(pyramid, *self.scale)
        if ink is None:
            return None
        strength, foreground = ink
        lines, is_complete = find_lines(strength, foreground)
        return Page(self, strength, lines, pyramid.medium_factor, is_complete) if lines else None


@dataclass(frozen=True, eq=False)
class Page:
    """The ink of a candidate, uint8 (height, width), 0..255, and the lines on it.

    `factor` is the downsampling factor from the view to its ink. `is_complete` is False where there is more on the page
    than is looked at.
    """

    candidate: Candidate
    strength: ByteArray
    lines: list[Line]
    factor: int
    is_complete: bool

    def in_picture(self, box: Box) -> Box:
        """Return a box of the ink as the box around it in the picture at working size."""
        return box_around(self.candidate.view.corners_in_picture(box.scaled(self.factor)))


def find_candidates(pixels: ByteArray) -> Iterator[Candidate]:
    """Yield the candidates of a picture: the whole of it, then the sheets on it, then the other polarity."""
    factor = downsampling_factor(pixels.shape[:2], _REGION_SIDE)
    small = build_pyramid(average_blocks(pixels, _REGION_SIDE), _REGION_SIDE)
    whole, likely = View(pixels, IDENTITY), estimate_polarity(small.medium)
    yield from (Candidate(whole, likely, scale, is_likely=True) for scale in _SCALES)
    for region in find_regions(small)[: -_MAX_SHEETS - 1 : -1]:
        if region.kind is RegionKind.SHEET and region.area >= _MIN_SHEET * small.medium.size:
            part, matrix, _ = rectify(pixels, region, factor * small.medium_factor)
            if min(part.shape[:2]) >= _MIN_SHEET_SIDE:
                view = View(np.ascontiguousarray(part), matrix)
                yield from (Candidate(view, Polarity.DARK_ON_LIGHT, scale, is_likely=True) for scale in _SCALES)
    (other,) = (polarity for polarity in Polarity if polarity is not likely)
    yield from (Candidate(whole, other, scale, is_likely=False) for scale in _SCALES)
