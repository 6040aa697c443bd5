"""Runs of set pixels in the rows of a mask, of which groups of pixels and straight lines are made.

Enters: a mask, bool (height, width). Leaves: Runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of a mask of some shape, by rows and from left to right.

    `edges` has the place where each begins, and that behind its end, as places of one row into which all rows are put,
    each with an empty pixel behind it, so that no run goes on in the next.
    """

    shape: tuple[int, int]
    edges: IntArray

    @property
    def stride(self) -> int:
        """The number of places from one row to the next."""
        return self.shape[1] + 1

    @property
    def starts(self) -> IntArray:
        """The place of each run's first pixel."""
        return self.edges[::2]

    @property
    def ends(self) -> IntArray:
        """The place behind each run's last pixel."""
        return self.edges[1::2]

    @property
    def lengths(self) -> IntArray:
        """The number of each run's pixels."""
        return self.ends - self.starts

    def painted(self, values: IntArray) -> IntArray:
        """Return an array of the mask's shape that has each run's value for its pixels, and 0 elsewhere."""
        size = self.shape[0] * self.stride
        alternate = np.zeros(len(self.edges) + 1, np.intp)
        alternate[1::2] = values
        return np.repeat(alternate, np.diff(self.edges, prepend=0, append=size)).reshape(-1, self.stride)[:, :-1]


def find_runs(mask: BoolArray) -> Runs:
    """Return the runs of set pixels in the rows of a mask, bool (height, width)."""
    height, width = mask.shape
    row = np.zeros(height * (width + 1) + 1, np.bool_)
    row[1:].reshape(height, width + 1)[:, :width] = mask
    return Runs((height, width), np.flatnonzero(row[1:] != row[:-1]))
