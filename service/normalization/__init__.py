"""From any grey picture to MNIST form, one step a module: paper, ink, framing.

Enters: float32 (height, width), 0 = black to 1 = white. Leaves: float32 (28, 28), 0 = background to 1 = full ink, and a
report of what was done. A picture that has MNIST form already comes out unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.network import FloatArray
from service.normalization.framing import UNCHANGED, Frame, frame, has_mnist_form
from service.normalization.ink import Box, bounding_box, find_digit
from service.normalization.paper import Polarity, remove_paper

__all__ = ["Normalized", "Report", "normalize"]


@dataclass(frozen=True)
class Report:
    """What was done: which polarity, where the digit's box lies in the picture, how it was placed.

    `size` is the (height, width) that the box and the frame refer to.
    """

    size: tuple[int, int]
    polarity: Polarity
    ink_box: Box
    frame: Frame


@dataclass(frozen=True, eq=False)
class Normalized:
    """The network's input, float32 (28, 28), and the way to it."""

    pixels: FloatArray
    report: Report


def normalize(grey: FloatArray) -> Normalized:
    """Bring a picture into MNIST form. Raises NoInk when it is blank."""
    size = (grey.shape[0], grey.shape[1])
    if has_mnist_form(grey):
        box = bounding_box(grey > 0)
        return Normalized(grey, Report(size, Polarity.LIGHT_ON_DARK, box, UNCHANGED))
    contrast, polarity = remove_paper(grey)
    ink = find_digit(contrast)
    pixels, placed = frame(ink)
    return Normalized(pixels, Report(size, polarity, ink.box, placed))
