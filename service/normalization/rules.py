"""Second step, a part of it: printed rules are not ink.

Enters: a mask of inked pixels, bool (height, width). Leaves: the mask without the lines of ruled or squared paper and
of table cells, with the strokes that cross them whole, and the number of lines.
"""

from __future__ import annotations

import numpy as np

from service.normalization.marks import find_marks
from service.normalization.runs import BoolArray, IntArray, find_runs
from service.normalization.windows import sliding_max

# Rules are thinner than this share of the picture's longer side; they may rise or fall by as much within a run.
_THICKEST = 0.02
# What lies in runs of this share of the picture's width may be part of a rule, if together they are this share of it.
_RUN = 0.15
_SEEN = 0.35
# What crosses a rule interrupts it by no more than this share of the width.
_INTERRUPTION = 0.5
# It is no steeper than this.
_STEEPEST = 0.1
# A rule goes from one edge of the picture to the other, nearly.
_SPAN = 0.95


def without_rules(mask: BoolArray) -> tuple[BoolArray, int]:
    """Return a mask without thin straight lines across the whole picture, about level or upright, and their number."""
    rest, n_level = _without_level_rules(mask)
    rest, n_upright = _without_level_rules(rest.T)
    return rest.T, n_level + n_upright


def _without_level_rules(mask: BoolArray) -> tuple[BoolArray, int]:
    width = mask.shape[1]
    thickest = max(2, round(_THICKEST * max(mask.shape)))
    thin = mask & (thickest >= _run_lengths(mask.T).T)
    # A line that is not quite level leaves its row, so it is followed in a band.
    in_run: BoolArray = thin & (_run_lengths(_band(thin, thickest)) >= _RUN * width)
    if not in_run.any():
        return mask, 0
    # What crosses a rule interrupts it; beyond its ends there is nothing to cross.
    lines = _band(in_run, thickest)
    between = np.logical_or.accumulate(lines, axis=1) & np.logical_or.accumulate(lines[:, ::-1], axis=1)[:, ::-1]
    lines |= between & (_run_lengths(~lines) < _INTERRUPTION * width)
    marks = find_marks(lines.astype(np.float32), lines)
    ruled, n_rules = np.zeros_like(mask), 0
    for number in range(1, len(marks.boxes)):
        line = in_run & (marks.labels == number)
        if marks.boxes[number].width < _SPAN * width:
            line |= _pieces(line, thin, thickest)
        columns = np.flatnonzero(line.any(axis=0))
        if columns[-1] - columns[0] + 1 >= _SPAN * width and len(columns) >= _SEEN * width:
            # Two halves of a rule are on the same line.
            n_rules += bool((line & ~ruled).any())
            ruled |= line
    return mask & ~ruled, n_rules


def _pieces(line: BoolArray, thin: BoolArray, thickest: int) -> BoolArray:
    """Return what lies on a straight line, of what is thin, in pieces too short to be seen as a rule by themselves."""
    rows, columns = np.nonzero(line)
    if np.ptp(columns) == 0:
        return line
    slope, level = np.polyfit(columns, rows, 1)
    if abs(slope) > _STEEPEST:
        return line
    height, width = thin.shape
    away = np.abs(np.arange(height)[:, None] - (level + slope * np.arange(width)))
    near: BoolArray = thin & (away <= thickest)
    # A stroke that crosses the line is on it for no more than its own width.
    return near & (_run_lengths(near) >= 2 * thickest)


def _band(mask: BoolArray, reach: int) -> BoolArray:
    """Return the mask with `reach` pixels more above and below."""
    return sliding_max(mask, 2 * reach + 1, 1)


def _run_lengths(mask: BoolArray) -> IntArray:
    """Return for every pixel the length of the run of set pixels in its row that it lies in, 0 where it is not set."""
    runs = find_runs(mask)
    return runs.painted(runs.lengths)
