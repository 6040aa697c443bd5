"""Detection: which part of a picture is segmented, and with which polarity.

Enters: a picture, uint8 (height, width) grey or (height, width, 3) RGB. Leaves: Detections: the digit's ink, its view,
and its polarity. Where a picture can be read in several ways there are several, of which the network chooses one
(`service.classifier`).

A digit is searched on the whole picture, on each region (`sheet`), beside what touches the border, and at more pixels
where it is small. The functions here combine ink with regions: `_is_rim` (is the whole picture's ink a rim around the
region?), `_is_part_of` (is the region's ink noise or a part of other ink?) and `_ink_crosses_boundary` (does the ink
continue beyond the region's edge?). Out of scope: the form of a region (`sheet`), and which ink is the digit
(`segmentation`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from service.errors import NoInk
from service.images.background import Polarity, Pyramid, build_pyramid, estimate_polarity
from service.images.components import Box, square
from service.images.decoding import WORKING_SIDE
from service.images.grayscale import average_blocks, to_grey
from service.images.segmentation import EMPTY, Ink, blank_reason, extract_ink, find_small_ink, shows_several
from service.images.sheet import Matrix, Points, Region, RegionKind, find_regions, is_convex, rectify
from service.types import ByteArray

# A picture is blank where its darkest and lightest grey differ by less than this, of 255.
_MIN_RANGE = 8
# Pixels on the longer side of a picture that is decoded again for small digits.
LARGER_SIDE = 1600
# A digit of fewer pixels than the first number, at working size, is searched again at more pixels, in its box and this
# many times its longer side around it. The same for regions.
_SMALL_DIGIT = 36
_SMALL_DIGIT_MARGIN = 1
_SMALL_REGION = 160
_SMALL_REGION_MARGIN = 0.1
# A digit seen at more pixels has at least this many on its longer side and this contrast, of 255. Less is a speck.
_MIN_ZOOMED_PIXELS = 8
_MIN_ZOOMED_CONTRAST = 30
# The least contrast, of 255, of a digit of the polarity that was not estimated.
_MIN_UNLIKELY_CONTRAST = 30
# On a sheet that is rotated by more degrees, the digit may be upright in the picture.
_MAX_UPRIGHT_TURN = 5
# A digit on a badge has at least this share of the badge's longer side, and this distance from its edge, as a share of
# the same.
_MIN_ON_BADGE = 0.3
_BADGE_CLEARANCE = 0.015
# Ink continues beyond a sheet where, at this distance (a share of the longer side), it has this share of its contrast.
_BEYOND = 0.04
_MIN_BEYOND_CONTRAST = 0.35
# A component is inside a region with this share of its pixels.
_INSIDE = 0.8
# A digit on a region beside other ink has this distance from the edge, a share of the region's longer side. One within
# a rim has at least this share of the rim's contrast. Less is noise.
_EDGE_CLEARANCE = 0.03
_MIN_RIM_CONTRAST = 0.55

IDENTITY: Matrix = np.eye(3)


@dataclass(frozen=True, eq=False)
class View:
    """A picture or a rectified part of it, uint8 (height, width) grey or (height, width, 3) RGB.

    `to_picture`, float64 (3, 3), maps its points (x, y, 1) to those of the whole picture at working size.
    """

    pixels: ByteArray
    to_picture: Matrix

    @property
    def is_whole(self) -> bool:
        """Whether this is the whole picture."""
        return self.to_picture is IDENTITY

    def corners_in_picture(self, box: Box) -> npt.NDArray[np.float64]:
        """Return the corners (x, y) of a box of the view, clockwise from its top left, in the picture: (4, 2)."""
        top, left, bottom, right = box
        corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64)
        return cv2.perspectiveTransform(corners, self.to_picture)[0].astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Detection:
    """The digit's ink in a view, its polarity, and the region it stands on, None for the whole view.

    `is_rotated` is True where the ink was rotated because its region is. `has_several` is True where other components
    could be digits too.
    """

    view: View
    ink: Ink
    polarity: Polarity
    region: Region | None = None
    is_rotated: bool = False
    has_several: bool = False

    @property
    def is_only_stroke(self) -> bool:
        """Whether it is the picture's only component, isolated, and not convex. Then no region is searched."""
        segmentation = self.ink.segmentation
        is_single = segmentation.selection.is_isolated and len(segmentation.components) == 2
        return is_single and not is_convex(segmentation.digit)

    @property
    def contrast(self) -> float:
        """The difference between full ink and background, 0..255."""
        return self.ink.segmentation.levels.contrast

    @property
    def box(self) -> Box:
        """The bounding box of the digit's ink, in pixels of the view."""
        return self.ink.box.scaled(self.ink.factor)


def detect(pixels: ByteArray, load_larger: Callable[[], ByteArray] | None = None) -> list[Detection]:
    """Return the detections on a picture, the likeliest first. Raises NoInk, with the reason, where there is none.

    `load_larger` returns the same picture with more pixels; None where it has no more.
    """
    view = View(pixels, IDENTITY)
    pyramid = build_pyramid(pixels, WORKING_SIDE)
    low, high, _, _ = cv2.minMaxLoc(pyramid.medium)
    if high - low < _MIN_RANGE:
        raise NoInk(EMPTY)
    # Several areas may be zoomed into, but the picture is decoded only once more.
    larger = cache(load_larger or (lambda: pixels))
    zoom = None if load_larger is None else lambda area: _detect_zoomed(view, area, larger())
    with suppress(NoInk):
        return _detect_in_view(view, pyramid, zoom)
    for polarity in Polarity:
        with suppress(NoInk):
            box, has_several = find_small_ink(pyramid.with_dark_ink(polarity))
            zoomed = _detect_zoomed(view, box.expanded(_SMALL_DIGIT_MARGIN * box.longer), larger())
            return _marked(zoomed, has_several=has_several)
    for polarity in Polarity:
        found = _detect_on_background(view, pyramid, polarity)
        if found is not None and found.contrast > _MIN_UNLIKELY_CONTRAST:
            return [found]
    raise NoInk(blank_reason(pyramid))


def _detect_in_view(
    view: View, pyramid: Pyramid, zoom: Callable[[Box], list[Detection]] | None = None
) -> list[Detection]:
    """Return the detections in a view, the likeliest first: those on a region before those on the whole view.

    `zoom` returns the detections in an area of the view at more pixels. Raises NoInk where there are none.
    """
    whole = _detect_on_background(view, pyramid)
    found = _detect_near(view, pyramid, whole, zoom)
    # What lies around a sheet is no digit. Around anything else, and around an area that was zoomed into, it may be.
    on_sheet = found[0].region is not None and found[0].region.kind is not RegionKind.BADGE
    around = None if on_sheet or whole is found[0] else whole
    seen = [one.ink.segmentation for one in (found[0], around) if one is not None]
    return _marked(found, has_several=any(shows_several(one.components, one.selection.chosen) for one in seen))


def _marked(found: list[Detection], *, has_several: bool) -> list[Detection]:
    return [replace(one, has_several=True) for one in found] if has_several else found


def _detect_near(
    view: View, pyramid: Pyramid, whole: Detection | None, zoom: Callable[[Box], list[Detection]] | None
) -> list[Detection]:
    """Return the detections in a view, where `whole` is the one without a region. Raises NoInk where there are none."""
    regions = [] if whole is not None and whole.is_only_stroke else find_regions(pyramid)
    for region in regions:
        is_rim = _is_rim(whole, region)
        if is_rim is None:
            continue
        area = region.box(pyramid.medium_factor)
        found = []
        if zoom is not None and area.longer < _SMALL_REGION:
            with suppress(NoInk):
                found = zoom(area.expanded(round(_SMALL_REGION_MARGIN * area.longer)))
        if not found or found[0].region is None or found[0].region.kind is not region.kind:
            found = _detect_on_region(view, region, pyramid)
        if found and (whole is None or not _is_part_of(found[0], whole, is_rim=is_rim)):
            if whole is not None and not (region.kind is RegionKind.SHEET and whole.box.is_similar(area)):
                found.append(whole)
            return found
    is_isolated = whole is not None and whole.ink.segmentation.selection.is_isolated
    inner = None if is_isolated else _detect_on_background(view, pyramid, exclude_border=True)
    if whole is None and inner is None:
        raise NoInk(EMPTY)
    if whole is None or inner is not None:
        return [one for one in (whole, inner) if one is not None]
    if zoom is not None and whole.box.longer < _SMALL_DIGIT:
        with suppress(NoInk):
            return zoom(whole.box.expanded(_SMALL_DIGIT_MARGIN * whole.box.longer))
    return [whole]


def _is_rim(whole: Detection | None, region: Region) -> bool | None:
    """Return whether the ink of the whole view is a rim around the region; None where it rules the region out.

    A region is compatible with a rim, with ink inside it, with its own area as ink, and with a margin beside it. It is
    ruled out by strokes that cross its boundary.
    """
    if whole is None:
        return False
    segmentation = whole.ink.segmentation
    if segmentation.selection.is_isolated and region.kind is RegionKind.CLIPPED:
        return None
    labels = segmentation.components.labels
    outline = region.outline * np.float32(labels.shape[0] / segmentation.digit.shape[0])
    inside = cv2.fillPoly(np.zeros(labels.shape, np.uint8), [outline.astype(np.int32)], 1)
    n_components = len(segmentation.components)
    counts = np.bincount(labels.ravel(), minlength=n_components)
    shares = np.bincount(labels.ravel(), inside.ravel(), n_components) / np.maximum(counts, 1)
    shares = shares[segmentation.selection.chosen]
    if segmentation.selection.is_isolated and ((shares > 1 - _INSIDE) & (shares < _INSIDE)).any():
        return None
    is_rim = bool((shares < 1 - _INSIDE).any()) and segmentation.box.contains(region.box(1))
    return is_rim if is_rim or (shares > _INSIDE).any() or not segmentation.selection.is_isolated else None


def _is_part_of(found: Detection, whole: Detection, *, is_rim: bool) -> bool:
    """Return whether ink on a region is noise, fainter than its rim, or so near the edge that it belongs elsewhere."""
    is_isolated = whole.ink.segmentation.selection.is_isolated
    if is_isolated and not is_rim:
        return False
    height, width = found.ink.segmentation.digit.shape
    box = found.ink.segmentation.box.expanded(round(_EDGE_CLEARANCE * max(height, width)))
    is_fainter = is_isolated and found.contrast < _MIN_RIM_CONTRAST * whole.contrast
    return is_fainter or not Box(0, 0, height, width).contains(box)


def _detect_zoomed(view: View, area: Box, pixels: ByteArray) -> list[Detection]:
    """Return the detections in an area of a view; `pixels` is the whole view with more pixels. Raises NoInk."""
    scale = pixels.shape[0] / view.pixels.shape[0]
    height, width = pixels.shape[:2]
    top, left = max(int(area.top * scale), 0), max(int(area.left * scale), 0)
    part = pixels[top : min(int(area.bottom * scale), height), left : min(int(area.right * scale), width)]
    part = np.ascontiguousarray(part)
    smaller = average_blocks(part, WORKING_SIDE)
    scale /= part.shape[0] / smaller.shape[0]
    to_picture = np.array([[1 / scale, 0, left / scale], [0, 1 / scale, top / scale], [0, 0, 1]])
    found = _detect_in_view(View(smaller, to_picture), build_pyramid(smaller, WORKING_SIDE))
    if found[0].box.longer < _MIN_ZOOMED_PIXELS or found[0].contrast < _MIN_ZOOMED_CONTRAST:
        raise NoInk(EMPTY)
    return found


def _detect_on_region(view: View, region: Region, pyramid: Pyramid) -> list[Detection]:
    """Return the detections on a region, none where the ink crosses the region's boundary."""
    part, matrix, mask = rectify(view.pixels, region, pyramid.medium_factor)
    found = _detect_on_background(View(part, view.to_picture @ matrix), build_pyramid(part, WORKING_SIDE, mask))
    if found is None:
        return []
    found = replace(found, region=region)
    is_too_small = region.kind is RegionKind.BADGE and found.box.height < _MIN_ON_BADGE * max(part.shape)
    if is_too_small or _ink_crosses_boundary(found, view, mask):
        return []
    others = []
    if abs(region.turn) > _MAX_UPRIGHT_TURN:
        # The digit may be upright on the sheet or in the picture. A rectified sheet gives the first reading, a clipped
        # one, which is not rectified, the second. Rotation gives the other.
        turn = region.turn if region.kind is RegionKind.SHEET else -region.turn
        others.append(replace(found, ink=found.ink.rotated(turn), is_rotated=True))
    return [found, *others]


def _ink_crosses_boundary(found: Detection, view: View, mask: ByteArray | None) -> bool:
    """Return whether the digit continues beyond its region, whose boundary then is the edge of a shadow or a stroke."""
    digit = found.ink.segmentation.digit
    height, width = found.view.pixels.shape[:2]
    digit = cv2.resize(digit, (width, height), interpolation=cv2.INTER_NEAREST)
    if mask is not None:
        clearance = square(2 * max(1, round(_BADGE_CLEARANCE * max(height, width))) + 1)
        return cv2.countNonZero(cv2.bitwise_and(digit, cv2.dilate(cv2.bitwise_not(mask), clearance))) > 0
    beyond = _BEYOND * max(height, width)
    return any(
        _ink_continues_on(found, view, edge > 0, np.linspace(start, end, len(edge), dtype=np.float32))
        for edge, start, end in (
            (digit[0], (0, -beyond), (width - 1, -beyond)),
            (digit[-1], (0, height + beyond), (width - 1, height + beyond)),
            (digit[:, 0], (-beyond, 0), (-beyond, height - 1)),
            (digit[:, -1], (width + beyond, 0), (width + beyond, height - 1)),
        )
    )


def _ink_continues_on(found: Detection, view: View, touching: npt.NDArray[np.bool_], line: Points) -> bool:
    """Return whether a line beyond an edge has ink where the digit touches that edge; False outside the picture.

    `touching`, bool (n,), is True where the digit touches the edge; `line`, float32 (n, 2), is its points (x, y).
    """
    if not touching.any():
        return False
    matrix = np.linalg.inv(view.to_picture) @ found.view.to_picture
    points = cv2.perspectiveTransform(line[None], matrix)
    height, width = view.pixels.shape[:2]
    if view.is_whole and ((points > 0) & (points < (width, height))).all(axis=2).mean() <= 0.5:
        return False
    if touching.all():
        return True
    greys = cv2.remap(to_grey(view.pixels), points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    darker = float(greys[~touching].mean() - greys[touching].mean())
    return (darker if found.polarity is Polarity.DARK_ON_LIGHT else -darker) > _MIN_BEYOND_CONTRAST * found.contrast


def _detect_on_background(
    view: View, pyramid: Pyramid, polarity: Polarity | None = None, *, exclude_border: bool = False
) -> Detection | None:
    """Return the digit on the view's background, of the estimated polarity by default; None where there is none."""
    polarity = polarity or estimate_polarity(pyramid.coarse)
    with suppress(NoInk):
        return Detection(view, extract_ink(pyramid.with_dark_ink(polarity), exclude_border=exclude_border), polarity)
    return None
