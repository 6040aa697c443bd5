"""Sheets and filled shapes: where the digit stands on something that is itself on something else.

Enters: the levels of a picture. Leaves: Regions: sheets of paper, notes and cards on a table, turned or in perspective,
cut-outs on their padding, and the filled discs and badges of signs; and each of them rectified. Out of scope: whether
there is a digit on one (`search` looks).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import cv2
import numpy as np
import numpy.typing as npt

from service.images.background import Pyramid
from service.images.components import Box, square
from service.types import ByteArray

# A region's shorter side is at least this share of the picture's longer one, and so many pixels of the coarse level. It
# is not all of the picture: at most this share of its area.
_SMALLEST = 0.125
_FEWEST_PIXELS = 5
_LARGEST = 0.95
# Its shorter side is at least this share of the longer one.
_NARROWEST = 0.4
# Its outline has no more dents than this: the share of its convex hull that it fills. A digit may touch the edge of a
# sheet; a badge has a smooth one, as handwriting hardly has.
_CONVEX = 0.88
_CONVEX_BADGE = 0.94
# Of its area it fills this share; the rest is ink.
_FILLED = 0.55
# The hull is a quadrilateral that fills this share of the one around it, whose corners are within so many degrees of
# 90: a sheet seen at a slant. Outlines are simplified by up to this share of their length.
_QUADRILATERAL = 0.93
_SLANT = 35
_SIMPLIFIED = (0.02, 0.03, 0.05)
# A sheet that leaves the picture has at most so many corners.
_CLIPPED_CORNERS = 6
# Of any region these many pixels at its edge are left out, and this share of its size: they lie half on the table.
_INSET_PIXELS = 0.75
_INSET = 0.006
# A loop of even width is a digit 0, no sheet with a hole: the variation of its width, standard deviation to mean.
_EVEN = 0.25
_CONVEX_HOLE = 0.8
_SMALLEST_HOLE = 0.06
# A disc fills this share of the circle around it.
_ROUND = 0.85
# Two levels of grey are so far apart, of 255, that one may be what the digit stands on.
_LEVELS_APART = 20
# Along its outline, but for this share of it, brightness changes by so much, of 255, over two coarse pixels; light
# changes less.
_SHARP = 12
_SHARP_SHARE = 0.25
# Regions are tried in turn, at most so many.
_MOST = 4

Points = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


class Kind(Enum):
    """What a region may be: a sheet with its four corners, a badge of another form, a sheet that leaves the picture."""

    SHEET = auto()
    BADGE = auto()
    CLIPPED = auto()


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a picture: its outline, float32 (n, 2), points (x, y), its area in pixels, and its turn.

    The outline of a sheet is its four corners, clockwise from the one that is top left when the sheet is turned back by
    `turn`, in degrees clockwise, from -45 to 45.
    """

    kind: Kind
    outline: Points
    area: float
    turn: float = 0.0


def find_regions(levels: Pyramid) -> list[Region]:
    """Return the regions of a picture that may be what the digit stands on, the smallest first.

    Their outlines are in pixels of the medium level.
    """
    found: list[Region] = []
    seen: list[Box] = []
    steps = cv2.morphologyEx(levels.coarse, cv2.MORPH_GRADIENT, square(3))
    for threshold in _thresholds(levels.coarse):
        for kind in (cv2.THRESH_BINARY, cv2.THRESH_BINARY_INV):
            for box in _region_boxes(_mask(levels.coarse, threshold, kind), steps):
                if any(box.is_like(other) for other in seen):
                    continue
                region = _region(_mask(levels.medium, threshold, kind), box.scaled(levels.coarse_factor))
                if region is not None:
                    found.append(region)
                    seen.append(box)
    found.sort(key=lambda region: region.area)
    return found[-_MOST:]


def _mask(grey: ByteArray, threshold: float, kind: int) -> ByteArray:
    return cv2.threshold(grey, threshold, 255, kind)[1]


def _thresholds(grey: ByteArray) -> list[int]:
    """Return Otsu's threshold of a picture, and those of its dark and its light part where these differ in themselves.

    A digit, what it stands on and what is around that are three levels.
    """
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    first, _ = _otsu(counts, 0, 256)
    parts = [_otsu(counts, low, high) for low, high in ((0, first + 1), (first + 1, 256)) if low < high]
    return [first, *(threshold for threshold, apart in parts if apart > _LEVELS_APART)]


def _otsu(counts: npt.NDArray[np.float64], low: int, high: int) -> tuple[int, float]:
    """Return the threshold that parts the levels low..high of a histogram best, and how far apart the means are.

    After Otsu 1979, "A threshold selection method from gray-level histograms".
    """
    below, sums = counts[low:high].cumsum(), (counts[low:high] * _LEVELS[low:high]).cumsum()
    above = below[-1] - below
    apart = (sums[-1] - sums) / np.maximum(above, 1) - sums / np.maximum(below, 1)
    best = int((below * above * apart * apart).argmax())
    return low + best, float(apart[best]) if above[best] else 0.0


_LEVELS = np.arange(256, dtype=np.float64)


def _region_boxes(mask: ByteArray, steps: ByteArray) -> list[Box]:
    """Return where the components of a mask lie that are large, nearly convex but for holes, and have a sharp edge.

    `steps`, uint8 (height, width), is how much brightness changes at each pixel.
    """
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boxes = []
    shortest = max(_FEWEST_PIXELS, _SMALLEST * max(mask.shape))
    for contour in contours:
        if len(contour) < 2 * shortest:
            continue
        left, top, width, height = cv2.boundingRect(contour)
        if min(width, height) < max(shortest, _NARROWEST * max(width, height)):
            continue
        if _area(contour) < _CONVEX * _area(cv2.convexHull(contour)):
            continue
        along = _within(contour, mask.shape)
        if len(along) and np.sort(steps[along[:, 1], along[:, 0]])[int(_SHARP_SHARE * len(along))] > _SHARP:
            boxes.append(Box(top, left, top + height, left + width))
    return boxes


def _within(contour: npt.NDArray[np.int32], size: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Return the points of a contour that are not at the border of the picture."""
    points = contour[:, 0]
    return points[((points > 0) & (points < (size[1] - 1, size[0] - 1))).all(axis=1)]


def _area(contour: npt.NDArray[np.int32] | Points) -> float:
    """Return the area of a contour, which runs through the middles of its pixels, in pixels."""
    return cv2.contourArea(contour) + cv2.arcLength(contour, closed=True) / 2 + 1


def is_convex(mask: ByteArray) -> bool:
    """Tell whether the largest component of a mask, uint8 (height, width), is nearly convex but for holes."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contour = max(contours, key=len)
    return _area(contour) > _CONVEX * _area(cv2.convexHull(contour))


def _region(mask: ByteArray, box: Box) -> Region | None:
    """Return the region in a mask that lies about in a box."""
    part, corner = mask[box.slices], (box.left, box.top)
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=corner)
    contour = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(contour)
    area = _area(hull)
    filled = cv2.drawContours(np.zeros_like(part), [contour - corner], -1, 255, cv2.FILLED)
    inside = cv2.bitwise_and(part, filled)
    is_full = cv2.countNonZero(inside) >= _FILLED * cv2.countNonZero(filled)
    corners = _quadrilateral(hull, area)
    if area > _LARGEST * mask.size or _area(contour) < _CONVEX * area or not is_full:
        return None
    if _is_loop(inside, filled, is_sheet=corners is not None):
        return None
    if corners is not None:
        across = corners[1] - corners[0] + corners[2] - corners[3]
        return Region(Kind.SHEET, corners, area, float(np.degrees(np.arctan2(across[1], across[0]))))
    outline = contour.reshape(-1, 2).astype(np.float32)
    if len(_within(hull, mask.shape)) == len(hull):
        return Region(Kind.BADGE, outline, area) if _area(contour) > _CONVEX_BADGE * area else None
    edges = cv2.approxPolyDP(hull, _SIMPLIFIED[0] * cv2.arcLength(hull, closed=True), closed=True)
    is_clipped = len(edges) <= _CLIPPED_CORNERS
    return Region(Kind.CLIPPED, outline, area, _turn(edges.reshape(-1, 2), mask.shape)) if is_clipped else None


def _turn(corners: npt.NDArray[np.int32], size: tuple[int, ...]) -> float:
    """Return by how many degrees, up to 45, the longest side of a sheet that leaves the picture is turned."""
    sides = np.roll(corners, -1, axis=0) - corners
    height, width = size
    along_border = [
        any(
            abs(one[axis] - end) <= 1 and abs(other[axis] - end) <= 1
            for axis, end in ((0, 0), (0, width - 1), (1, 0), (1, height - 1))
        )
        for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True)
    ]
    lengths = np.where(along_border, 0, np.hypot(sides[:, 0], sides[:, 1]))
    across, down = sides[int(lengths.argmax())]
    return float((np.degrees(np.arctan2(down, across)) + 45) % 90 - 45)


def _is_loop(inside: ByteArray, filled: ByteArray, *, is_sheet: bool) -> bool:
    """Tell whether a shape, within the same with its holes filled, is a stroke around them, as of 0, 6 and 8.

    Its holes are convex, as no digit on a badge is but a 1. And around a 1 there is a sheet, or a disc, whose edge is
    here nearer and there farther.
    """
    holes = cv2.morphologyEx(cv2.subtract(filled, inside), cv2.MORPH_OPEN, square(2))
    contours, tree = cv2.findContours(holes, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    is_small = cv2.countNonZero(holes) < _SMALLEST_HOLE * cv2.countNonZero(filled)
    if tree is None or (tree[0, :, 3] >= 0).any() or (is_small and is_sheet):
        return False
    if any(_area(contour) < _CONVEX_HOLE * _area(cv2.convexHull(contour)) for contour in contours):
        return False
    edge, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    radius = cv2.minEnclosingCircle(edge[0])[1]
    if not is_sheet and (len(contours) > 1 or _area(edge[0]) < _ROUND * np.pi * radius * radius):
        return True
    # Distance of the outer edge to the holes.
    away = cv2.distanceTransform(cv2.bitwise_not(holes), cv2.DIST_L2, 3)
    widths = away[edge[0][:, 0, 1], edge[0][:, 0, 0]]
    return not is_small and float(widths.std()) < _EVEN * float(widths.mean())


def _quadrilateral(hull: npt.NDArray[np.int32], area: float) -> Points | None:
    """Return the four corners of a sheet's outline; None where it has another form."""
    length = cv2.arcLength(hull, closed=True)
    for share in _SIMPLIFIED:
        corners = cv2.approxPolyDP(hull, share * length, closed=True).reshape(-1, 2).astype(np.float32)
        if len(corners) == 4:
            break
    else:
        return None
    if not _QUADRILATERAL < _area(corners) / area < 1 / _QUADRILATERAL:
        return None
    sides = np.roll(corners, -1, axis=0) - corners
    turns = np.degrees(np.arctan2(sides[:, 1], sides[:, 0]))
    angles = (np.roll(turns, -1) - turns) % 360
    angles = np.minimum(angles, 360 - angles)
    if np.abs(angles - 90).max() > _SLANT:
        return None
    return _ordered(corners)


def _ordered(corners: Points) -> Points:
    """Return corners, clockwise as those of a hull are, from where the side to the next one is the most level one."""
    sides = np.roll(corners, -1, axis=0) - corners
    first = int((sides[:, 0] / np.maximum(np.hypot(sides[:, 0], sides[:, 1]), 1e-6)).argmax())
    return np.roll(corners, -first, axis=0)


def rectify(pixels: ByteArray, region: Region, factor: int) -> tuple[ByteArray, Matrix, ByteArray | None]:
    """Return what a region shows, seen from above and upright, and the matrix (3, 3) from its points to the picture's.

    `factor` is how many of the picture's pixels one of the region's has a side. A region that is no sheet is only cut
    out: around it there is the colour that it has most of, and a mask tells where the region is.
    """
    outline = region.outline * np.float32(factor) + np.float32((factor - 1) / 2)
    return _seen_from_above(pixels, outline, factor) if region.kind is Kind.SHEET else _cut_out(pixels, outline, factor)


def _seen_from_above(pixels: ByteArray, corners: Points, factor: int) -> tuple[ByteArray, Matrix, ByteArray | None]:
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    width, height = max(sides[0], sides[2]), max(sides[1], sides[3])
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    inset = _inset(width, height, factor)
    matrix = cv2.getPerspectiveTransform(flat, corners) @ np.array([[1, 0, inset], [0, 1, inset], [0, 0, 1]])
    size = (max(1, round(width - 2 * inset)), max(1, round(height - 2 * inset)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(pixels, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), matrix, None


def _cut_out(pixels: ByteArray, outline: Points, factor: int) -> tuple[ByteArray, Matrix, ByteArray | None]:
    left, top, width, height = cv2.boundingRect(outline)
    part = pixels[top : top + height, left : left + width].copy()
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(outline - (left, top)).astype(np.int32)], 255)
    reach = 2 * round(_inset(width, height, factor)) + 1
    mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)), borderValue=0)
    if cv2.countNonZero(mask):
        # Its commonest colour, for which every fourth pixel is enough.
        part[mask == 0] = np.median(part[::2, ::2][mask[::2, ::2] > 0], axis=0) if mask[::2, ::2].any() else 0
    return part, np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64), mask


def _inset(width: float, height: float, factor: int) -> float:
    return _INSET_PIXELS * factor + _INSET * max(width, height)
