"""The maximum in a window around every pixel, by which paper is found behind ink, and masks grow.

Enters: an array (height, width) of float32 or bool. Leaves: another of the same shape.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Value = TypeVar("Value", np.float32, np.bool_)


def sliding_max(values: npt.NDArray[Value], rows: int, columns: int) -> npt.NDArray[Value]:
    """Return the maximum over so many rows and columns, odd numbers, around every value; there is none outside."""
    height, width = values.shape
    above, beside = rows // 2, columns // 2
    lowest = False if values.dtype == np.bool_ else -np.inf
    tall = np.full((height + 2 * above, width), lowest, values.dtype)
    tall[above : above + height] = values
    wide = np.full((height, width + 2 * beside), lowest, values.dtype)
    wide[:, beside : beside + width] = _max_from(tall, rows, width)[:height]
    # What is over where one row ends and the next begins is cut off.
    return _max_from(wide, columns, 1)[:, :width]


def _max_from(values: npt.NDArray[Value], n: int, step: int) -> npt.NDArray[Value]:
    """Return the maximum over every value and the n - 1 that follow it, each `step` places of the memory further on.

    The last (n - 1) * step mean nothing. The array itself is used up.
    """
    maxima, spare = values.ravel(), np.empty(values.size, values.dtype)
    end, reach = values.size, 1
    while reach < n:
        # Over 1, 2, 4, ... values, each from two of those before; the last two overlap.
        more = min(reach, n - reach)
        end -= more * step
        np.maximum(maxima[:end], maxima[more * step :][:end], out=spare[:end])
        maxima, spare = spare, maxima
        reach += more
    return maxima.reshape(values.shape)
