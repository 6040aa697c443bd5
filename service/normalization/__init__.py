"""From any grey picture to MNIST form, one step a module: paper, ink, stroke, framing.

Enters: float32 (height, width), 0 = black to 1 = white. Leaves: float32 (28, 28), 0 = background to 1 = full ink, and a
report of what was done. A picture that has MNIST form already comes out unchanged.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from service.errors import NoInk
from service.network import FloatArray
from service.normalization.framing import UNCHANGED, Frame, frame, mnist_form_box
from service.normalization.ink import BLANK, INKED, Ink, find_digit, is_sheet
from service.normalization.marks import Box
from service.normalization.paper import (
    Polarity,
    find_sheet,
    flatten,
    goes_on,
    grain,
    likely_polarities,
    smoothed,
    with_dark_ink,
)
from service.normalization.stroke import Stroke, even_strokes

# A picture with less between its darkest and lightest spot, of 1 between black and white, is blank: 8 of 255 levels.
_FAINTEST = 0.03
# Paper with less grain than this needs no smoothing, which thin strokes would have to bear.
_FINEST_GRAIN = 0.004
# Nor do pictures with fewer pixels a side, whose strokes are thin.
_SMOOTHED_FROM = 64

__all__ = ["Normalized", "Report", "normalize"]


@dataclass(frozen=True)
class Report:
    """What was done: the polarity, where the digit's box lies in the picture, its strokes, and how it was placed.

    `size` is the (height, width) that the box and the frame refer to; `stroke` is None where nothing had to be done.
    """

    size: tuple[int, int]
    polarity: Polarity
    ink_box: Box
    stroke: Stroke | None
    frame: Frame


@dataclass(frozen=True, eq=False)
class Normalized:
    """The network's input, float32 (28, 28), and the way to it."""

    pixels: FloatArray
    report: Report


def normalize(grey: FloatArray) -> Normalized:
    """Bring a picture into MNIST form. Raises NoInk when it is blank."""
    size = (grey.shape[0], grey.shape[1])
    box = mnist_form_box(grey)
    if box is not None:
        return Normalized(grey, Report(size, Polarity.LIGHT_ON_DARK, box, None, UNCHANGED))
    ink, polarity = _on_sheet(grey) or _on_paper(grey)
    digit, stroke = even_strokes(ink)
    pixels, placed = frame(digit)
    return Normalized(pixels, Report(size, polarity, ink.box, stroke, placed))


def _on_paper(grey: FloatArray) -> tuple[Ink, Polarity]:
    """Return the digit on a picture that is paper all over."""
    if min(grey.shape) >= _SMOOTHED_FROM and grain(grey) > _FINEST_GRAIN:
        grey = smoothed(grey)
    found = []
    if np.ptp(grey) < _FAINTEST:
        raise NoInk(BLANK)
    for polarity in likely_polarities(grey):
        with suppress(NoInk):
            found.append((find_digit(flatten(grey, polarity)), polarity))
    if not found:
        raise NoInk(BLANK)
    found.sort(key=lambda pair: pair[0].weight)
    # The heavier is the ink, unless it is a slanted sheet on a table with the lighter on it.
    return found[0] if len(found) > 1 and is_sheet(found[-1][0]) else found[-1]


def _on_sheet(grey: FloatArray) -> tuple[Ink, Polarity] | None:
    """Return the digit on a sheet that lies on something else, None where there is none or the edge is a shadow's."""
    sheet = find_sheet(grey)
    if sheet is None:
        return None
    try:
        ink, polarity = _on_paper(grey[sheet.top : sheet.bottom, sheet.left : sheet.right])
    except NoInk:
        return None
    if goes_on(with_dark_ink(grey, polarity), sheet, ink.strength > INKED):
        return None
    return ink.within(grey.shape[0], grey.shape[1], sheet), polarity
