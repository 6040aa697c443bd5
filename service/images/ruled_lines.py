"""Ruled lines are not ink of the digit.

Enters: a mask of inked pixels, uint8 (height, width), 0 or 255. Leaves: the mask without the lines of ruled or squared
paper and of table cells, with the strokes that cross them whole, and the number of lines.
"""

from __future__ import annotations

import cv2
import numpy as np

from service.types import ByteArray

# Lines are thinner than this share of the picture's longer side; they may rise or fall by as much within a run.
_THICKEST = 0.02
# What lies in runs of this share of the picture's width may be part of a line, if together they are this share of it.
_RUN = 0.15
_SEEN = 0.35
# What crosses a line interrupts it by no more than this share of the width.
_INTERRUPTION = 0.5
# It is no steeper than this, in pixels down for one across.
_STEEPEST = 0.1
# A line goes from one edge of the picture to the other, nearly.
_SPAN = 0.95


def remove_ruled_lines(mask: ByteArray) -> tuple[ByteArray, int]:
    """Return a mask without thin straight lines across the whole picture, about level or upright, and their number."""
    rest, n_level = _without_level_lines(mask)
    turned, n_upright = _without_level_lines(cv2.transpose(rest))
    return cv2.transpose(turned), n_level + n_upright


def _without_level_lines(mask: ByteArray) -> tuple[ByteArray, int]:
    width = mask.shape[1]
    thickest = max(2, round(_THICKEST * max(mask.shape)))
    thin = cv2.subtract(mask, _opened(mask, rows=thickest + 1))
    # A line that is not quite level leaves its row, so it is followed in a band.
    band = np.ones((2 * thickest + 1, 1), np.uint8)
    # Upright lines that cross it leave gaps.
    joined = cv2.morphologyEx(cv2.dilate(thin, band), cv2.MORPH_CLOSE, np.ones((1, 2 * thickest + 3), np.uint8))
    in_run = cv2.bitwise_and(thin, _opened(joined, columns=round(_RUN * width)))
    if not cv2.countNonZero(in_run):
        return mask, 0
    # What crosses a line interrupts it; beyond its ends there is nothing to cross.
    gap = np.ones((1, round(_INTERRUPTION * width) | 1), np.uint8)
    bands = cv2.morphologyEx(cv2.dilate(in_run, band), cv2.MORPH_CLOSE, gap)
    n, labels, stats, _ = cv2.connectedComponentsWithStats(bands, connectivity=8, ltype=cv2.CV_16U)
    ruled, n_lines = np.zeros_like(mask), 0
    for number in range(1, n):
        line = cv2.bitwise_and(in_run, np.equal(labels, number).view(np.uint8) * np.uint8(255))
        if stats[number, cv2.CC_STAT_WIDTH] < _SPAN * width:
            line = _straight_pieces(line, thin, thickest)
        columns = np.flatnonzero(line.any(axis=0))
        if columns.size and np.ptp(columns) + 1 >= _SPAN * width and columns.size >= _SEEN * width:
            # Two halves of a line are on the same line.
            n_lines += cv2.countNonZero(cv2.subtract(line, ruled)) > 0
            ruled = cv2.bitwise_or(ruled, line)
    return cv2.subtract(mask, ruled), n_lines


def _straight_pieces(line: ByteArray, thin: ByteArray, thickest: int) -> ByteArray:
    """Return what lies on a straight line, of what is thin, in pieces too short to be a ruled line by themselves."""
    rows, columns = np.nonzero(line)
    if columns.size == 0 or np.ptp(columns) == 0:
        return line
    slope, level = np.polyfit(columns, rows, 1)
    if abs(slope) > _STEEPEST:
        return line
    height, width = thin.shape
    away = np.abs(np.arange(height)[:, None] - (level + slope * np.arange(width)))
    near = np.where(away <= thickest, thin, np.uint8(0))
    # A stroke that crosses the line is on it for no more than its own width.
    return _opened(near, columns=2 * thickest)


def _opened(mask: cv2.typing.MatLike, rows: int = 1, columns: int = 1) -> ByteArray:
    """Return what of a mask lies in runs of so many pixels along a column and a row."""
    element = np.ones((max(rows, 1), max(columns, 1)), np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, element)
