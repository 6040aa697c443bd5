"""The search for the digit: on paper that is all over, on a sheet or a badge, or so small that it needs more pixels.

Enters: a picture, uint8 (height, width) grey or (height, width, 3) RGB. Leaves: Found, the digit's ink and where it is;
several of them where the picture can be seen in several ways, among which only the network can choose.
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
from service.images.background import Polarity, Pyramid, likely_polarity, pyramid
from service.images.components import Box, bounding_box, square
from service.images.decoding import WORKING_SIDE
from service.images.grayscale import reduced, to_grey
from service.images.segmentation import EMPTY, Ink, find_digit, find_small, why_blank
from service.images.sheet import Kind, Matrix, Points, Region, find_regions, is_convex, rectify
from service.types import ByteArray

# A picture with less between its darkest and lightest spot, of 255, is blank.
_FAINTEST = 8
# A picture is looked at again, decoded up to this many pixels a side, where the digit is small.
LARGER_SIDE = 1600
# A digit is small up to so many pixels of the working size; it is then looked for with this many times its size around
# it. A region is small up to so many pixels, and is seen with this share of its size around it.
_SMALL = 36
_AROUND_SMALL = 1
_SMALL_REGION = 160
_AROUND_REGION = 0.1
# Seen closer, a digit has so many pixels, and stands out from its paper by so much of 255, or it is a speck.
_FEWEST_PIXELS = 8
_FAINTEST_SMALL = 30
# Of the unlikely polarity there is no ink with less contrast, of 255.
_FAINTEST_UNLIKELY = 30
# On a sheet that is turned by more degrees the digit may stand upright in the picture.
_TURNED = 5
# Of a badge's longer side the digit takes this share at least, and it stands this share inside of its edge.
_SMALLEST_ON_BADGE = 0.3
_CLEAR_OF_EDGE = 0.015
# Beyond the edge of a sheet, by this share of its longer side, ink that goes on has this share of its contrast.
_BEYOND = 0.04
_GOES_ON = 0.35
# Ink is on a region with this share of its pixels. Beside other ink, a digit on a region is so far from its edge, as a
# share of the region's longer side; within a rim, it has this share of the rim's contrast, or it is noise.
_WITHIN = 0.8
_CLEAR_OF_OTHERS = 0.03
_FAINTER = 0.55

WHOLE: Matrix = np.eye(3)


@dataclass(frozen=True, eq=False)
class View:
    """What is looked at: a picture or a part of it, rectified, uint8 (height, width) grey or (height, width, 3) RGB.

    `to_picture`, float64 (3, 3), takes its points (x, y, 1) to those of the whole picture at working size.
    """

    pixels: ByteArray
    to_picture: Matrix

    @property
    def is_whole(self) -> bool:
        """Whether this is the whole picture."""
        return self.to_picture is WHOLE


@dataclass(frozen=True, eq=False)
class Found:
    """The digit's ink in a view, and its polarity there; the region it stands on and by how much that is turned."""

    view: View
    ink: Ink
    polarity: Polarity
    region: Region | None = None
    is_turned: bool = False

    @property
    def is_stroke(self) -> bool:
        """Whether this is all ink of the picture, and no shape that another digit may stand on."""
        seen = self.ink.segmentation
        return seen.selection.is_isolated and len(seen.components) == 2 and not is_convex(seen.digit)

    @property
    def contrast(self) -> float:
        """How much darker or lighter than its paper full ink is, 0..255."""
        return self.ink.segmentation.levels.contrast

    @property
    def box(self) -> Box:
        """Where the digit's ink lies, in pixels of the view."""
        return self.ink.box.scaled(self.ink.factor)


def find(pixels: ByteArray, larger: Callable[[], ByteArray] | None = None) -> list[Found]:
    """Return the digit on a picture, and what else it may be, the likeliest first. Raises NoInk, with the reason.

    `larger` returns the same picture with more pixels, where it has more.
    """
    view = View(pixels, WHOLE)
    levels = pyramid(pixels, WORKING_SIDE)
    low, high, _, _ = cv2.minMaxLoc(levels.medium)
    if high - low < _FAINTEST:
        raise NoInk(EMPTY)
    # Several areas may be seen closer: the picture is decoded for them once.
    whole = cache(larger or (lambda: pixels))
    closer = None if larger is None else lambda area: _closer(view, area, whole())
    with suppress(NoInk):
        return _located(view, levels, closer)
    for polarity in Polarity:
        with suppress(NoInk):
            box = find_small(levels.with_dark_ink(polarity))
            return _closer(view, box.expanded(_AROUND_SMALL * box.longer), whole())
    for polarity in Polarity:
        found = _on_paper(view, levels, polarity)
        if found is not None and found.contrast > _FAINTEST_UNLIKELY:
            return [found]
    raise NoInk(why_blank(levels))


def _located(view: View, levels: Pyramid, closer: Callable[[Box], list[Found]] | None = None) -> list[Found]:
    """Return the digit in a view: on a sheet or a badge if it stands on one, else on paper that is all over.

    Where that is in doubt, all that it may be, the likeliest first. `closer` returns the same for an area of the view,
    seen with more pixels. Raises NoInk.
    """
    plain = _on_paper(view, levels)
    regions = [] if plain is not None and plain.is_stroke else find_regions(levels)
    for region in regions:
        is_rim = _is_rim(plain, region)
        if is_rim is None:
            continue
        area = _box_of(region, levels.ink_factor)
        found = []
        if closer is not None and area.longer < _SMALL_REGION:
            with suppress(NoInk):
                found = closer(area.expanded(round(_AROUND_REGION * area.longer)))
        if not found or found[0].region is None or found[0].region.kind is not region.kind:
            found = _on_region(view, region, levels)
        if found and (plain is None or not _is_part_of(found[0], plain, is_rim)):
            if plain is not None and not (region.kind is Kind.SHEET and plain.box.is_like(area)):
                found.append(plain)
            return found
    is_isolated = plain is not None and plain.ink.segmentation.selection.is_isolated
    inner = None if is_isolated else _on_paper(view, levels, beside_border=True)
    if plain is None and inner is None:
        raise NoInk(EMPTY)
    if plain is None or inner is not None:
        return [one for one in (plain, inner) if one is not None]
    if closer is not None and plain.box.longer < _SMALL:
        with suppress(NoInk):
            return closer(plain.box.expanded(_AROUND_SMALL * plain.box.longer))
    return [plain]


def _is_rim(plain: Found | None, region: Region) -> bool | None:
    """Tell whether what was found with no region in mind is a rim around the region; None where it rules that out.

    It may also be the digit on it, the region itself, or a margin beside it, but no stroke that crosses its boundary.
    """
    if plain is None:
        return False
    seen = plain.ink.segmentation
    if seen.selection.is_isolated and region.kind is Kind.CLIPPED:
        return None
    labels = seen.components.labels
    outline = region.outline * np.float32(labels.shape[0] / seen.digit.shape[0])
    inside = cv2.fillPoly(np.zeros(labels.shape, np.uint8), [outline.astype(np.int32)], 1)
    counts = np.bincount(labels.ravel(), minlength=len(seen.components))
    shares = np.bincount(labels.ravel(), inside.ravel(), len(seen.components)) / np.maximum(counts, 1)
    shares = shares[seen.selection.chosen]
    if seen.selection.is_isolated and ((shares > 1 - _WITHIN) & (shares < _WITHIN)).any():
        return None
    is_rim = bool((shares < 1 - _WITHIN).any()) and seen.box.contains(_box_of(region, 1))
    return is_rim if is_rim or (shares > _WITHIN).any() or not seen.selection.is_isolated else None


def _is_part_of(found: Found, plain: Found, is_rim: bool) -> bool:  # noqa: FBT001
    """Tell whether what was found on a region is noise, fainter than its rim, or a part of what is beside it."""
    is_isolated = plain.ink.segmentation.selection.is_isolated
    if is_isolated and not is_rim:
        return False
    inner = found.ink.segmentation.box.expanded(round(_CLEAR_OF_OTHERS * max(found.ink.segmentation.digit.shape)))
    height, width = found.ink.segmentation.digit.shape
    is_fainter = is_isolated and found.contrast < _FAINTER * plain.contrast
    return is_fainter or not Box(0, 0, height, width).contains(inner)


def _box_of(region: Region, factor: int) -> Box:
    left, top, width, height = cv2.boundingRect(region.outline * np.float32(factor))
    return Box(top, left, top + height + factor, left + width + factor)


def _closer(view: View, area: Box, pixels: ByteArray) -> list[Found]:
    """Return the digit in an area of a view, of which `pixels` are the whole with more pixels. Raises NoInk."""
    scale = pixels.shape[0] / view.pixels.shape[0]
    height, width = pixels.shape[:2]
    top, left = max(int(area.top * scale), 0), max(int(area.left * scale), 0)
    part = pixels[top : min(int(area.bottom * scale), height), left : min(int(area.right * scale), width)]
    part = np.ascontiguousarray(part)
    smaller = reduced(part, WORKING_SIDE)
    scale /= part.shape[0] / smaller.shape[0]
    to_picture = np.array([[1 / scale, 0, left / scale], [0, 1 / scale, top / scale], [0, 0, 1]])
    found = _located(View(smaller, to_picture), pyramid(smaller, WORKING_SIDE))
    if found[0].box.longer < _FEWEST_PIXELS or found[0].contrast < _FAINTEST_SMALL:
        raise NoInk(EMPTY)
    return found


def _on_region(view: View, region: Region, levels: Pyramid) -> list[Found]:
    """Return the digit on a region, and what else it may be; nothing where its ink crosses the region's boundary."""
    part, matrix, mask = rectify(view.pixels, region, levels.ink_factor)
    found = _on_paper(View(part, view.to_picture @ matrix), pyramid(part, WORKING_SIDE, mask))
    if found is None:
        return []
    found = replace(found, region=region)
    is_too_small = region.kind is Kind.BADGE and found.box.height < _SMALLEST_ON_BADGE * max(part.shape)
    if is_too_small or _crosses_boundary(found, view, mask):
        return []
    others = []
    if abs(region.turn) > _TURNED:
        # The digit on a sheet may be turned with it or not.
        turn = region.turn if region.kind is Kind.SHEET else -region.turn
        others.append(replace(found, ink=_turned(found.ink, turn), is_turned=True))
    return [found, *others]


def _crosses_boundary(found: Found, view: View, mask: ByteArray | None) -> bool:
    """Tell whether the digit goes on beyond its region: then this is the edge of a shadow, or of a stroke."""
    digit = found.ink.segmentation.digit
    height, width = found.view.pixels.shape[:2]
    digit = cv2.resize(digit, (width, height), interpolation=cv2.INTER_NEAREST)
    if mask is not None:
        return (
            cv2.countNonZero(
                cv2.bitwise_and(
                    digit,
                    cv2.dilate(
                        cv2.bitwise_not(mask), square(2 * max(1, round(_CLEAR_OF_EDGE * max(height, width))) + 1)
                    ),
                )
            )
            > 0
        )
    beyond = _BEYOND * max(height, width)
    return any(
        _goes_on(found, view, edge > 0, np.linspace(start, end, len(edge), dtype=np.float32))
        for edge, start, end in (
            (digit[0], (0, -beyond), (width - 1, -beyond)),
            (digit[-1], (0, height + beyond), (width - 1, height + beyond)),
            (digit[:, 0], (-beyond, 0), (-beyond, height - 1)),
            (digit[:, -1], (width + beyond, 0), (width + beyond, height - 1)),
        )
    )


def _goes_on(found: Found, view: View, touching: npt.NDArray[np.bool_], line: Points) -> bool:
    """Tell whether there is ink on a line beyond an edge just where the digit touches that; False off the picture."""
    if not touching.any():
        return False
    matrix = np.linalg.inv(view.to_picture) @ found.view.to_picture
    points = cv2.perspectiveTransform(line[None], matrix)
    height, width = view.pixels.shape[:2]
    if view.is_whole and ((points > 0) & (points < (width, height))).all(axis=2).mean() <= 0.5:
        return False
    if touching.all():
        return True
    seen = cv2.remap(to_grey(view.pixels), points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    darker = float(seen[~touching].mean() - seen[touching].mean())
    return (darker if found.polarity is Polarity.DARK_ON_LIGHT else -darker) > _GOES_ON * found.contrast


def _on_paper(
    view: View, levels: Pyramid, polarity: Polarity | None = None, *, beside_border: bool = False
) -> Found | None:
    """Return the digit on paper, of the likely polarity where none is given; None where there is none."""
    polarity = polarity or likely_polarity(levels.coarse)
    with suppress(NoInk):
        return Found(view, find_digit(levels.with_dark_ink(polarity), beside_border=beside_border), polarity)
    return None


def _turned(ink: Ink, degrees: float) -> Ink:
    """Return ink turned clockwise by so many degrees."""
    part = ink.strength[ink.box.slices]
    side = int(np.hypot(*part.shape)) + 2
    matrix = cv2.getRotationMatrix2D(((part.shape[1] - 1) / 2, (part.shape[0] - 1) / 2), -degrees, 1)
    matrix[:, 2] += (side - part.shape[1]) / 2, (side - part.shape[0]) / 2
    turned = cv2.warpAffine(part, matrix, (side, side))
    return replace(ink, strength=turned, box=bounding_box(turned))
