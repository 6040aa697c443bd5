"""Second step: which ink is the digit.

Enters: brightness under even light, float32 (height, width), paper about 1, ink darker. Leaves: the ink of the digit
alone, full ink being 1, and its box. Paper grain, specks, ghosts of other writing, rules and marks at the edge go;
strokes that belong together stay together, even when they do not touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from service.errors import NoInk
from service.network import FloatArray
from service.normalization.contrast import contrasts
from service.normalization.levels import median, otsu
from service.normalization.marks import Box, bounding_box, find_marks
from service.normalization.rules import without_rules
from service.normalization.runs import BoolArray
from service.normalization.selection import Selection, select
from service.normalization.windows import sliding_max

BLANK = "the picture is blank: no ink stands out from its paper"

# Strokes are looked for with windows of these shares of the picture's longer side, the finest first. Less contrast than
# the second number, of 1 between black and white, is no ink: JPEG noise, and for wider strokes uneven light.
_WINDOWS = ((0.06, 0.07), (0.12, 0.08), (0.24, 0.12), (0.42, 0.2))
# Ink has to stand out from the paper's grain by this many standard deviations.
_ABOVE_GRAIN = 6.0
# Pixels with this share of full ink belong to a mark.
INKED = 0.4
# Ink goes on around its marks for this share of the picture's longer side, and from this strength on is seen as ink.
_FRINGE = 0.025
_OUTLINE = 0.25
# A digit is at least this large, as a share of the picture's longer side.
_SMALLEST = 0.07
# An edge of ink is no wider than this share of the picture's longer side, or so many pixels; a shadow's is.
_WIDEST_EDGE = 0.035
_WIDEST_EDGE_PIXELS = 2.5
# A digit's full ink is less than this share of that of blacker print. The edges of print are so many pixels wide.
_FAINT = 0.8
_PRINT_EDGE = 2
# So many rules are no strokes of a digit.
_MANY_RULES = 3
# A window has found the digit when the next one finds less than this many times its ink; unless a coarser one finds
# more than the second number of times its ink, or more within its box, which then grows by less than this share.
_RESOLVED = 1.12
_OTHER = 2.0
_SAME_BOX = 0.1
# A sheet of paper has at least this ratio of its sides. Seen at steps of so many degrees, it fills this share of a
# rectangle, as no oval does (0.79), and is paper in this share of it.
_SHEET_NARROWEST = 0.5
_SHEET_TURN = 3
_SHEET_STRAIGHT = 0.87
_SHEET_FILLED = 0.6


@dataclass(frozen=True, eq=False)
class Ink:
    """The digit's ink, float32 (height, width) from 0 to 1, the box around it, and how much it counts as writing."""

    strength: FloatArray
    box: Box
    weight: float

    def within(self, height: int, width: int, sheet: Box) -> Ink:
        """Return the same ink in the whole picture (height, width) of which it covers the part `sheet`."""
        strength = np.zeros((height, width), np.float32)
        strength[sheet.top : sheet.bottom, sheet.left : sheet.right] = self.strength
        top, left, bottom, right = self.box
        return Ink(
            strength, Box(top + sheet.top, left + sheet.left, bottom + sheet.top, right + sheet.left), self.weight
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """What one window shows: how much ink each pixel has, 0 to 1, the digit, and what it counts of the window's ink.

    Where print is blacker than the digit, strength is without print, and 1 is the digit's full ink.
    """

    strength: FloatArray
    digit: Selection
    weight: float


def find_digit(brightness: FloatArray) -> Ink:
    """Return the digit's ink. Raises NoInk when nothing stands out from the paper."""
    seen = _best_seen(_strengths(brightness))
    # What is fainter around the strokes belongs to the digit too: half-covered pixels, strokes that run dry.
    around = grown(seen.digit.mask, max(1, round(_FRINGE * max(brightness.shape))))
    strength = np.where(around, seen.strength, np.float32(0))
    return Ink(strength, bounding_box(strength > _OUTLINE), seen.weight)


def _strengths(brightness: FloatArray) -> list[FloatArray]:
    """Return how much ink each pixel has, for each window that shows any, the finest first."""
    windows: dict[int, float] = {}
    for share, faintest in _WINDOWS:
        # Of a small picture two windows may be one.
        windows.setdefault(max(3, round(share * max(brightness.shape))), faintest)
    seen = zip(contrasts(brightness, windows), windows.values(), strict=True)
    found = [ink_strength(contrast, faintest) for contrast, faintest in seen]
    return [strength for strength in found if strength is not None]


def _best_seen(strengths: list[FloatArray]) -> Seen:
    """Return the digit as the window shows it that shows it best. Raises NoInk when none shows one.

    With too fine a window only the ends of strokes are found, with too coarse a one shadows too. So it is the first
    that shows hardly less than the next one in which there is a digit, unless a coarser one shows more of it.
    """
    look = cache(lambda number: _look(strengths[number]))
    all_ink = [float(strength[strength > INKED].sum()) for strength in strengths]
    for number in range(len(strengths)):
        seen = look(number)
        if seen is None:
            continue
        enough = _RESOLVED * seen.weight
        # No digit weighs more than all ink of its window. So where that is not enough, none is looked for: it is as if
        # the window showed the same.
        others = (look(n) if all_ink[n] > enough else seen for n in range(number + 1, len(strengths)))
        coarser = [other for other in others if other is not None]
        is_resolved = not coarser or coarser[0].weight <= enough
        if is_resolved and not any(other.weight > enough and _shows_more(other, seen) for other in coarser):
            return seen
    raise NoInk(BLANK)


def _shows_more(coarser: Seen, seen: Seen) -> bool:
    """Tell whether what a coarser window shows is the digit, and not the same with a shadow or a blot beside it."""
    if coarser.weight > _OTHER * seen.weight and (coarser.digit.stands_free or not seen.digit.stands_free):
        return True
    box, other = bounding_box(seen.digit.mask), bounding_box(coarser.digit.mask)
    height = max(box.bottom, other.bottom) - min(box.top, other.top)
    width = max(box.right, other.right) - min(box.left, other.left)
    return max(height - box.height, width - box.width) <= _SAME_BOX * max(box.height, box.width)


def is_sheet(ink: Ink) -> bool:
    """Tell whether what was taken for ink is a sheet of paper: a broad, full rectangle, turned or not, that is free."""
    top, left, bottom, right = ink.box
    height, width = ink.strength.shape
    short, long = sorted((ink.box.height, ink.box.width))
    if short <= _SHEET_NARROWEST * long or min(top, left, height - bottom, width - right) == 0:
        return False
    inked = ink.strength[top:bottom, left:right] > INKED
    rows = np.flatnonzero(inked.any(axis=1))
    first = inked[rows].argmax(axis=1)
    end = inked.shape[1] - inked[rows, ::-1].argmax(axis=1)
    within = float((end - first).sum())
    # The corners of every row, seen from all sides: the smallest rectangle around them.
    y, x = np.concatenate([rows, rows + 1, rows, rows + 1]), np.concatenate([first, first, end, end])
    turns = np.radians(np.arange(0, 90, _SHEET_TURN))[:, None]
    across, along = np.cos(turns) * x + np.sin(turns) * y, np.cos(turns) * y - np.sin(turns) * x
    rectangle = float((np.ptp(across, axis=1) * np.ptp(along, axis=1)).min())
    return within > _SHEET_STRAIGHT * rectangle and float(inked.sum()) > _SHEET_FILLED * within


def ink_strength(contrast: FloatArray, faintest: float) -> FloatArray | None:
    """Return how much ink each pixel has, 0 to 1, from its contrast; None where none stands out from the grain."""
    # Noise lifts the closing, and with it the whole paper, by as much as its median shows.
    above = contrast - np.float32(median(contrast))
    # The spread from the median, so that ink does not count: 1.48 makes it a standard deviation.
    grain = 1.48 * median(np.abs(above))
    inked = above[above > max(faintest, _ABOVE_GRAIN * grain)]
    if inked.size == 0:
        return None
    strength: FloatArray = np.clip(above / np.float32(full_ink(inked)), 0, 1)
    return strength


def full_ink(inked: FloatArray) -> float:
    """Return how strong full ink is: in the cores of strokes, without half-covered edges and fainter things."""
    return median(inked[inked >= otsu(inked)])


def _look(strength: FloatArray) -> Seen | None:
    """Return the digit in what one window shows, None where what it shows is no digit."""
    for digit, is_printed in _candidates(strength):
        # What is printed may be blacker, where the digit is of a pencil.
        full = full_ink(strength[digit.mask]) if is_printed else 1.0
        if _is_digit(strength, digit.mask, full):
            seen = Seen(strength, digit, digit.weight)
            return seen if full > _FAINT else _without_print(seen, full)
    return None


def _without_print(seen: Seen, full: float) -> Seen:
    """Return a digit with this full ink as it is seen without what is blacker: what is fainter of it comes to light.

    It may be done again to what comes to light, but every time all ink is stronger.
    """
    printed = grown((seen.strength > (1 + full) / 2) & ~seen.digit.mask, _PRINT_EDGE)
    alone = np.where(printed, np.float32(0), np.minimum(seen.strength / np.float32(full), 1))
    again = _look(alone)
    return Seen(alone, seen.digit, seen.weight) if again is None else replace(again, weight=full * again.weight)


def _candidates(strength: FloatArray) -> Iterator[tuple[Selection, bool]]:
    """Yield what may be the digit, the likeliest first, and whether anything is printed beside it."""
    mask = strength > INKED
    selection = select(find_marks(strength, mask))
    if selection is None or not selection.stands_free:
        # A rule may hold it. Where none stands free without one or two, these were strokes of one that fills its frame.
        unruled, n_rules = without_rules(mask)
        without = select(find_marks(strength, unruled)) if n_rules and unruled.any() else None
        if without is not None and (without.stands_free or n_rules >= _MANY_RULES):
            yield without, True
    if selection is not None:
        yield selection, selection.beside_frame


def _is_digit(strength: FloatArray, mask: BoolArray, full: float) -> bool:
    """Tell writing, which has some size and sharp edges, from specks and shadows; `full` is the strength of its ink."""
    box, side = bounding_box(mask), int(max(mask.shape))
    if max(box.height, box.width) < _SMALLEST * side:
        return False
    return full * edge_width(strength, mask) <= max(_WIDEST_EDGE * side, _WIDEST_EDGE_PIXELS)


def edge_width(strength: FloatArray, mask: BoolArray) -> float:
    """Return over how many pixels strength rises from 0 to 1 along the edge of a mask, by the upper quartile.

    Not by the median, since beside a hairline there is paper on either side.
    """
    # Steps over several pixels, where there are many, since over one the grain is as steep.
    stride = max(1, max(mask.shape) // 50)
    steps = np.zeros_like(strength)
    for axis in (0, 1):
        along, steps_along = np.moveaxis(strength, axis, 0), np.moveaxis(steps, axis, 0)
        differences = np.abs(along[stride:] - along[:-stride])
        for part in (steps_along[stride:], steps_along[:-stride]):
            np.maximum(part, differences, out=part)
    edge = grown(mask) & grown(~mask)
    width: float = stride / max(float(np.percentile(steps[edge], 75)), 1e-6)
    return width


def grown(mask: BoolArray, reach: int = 1) -> BoolArray:
    """Return the mask with so many pixels more on every side."""
    return sliding_max(mask, 2 * reach + 1, 2 * reach + 1)
