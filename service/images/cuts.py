"""Over-segmentation: fragments are cut where digits may touch, and consecutive ones are joined to candidate digits.

Enters: a Line. Leaves: its fragments after all candidate cuts, and Segments: runs of consecutive fragments, each with
its box and in MNIST form. Which segments are the digits is decided in `service.reader`, with the network. Out of scope:
lines (`lines`), and the form of one digit (`strokes`, `mnist_frame`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from service.images.components import Box, bounding_box, square
from service.images.lines import Fragment, Line
from service.images.mnist_frame import frame
from service.images.strokes import normalize_strokes
from service.types import ByteArray, FloatArray

# All lengths are shares of the height of the line's digits. Fragments of more than the first width may be several
# digits, those of less than the second may be one. They are cut at the column with the least ink in each interval of
# the third width, where the ink is no higher than the fourth, and never nearer to their ends than the fifth.
_MAY_BE_SEVERAL = 0.7
_MAY_BE_ONE = 1.1
_INTERVAL = 0.09
_MAX_CUT = 0.7
_MIN_REST = 0.12
# A digit of several fragments is no wider than the first (of the line's height or its own), a digit no higher than the
# second and no smaller than the third.
_MAX_WIDTH = 1.2
_MAX_HEIGHT = 1.8
_MIN_SIDE = 0.35
# A connected part of a digit has at least this share of the pixels of its largest part.
_MIN_PART = 0.08
# The most fragments of one digit.
_MAX_FRAGMENTS = 26
# Ink above this strength, of 255, is inside its bounding box.
_OUTLINE = 64


@dataclass(frozen=True, eq=False)
class Segment:
    """A candidate digit: fragments `start` to `stop` (exclusive) of a line.

    `box` is their bounding box, `ink` their ink in full pixels, and `pixels`, float32 (28, 28), their MNIST form.
    `is_whole` is True for a whole component, which was not cut.
    """

    start: int
    stop: int
    box: Box
    ink: float
    pixels: FloatArray
    is_whole: bool


def find_whole(
    fragments: Sequence[Fragment], height: float, strength: ByteArray, *, only_wide: bool = False
) -> list[Segment]:
    """Return the fragments of a line that may be one digit, each as a segment of its own.

    `height` is that of the line's digits in pixels, and `strength`, uint8 (height, width), the ink. `only_wide` leaves
    out those that are too narrow for several digits. Where the network is sure that a wide one is a digit, it need not
    be cut.
    """
    narrowest = _MAY_BE_SEVERAL * height if only_wide else 0
    return [
        _segment(fragments, number, number + 1, one.box, strength)
        for number, one in enumerate(fragments)
        if narrowest <= one.box.width and may_be_one(one, height) and one.box.longer >= _MIN_SIDE * height
    ]


def may_be_one(fragment: Fragment, height: float) -> bool:
    """Return whether a fragment is narrow enough for one digit, on a line whose digits have this height in pixels."""
    return fragment.box.width <= _MAY_BE_ONE * height


def cut(line: Line, strength: ByteArray, uncut: Collection[int] = ()) -> list[Fragment]:
    """Return the fragments of a line, cut at all candidate cuts; those whose numbers are in `uncut` stay whole."""
    return [
        part
        for number, fragment in enumerate(line.fragments)
        for part in ([fragment] if number in uncut else _cut_fragment(fragment, line.height, strength))
    ]


def _cut_fragment(fragment: Fragment, height: float, strength: ByteArray) -> list[Fragment]:
    width = fragment.box.width
    if width < _MAY_BE_SEVERAL * height:
        return [fragment]
    ink = (strength[fragment.box.slices] * fragment.mask).astype(np.float32) / 255
    profile = ink.sum(axis=0)
    first = _MIN_REST * height
    edges = np.arange(first, width - first, max(1.0, _INTERVAL * height)).astype(int)
    columns = [start + int(profile[start:stop].argmin()) for start, stop in pairwise(edges) if stop > start]
    bounds = [0, *(column + 1 for column in columns if profile[column] < _MAX_CUT * height), width]
    parts = []
    for left, right in pairwise(bounds):
        mask = fragment.mask[:, left:right]
        inner = bounding_box(mask.view(np.uint8))
        if inner.height:
            top, start = fragment.box.top, fragment.box.left + left
            box = Box(top + inner.top, start + inner.left, top + inner.bottom, start + inner.right)
            mask = mask[inner.slices]
            parts.append(Fragment(box, mask, float((strength[box.slices] * mask).sum() / 255), is_part=True))
    return parts


def find_segments(
    fragments: list[Fragment], height: float, strength: ByteArray, max_segments: int | None = None
) -> list[Segment]:
    """Return the candidate digits of a line of cut fragments, whose digits have this height; `max_segments` at most."""
    segments: list[Segment] = []
    for start in range(len(fragments)):
        box = fragments[start].box
        for stop in range(start + 1, min(start + _MAX_FRAGMENTS, len(fragments)) + 1):
            box = box.union(fragments[stop - 1].box)
            if stop - start > 1 and box.width > _MAX_WIDTH * max(height, box.height):
                break
            if len(segments) == max_segments:
                return segments
            if box.height <= _MAX_HEIGHT * height and box.longer >= _MIN_SIDE * height:
                segments.append(_segment(fragments, start, stop, box, strength))
    return segments


def _segment(fragments: Sequence[Fragment], start: int, stop: int, box: Box, strength: ByteArray) -> Segment:
    parts = fragments[start:stop]
    is_whole = len(parts) == 1 and not parts[0].is_part
    return Segment(start, stop, box, sum(part.ink for part in parts), _rendered(parts, box, strength), is_whole)


def _rendered(fragments: Sequence[Fragment], box: Box, strength: ByteArray) -> FloatArray:
    """Return fragments in MNIST form, float32 (28, 28), 0 = background to 1 = full ink."""
    area = box.expanded(2).clipped(strength.shape)
    mask = np.zeros((area.height, area.width), np.uint8)
    for fragment in fragments:
        top, left = fragment.box.top - area.top, fragment.box.left - area.left
        mask[top : top + fragment.box.height, left : left + fragment.box.width][fragment.mask] = 255
    # What a cut left of a neighbour is no part of the digit.
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    areas = stats[1:, cv2.CC_STAT_AREA]
    for number in (1 + np.flatnonzero(areas < _MIN_PART * areas.max())).tolist():
        mask[labels == number] = 0
    ink = cv2.bitwise_and(strength[area.slices], cv2.dilate(mask, square(3)))
    threshold = min(_OUTLINE, int(ink.max()) // 2)
    outline = bounding_box(cv2.threshold(ink, threshold, 255, cv2.THRESH_BINARY)[1])
    return frame(normalize_strokes(ink, outline)[0])[0]
