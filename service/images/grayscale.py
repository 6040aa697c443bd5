"""Pixels of any kind to 8-bit grey: alpha flattening, PCA grayscale, high bit depths, downsampling.

Enters: arrays of pixels, as `decoding` unpacks them. Leaves: uint8 (height, width), or (height, width, 3) RGB before
the projection to grey. Out of scope: what is ink and what is paper (`background`).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from service.types import ByteArray, FloatArray

WHITE = 255
_LEVELS = np.arange(WHITE + 1)
# The least alpha of a visible pixel.
_MIN_VISIBLE_ALPHA = 128
# Where each channel of the visible colours has a smaller range than this, the drawing is in the alpha channel alone.
_MIN_COLOUR_RANGE = 64
# The principal component is measured on a thumbnail of at most this many pixels a side.
_THUMBNAIL_SIDE = 48
# Bit depths of cameras and scanners, whose files have 16 or 32 bits a pixel.
_BIT_DEPTHS = (8, 10, 12, 14, 16)


def flatten_alpha(pixels: ByteArray) -> ByteArray:
    """Blend a picture, uint8 (height, width, 4) with alpha last, over a ground with contrast to its ink.

    Returns colours, uint8 (height, width, 3). Where the drawing is in the alpha channel alone, returns grey, uint8
    (height, width): 0 where it is opaque, 255 where it is transparent.
    """
    alpha = cv2.extractChannel(pixels, 3)
    if cv2.minMaxLoc(alpha)[0] == WHITE:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    # numpy selects one 32-bit number a pixel several times as fast as four channels.
    opaque = alpha.reshape(-1) >= _MIN_VISIBLE_ALPHA
    visible = pixels.reshape(-1).view(np.uint32)[opaque].view(np.uint8).reshape(1, -1, 4)
    if not visible.size or all(_range(channel) < _MIN_COLOUR_RANGE for channel in cv2.split(visible)[:3]):
        return cv2.bitwise_not(alpha)
    # The ground of a cut-out is its own median colour, the paper. Strokes alone cover less than half of the picture,
    # and need a ground of the opposite brightness.
    ground = [_median(channel) for channel in cv2.split(visible)[:3]]
    if visible.shape[1] <= alpha.size / 2:
        ground = 3 * [WHITE if sum(ground) < 3 * WHITE / 2 else 0]
    flat = [_blend(channel, shade, alpha) for channel, shade in zip(cv2.split(pixels)[:3], ground, strict=True)]
    return cv2.merge(flat)


def _range(values: ByteArray) -> float:
    lowest, highest, _, _ = cv2.minMaxLoc(values)
    return highest - lowest


def _median(values: ByteArray) -> int:
    return int(np.searchsorted(np.bincount(values.ravel()).cumsum(), values.size / 2))


def _blend(channel: ByteArray, ground: int, alpha: ByteArray) -> ByteArray:
    under = np.rint((WHITE - _LEVELS) * ground / WHITE).astype(np.uint8)
    return cv2.add(cv2.multiply(channel, alpha, scale=1 / WHITE), cv2.LUT(alpha, under))


def to_grey(pixels: ByteArray, axis: FloatArray | None = None) -> ByteArray:
    """Return the PCA grayscale of a picture, uint8 (height, width, 3) RGB: its projection on `axis`, uint8.

    `axis`, float32 (3,), is that of `colour_axis` by default. A picture (height, width) is returned unchanged, and one
    of grey colours is returned as grey of the same values.
    """
    if pixels.ndim == 2:
        return pixels
    axis = colour_axis(pixels) if axis is None else axis
    if not axis.any():
        return cv2.extractChannel(pixels, 0)
    # The offset maps the darkest corner of the RGB cube along the axis to 0.
    return cv2.transform(pixels, np.array([[*axis, -WHITE * np.minimum(axis, 0).sum()]], np.float32))


def colour_axis(pixels: ByteArray) -> FloatArray:
    """Return the first principal component of the colours of a picture, uint8 (height, width, 3), as float32 (3,).

    Projected on it, yellow on white or red on green of the same luminance keep their contrast, as they do not in
    luminance. The sum of the axis is not negative, so that black is darker than white. It is 0 where all colours are
    grey. Its length is 1 / sqrt(3), so that projections are at most 255 wide.
    """
    step = downsampling_factor(pixels.shape[:2], _THUMBNAIL_SIDE)
    thumbnail = np.ascontiguousarray(pixels[::step, ::step])
    if _is_grey(thumbnail) and _is_grey(pixels):
        return np.zeros(3, np.float32)
    colours = thumbnail.reshape(-1, 3).astype(np.float32)
    covariance, _ = cv2.calcCovarMatrix(colours, np.empty(0), cv2.COVAR_NORMAL | cv2.COVAR_ROWS)
    axis = cv2.eigen(covariance)[2][0]
    # The diagonal of the RGB cube is sqrt(3) times its side.
    return (axis * np.copysign(3**-0.5, axis.sum())).astype(np.float32)


def _is_grey(pixels: ByteArray) -> bool:
    red, green, blue = cv2.split(pixels)
    return np.array_equal(red, green) and np.array_equal(red, blue)


def downsampling_factor(size: tuple[int, ...], side: int) -> int:
    """Return the least whole factor, from 1, by which the longer of two lengths in pixels becomes at most `side`."""
    return max(1, -(-max(size) // side))


def average_blocks(pixels: ByteArray, side: int) -> ByteArray:
    """Downsample by a whole factor, so that the longer side has at most `side` pixels; each is the mean of a block.

    Blocks at the edge that are not full are filled up by repeating the last row and column.
    """
    height, width = pixels.shape[:2]
    factor = downsampling_factor((height, width), side)
    if factor == 1:
        return pixels
    bottom, right = -height % factor, -width % factor
    if bottom or right:
        # INTER_AREA takes ten times as long with a fractional factor.
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    return cv2.resize(pixels, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)


def downsample(pixels: ByteArray, side: int) -> ByteArray:
    """Downsample by a fractional factor, so that the longer side, of at least `side` pixels, has exactly `side`."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def to_uint8(values: npt.NDArray[Any]) -> ByteArray:
    """Scale greys of a high bit depth, integers of 16 or 32 bits or floats (height, width), to uint8.

    Integers from 0 to 65535 have a bit depth of 8, 10, 12, 14 or 16, the smallest that fits the largest value. So a
    scan that uses a part of its range keeps its contrast, and noise of a few levels stays faint. White of floats from 0
    to 1 is 1. White of all other values is the largest one, and black is 0 or the smallest negative one. Values that
    are not finite become 0.
    """
    numbers = np.nan_to_num(values, posinf=0, neginf=0).astype(np.float64)
    black, white = min(0.0, float(numbers.min())), float(numbers.max())
    if black == 0 and values.dtype.kind in "iu" and white < 2 ** _BIT_DEPTHS[-1]:
        white = next(2**bits - 1 for bits in _BIT_DEPTHS if white < 2**bits)
    elif black == 0 and values.dtype.kind == "f" and white <= 1:
        white = 1
    scaled = (numbers - black) * (WHITE / max(white - black, 1))
    return np.rint(scaled).astype(np.uint8)
