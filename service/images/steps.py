"""Debug pictures of the pipeline's steps.

Enters: a picture, and the result of `pipeline.normalize` for it. Leaves: pictures by the name of their step. Out of
scope: reading a digit.
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

    `picture` is the picture with the digit's box, `view` the part that was read, rectified where it is a sheet,
    `strength` its ink, `components` the connected components in colours, `digit` the selected ones, `strokes` the digit
    after stroke-width normalisation, and `input` the network's input. For MNIST form there are only the first and last.
    """
    detection, digit = normalized.detection, normalized.digit
    top, left, bottom, right = normalized.report.ink_box
    picture = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels.copy()
    drawn = {"picture": cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), _OUTLINE)}
    if detection is not None and digit is not None:
        segmentation = detection.ink.segmentation
        labels = segmentation.components.labels
        hues = (labels * 37 % 180).astype(np.uint8)
        coloured = np.dstack([hues, np.full_like(hues, 200), np.where(labels > 0, 255, 0).astype(np.uint8)])
        drawn |= {
            "view": detection.view.pixels,
            "strength": segmentation.strength,
            "components": cv2.cvtColor(coloured, cv2.COLOR_HSV2RGB),
            "digit": detection.ink.strength,
            "strokes": digit.ink,
        }
    return drawn | {"input": _magnified(normalized.pixels)}


def _magnified(pixels: FloatArray) -> ByteArray:
    size = (_MAGNIFICATION * pixels.shape[1], _MAGNIFICATION * pixels.shape[0])
    return cv2.resize(np.rint(255 * pixels).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
