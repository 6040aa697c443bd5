"""Removal of ruled lines by their run length, with morphological openings by line elements.

Enters: a mask of the foreground, uint8 (height, width), 0 or 255. Leaves: the mask without the lines of ruled or
squared paper and of table cells, and the number of lines; strokes that cross a line stay whole. The question that is
answered here is which pixels are a line across the whole picture. Out of scope: printed boxes (`components`) and
underlines (`segmentation`), which end inside of it.
"""

from __future__ import annotations

import cv2
import numpy as np

from service.types import ByteArray

# The largest thickness of a line, a share of the picture's longer side. Within a run it rises or falls by no more.
_MAX_THICKNESS = 0.02
# The least run length of pixels of a line, and the least number of columns with such pixels, shares of the width.
_MIN_RUN = 0.15
_MIN_COVERED = 0.35
# The widest gap in a line, where something crosses it, as a share of the width.
_MAX_GAP = 0.5
# The steepest slope of a line, in pixels down for one across.
_MAX_SLOPE = 0.1
# The least share of the width from the first column of a line to the last.
_MIN_SPAN = 0.95


def remove_ruled_lines(mask: ByteArray) -> tuple[ByteArray, int]:
    """Return a mask without thin straight lines across the whole picture, horizontal or vertical, and their number."""
    rest, n_horizontal = _remove_horizontal_lines(mask)
    transposed, n_vertical = _remove_horizontal_lines(cv2.transpose(rest))
    return cv2.transpose(transposed), n_horizontal + n_vertical


def _remove_horizontal_lines(mask: ByteArray) -> tuple[ByteArray, int]:
    width = mask.shape[1]
    thickness = max(2, round(_MAX_THICKNESS * max(mask.shape)))
    thin = cv2.subtract(mask, _opening(mask, rows=thickness + 1))
    # A line with a slope leaves its row, so runs are measured in a band of rows.
    band = np.ones((2 * thickness + 1, 1), np.uint8)
    # Vertical lines that cross it leave gaps.
    joined = cv2.morphologyEx(cv2.dilate(thin, band), cv2.MORPH_CLOSE, np.ones((1, 2 * thickness + 3), np.uint8))
    in_run = cv2.bitwise_and(thin, _opening(joined, columns=round(_MIN_RUN * width)))
    if not cv2.countNonZero(in_run):
        return mask, 0
    # Strokes that cross a line leave gaps. The closing fills them, and does not lengthen the line at its ends.
    gap = np.ones((1, round(_MAX_GAP * width) | 1), np.uint8)
    bands = cv2.morphologyEx(cv2.dilate(in_run, band), cv2.MORPH_CLOSE, gap)
    n, labels, stats, _ = cv2.connectedComponentsWithStats(bands, connectivity=8, ltype=cv2.CV_16U)
    ruled, n_lines = np.zeros_like(mask), 0
    for number in range(1, n):
        line = cv2.bitwise_and(in_run, np.equal(labels, number).view(np.uint8) * np.uint8(255))
        if stats[number, cv2.CC_STAT_WIDTH] < _MIN_SPAN * width:
            line = _straight_pieces(line, thin, thickness)
        columns = np.flatnonzero(line.any(axis=0))
        if columns.size and np.ptp(columns) + 1 >= _MIN_SPAN * width and columns.size >= _MIN_COVERED * width:
            # Two components may be parts of one line, which is counted once.
            n_lines += cv2.countNonZero(cv2.subtract(line, ruled)) > 0
            ruled = cv2.bitwise_or(ruled, line)
    return cv2.subtract(mask, ruled), n_lines


def _straight_pieces(line: ByteArray, thin: ByteArray, thickness: int) -> ByteArray:
    """Return the thin pixels on the straight line through a component of a line, fitted by least squares.

    This extends the component to pieces of the same line whose runs are too short. A component of one column, or a
    steep one, is returned as it is.
    """
    rows, columns = np.nonzero(line)
    if columns.size == 0 or np.ptp(columns) == 0:
        return line
    slope, level = np.polyfit(columns, rows, 1)
    if abs(slope) > _MAX_SLOPE:
        return line
    height, width = thin.shape
    distance = np.abs(np.arange(height)[:, None] - (level + slope * np.arange(width)))
    near = np.where(distance <= thickness, thin, np.uint8(0))
    # The opening leaves out strokes that cross the line, whose runs on it are short.
    return _opening(near, columns=2 * thickness)


def _opening(mask: cv2.typing.MatLike, rows: int = 1, columns: int = 1) -> ByteArray:
    """Return the opening of a mask with a rectangle: the pixels in runs of this length down and across."""
    element = np.ones((max(rows, 1), max(columns, 1)), np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, element)
