"""Grey levels of many pixels: the one in the middle, and the threshold between dark and light.

Enters: float32 of any shape. Leaves: a number.
"""

from __future__ import annotations

import numpy as np

from service.network import FloatArray

_BINS = 64


def median(values: FloatArray) -> float:
    """Return the median of at least one value, none of them NaN."""
    lowest = values.min()
    # The contrast of clean paper is 0, and to partition many equal values takes ten times as long as others.
    if 2 * np.count_nonzero(values == lowest) > values.size:
        return float(lowest)
    middle = values.size // 2
    parted = np.partition(values, middle, axis=None)
    upper = parted[middle]
    return float(upper if values.size % 2 else (parted[:middle].max() + upper) / 2)


def otsu(values: FloatArray) -> float:
    """Return the threshold that parts values into the two classes of least variance (Otsu 1979)."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return low
    # Between neighbouring float32 there would be no room for bins.
    bins = (values.astype(np.float64).ravel() - low) / (high - low) * _BINS
    counts = np.bincount(np.minimum(bins.astype(np.intp), _BINS - 1), minlength=_BINS)
    edges = np.linspace(low, high, _BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    total = sums[-1]
    sums = sums[:-1]
    # Both classes have members, since the lowest value lies in the first bin and the highest in the last.
    between = below * above * (sums / below - (total - sums) / above) ** 2
    return float(edges[1 + int(between.argmax())])
