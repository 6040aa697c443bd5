"""Second step: which ink is the digit.

Enters: brightness under even light, float32 (height, width), paper about 1, ink darker. Leaves: the ink of the digit
alone, full ink being 1, and its box. Paper grain, specks, ghosts of other writing, rules and marks at the edge go;
strokes that belong together stay together, even when they do not touch.
"""

from __future__ import annotations

from dataclasses import dataclass

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
_INKED = 0.4
# Ink goes on around its marks for this share of the picture's longer side, and from this strength on is seen as ink.
_FRINGE = 0.025
_OUTLINE = 0.25
# A digit is at least this large, as a share of the picture's longer side.
_SMALLEST = 0.07
# An edge of ink is no wider than this share of the picture's longer side, or so many pixels; a shadow's is.
_WIDEST_EDGE = 0.035
_WIDEST_EDGE_PIXELS = 2.5
# A finer window has found the digit when a coarser one finds less than this many times its ink.
_RESOLVED = 1.12
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


def find_digit(brightness: FloatArray) -> Ink:
    """Return the digit's ink. Raises NoInk when nothing stands out from the paper."""
    strength, chosen = _best_seen(_strengths(brightness))
    # What is fainter around the strokes belongs to the digit too: half-covered pixels, strokes that run dry.
    around = grown(chosen.mask, max(1, round(_FRINGE * max(brightness.shape))))
    strength = np.where(around, strength, np.float32(0))
    return Ink(strength, bounding_box(strength > _OUTLINE), chosen.weight)


def _strengths(brightness: FloatArray) -> list[FloatArray]:
    """Return how much ink each pixel has, for each window that shows any, the finest first."""
    windows = [max(3, round(share * max(brightness.shape))) for share, _ in _WINDOWS]
    seen = zip(contrasts(brightness, windows), _WINDOWS, strict=True)
    found = [ink_strength(contrast, faintest) for contrast, (_, faintest) in seen]
    return [strength for strength in found if strength is not None]


def _best_seen(strengths: list[FloatArray]) -> tuple[FloatArray, Selection]:
    """Return the strength in which the digit is seen best, and the digit. Raises NoInk when none shows one."""
    # No digit weighs more than all ink of its window. So none is looked for where that would make no difference.
    all_ink = [float(strength[strength > _INKED].sum()) for strength in strengths]
    found: list[tuple[FloatArray, Selection]] = []
    for number, strength in enumerate(strengths):
        if found and max(all_ink[number:]) <= _RESOLVED * _finest(found)[1].weight:
            break
        selection = _select(strength)
        if selection is not None:
            found.append((strength, selection))
    if not found:
        raise NoInk(BLANK)
    return _finest(found)


def _finest(found: list[tuple[FloatArray, Selection]]) -> tuple[FloatArray, Selection]:
    """Return the first that is not much lighter than the heaviest.

    With too fine a window only the ends of strokes are found, with too coarse a one shadows too.
    """
    enough = max(selection.weight for _, selection in found) / _RESOLVED
    return next(pair for pair in found if pair[1].weight >= enough)


def is_sheet(ink: Ink) -> bool:
    """Tell whether what was taken for ink is a sheet of paper: a broad, full rectangle, turned or not, that is free."""
    top, left, bottom, right = ink.box
    height, width = ink.strength.shape
    short, long = sorted((ink.box.height, ink.box.width))
    if short <= _SHEET_NARROWEST * long or min(top, left, height - bottom, width - right) == 0:
        return False
    inked = ink.strength[top:bottom, left:right] > _INKED
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
    # The cores of the strokes, without their half-covered edges and fainter things.
    full = np.float32(median(inked[inked >= otsu(inked)]))
    strength: FloatArray = np.clip(above / full, 0, 1)
    return strength


def _select(strength: FloatArray) -> Selection | None:
    """Return the digit in what one window shows, None where what it shows is no digit."""
    mask = strength > _INKED
    selection = select(find_marks(strength, mask))
    if selection is None or not selection.stands_free:
        # A rule may hold it. Where no digit stands free without rules, they were strokes of one that fills its frame.
        unruled = without_rules(mask)
        if unruled.any():
            without = select(find_marks(strength, unruled))
            if without is not None and without.stands_free and _is_digit(strength, without.mask):
                return without
    return selection if selection is not None and _is_digit(strength, selection.mask) else None


def _is_digit(strength: FloatArray, mask: BoolArray) -> bool:
    """Tell writing, which has some size and sharp edges, from specks and shadows."""
    box, side = bounding_box(mask), int(max(mask.shape))
    if max(box.height, box.width) < _SMALLEST * side:
        return False
    return edge_width(strength, mask) <= max(_WIDEST_EDGE * side, _WIDEST_EDGE_PIXELS)


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
