"""The maximum in a square window around every pixel, by which ink is filled up and masks grow."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", np.float32, np.bool_)


def sliding_max(values: npt.NDArray[Number], side: int, beyond: float) -> npt.NDArray[Number]:
    """Return the maximum over a square around every value, (height, width), `side` odd; outside lies `beyond`."""
    height, width = values.shape
    half = side // 2
    tall = np.full((height + 2 * half, width), beyond, values.dtype)
    tall[half : half + height] = values
    wide = np.full((height, width + 2 * half), beyond, values.dtype)
    wide[:, half : half + width] = _max_from(tall, side, width)[:height]
    return _max_from(wide, side, 1)[:, :width]


def _max_from(values: npt.NDArray[Number], n: int, step: int) -> npt.NDArray[Number]:
    """Return the maximum over every value and the n - 1 that follow it, each `step` places of the memory further on.

    At the end, where not so many are left, anything.
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
