"""Regions: areas of a picture on which a digit may stand, such as sheets of paper, cards, discs and badges.

Enters: the Pyramid of a picture. Leaves: Regions, by their outlines, and each of them rectified.

Three functions answer questions of form. `find_regions`: is an area of one grey a region, by size, solidity, sharp
edge, corners and filled area? `_is_loop`: is an area with holes a stroke around them, as of a 0, 6 or 8, and so no
region? `is_convex`: is ink so convex that it may be a region itself, as a disc is? Whether ink is a printed box is
answered in `components`. Out of scope: whether there is a digit on a region (`search`).
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

# The shorter side of a region has at least this share of the picture's longer side, and this many coarse pixels. Its
# area is at most the last number, a share of the picture's.
_MIN_SIDE = 0.125
_MIN_SIDE_PIXELS = 5
_MAX_AREA = 0.95
# The least ratio of its shorter to its longer side.
_MIN_ASPECT = 0.4
# The least solidity, which is the area over that of the convex hull: that of any region, since a digit may touch the
# edge of a sheet, and that of a badge. Handwriting hardly has as much as a badge.
_MIN_SOLIDITY = 0.88
_MIN_BADGE_SOLIDITY = 0.94
# The least share of its area that is not ink.
_MIN_FILLED = 0.55
# A sheet is a quadrilateral, also in perspective: it and the hull have at least this ratio of areas, and its angles
# are within this many degrees of 90. The hull is approximated by each of these shares of its length in turn.
_QUADRILATERAL = 0.93
_MAX_ANGLE_ERROR = 35
_APPROXIMATIONS = (0.02, 0.03, 0.05)
# The most corners of a sheet that is cut off by the border.
_MAX_CLIPPED_CORNERS = 6
# The margin that is cut from a region, since its edge is half table: medium pixels, and a share of its longer side.
_INSET_PIXELS = 0.75
_INSET = 0.006
# A loop has a width whose standard deviation is less than this share of its mean, and holes of at least this solidity.
# Together its holes have at least the last share of the area.
_MAX_WIDTH_VARIATION = 0.25
_MIN_HOLE_SOLIDITY = 0.8
_MIN_HOLE_AREA = 0.06
# A disc fills at least this share of its enclosing circle.
_MIN_ROUNDNESS = 0.85
# A part of the histogram has two levels of its own when their means differ by more than this, of 255.
_MIN_LEVEL_DISTANCE = 20
# All but this share of an outline has a morphological gradient of more than this, of 255, at the coarse level. Light
# changes less.
_MIN_GRADIENT = 12
_SOFT_SHARE = 0.25
# The most regions of a picture.
_MAX_REGIONS = 4

Points = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


class RegionKind(Enum):
    """SHEET: a quadrilateral; BADGE: another convex form; CLIPPED: a sheet that is cut off by the picture's border."""

    SHEET = auto()
    BADGE = auto()
    CLIPPED = auto()


@dataclass(frozen=True, eq=False)
class Region:
    """An area of a picture: its outline, float32 (n, 2), points (x, y), its area in pixels, and its rotation.

    `turn` is the rotation clockwise, in degrees from -45 to 45. The outline of a sheet is its four corners, clockwise
    from the top left one of the upright sheet.
    """

    kind: RegionKind
    outline: Points
    area: float
    turn: float = 0.0

    def box(self, factor: int) -> Box:
        """Return the bounding box of the outline in a picture that is larger by a whole factor."""
        left, top, width, height = cv2.boundingRect(self.outline * np.float32(factor))
        return Box(top, left, top + height + factor, left + width + factor)


def find_regions(pyramid: Pyramid) -> list[Region]:
    """Return the largest regions of a picture, the smallest first, with outlines in pixels of the medium level."""
    found: list[Region] = []
    seen: list[Box] = []
    gradient = cv2.morphologyEx(pyramid.coarse, cv2.MORPH_GRADIENT, square(3))
    for threshold in _thresholds(pyramid.coarse):
        for kind in (cv2.THRESH_BINARY, cv2.THRESH_BINARY_INV):
            for box in _region_boxes(_mask(pyramid.coarse, threshold, kind), gradient):
                if any(box.is_similar(other) for other in seen):
                    continue
                region = _region(_mask(pyramid.medium, threshold, kind), box.scaled(pyramid.coarse_factor))
                if region is not None:
                    found.append(region)
                    seen.append(box)
    found.sort(key=lambda region: region.area)
    return found[-_MAX_REGIONS:]


def _mask(grey: ByteArray, threshold: float, kind: int) -> ByteArray:
    return cv2.threshold(grey, threshold, 255, kind)[1]


def _thresholds(grey: ByteArray) -> list[int]:
    """Return Otsu's threshold of a picture, and those of its dark and of its light part if they have two levels.

    A digit, its region and the surroundings of that are three levels.
    """
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    first, _ = _otsu(counts, 0, 256)
    parts = [_otsu(counts, low, high) for low, high in ((0, first + 1), (first + 1, 256)) if low < high]
    return [first, *(threshold for threshold, distance in parts if distance > _MIN_LEVEL_DISTANCE)]


def _otsu(counts: npt.NDArray[np.float64], low: int, high: int) -> tuple[int, float]:
    """Return Otsu's threshold of the levels low to high - 1 of a histogram, and the distance of the two means.

    After Otsu 1979, "A threshold selection method from gray-level histograms".
    """
    below, sums = counts[low:high].cumsum(), (counts[low:high] * _LEVELS[low:high]).cumsum()
    above = below[-1] - below
    distance = (sums[-1] - sums) / np.maximum(above, 1) - sums / np.maximum(below, 1)
    best = int((below * above * distance * distance).argmax())
    return low + best, float(distance[best]) if above[best] else 0.0


_LEVELS = np.arange(256, dtype=np.float64)


def _region_boxes(mask: ByteArray, gradient: ByteArray) -> list[Box]:
    """Return the boxes of the components of a mask that are large, solid but for holes, and sharp-edged.

    `gradient`, uint8 (height, width), is the morphological gradient of the picture.
    """
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    boxes = []
    shortest = max(_MIN_SIDE_PIXELS, _MIN_SIDE * max(mask.shape))
    for contour in contours:
        if len(contour) < 2 * shortest:
            continue
        left, top, width, height = cv2.boundingRect(contour)
        if min(width, height) < max(shortest, _MIN_ASPECT * max(width, height)):
            continue
        if _area(contour) < _MIN_SOLIDITY * _area(cv2.convexHull(contour)):
            continue
        inner = _off_border(contour, mask.shape)
        if len(inner) and np.sort(gradient[inner[:, 1], inner[:, 0]])[int(_SOFT_SHARE * len(inner))] > _MIN_GRADIENT:
            boxes.append(Box(top, left, top + height, left + width))
    return boxes


def _off_border(contour: npt.NDArray[np.int32], size: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Return the points of a contour that are not at the border of the picture."""
    points = contour[:, 0]
    return points[((points > 0) & (points < (size[1] - 1, size[0] - 1))).all(axis=1)]


def _area(contour: npt.NDArray[np.int32] | Points) -> float:
    """Return the area of a contour in pixels. OpenCV's area ends at the middle of each border pixel."""
    return cv2.contourArea(contour) + cv2.arcLength(contour, closed=True) / 2 + 1


def is_convex(mask: ByteArray) -> bool:
    """Return whether the component of a mask, uint8 (height, width), with the longest contour has a region's solidity.

    Holes count as filled.
    """
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contour = max(contours, key=len)
    return _area(contour) > _MIN_SOLIDITY * _area(cv2.convexHull(contour))


def _region(mask: ByteArray, box: Box) -> Region | None:
    """Return the region of a mask that lies in a box, None where it has no region's form."""
    part, corner = mask[box.slices], (box.left, box.top)
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=corner)
    contour = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(contour)
    area = _area(hull)
    filled = cv2.drawContours(np.zeros_like(part), [contour - corner], -1, 255, cv2.FILLED)
    inside = cv2.bitwise_and(part, filled)
    is_filled = cv2.countNonZero(inside) >= _MIN_FILLED * cv2.countNonZero(filled)
    corners = _quadrilateral(hull, area)
    if area > _MAX_AREA * mask.size or _area(contour) < _MIN_SOLIDITY * area or not is_filled:
        return None
    if _is_loop(inside, filled, is_sheet=corners is not None):
        return None
    if corners is not None:
        across = corners[1] - corners[0] + corners[2] - corners[3]
        return Region(RegionKind.SHEET, corners, area, float(np.degrees(np.arctan2(across[1], across[0]))))
    outline = contour.reshape(-1, 2).astype(np.float32)
    if len(_off_border(hull, mask.shape)) == len(hull):
        return Region(RegionKind.BADGE, outline, area) if _area(contour) > _MIN_BADGE_SOLIDITY * area else None
    edges = cv2.approxPolyDP(hull, _APPROXIMATIONS[0] * cv2.arcLength(hull, closed=True), closed=True)
    if len(edges) > _MAX_CLIPPED_CORNERS:
        return None
    return Region(RegionKind.CLIPPED, outline, area, _clipped_turn(edges.reshape(-1, 2), mask.shape))


def _clipped_turn(corners: npt.NDArray[np.int32], size: tuple[int, ...]) -> float:
    """Return the rotation of a clipped sheet, -45 to 45 degrees, by its longest side that is not along the border."""
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
    """Return whether an area is a stroke around its holes, as of a 0, 6 or 8; `filled` is it without the holes.

    The holes of a loop are convex. Of digits on a region only a 1 is, and it stands on a sheet or a disc, whose edge is
    not everywhere equally far from it.
    """
    holes = cv2.morphologyEx(cv2.subtract(filled, inside), cv2.MORPH_OPEN, square(2))
    contours, tree = cv2.findContours(holes, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    is_small = cv2.countNonZero(holes) < _MIN_HOLE_AREA * cv2.countNonZero(filled)
    if tree is None or (tree[0, :, 3] >= 0).any() or (is_small and is_sheet):
        return False
    if any(_area(contour) < _MIN_HOLE_SOLIDITY * _area(cv2.convexHull(contour)) for contour in contours):
        return False
    edge, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    radius = cv2.minEnclosingCircle(edge[0])[1]
    if not is_sheet and (len(contours) > 1 or _area(edge[0]) < _MIN_ROUNDNESS * np.pi * radius * radius):
        return True
    distances = cv2.distanceTransform(cv2.bitwise_not(holes), cv2.DIST_L2, 3)
    widths = distances[edge[0][:, 0, 1], edge[0][:, 0, 0]]
    return not is_small and float(widths.std()) < _MAX_WIDTH_VARIATION * float(widths.mean())


def _quadrilateral(hull: npt.NDArray[np.int32], area: float) -> Points | None:
    """Return the four corners of a sheet by its convex hull, None where it has another form."""
    length = cv2.arcLength(hull, closed=True)
    for share in _APPROXIMATIONS:
        corners = cv2.approxPolyDP(hull, share * length, closed=True).reshape(-1, 2).astype(np.float32)
        if len(corners) == 4:
            break
    else:
        return None
    if not _QUADRILATERAL < _area(corners) / area < 1 / _QUADRILATERAL:
        return None
    sides = np.roll(corners, -1, axis=0) - corners
    directions = np.degrees(np.arctan2(sides[:, 1], sides[:, 0]))
    angles = (np.roll(directions, -1) - directions) % 360
    angles = np.minimum(angles, 360 - angles)
    if np.abs(angles - 90).max() > _MAX_ANGLE_ERROR:
        return None
    return _from_top_left(corners)


def _from_top_left(corners: Points) -> Points:
    """Return clockwise corners from the top left one on: the one from which the side to the next is most horizontal."""
    sides = np.roll(corners, -1, axis=0) - corners
    first = int((sides[:, 0] / np.maximum(np.hypot(sides[:, 0], sides[:, 1]), 1e-6)).argmax())
    return np.roll(corners, -first, axis=0)


def rectify(pixels: ByteArray, region: Region, factor: int) -> tuple[ByteArray, Matrix, ByteArray | None]:
    """Return a region seen from above and upright, the matrix from its points to the picture's, and a mask.

    `pixels` is the picture, uint8 (height, width) or (height, width, 3), and `factor` the downsampling factor from it
    to the region's outline. The matrix is float64 (3, 3) for points (x, y, 1). A region that is no sheet is cut out and
    surrounded by its median colour; the mask, uint8, 0 or 255, is then 255 inside the region, else it is None.
    """
    outline = region.outline * np.float32(factor) + np.float32((factor - 1) / 2)
    if region.kind is RegionKind.SHEET:
        return _warp_perspective(pixels, outline, factor)
    return _cut_out(pixels, outline, factor)


def _warp_perspective(pixels: ByteArray, corners: Points, factor: int) -> tuple[ByteArray, Matrix, ByteArray | None]:
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
        # Every fourth pixel is enough for the median.
        part[mask == 0] = np.median(part[::2, ::2][mask[::2, ::2] > 0], axis=0) if mask[::2, ::2].any() else 0
    return part, np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64), mask


def _inset(width: float, height: float, factor: int) -> float:
    return _INSET_PIXELS * factor + _INSET * max(width, height)
