"""Second step, a part of it: printed rules are not ink.

Enters: a mask of inked pixels, bool (height, width). Leaves: the mask without the lines of ruled or squared paper and
of table cells, with the strokes that cross them whole.
"""

from __future__ import annotations

import numpy as np

from service.normalization.marks import BoolArray, find_marks

# Rules are thinner than this share of the picture's longer side; they may rise or fall by as much within a run.
_THICKEST = 0.02
# What lies in runs of this share of the picture's width may be part of a rule.
_RUN = 0.3
# A rule goes from one edge of the picture to the other, nearly.
_SPAN = 0.95


def without_rules(mask: BoolArray) -> BoolArray:
    """Return the mask without thin straight lines that cross the whole picture, about level or upright."""
    return _without_level_rules(_without_level_rules(mask).T).T


def _without_level_rules(mask: BoolArray) -> BoolArray:
    height, width = mask.shape
    thickest = max(2, round(_THICKEST * max(mask.shape)))
    thin = mask & (thickest >= _run_lengths(mask.T).T)
    # A line that is not quite level leaves its row, so it is followed in a band.
    band = np.zeros((height + 2 * thickest, width), np.bool_)
    for shift in range(2 * thickest + 1):
        band[shift : shift + height] |= thin
    long_run = _run_lengths(band) >= _RUN * width
    in_run = long_run[thickest : thickest + height] & thin
    if not in_run.any():
        return mask
    lines = find_marks(in_run.astype(np.float32), in_run)
    spans = np.array([box.width >= _SPAN * width for box in lines.boxes])
    spans[0] = False
    ruled: BoolArray = spans[lines.labels]
    return mask & ~ruled


def _run_lengths(mask: BoolArray) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Return for every pixel the length of the run of set pixels in its row that it lies in, 0 where it is not set."""
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    lengths = np.zeros(mask.size, np.intp)
    n_each = ends - starts
    first = rows * mask.shape[1] + starts
    # Consecutive numbers within every run, from its first pixel on.
    inside = np.arange(n_each.sum()) - np.repeat(np.cumsum(n_each) - n_each, n_each)
    lengths[np.repeat(first, n_each) + inside] = np.repeat(n_each, n_each)
    return lengths.reshape(mask.shape)
