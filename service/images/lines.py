"""Text lines: which connected components of a picture may be parts of digits, and on which lines they stand.

Enters: how much ink each pixel has. Leaves: Lines of Fragments, from the top of the picture to its bottom, each from
left to right. Lines of forms, of squared paper and underlines are removed, and so is what is too small or too large
for a digit beside the others. Out of scope: where a fragment is cut, and which fragments together are a digit
(`cuts`, `service.reader`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from service.images.background import Background, Pyramid, ink_levels
from service.images.components import Box, square
from service.images.strokes import stroke_width
from service.types import ByteArray, FloatArray

# Ink is foreground above this share of the strongest ink nearby, so that faint digits beside dark ones keep their
# strokes. Nearby is within this share of the picture's longer side. No threshold is outside the range, of 255.
_LOCAL_THRESHOLD = 0.5
_NEARBY = 0.06
_LOCAL_FACTOR = 4
_MIN_THRESHOLD = 50
_MAX_THRESHOLD = 127
# What can tell the height of digits: at least this share of the picture's longer side, this much ink in pixels, no
# flatter than the third number and no steeper than the fourth. The height is the percentile of these, weighted by the
# root of their ink.
_MIN_HEIGHT = 0.012
_MIN_INK = 6
_MAX_FLATNESS = 4
_MAX_STEEPNESS = 8
_HEIGHT_PERCENTILE = 0.6
# A frame around numbers has a shorter side of at least this share of the picture's longer side. Its largest hole has at
# least the second share of its box, with components in it that have at least the third share of its ink.
_MIN_FRAME = 0.1
_MIN_FRAME_HOLE = 0.6
_MIN_FRAMED_INK = 0.2
# What touches this share of the border is no writing, and neither is what has strokes this many times as wide as the
# median of what has at least the last share of the heaviest component's ink.
_MAX_CONTACT = 0.08
_WIDE_STROKE = 3.0
_HEAVY = 0.05
# What is long and thin is a frame or a rule: longer than this share of the longer side, with less than this share of
# its box filled.
_LONG = 0.4
_MAX_FRAME_FILLED = 0.12
# Shares of the digits' height: in components longer than the first, straight runs of the second and no thicker than the
# third are rules.
_MAY_HAVE_RULES = 2.0
_RULE_LENGTH = 1.3
_RULE_THICKNESS = 0.12
# Fragments are no smaller than the first, no higher than the second and no wider than the third; components at the
# border no lower than the fourth; large ones, which carry a line, no lower than the fifth.
_MIN_FRAGMENT = 0.1
_MAX_FRAGMENT = 2.2
_MAX_WIDTH = 8.0
_MIN_AT_BORDER = 0.6
_MIN_LARGE = 0.45
# The fewest pixels of the longer side of a fragment, and its least ink as a share of the height's square.
_MIN_PIXELS = 4
_MIN_FRAGMENT_INK = 0.002
# Noise has thousands of components: the most that are looked at, and the most whose form is.
_MAX_FRAGMENTS = 1500
_MAX_HEAVY = 64
# A large fragment is on a line where it shares this share of the rows of the last ones.
_SAME_LINE = 0.4
# A small fragment belongs to a large one no further away than the first, and above or below it no further than the
# others: a flag may be higher than its digit, while what is below it is an underline. One that is at least as high as
# the last may be a flat digit on its own, whatever the gap; a hyphen is lower.
_SMALL_GAP = 0.3
_ABOVE = 0.25
_BELOW = 0.1
_MIN_FLAT = 0.3


@dataclass(frozen=True, eq=False)
class Fragment:
    """A connected component or a part of one: its box, its mask within it, bool, and its ink in full pixels.

    `is_part` is True for what was cut from a component.
    """

    box: Box
    mask: npt.NDArray[np.bool_]
    ink: float
    is_part: bool = False


@dataclass(frozen=True, eq=False)
class Line:
    """Fragments from left to right, and the height of the line's digits in pixels."""

    fragments: list[Fragment]
    height: float


def ink_for_lines(pyramid: Pyramid, window: float, faintest: float) -> tuple[ByteArray, ByteArray] | None:
    """Return how much ink each pixel of the medium level has, uint8, and the mask of the foreground; None: no ink.

    `window` is the side of the background's square as a share of the longer side, `faintest` the least contrast of ink.
    """
    contrast = Background(pyramid.coarse, window).contrast(pyramid.medium)
    levels = ink_levels(contrast, faintest)
    if not levels.has_ink:
        return None
    strength = levels.strength(contrast)
    floor = min(max(255 * levels.faintest / levels.contrast, _MIN_THRESHOLD), _MAX_THRESHOLD)
    return strength, _local_foreground(strength, floor)


def _local_foreground(strength: ByteArray, floor: float) -> ByteArray:
    height, width = strength.shape
    small = (max(1, width // _LOCAL_FACTOR), max(1, height // _LOCAL_FACTOR))
    strongest = cv2.resize(strength, small, interpolation=cv2.INTER_AREA)
    side = max(3, round(_NEARBY * max(small))) | 1
    strongest = cv2.blur(cv2.dilate(strongest, square(side)), (side, side))
    strongest = cv2.resize(strongest, (width, height), interpolation=cv2.INTER_LINEAR)
    threshold = cv2.max(cv2.convertScaleAbs(strongest, alpha=_LOCAL_THRESHOLD), floor)
    return cv2.compare(strength, threshold, cv2.CMP_GT)


def find_lines(strength: ByteArray, foreground: ByteArray) -> tuple[list[Line], bool]:
    """Return the lines of a picture from top to bottom, and whether they are complete.

    There are none where nothing has the size of digits. `strength`, uint8 (height, width), is the ink, and `foreground`
    its mask, 0 or 255.
    """
    fragments, height = _find_fragments(strength, foreground)
    heaviest = sorted(fragments, key=lambda fragment: -fragment.ink)[:_MAX_FRAGMENTS]
    return _lines(heaviest, height), len(heaviest) == len(fragments)


def _find_fragments(strength: ByteArray, foreground: ByteArray) -> tuple[list[Fragment], float]:
    """Return what may be digits or parts of digits, in any order, and the height of digits in pixels."""
    stats, labels, ink = _connected_components(strength, foreground)
    for is_no_writing in (_is_frame, _is_foreign):
        removed = is_no_writing(stats, labels, ink)
        stats[removed], ink[removed] = 0, 0
        labels = np.where(removed, 0, np.arange(len(removed), dtype=np.int32))[labels]
    foreground = np.where(labels > 0, np.uint8(255), np.uint8(0))
    height = _digit_height(stats, ink, foreground.shape)
    if height is None:
        return [], 0.0
    is_long = stats[:, 2:4].max(axis=1) > _MAY_HAVE_RULES * height
    is_long[0] = False
    if is_long.any():
        part = (is_long.view(np.uint8) * np.uint8(255))[labels]
        rules = cv2.bitwise_or(_rules(part, height), cv2.transpose(_rules(cv2.transpose(part), height)))
        stats, labels, ink = _connected_components(strength, cv2.subtract(foreground, rules))
        height = _digit_height(stats, ink, foreground.shape) or height
    fragments = []
    for number, (left, top, width, rows, _) in enumerate(stats[1:].tolist(), 1):
        box = Box(top, left, top + rows, left + width)
        if _may_be_digit(box, ink[number], height, foreground.shape):
            fragments.append(Fragment(box, labels[box.slices] == number, float(ink[number])))
    return fragments, height


def _connected_components(
    strength: ByteArray, mask: ByteArray
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], FloatArray]:
    """Return boxes and areas (n, 5) as OpenCV has them, labels (height, width), and the ink of each in full pixels.

    Noise at reading size has more components than `components.Components` has numbers for, and most are dropped before
    an object for each would be of use.
    """
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    ink = np.bincount(labels.ravel(), strength.ravel(), n) / 255
    return stats.astype(np.int32), labels.astype(np.int32), ink.astype(np.float32)


def _mask(stats: npt.NDArray[np.int32], labels: npt.NDArray[np.int32], number: int) -> ByteArray:
    """Return the mask of a component within its box, uint8, 0 or 255."""
    left, top, width, height, _ = stats[number].tolist()
    part = labels[top : top + height, left : left + width]
    return np.equal(part, number).view(np.uint8) * np.uint8(255)


def _is_frame(stats: npt.NDArray[np.int32], labels: npt.NDArray[np.int32], ink: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which components are frames around others, such as a drawn box, bool (n,). A grid has no hole so large."""
    is_frame = np.zeros(len(stats), np.bool_)
    is_large = stats[:, 2:4].min(axis=1) >= _MIN_FRAME * max(labels.shape)
    for number in (1 + np.flatnonzero(is_large[1:])).tolist():
        left, top, width, height, _ = stats[number].tolist()
        mask = _mask(stats, labels, number)
        contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        is_hole = hierarchy[0, :, 3] >= 0
        holes = [cv2.contourArea(contour) for contour, yes in zip(contours, is_hole, strict=True) if yes]
        if max(holes, default=0) >= _MIN_FRAME_HOLE * width * height:
            inside = (stats[:, 0] > left) & (stats[:, 1] > top)
            inside &= (stats[:, 0] + stats[:, 2] < left + width) & (stats[:, 1] + stats[:, 3] < top + height)
            is_frame[number] = ink[inside].sum() >= _MIN_FRAMED_INK * ink[number]
    return is_frame


def _digit_height(stats: npt.NDArray[np.int32], ink: FloatArray, size: tuple[int, ...]) -> float | None:
    """Return the height of digits in pixels: a percentile of the components' heights. None: nothing tells it."""
    left, top, width, height, area = stats[1:].T
    longer = np.maximum(width, height)
    is_inside = (left > 0) & (top > 0) & (left + width < size[1]) & (top + height < size[0])
    is_large = (height >= _MIN_HEIGHT * max(size)) & (ink[1:] >= _MIN_INK)
    is_frame = (longer > _LONG * max(size)) & (area < _MAX_FRAME_FILLED * width * height)
    is_stroke = (width <= _MAX_FLATNESS * height) & (height <= _MAX_STEEPNESS * width)
    tells = is_inside & is_large & ~is_frame & is_stroke
    if not tells.any():
        return None
    heights, weights = height[tells], np.sqrt(ink[1:][tells])
    order = np.argsort(heights)
    below = weights[order].cumsum()
    return float(heights[order][below.searchsorted(_HEIGHT_PERCENTILE * below[-1])])


def _rules(mask: ByteArray, height: float) -> ByteArray:
    """Return the thin pixels of a mask in horizontal runs that are longer than digits are high.

    Strokes may cross a run, and it may rise or fall by a pixel. It has no gaps: the tops of sevens are no rule.
    """
    thickness = max(3, round(_RULE_THICKNESS * height))
    thin = cv2.subtract(mask, cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((thickness + 1, 1), np.uint8)))
    band = cv2.dilate(mask, np.ones((3, 1), np.uint8))
    run = np.ones((1, max(3, int(_RULE_LENGTH * height))), np.uint8)
    return cv2.bitwise_and(thin, cv2.morphologyEx(band, cv2.MORPH_OPEN, run))


def _is_foreign(stats: npt.NDArray[np.int32], labels: npt.NDArray[np.int32], ink: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which components are no writing, bool (n,): they touch much of the border, or have too wide strokes."""
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    foreign = np.bincount(border, minlength=len(stats)) >= _MAX_CONTACT * border.size
    heaviest = 1 + np.argsort(-ink[1:])[:_MAX_HEAVY]
    heavy = heaviest[ink[heaviest] >= _HEAVY * ink[1:].max(initial=0)]
    widths = []
    for number in heavy.tolist():
        mask = _mask(stats, labels, number)
        widths.append(stroke_width(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)))
    usual = float(np.median([w for number, w in zip(heavy, widths, strict=True) if not foreign[number]] or [0]))
    foreign[heavy] |= np.array(widths) > _WIDE_STROKE * max(usual, 1)
    foreign[0] = False
    return foreign


def _may_be_digit(box: Box, ink: float, height: float, size: tuple[int, ...]) -> bool:
    """Return whether a component has a size that digits or parts of them have, beside digits of this height."""
    is_at_border = box.top == 0 or box.left == 0 or box.bottom == size[0] or box.right == size[1]
    smallest = _MIN_AT_BORDER * height if is_at_border else 0
    return (
        box.longer >= max(_MIN_PIXELS, _MIN_FRAGMENT * height)
        and ink >= _MIN_FRAGMENT_INK * height * height
        and smallest <= box.height <= _MAX_FRAGMENT * height
        and box.width <= _MAX_WIDTH * height
    )


def _lines(fragments: list[Fragment], height: float) -> list[Line]:
    large = sorted((f for f in fragments if f.box.height >= _MIN_LARGE * height), key=lambda f: f.box.left)
    small = [f for f in fragments if f.box.height < _MIN_LARGE * height]
    lines: list[list[Fragment]] = []
    line_of: list[int] = []
    for fragment in large:
        overlaps = [_shared_rows(fragment.box, line[-2:]) for line in lines]
        number = max(range(len(lines)), key=overlaps.__getitem__, default=0)
        if not overlaps or overlaps[number] <= _SAME_LINE:
            number = len(lines)
            lines.append([])
        lines[number].append(fragment)
        line_of.append(number)
    middles = [float(np.mean([f.box.top + f.box.bottom for f in line])) for line in lines]
    heights = [float(np.median([f.box.height for f in line])) for line in lines]
    if large:
        boxes = np.array([fragment.box for fragment in large])
        for fragment in small:
            gaps = _gaps(fragment.box, boxes, height)
            may_be_flat_digit = fragment.box.height >= _MIN_FLAT * height
            if gaps.min() < (math.inf if may_be_flat_digit else _SMALL_GAP * height):
                lines[line_of[int(gaps.argmin())]].append(fragment)
    for line in lines:
        line.sort(key=lambda f: f.box.left + f.box.right)
    return [Line(lines[number], heights[number]) for number in np.argsort(middles, kind="stable").tolist()]


def _shared_rows(box: Box, last: list[Fragment]) -> float:
    """Return the share of the rows of a box and of the last fragments of a line that they have in common."""
    top, bottom = (sum(ends) / len(last) for ends in zip(*((f.box.top, f.box.bottom) for f in last), strict=True))
    return (min(box.bottom, bottom) - max(box.top, top)) / min(box.height, bottom - top)


def _gaps(small: Box, large: npt.NDArray[np.int_], height: float) -> npt.NDArray[np.float64]:
    """Return the distances of a small fragment from large ones, boxes (n, 4); infinite where it is above or below."""
    top, left, bottom, right = large.T
    rows = np.maximum(np.maximum(top - small.bottom, small.top - bottom), 0)
    columns = np.maximum(np.maximum(left - small.right, small.left - right), 0)
    is_beside = (small.top < bottom + _BELOW * height) & (small.bottom > top - _ABOVE * height)
    return np.where(is_beside, np.maximum(rows, columns), np.inf)
