"""Second step: which ink is the digit.

Enters: the ink's contrast to the paper, float32 (height, width). Leaves: the same with everything but the digit set
to 0, full ink being 1, and the digit's box. Paper grain, specks, ghosts of other writing and marks at the edge go;
strokes that belong together stay together, even when they do not touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.errors import NoInk
from service.network import FloatArray
from service.normalization.paper import otsu

# Less contrast than this, of 1 between black and white, is no ink: a blank sheet, JPEG noise.
_FAINTEST_INK = 0.06
# Ink has to stand out from the paper's grain by this many standard deviations.
_ABOVE_GRAIN = 6.0
# Grouping looks at the picture through at most this many cells a side: gaps within one cell close.
_CELLS = 48
# Marks with less than this share of the digit's ink are specks, or belong to something else.
_SPECK = 0.05

BoolArray = npt.NDArray[np.bool_]


class Box(NamedTuple):
    """Rows top to bottom and columns left to right of a picture; bottom and right are not included."""

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


@dataclass(frozen=True, eq=False)
class Ink:
    """The digit's ink, float32 (height, width) from 0 to 1, and the box around it."""

    strength: FloatArray
    box: Box


def find_digit(contrast: FloatArray) -> Ink:
    """Return the digit's ink. Raises NoInk when nothing stands out from the paper."""
    full = full_ink(contrast)
    strength = np.clip(contrast / np.float32(full), 0, 1)
    mask = strength > 0.4
    mask = np.logical_and(mask, _digit_area(mask, strength))
    if not mask.any():
        message = "the picture is blank: no ink stands out from its paper"
        raise NoInk(message)
    box = bounding_box(mask)
    # Half-covered pixels around the strokes belong to the digit too, one pixel deep.
    strength = np.where(_grown(mask), strength, np.float32(0))
    return Ink(strength, box)


def full_ink(contrast: FloatArray) -> float:
    """Return the contrast of a stroke's core. Raises NoInk when there is none above the grain of the paper."""
    # The grain's spread from its median, so that ink does not count: 1.48 makes it a standard deviation.
    middle = float(np.median(contrast))
    grain = 1.48 * float(np.median(np.abs(contrast - np.float32(middle))))
    floor = max(_FAINTEST_INK, middle + _ABOVE_GRAIN * grain)
    inked = contrast[contrast > floor]
    if inked.size == 0:
        message = "the picture is blank: no ink stands out from its paper"
        raise NoInk(message)
    core = inked[inked >= otsu(inked)]
    return float(np.median(core))


def bounding_box(mask: BoolArray) -> Box:
    """Return the smallest box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def _grown(mask: BoolArray) -> BoolArray:
    """Return the mask with one pixel more on every side."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    grown = tall.copy()
    grown[:, 1:] |= tall[:, :-1]
    grown[:, :-1] |= tall[:, 1:]
    return grown


def _digit_area(mask: BoolArray, strength: FloatArray) -> BoolArray:
    """Return the part of the picture that holds the digit: the group of marks with most ink, and its neighbours."""
    cell = -(-max(mask.shape) // _CELLS)
    cells = _pooled(mask, cell)
    labels = label(cells)
    n_groups = int(labels.max())
    if n_groups <= 1:
        return np.ones_like(mask)
    of_pixel = np.repeat(np.repeat(labels, cell, axis=0), cell, axis=1)[: mask.shape[0], : mask.shape[1]]
    ink = np.bincount(of_pixel[mask], strength[mask], minlength=n_groups + 1)
    kept = ink >= _SPECK * ink.max()
    kept[0] = False
    area: BoolArray = kept[of_pixel]
    return area


def _pooled(mask: BoolArray, cell: int) -> BoolArray:
    """Return, for every square of cell x cell pixels, whether any of them is set."""
    height, width = (-(-side // cell) * cell for side in mask.shape)
    padded = np.zeros((height, width), np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    blocks = padded.reshape(height // cell, cell, width // cell, cell)
    pooled: BoolArray = np.logical_or.reduce(blocks, axis=(1, 3))
    return pooled


def label(mask: BoolArray) -> npt.NDArray[np.intp]:
    """Return each pixel's group, numbered from 1; diagonal neighbours are connected, 0 is outside."""
    # Runs of set pixels in a row, joined to the runs they touch in the row above.
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parents = list(range(len(rows)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    first_of_row = np.searchsorted(rows, np.arange(mask.shape[0] + 1)).tolist()
    row_list, start_list, end_list = rows.tolist(), starts.tolist(), ends.tolist()
    for run, row in enumerate(row_list):
        if row == 0:
            continue
        for above in range(first_of_row[row - 1], first_of_row[row]):
            if start_list[above] <= end_list[run] and start_list[run] <= end_list[above]:
                parents[root(above)] = root(run)
    numbers: dict[int, int] = {}
    labels = np.zeros(mask.shape, np.intp)
    for run, (row, start, end) in enumerate(zip(row_list, start_list, end_list, strict=True)):
        labels[row, start:end] = numbers.setdefault(root(run), len(numbers) + 1)
    return labels
