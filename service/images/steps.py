"""A debug picture of every step, so that a misread picture can be followed by eye.

Enters: a picture and what `pipeline.normalize` made of it. Leaves: pictures by the name of their step. Nothing here is
used to read a digit.
"""

from __future__ import annotations

import cv2
import numpy as np

from service.images.pipeline import Normalized
from service.types import ByteArray, FloatArray

_OUTLINE = (220, 30, 30)
_MAGNIFICATION = 8


def draw(pixels: ByteArray, normalized: Normalized) -> dict[str, ByteArray]:
    """Return a picture of each step, uint8 (height, width) or RGB (height, width, 3), in their order.

    `picture` has the digit's box drawn in. `view` is the part that was read, rectified where it is a sheet; `strength`
    is how much ink it has, `components` shows the connected components in colours, `digit` those that were chosen,
    `strokes` the digit with strokes of MNIST's width, and `input` what the network sees.
    """
    found, digit = normalized.found, normalized.digit
    top, left, bottom, right = normalized.report.ink_box
    picture = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels.copy()
    drawn = {"picture": cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), _OUTLINE)}
    if found is not None and digit is not None:
        seen = found.ink.segmentation
        hues = (seen.components.labels * 37 % 180).astype(np.uint8)
        coloured = np.dstack(
            [hues, np.full_like(hues, 200), np.where(seen.components.labels > 0, 255, 0).astype(np.uint8)]
        )
        drawn |= {
            "view": found.view.pixels,
            "strength": seen.strength,
            "components": cv2.cvtColor(coloured, cv2.COLOR_HSV2RGB),
            "digit": found.ink.strength,
            "strokes": digit.ink,
        }
    return drawn | {"input": _magnified(normalized.pixels)}


def _magnified(pixels: FloatArray) -> ByteArray:
    size = (_MAGNIFICATION * pixels.shape[1], _MAGNIFICATION * pixels.shape[0])
    return cv2.resize(np.rint(255 * pixels).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
