"""First step: the paper, evenly lit, with its ink dark.

Enters: a grey picture, float32 (height, width), 0 = black to 1 = white. Leaves: the brightness of paper and ink under
even light, ink darker than paper whatever it was in the picture, and the polarity; and where a sheet lies on something
else. `contrast` then takes the paper away for strokes of a given width. Out of scope: which marks belong to the digit.
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from PIL import Image

from service.network import FloatArray
from service.normalization.levels import median, otsu
from service.normalization.marks import Box, Marks, find_marks
from service.normalization.runs import BoolArray
from service.normalization.selection import least_covered_side
from service.normalization.windows import sliding_max

# Light is followed on a grid of so many cells a side; polarity is judged within such a cell and its neighbours.
_LIGHT_CELLS = 32
_POLARITY_CELLS = (3, 6)
# A sheet on a table is looked for on a grid of at most so many cells a side. It has at least so many pixels a side, as
# a digit needs, and is a rectangle of at least this ratio of its sides, of at least this share of the picture's longer
# side and at most that of both; its area reaches along this share of each of its sides and fills this share of it.
_SHEET_CELLS = 64
_SHEET_PIXELS = 14
_SHEET_NARROWEST = 0.4
_SHEET_SMALLEST = 0.125
_SHEET_LARGEST = 0.97
_SHEET_COVERED = 0.85
_SHEET_FILLED = 0.6
# Brightness that is added to what is compared, since in black nothing is darker than anything.
_DARK = 0.05
# Skewness under which dark and light balance, and the border decides.
_BALANCED = 0.12
# Paper in deeper shadow than this is taken to be this bright, or its noise would be magnified without bounds.
_DEEPEST_SHADOW = 0.3


class Polarity(StrEnum):
    """Which of ink and paper is the darker."""

    DARK_ON_LIGHT = "dark-on-light"
    LIGHT_ON_DARK = "light-on-dark"


def with_dark_ink(grey: FloatArray, polarity: Polarity) -> FloatArray:
    """Return the picture with its ink made the darker."""
    return grey if polarity is Polarity.DARK_ON_LIGHT else 1 - grey


def flatten(grey: FloatArray, polarity: Polarity) -> FloatArray:
    """Return the brightness of paper and ink under even light, ink made the darker: paper is about 1."""
    grey = with_dark_ink(grey, polarity)
    light = slow_light(grey)
    flat: FloatArray = 1 + (grey - light) / visible(light)
    return flat


def find_sheet(grey: FloatArray) -> Box | None:
    """Return where a rectangular sheet lies on a table, or a cut-out on its padding; None where the sheet is all."""
    height, width = grey.shape
    scale = _cell_side(grey)
    small = _resized(grey, max(1, round(height / scale)), max(1, round(width / scale)))
    light = small > otsu(small)
    sheets = []
    for side in (light, ~light):
        marks = find_marks(np.ones_like(small), side)
        sheets += [
            box
            for number, box in enumerate(marks.boxes)
            if number and min(box.height, box.width) * scale >= _SHEET_PIXELS and _is_sheet(marks, number)
        ]
    if not sheets:
        return None
    best = max(sheets, key=lambda box: box.height * box.width)
    # Without the cells that lie half on the table.
    top, left, bottom, right = best
    return Box(
        0 if top == 0 else math.ceil((top + 1) * scale),
        0 if left == 0 else math.ceil((left + 1) * scale),
        height if bottom == small.shape[0] else math.floor((bottom - 1) * scale),
        width if right == small.shape[1] else math.floor((right - 1) * scale),
    )


def goes_on(grey: FloatArray, sheet: Box, inked: BoolArray) -> bool:
    """Tell whether dark ink that touches the edge of a supposed sheet goes on beyond it: that is the edge of a shadow.

    `inked` (height and width of the sheet) tells where there is ink, of which there is some.
    """
    top, left, bottom, right = sheet
    cell = _cell_side(grey)
    # The box of a sheet leaves out two cells of it at most; what lies beyond these is looked at.
    near, far = math.ceil(2.5 * cell), math.ceil(4.5 * cell)
    sides = (
        (inked[0], grey[max(top - far, 0) : max(top - near, 0), left:right]),
        (inked[-1], grey[bottom + near : bottom + far, left:right]),
        (inked[:, 0], grey[top:bottom, max(left - far, 0) : max(left - near, 0)].T),
        (inked[:, -1], grey[top:bottom, right + near : right + far].T),
    )
    touched = [(touching, strip) for touching, strip in sides if touching.any() and strip.size > 0]
    if not touched:
        return False
    on_sheet = grey[top:bottom, left:right]
    # As far into the shadow as ink takes half of what it takes in the light.
    darkest = (1 + float(on_sheet[inked].mean()) / max(median(on_sheet), _DARK)) / 2
    for touching, strip in touched:
        profile = strip.min(axis=0)
        beyond = sliding_max(touching[None], 1, 2 * far + 1)[0]
        # Where there is nothing to compare with, it may.
        if beyond.all() or profile[beyond].min() + _DARK < darkest * (median(profile[~beyond]) + _DARK):
            return True
    return False


def _cell_side(grey: FloatArray) -> float:
    """Return how many pixels a side a cell has in which sheets are looked for, at least one."""
    return max(1.0, float(max(grey.shape)) / _SHEET_CELLS)


def _is_sheet(marks: Marks, number: int) -> bool:
    """Tell whether an area is a rectangle, filled but for what is written on it, smaller than the picture."""
    top, left, bottom, right = box = marks.boxes[number]
    short, long = sorted((box.height, box.width))
    height, width = marks.labels.shape
    if short < _SHEET_NARROWEST * long or short < _SHEET_SMALLEST * max(height, width):
        return False
    if box.height > _SHEET_LARGEST * height and box.width > _SHEET_LARGEST * width:
        return False
    area = marks.labels[top:bottom, left:right] == number
    return least_covered_side(area, 2) > _SHEET_COVERED and float(area.mean()) > _SHEET_FILLED


def grain(grey: FloatArray) -> float:
    """Return by how much neighbouring pixels differ, by the median: on paper without grain they hardly do."""
    return median(np.abs(grey[:, 1:] - grey[:, :-1])) if grey.shape[1] > 1 else 0.0


def smoothed(grey: FloatArray) -> FloatArray:
    """Return the picture with each pixel averaged with its neighbours by 1, 2, 1 along both axes."""
    padded = np.pad(grey, 1, mode="edge")
    down = padded[:-2] + padded[2:]
    down += 2 * padded[1:-1]
    across = down[:, :-2] + down[:, 2:]
    across += 2 * down[:, 1:-1]
    across *= np.float32(1 / 16)
    return across


def likely_polarities(grey: FloatArray) -> tuple[Polarity, ...]:
    """Tell dark ink from light ink by what is rare: ink differs much from its surroundings, in few places.

    The skewness of a picture less its local mean has the sign of the ink, whatever the light does on the way. Where a
    digit fills its frame the two may balance; then the border decides, where paper is more common. Where wide and
    narrow surroundings tell differently, as around a sheet on a dark table, both polarities are returned.
    """
    wide, narrow = (_skewness(grey - _resized(_resized(grey, n, n), *grey.shape)) for n in _POLARITY_CELLS)
    if abs(wide) < _BALANCED:
        border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
        wide = narrow = float(grey.mean() - np.median(border))
    polarity = Polarity.DARK_ON_LIGHT if wide <= 0 else Polarity.LIGHT_ON_DARK
    if (wide <= 0) == (narrow <= 0):
        return (polarity,)
    return tuple(Polarity)


def _skewness(values: FloatArray) -> float:
    squares = values * values
    spread = float(np.sqrt(squares.mean()))
    return float((squares * values).mean()) / max(spread, 1e-6) ** 3


def slow_light(grey: FloatArray) -> FloatArray:
    """Return how the light falls on the paper: the plane through the brightest spots of 16 parts of the picture.

    Paper shows somewhere in nearly every part, whatever is written there.
    """
    coarse = _resized(grey, _LIGHT_CELLS, _LIGHT_CELLS)
    step = _LIGHT_CELLS // 4
    spots = coarse.reshape(4, step, 4, step).max(axis=(1, 3))
    # On a regular grid the least squares for level and slopes are sums.
    place = np.array([-3, -1, 1, 3], np.float32) / 4
    down, across = (spots.mean(axis=axis) @ place / (place @ place) for axis in (1, 0))
    rows, columns = ((np.arange(side, dtype=np.float32) + 0.5) * np.float32(2 / side) - 1 for side in grey.shape)
    light: FloatArray = spots.mean() + down * rows[:, None] + across * columns
    return light


def visible(light: FloatArray) -> FloatArray:
    """Return light, raised to the deepest shadow in which writing is still looked for."""
    return np.maximum(light, np.float32(_DEEPEST_SHADOW))


def _resized(grey: FloatArray, height: int, width: int) -> FloatArray:
    """Return the picture at another size: averages when smaller, interpolated when larger."""
    resample = Image.Resampling.BOX if height < grey.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(grey).resize((width, height), resample), np.float32)
