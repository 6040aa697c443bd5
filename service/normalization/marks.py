"""Second step, a part of it: the marks on a sheet, as connected groups of ink.

Enters: how much ink each pixel has, float32 (height, width), and which count, bool. Leaves: Marks, each with the facts
by which `selection` chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.network import FloatArray
from service.normalization.runs import BoolArray, IntArray, find_runs

# Groups are made on at most this many cells a side: gaps within one cell close, so a dry stroke is one mark.
_CELLS = 64


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

    def gap(self, other: Box) -> int:
        """Return how many pixels lie between two boxes, 0 where they overlap or touch."""
        rows = max(self.top - other.bottom, other.top - self.bottom, 0)
        columns = max(self.left - other.right, other.left - self.right, 0)
        return max(rows, columns)


@dataclass(frozen=True, eq=False)
class Marks:
    """The marks of a sheet, numbered from 1; index 0 of every list is the paper.

    `labels` (height, width) gives each inked pixel its mark; `mass` is the sum of each mark's ink, `boxes` where it
    lies, and `contact` which share of the picture's edge it touches.
    """

    labels: IntArray
    mass: FloatArray
    boxes: list[Box]
    contact: FloatArray


def find_marks(strength: FloatArray, mask: BoolArray) -> Marks:
    """Group the pixels of a mask into marks; strength, 0 to 1, is how much ink each has."""
    cell = -(-max(mask.shape) // _CELLS)
    cells = label(_pooled(mask, cell))
    labels = np.repeat(np.repeat(cells, cell, axis=1), cell, axis=0)[: mask.shape[0], : mask.shape[1]] * mask
    n = int(cells.max()) + 1
    inked = np.flatnonzero(mask)
    numbers = labels.ravel()[inked]
    mass = np.bincount(numbers, strength.ravel()[inked], minlength=n).astype(np.float32)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    contact = (np.bincount(edge, minlength=n) / edge.size).astype(np.float32)
    return Marks(labels, mass, _boxes(numbers, inked, mask.shape, n), contact)


def _boxes(numbers: IntArray, places: IntArray, shape: tuple[int, int], n: int) -> list[Box]:
    """Return the box of each of n marks from the number and the place, row by row, of every pixel in a picture."""
    rows, columns = np.divmod(places, shape[1])
    top, left = np.full(n, shape[0]), np.full(n, shape[1])
    bottom, right = np.zeros(n, np.intp), np.zeros(n, np.intp)
    np.minimum.at(top, numbers, rows)
    np.minimum.at(left, numbers, columns)
    np.maximum.at(bottom, numbers, rows + 1)
    np.maximum.at(right, numbers, columns + 1)
    edges = zip(top.tolist(), left.tolist(), bottom.tolist(), right.tolist(), strict=True)
    return [Box(*edge) for edge in edges]


def bounding_box(mask: BoolArray) -> Box:
    """Return the smallest box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def _pooled(mask: BoolArray, cell: int) -> BoolArray:
    """Return, for every square of cell x cell pixels, whether any of them is set."""
    height, width = (-(-side // cell) * cell for side in mask.shape)
    padded = np.zeros((height, width), np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    rows = padded.reshape(height // cell, cell, width).any(axis=1)
    pooled: BoolArray = np.logical_or.reduce(rows.reshape(height // cell, width // cell, cell), axis=2)
    return pooled


def label(mask: BoolArray) -> IntArray:
    """Return each pixel's group, numbered from 1; diagonal neighbours are connected, 0 is outside."""
    runs = find_runs(mask)
    # Those in the row above that a run touches follow one another. The empty place behind each row keeps others apart.
    first = np.searchsorted(runs.ends, runs.starts - runs.stride)
    behind = np.searchsorted(runs.starts, runs.ends - runs.stride, side="right")
    parents = list(range(len(runs.starts)))

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    for run, (start, stop) in enumerate(zip(first.tolist(), behind.tolist(), strict=True)):
        for above in range(start, stop):
            parents[root(above)] = root(run)
    numbers: dict[int, int] = {}
    groups = [numbers.setdefault(root(run), len(numbers) + 1) for run in range(len(parents))]
    return runs.painted(np.array(groups, np.intp))
