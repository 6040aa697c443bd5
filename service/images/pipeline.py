"""The picture pipeline: from any picture to MNIST form, one module a step.

Enters: pixels, uint8 (height, width) grey or (height, width, 3) RGB. Leaves: the network's input, float32 (28, 28), 0 =
background to 1 = full ink, and a Report of what was done. A picture that has MNIST form already comes out unchanged.

`grayscale` and `background` find ink, `components` and `segmentation` the digit, `sheet` what it stands on. `search`
looks for it with these. `strokes` and `mnist_frame` bring it into MNIST form. `steps` draws what each of them did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from service.images.background import Polarity
from service.images.components import Box
from service.images.grayscale import to_grey
from service.images.mnist_frame import UNCHANGED, Frame, frame, mnist_form_box
from service.images.search import Found, find
from service.images.strokes import Digit, Stroke, normalize_strokes
from service.types import IMAGE_SIDE, ByteArray, FloatArray


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
    """The network's input, float32 (28, 28), what was done, and what was found on the way, None for MNIST form.

    `others` are further ways to see the picture, from which the network may choose: a digit that stands upright though
    its sheet is turned, or one that was taken for a badge with a digit on it.
    """

    pixels: FloatArray
    report: Report
    found: Found | None = None
    digit: Digit | None = None
    others: tuple[Normalized, ...] = ()

    @property
    def on_region(self) -> bool:
        """Whether the digit stands on a sheet or a badge."""
        return self.found is not None and self.found.region is not None


def normalize(pixels: ByteArray, larger: Callable[[], ByteArray] | None = None) -> Normalized:
    """Bring a picture into MNIST form. Raises NoInk when it is blank, with the reason.

    `larger` returns the same picture with more pixels, where it has more.
    """
    size = (pixels.shape[0], pixels.shape[1])
    if size == (IMAGE_SIDE, IMAGE_SIDE):
        grey = to_grey(pixels)
        box = mnist_form_box(grey)
        if box is not None:
            report = Report(size, Polarity.LIGHT_ON_DARK, box, None, UNCHANGED)
            return Normalized(grey.astype(np.float32) / np.float32(255), report)
    first, *others = find(pixels, larger)
    normalized = _framed(first, size)
    if not others:
        return normalized
    framed = [_framed(found, size) for found in others]
    # What is only turned lies in the same place.
    same = [
        replace(one, report=normalized.report) if found.is_turned else one
        for found, one in zip(others, framed, strict=True)
    ]
    return replace(normalized, others=tuple(same))


def _framed(found: Found, size: tuple[int, int]) -> Normalized:
    digit, stroke = normalize_strokes(found.ink.strength, found.ink.box)
    framed, placed = frame(digit)
    box, placed = _in_picture(found, placed, size)
    return Normalized(framed, Report(size, found.polarity, box, stroke, placed), found, digit)


def _in_picture(found: Found, placed: Frame, size: tuple[int, int]) -> tuple[Box, Frame]:
    """Return the box of the ink, and how the digit was placed, in pixels of the whole picture at working size."""
    (top, left, bottom, right), scale, shift = found.box, placed.scale / found.ink.factor, placed.shift
    if not found.view.is_whole:
        corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64)
        seen = cv2.perspectiveTransform(corners, found.view.to_picture)[0]
        # Views are turned and seen at a slant, so this holds in the middle of the digit.
        middle, here = corners[0].mean(axis=0), seen.mean(axis=0)
        in_view, scale = scale, scale * (right - left) / float(np.hypot(*(seen[1] - seen[0])))
        shift = tuple((in_view * middle - scale * here)[::-1] + placed.shift)
        (left, top), (right, bottom) = np.rint((seen.min(axis=0), seen.max(axis=0))).astype(int).tolist()
    top, left = min(max(top, 0), size[0] - 1), min(max(left, 0), size[1] - 1)
    box = Box(top, left, max(min(bottom, size[0]), top + 1), max(min(right, size[1]), left + 1))
    return box, Frame(scale, (float(shift[0]), float(shift[1])))
