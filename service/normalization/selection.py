"""Second step, a part of it: which of the marks on a sheet are the digit.

Enters: Marks. Leaves: which of them belong to the digit, and how much they count, so that what one window of `ink`
finds can be compared with what another does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.network import FloatArray
from service.normalization.marks import Marks
from service.normalization.runs import BoolArray

# What a mark counts that is no writing but a frame, a thumb or the table; what a digit counts that leaves the picture.
_FOREIGN = 0.05
_LEAVING = 0.8
# A digit that leaves the picture touches less than this share of its edge, or reaches along this share of a side.
_LEAVING_CONTACT = 0.1
_LEAVING_REACH = 0.85
# The dark margin of a picture touches more than this share of its edge, and reaches less than this share inwards.
_MARGIN_CONTACT = 0.2
_MARGIN_DEPTH = 0.2
# A mark belongs to the digit when it has this share of its ink and is this near, as a share of its size.
_COMPANION_MASS = 0.03
_COMPANION_GAP = 0.25
_LEAVING_GAP = 0.12
_LEAVING_LENGTH = 1.25
# A printed box has ink along this share of each of its sides, no deeper than this share of its size, and is empty else.
_FRAME_COVERED = 0.85
_FRAME_DEPTH = 0.06
_FRAME_FILLED = 0.3


@dataclass(frozen=True, eq=False)
class Selection:
    """The pixels of the digit, what they count together, and whether nothing suggests that they are something else.

    They count no more than the ink that they have. `beside_frame` tells whether a printed box is among the marks.
    """

    mask: BoolArray
    weight: float
    stands_free: bool
    beside_frame: bool


def select(marks: Marks) -> Selection | None:
    """Return the digit among the marks, the weightiest mark and its companions; None where no mark counts."""
    counts = np.zeros(len(marks.boxes), np.float32)
    beside_frame = False
    for number in np.flatnonzero(marks.mass >= _COMPANION_MASS * marks.mass.max()).tolist():
        is_print = is_frame(marks, number)
        counts[number] = _FOREIGN if is_print else _counted(marks, number)
        beside_frame |= is_print
    weights = marks.mass * counts
    main = int(weights.argmax())
    if weights[main] == 0:
        return None
    chosen = _companions(marks, main, counts)
    return Selection(chosen[marks.labels], float(weights[chosen].sum()), bool(counts[main] == 1), beside_frame)


def _counted(marks: Marks, number: int) -> float:
    """Return what the ink of a mark counts, from 0 to 1, by its form and where it lies."""
    if marks.contact[number] == 0:
        return 1.0
    box, (height, width) = marks.boxes[number], marks.labels.shape
    if marks.contact[number] > _MARGIN_CONTACT and min(box.height / height, box.width / width) < _MARGIN_DEPTH:
        return 0.0
    reaches = max(box.height / height, box.width / width) > _LEAVING_REACH
    return _LEAVING if reaches or marks.contact[number] < _LEAVING_CONTACT else _FOREIGN


def is_frame(marks: Marks, number: int) -> bool:
    """Tell whether a mark is a printed box: ink along all four sides of where it lies."""
    top, left, bottom, right = marks.boxes[number]
    depth = int(_FRAME_DEPTH * min(bottom - top, right - left))
    if depth < 1:
        return False
    mask = marks.labels[top:bottom, left:right] == number
    return least_covered_side(mask, depth) > _FRAME_COVERED and float(mask.mean()) < _FRAME_FILLED


def least_covered_side(mask: BoolArray, depth: int) -> float:
    """Return, for the side where it is least, the share along which a mask has pixels within `depth` of the edge."""
    sides = (
        mask[:depth].any(axis=0),
        mask[-depth:].any(axis=0),
        mask[:, :depth].any(axis=1),
        mask[:, -depth:].any(axis=1),
    )
    return min(float(side.mean()) for side in sides)


def _companions(marks: Marks, main: int, counts: FloatArray) -> BoolArray:
    """Return, for every mark, whether it belongs to the digit whose main mark this is."""
    box = marks.boxes[main]
    size = max(box.height, box.width)
    reach = {}
    for number in np.flatnonzero((marks.mass >= _COMPANION_MASS * marks.mass[main]) & (counts > _FOREIGN)).tolist():
        other = marks.boxes[number]
        if counts[number] >= counts[main]:
            reach[number] = _COMPANION_GAP * size
        elif max(other.height, other.width) < _LEAVING_LENGTH * size:
            # What leaves the picture beside a digit that does not may be its neighbour's, unless it is quite near, or a
            # printed line, which is longer.
            reach[number] = _LEAVING_GAP * size
    chosen = np.zeros(len(marks.boxes), np.bool_)
    # From mark to mark, since a dry stroke is a row of them.
    coming = [main]
    while coming:
        here = coming.pop()
        if not chosen[here]:
            chosen[here] = True
            coming += [other for other in reach if marks.boxes[here].gap(marks.boxes[other]) <= reach[other]]
    return chosen
