"""ByteArray of any kind in, 8-bit grey out: alpha flattened, colours projected to grey, wide ranges scaled.

Enters: arrays of pixels, as `decoding` unpacks them. Leaves: uint8 (height, width), or (height, width, 3) RGB until the
colours are projected. Out of scope: what is ink and what is paper.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from service.types import ByteArray, FloatArray

WHITE = 255
_LEVELS = np.arange(WHITE + 1)
# Alpha from which on a pixel counts as visible.
_VISIBLE = 128
# Visible colours that differ by less in every channel count as one, so that alpha alone holds the drawing.
_ONE_COLOUR = 64
# The colour axis is measured on every so-manieth pixel, of at most so many along the longer side.
_THUMBNAIL_SIDE = 48
# Bits that cameras and scanners put into integers of 16 or 32 bits.
_BIT_DEPTHS = (8, 10, 12, 14, 16)


def flatten_alpha(pixels: ByteArray) -> ByteArray:
    """Lay a picture with transparency, uint8 (height, width, 4) with alpha last, on a ground that shows its ink.

    Returns its colours (height, width, 3), or grey (height, width) where the alpha channel alone holds the drawing: 0
    where it is opaque, 255 where it is transparent.
    """
    alpha = cv2.extractChannel(pixels, 3)
    if cv2.minMaxLoc(alpha)[0] == WHITE:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    # As one number a pixel, since numpy selects these several times as fast.
    visible = pixels.reshape(-1).view(np.uint32)[alpha.reshape(-1) >= _VISIBLE].view(np.uint8).reshape(1, -1, 4)
    if not visible.size or all(_spread(channel) < _ONE_COLOUR for channel in cv2.split(visible)[:3]):
        return cv2.bitwise_not(alpha)
    ground = [_median(channel) for channel in cv2.split(visible)[:3]]
    if visible.shape[1] <= alpha.size / 2:
        # Strokes on nothing; of a cut-out more is visible, and its own paper goes on.
        ground = 3 * [WHITE if sum(ground) < 3 * WHITE / 2 else 0]
    flat = [_blend(channel, shade, alpha) for channel, shade in zip(cv2.split(pixels)[:3], ground, strict=True)]
    return cv2.merge(flat)


def _spread(values: ByteArray) -> float:
    lowest, highest, _, _ = cv2.minMaxLoc(values)
    return highest - lowest


def _median(values: ByteArray) -> int:
    return int(np.searchsorted(np.bincount(values.ravel()).cumsum(), values.size / 2))


def _blend(channel: ByteArray, ground: int, alpha: ByteArray) -> ByteArray:
    under = np.rint((WHITE - _LEVELS) * ground / WHITE).astype(np.uint8)
    return cv2.add(cv2.multiply(channel, alpha, scale=1 / WHITE), cv2.LUT(alpha, under))


def to_grey(pixels: ByteArray, axis: FloatArray | None = None) -> ByteArray:
    """Project colours, uint8 (height, width, 3) RGB, to grey along an axis, that of `colour_axis` where none is given.

    Grey pictures, of either shape, come out as they are.
    """
    if pixels.ndim == 2:
        return pixels
    axis = colour_axis(pixels) if axis is None else axis
    if not axis.any():
        return cv2.extractChannel(pixels, 0)
    # Colours lie in a cube: its darkest corner along the axis becomes 0.
    return cv2.transform(pixels, np.array([[*axis, -WHITE * np.minimum(axis, 0).sum()]], np.float32))


def colour_axis(pixels: ByteArray) -> FloatArray:
    """Return the direction in which the colours of a picture, uint8 (height, width, 3), differ most, float32 (3,).

    It is the first principal component: black on white gives the usual grey, and yellow on white or red on green of the
    same luminance keep their contrast. Black stays dark and white light. It is 0 where all colours are grey.
    """
    step = -(-max(pixels.shape) // _THUMBNAIL_SIDE)
    thumbnail = np.ascontiguousarray(pixels[::step, ::step])
    if _is_grey(thumbnail) and _is_grey(pixels):
        return np.zeros(3, np.float32)
    colours = thumbnail.reshape(-1, 3).astype(np.float32)
    covariance, _ = cv2.calcCovarMatrix(colours, np.empty(0), cv2.COVAR_NORMAL | cv2.COVAR_ROWS)
    axis = cv2.eigen(covariance)[2][0]
    # The diagonal of the cube of colours is sqrt(3) sides.
    return (axis * np.copysign(3**-0.5, axis.sum())).astype(np.float32)


def _is_grey(pixels: ByteArray) -> bool:
    red, green, blue = cv2.split(pixels)
    return np.array_equal(red, green) and np.array_equal(red, blue)


def reduced(pixels: ByteArray, side: int) -> ByteArray:
    """Average square blocks of pixels, so that the longer side, of height and width, has at most `side` of them.

    Where the last ones are not full, pixels at the edge count more often.
    """
    height, width = pixels.shape[:2]
    factor = -(-max(height, width) // side)
    if factor <= 1:
        return pixels
    bottom, right = -height % factor, -width % factor
    if bottom or right:
        # By any but a whole factor it would take ten times as long.
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(pixels, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)


def fitted(pixels: ByteArray, side: int) -> ByteArray:
    """Average areas of pixels, also by a fraction, so that the longer side, of no fewer, has just `side` of them."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def from_wide_range(values: npt.NDArray[Any]) -> ByteArray:
    """Scale greys of 16 or 32 bits or floats, (height, width), to uint8; what is not finite counts as 0.

    Integers from 0 to 65535 are taken for numbers of 8, 10, 12, 14 or 16 bits, the fewest that hold the largest one:
    a scan that uses a part of its range keeps its contrast, and noise of a few levels stays as faint as in 8 bits.
    Floats from 0 to 1 have white at 1. Of any others white is the largest value, black 0 or the smallest below it.
    """
    numbers = np.nan_to_num(values, posinf=0, neginf=0).astype(np.float64)
    black, white = min(0.0, float(numbers.min())), float(numbers.max())
    if black == 0 and values.dtype.kind in "iu" and white < 2 ** _BIT_DEPTHS[-1]:
        white = next(2**bits - 1 for bits in _BIT_DEPTHS if white < 2**bits)
    elif black == 0 and values.dtype.kind == "f" and white <= 1:
        white = 1
    scaled = (numbers - black) * (WHITE / max(white - black, 1))
    return np.rint(scaled).astype(np.uint8)
