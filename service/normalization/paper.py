"""First step: take the paper away.

Enters: a grey picture, float32 (height, width), 0 = black to 1 = white. Leaves: the ink's contrast to the paper around
it, float32 (height, width), 0 where there is none, and the polarity. Shadows, vignetting, a cut-out sheet on another
ground and whatever else is wider than a stroke belongs to the paper.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from service.network import FloatArray

# A stroke is never wider than this share of the picture's shorter side. Wider dark areas are shadow or table.
_WIDEST_STROKE = 0.4
# With less ink than this, compared with the other polarity, the border has misled us: a frame around the sheet.
_HARDLY_ANY = 0.1


class Polarity(StrEnum):
    """Which of ink and paper is the darker."""

    DARK_ON_LIGHT = "dark-on-light"
    LIGHT_ON_DARK = "light-on-dark"


def remove_paper(grey: FloatArray) -> tuple[FloatArray, Polarity]:
    """Return the contrast of ink to paper, 0..1, and the polarity found."""
    window = max(3, round(_WIDEST_STROKE * min(grey.shape)))
    polarity = border_polarity(grey)
    ink = contrast(grey, window, polarity)
    other = Polarity.LIGHT_ON_DARK if polarity is Polarity.DARK_ON_LIGHT else Polarity.DARK_ON_LIGHT
    if ink.max() < _HARDLY_ANY * np.ptp(grey):
        rest = contrast(grey, window, other)
        if rest.max() > ink.max():
            return rest, other
    return ink, polarity


def border_polarity(grey: FloatArray) -> Polarity:
    """Decide by the border, where paper is more common than ink."""
    threshold = otsu(grey)
    light = grey > threshold
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    # The whole picture has a say where the border is split, as under a digit that fills its frame.
    return Polarity.DARK_ON_LIGHT if border.mean() + 0.5 * light.mean() > 0.75 else Polarity.LIGHT_ON_DARK


def contrast(grey: FloatArray, window: int, polarity: Polarity) -> FloatArray:
    """Return how much darker (or lighter) than its paper each pixel is: the top-hat of a square of `window` pixels.

    The paper is the morphological closing of the picture: what remains of it when everything dark into which the
    square does not fit is filled up from its surroundings. Steps and ramps of the paper itself stay as they are.
    """
    if polarity is Polarity.LIGHT_ON_DARK:
        grey = 1 - grey
    paper = -_sliding_max(-_sliding_max(grey, window), window)
    difference: FloatArray = paper - grey
    return difference


def otsu(values: FloatArray) -> float:
    """Return the threshold that parts values into the two classes of least variance (Otsu 1979)."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return low
    counts, edges = np.histogram(values, bins=64, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    total = sums[-1]
    sums = sums[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (total - sums) / above) ** 2
    return float(edges[1 + int(np.nanargmax(between))])


def _sliding_max(grey: FloatArray, window: int) -> FloatArray:
    """Return the maximum over a centred square of `window` pixels; beyond the frame there is nothing."""
    for axis in (0, 1):
        grey = _sliding_max_along(grey, window, axis)
    return grey


def _sliding_max_along(grey: FloatArray, window: int, axis: int) -> FloatArray:
    window += 1 - window % 2  # odd, so that it has a centre
    half = window // 2
    pads = [(0, 0), (0, 0)]
    pads[axis] = (half, half)
    values = np.moveaxis(np.pad(grey, pads, constant_values=-np.inf), axis, 0)
    # Maxima over 1, 2, 4, ... pixels, each from two of the one before; the last two overlap.
    reach = 1
    while 2 * reach <= window:
        values = np.maximum(values[:-reach], values[reach:])
        reach *= 2
    if reach < window:
        rest = window - reach
        values = np.maximum(values[:-rest], values[rest:])
    return np.moveaxis(values, 0, axis)
