"""Segmentation: which ink of a picture is the digit.

Enters: the levels of a picture with dark ink. Leaves: a Segmentation: the ink of the digit alone, all components, and
which of them are the digit. Noise, specks, ghosts of other writing, ruled lines, underlines, printed boxes and what
touches the border go; strokes that belong together stay together, even when they do not touch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from service.errors import NoInk
from service.images.background import FOREGROUND, InkLevels, Paper, Pyramid, ink_levels
from service.images.components import Box, Components, bounding_box, find_components, is_printed_box, square
from service.images.ruled_lines import remove_ruled_lines
from service.types import ByteArray, FloatArray

EMPTY = "the picture is blank: no ink stands out from its paper"
FAINT = "the picture is blank: what is on it is too faint, write darker or add light"
SMALL = "the picture is blank: what is on it is too small, send the part with the digit"
SOFT = "the picture is blank: what is on it is too soft, as a shadow is, take a sharp picture"

# Strokes are looked for with windows of these shares of the picture's longer side, the finer first. Less contrast than
# the second number, of 1 between black and white, is no ink: JPEG noise, and for wider strokes uneven light.
_WINDOWS = ((0.14, 0.07), (0.42, 0.12))
# Where these show nothing: soft ink is sharper in a finer window, and faint ink may be all that there is.
_LAST_WINDOWS = ((0.06, 0.07), (0.14, 0.06))
# So little contrast, of 1 between black and white, is a trace of ink.
_TRACE = 0.02
# Ink that is too small for a digit, and may be one seen closer.
_SMALL_WINDOW = (0.14, 0.12)
# Ink goes on around its components for this share of the picture's longer side, and from this strength on, of 255, is
# part of its outline.
_FRINGE = 0.025
_OUTLINE = 64
# A digit is at least this large, as a share of the picture's longer side.
_SMALLEST = 0.07
# A digit with fewer pixels on its longer side is measured once more at the fine level.
_SMALL_PIXELS = 60
# An edge of ink is no wider than this share of the picture's longer side, or so many pixels; a shadow's is. With so
# much contrast, of 255, soft ink is no shadow where it stands alone: its edges may be as many times as wide.
_WIDEST_EDGE = 0.035
_WIDEST_EDGE_PIXELS = 2.5
_STRONG = 80
_SOFTER = 2.0
# Full ink of a mask is this percentile of its strength.
_FULL_INK = 0.75
# A digit's full ink may be less than this share of that of blacker print. The edges of print are so many pixels wide.
_FAINT = 0.8
# Beside it, ink has this many times the contrast of the faintest.
_BESIDE_PRINT = 2
_PRINT_EDGE = 2
# So many ruled lines are no strokes of a digit.
_MANY_LINES = 3
# So many components may be pieces of them.
_MANY_PIECES = 8
# A window has found the digit when the coarser one finds less than this many times its ink.
_RESOLVED = 1.12

# What a component counts that is no writing but print, a thumb or the table; what one counts that leaves the picture.
_FOREIGN = 0.05
_LEAVING = 0.8
# A digit that leaves the picture touches less than this share of its border, or reaches along this share of a side.
_LEAVING_CONTACT = 0.1
_LEAVING_REACH = 0.85
# The dark margin of a picture touches more than this share of its border, and reaches less than this share inwards.
_MARGIN_CONTACT = 0.2
_MARGIN_DEPTH = 0.2
# The edge of what touches the border is so many pixels of the coarse level wide.
_MARGIN_EDGE = 2
# A component belongs to the digit when it has this share of its ink and is this near, as a share of its size.
_COMPANION_INK = 0.03
_MOST_COMPONENTS = 64
_COMPANION_GAP = 0.25
_LEAVING_GAP = 0.12
_LEAVING_LENGTH = 1.25
# An underline is so many times as long as high, has this share of the digit's width, and begins below it, or no higher
# than this share of the digit's height. Where it touches the digit, at the coarse level, it covers this share of the
# width of the lowest band of what they are together.
_LINE_LENGTH = 2.5
_LINE_WIDTH = 0.5
_LINE_OVERLAP = 0.05
_LINE_BAND = 0.15
_LINE_COVERED = 0.7


@dataclass(frozen=True, eq=False)
class Selection:
    """The components that are the digit, bool (n_components,), and what their ink counts together.

    `is_isolated`: nothing suggests that they are something else.
    """

    chosen: npt.NDArray[np.bool_]
    weight: float
    is_isolated: bool


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What one window shows of a picture: the strength of its ink, uint8 (height, width), its components, the digit.

    `levels` are those of the contrast that `paper` leaves, `weight` is what the digit counts, in fully inked pixels.
    """

    strength: ByteArray
    foreground: ByteArray
    components: Components
    selection: Selection
    levels: InkLevels
    paper: Paper
    weight: float

    @cached_property
    def digit(self) -> ByteArray:
        """The digit's pixels, uint8 (height, width), 0 or 255."""
        if len(self.components) == 2:
            return self.foreground
        coarse = (self.selection.chosen.view(np.uint8) * np.uint8(255))[self.components.labels]
        if coarse.shape == self.foreground.shape:
            return coarse
        size = (self.foreground.shape[1], self.foreground.shape[0])
        return _both(cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST), self.foreground)

    @cached_property
    def box(self) -> Box:
        """Where the digit's pixels lie."""
        return bounding_box(self.digit)


@dataclass(frozen=True, eq=False)
class Ink:
    """The digit's ink alone, uint8 (height, width), 0..255, and the box around it.

    `factor` is how many pixels of the picture one of these has a side.
    """

    strength: ByteArray
    box: Box
    factor: int
    segmentation: Segmentation


def find_digit(levels: Pyramid, *, beside_border: bool = False) -> Ink:
    """Return the digit's ink, or what there is beside ink that touches the border. Raises NoInk when there is none."""
    found = segment(levels, beside_border=beside_border)
    # What is fainter around the strokes belongs to the digit too: half-covered pixels, strokes that run dry.
    reach = max(1, round(_FRINGE * max(levels.medium.shape)))
    around = cv2.dilate(found.digit, square(2 * reach + 1))
    strength, factor = found.strength, levels.ink_factor
    if factor > 1 and found.box.longer < _SMALL_PIXELS:
        finer = found.paper.contrast(levels.fine)
        size = (finer.shape[1], finer.shape[0])
        around = cv2.resize(around, size, interpolation=cv2.INTER_NEAREST)
        digit = cv2.resize(found.digit, size, interpolation=cv2.INTER_NEAREST)
        full = max(found.levels.full, ink_levels(finer, 0, digit).full)
        strength, factor = replace(found.levels, full=full).strength(finer), 1
    strength = _both(strength, around)
    return Ink(strength, bounding_box(_above(strength, _OUTLINE)), factor, found)


def find_small(levels: Pyramid) -> Box:
    """Return where the weightiest ink lies that is too small for a digit, in fine pixels. Raises NoInk."""
    window, faintest = _SMALL_WINDOW
    seen = Paper(levels.coarse, window).contrast(levels.fine)
    ink = ink_levels(seen, faintest)
    if not ink.has_ink:
        raise NoInk(EMPTY)
    strength = ink.strength(seen)
    components = find_components(strength, _above(strength, FOREGROUND), levels.ink_factor)
    selection = select(components)
    if selection is None:
        raise NoInk(EMPTY)
    first, *others = (components.boxes[number] for number in np.flatnonzero(selection.chosen).tolist())
    for other in others:
        first = first.around(other)
    return first.scaled(levels.ink_factor)


def why_blank(levels: Pyramid) -> str:
    """Return why a picture with no digit is blank: it is empty, or what is on it is too faint, small or soft."""
    paper = Paper(levels.coarse, _WINDOWS[0][0])
    contrast = paper.contrast(levels.medium)
    ink = ink_levels(contrast, _TRACE)
    if not ink.has_ink:
        return EMPTY
    if ink.contrast < ink_levels(contrast, _WINDOWS[0][1]).faintest:
        return FAINT
    strength = ink.strength(contrast)
    boxes = find_components(strength, _above(strength, FOREGROUND), levels.coarse_factor).boxes[1:]
    is_small = max(box.longer for box in boxes) < _SMALLEST * max(levels.coarse.shape)
    return SMALL if is_small else SOFT


def _above(values: ByteArray, threshold: float) -> ByteArray:
    """Return a mask, 0 or 255, of the values above a threshold."""
    return cv2.threshold(values, threshold, 255, cv2.THRESH_BINARY)[1]


def _both(one: cv2.typing.MatLike, other: ByteArray) -> ByteArray:
    return cv2.bitwise_and(one, other)


def segment(
    levels: Pyramid, *, beside_border: bool = False, windows: Sequence[tuple[float, float]] = _WINDOWS
) -> Segmentation:
    """Return the digit as the window shows it that shows it best. Raises NoInk when none shows one.

    With too fine a window only the ends of strokes are found, with too coarse a one shadows too. So it is the finer one
    if that shows hardly less. `beside_border` leaves out what touches the border, which may be blacker.
    """
    best: Segmentation | None = None
    for window, faintest in windows:
        if best is not None and best.paper.is_even:
            break
        paper = Paper(levels.coarse, window)
        if best is not None and paper.is_same(best.paper):
            break
        strength, ink = _ink(levels, paper, faintest, beside_border=beside_border)
        # No digit weighs more than all ink of its window.
        if not ink.has_ink or (best is not None and _all_ink(strength) <= _RESOLVED * best.weight):
            continue
        found = _look(strength, levels.coarse_factor, ink, paper)
        if found is not None and (best is None or found.weight > _RESOLVED * best.weight):
            best = found
    if best is not None:
        return best
    if windows is _WINDOWS and not beside_border:
        return segment(levels, windows=_LAST_WINDOWS)
    raise NoInk(EMPTY)


def _ink(levels: Pyramid, paper: Paper, faintest: float, *, beside_border: bool) -> tuple[ByteArray, InkLevels]:
    """Return how much ink each pixel has, uint8 (height, width), and its levels; all of it, or beside the border."""
    contrast = paper.contrast(levels.medium)
    ink = ink_levels(contrast, faintest, levels.considered)
    if not ink.has_ink:
        return contrast, ink
    strength = ink.strength(contrast)
    if not beside_border:
        return strength, ink
    inner = _away_from_border(strength, levels.coarse_factor)
    ink = ink_levels(contrast, _BESIDE_PRINT * faintest, inner)
    return (_both(ink.strength(contrast), inner) if ink.has_ink else strength), ink


def _away_from_border(strength: ByteArray, factor: int) -> ByteArray:
    """Return a mask of what is no ink that touches the border, nor near such ink."""
    components = find_components(strength, _above(strength, FOREGROUND), factor)
    at_border = np.where(components.border_fraction > 0, 255, 0).astype(np.uint8)[components.labels]
    size = (strength.shape[1], strength.shape[0])
    near = cv2.resize(cv2.dilate(at_border, square(2 * _MARGIN_EDGE + 1)), size, interpolation=cv2.INTER_NEAREST)
    return cv2.bitwise_not(near)


def _all_ink(strength: ByteArray) -> float:
    """Return how many fully inked pixels a picture's foreground has."""
    kept = cv2.threshold(strength, FOREGROUND, 0, cv2.THRESH_TOZERO)[1]
    return cv2.sumElems(kept)[0] / 255


def _look(strength: ByteArray, factor: int, levels: InkLevels, paper: Paper) -> Segmentation | None:
    """Return the digit in what one window shows, None where what it shows is no digit."""
    foreground = _above(strength, FOREGROUND)
    for components, selection, mask in _candidates(strength, foreground, factor):
        found = Segmentation(strength, mask, components, selection, levels, paper, selection.weight)
        found = _without_underline(found, factor)
        # What is printed may be blacker, where the digit is of a pencil.
        is_alone = len(components) == 2 and mask is foreground
        full = 1.0 if is_alone else _percentile(strength, found.digit, _FULL_INK) / 255
        if not _is_writing(found, full):
            continue
        if full > _FAINT:
            return found
        if full * levels.contrast > _BESIDE_PRINT * levels.faintest:
            return _without_print(found, factor, full)
    return None


def _percentile(values: ByteArray, mask: ByteArray, share: float) -> int:
    """Return the value that this share of the values in a mask do not exceed."""
    counts = cv2.calcHist([values], [0], mask, [256], [0, 256]).ravel().cumsum()
    return int(counts.searchsorted(share * counts[-1]))


def _without_print(found: Segmentation, factor: int, full: float) -> Segmentation:
    """Return a digit with this full ink as it is seen without what is blacker: what is fainter of it comes to light.

    It may be done again to what comes to light, but every time all ink is stronger.
    """
    printed = cv2.subtract(_above(found.strength, 255 * (1 + full) / 2), found.digit)
    printed = cv2.subtract(cv2.dilate(printed, square(2 * _PRINT_EDGE + 1)), found.digit)
    alone = cv2.convertScaleAbs(cv2.subtract(found.strength, printed), alpha=1 / full)
    levels = replace(found.levels, full=found.levels.paper + full * found.levels.contrast)
    again = _look(alone, factor, levels, found.paper)
    return (
        replace(found, strength=alone, levels=levels) if again is None else replace(again, weight=full * again.weight)
    )


def _candidates(
    strength: ByteArray, foreground: ByteArray, factor: int
) -> Iterator[tuple[Components, Selection, ByteArray]]:
    """Yield what may be the digit, the likeliest first: all components, which of them it is, and their foreground."""
    components = find_components(strength, foreground, factor)
    selection = select(components)
    if selection is None or not selection.is_isolated or len(components) > _MANY_PIECES:
        # A line may hold it. Where none is isolated without one or two, these were strokes of one that fills its frame.
        # Thin ones are half as strong where they lie across two rows of pixels.
        unruled, n_lines = remove_ruled_lines(_above(strength, FOREGROUND / min(factor, 2)))
        unruled = _both(unruled, foreground)
        if n_lines and cv2.countNonZero(unruled):
            others = find_components(strength, unruled, factor)
            without = select(others)
            if without is not None and (without.is_isolated or n_lines >= _MANY_LINES):
                yield others, without, unruled
    if selection is not None:
        yield components, selection, foreground


def _is_writing(found: Segmentation, full: float) -> bool:
    """Tell writing, which has some size and sharp edges, from specks and shadows; `full` is the strength of its ink."""
    side = max(found.strength.shape)
    if found.box.longer < _SMALLEST * side:
        return False
    widest = max(_WIDEST_EDGE * side, _WIDEST_EDGE_PIXELS)
    if found.selection.is_isolated and full * found.levels.contrast > _STRONG:
        widest *= _SOFTER
    return full * edge_width(found.strength, found.digit) <= widest


def edge_width(strength: ByteArray, mask: ByteArray) -> float:
    """Return over how many pixels strength rises from 0 to full along the edge of a mask, by the upper quartile.

    Not by the median, since beside a hairline there is paper on either side. Steps are those over two pixels.
    """
    steps = cv2.morphologyEx(strength, cv2.MORPH_GRADIENT, square(3))
    edge = cv2.subtract(cv2.dilate(mask, square(3)), mask)
    return 2 * 255 / max(_percentile(steps, edge, 0.75), 1)


def select(components: Components) -> Selection | None:
    """Return the digit among the components, the weightiest and its companions; None where none counts."""
    ink = components.intensity_sum
    if len(components) == 2:
        count = _counted(components, 1)
        return Selection(_THE_ONLY_ONE, count * float(ink[1]), count == 1) if count else None
    counts = np.zeros(len(components), np.float32)
    # Of noise there are thousands of components; the heaviest are enough.
    heaviest = np.argsort(ink)[: -_MOST_COMPONENTS - 1 : -1]
    for number in heaviest[ink[heaviest] >= max(_COMPANION_INK * ink.max(), 1e-6)].tolist():
        is_print = components.hold_another(number) and is_printed_box(components, number)
        counts[number] = _FOREIGN if is_print else _counted(components, number)
    weights = ink * counts
    main = int(weights.argmax())
    if weights[main] == 0:
        return None
    main = _above_underline(components, main, weights)
    chosen = _companions(components, main, counts)
    return Selection(chosen, float(weights[chosen].sum()), bool(counts[main] == 1))


_THE_ONLY_ONE = np.array([False, True])


def _counted(components: Components, number: int) -> float:
    """Return what the ink of a component counts, from 0 to 1, by its form and where it lies."""
    contact = components.border_fraction[number]
    if contact == 0:
        return 1.0
    box, (height, width) = components.boxes[number], components.labels.shape
    if contact > _MARGIN_CONTACT and min(box.height / height, box.width / width) < _MARGIN_DEPTH:
        return 0.0
    reaches = max(box.height / height, box.width / width) > _LEAVING_REACH
    return _LEAVING if reaches or contact < _LEAVING_CONTACT else _FOREIGN


def _companions(components: Components, main: int, counts: FloatArray) -> npt.NDArray[np.bool_]:
    """Return, for every component, whether it belongs to the digit whose main component this is."""
    boxes, ink = components.boxes, components.intensity_sum
    size = boxes[main].longer
    reach = {}
    for number in np.flatnonzero((ink >= _COMPANION_INK * ink[main]) & (counts > _FOREIGN)).tolist():
        if number != main and is_underline(boxes[number], boxes[main]):
            continue
        if counts[number] >= counts[main]:
            reach[number] = _COMPANION_GAP * size
        elif boxes[number].longer < _LEAVING_LENGTH * size:
            # What leaves the picture beside a digit that does not may be its neighbour's, unless it is quite near, or a
            # printed line, which is longer.
            reach[number] = _LEAVING_GAP * size
    chosen = np.zeros(len(components), np.bool_)
    # From component to component, since a dry stroke is a row of them.
    coming = [main]
    while coming:
        here = coming.pop()
        if not chosen[here]:
            chosen[here] = True
            coming += [other for other in reach if boxes[here].gap(boxes[other]) <= reach[other]]
    return chosen


def is_underline(line: Box, digit: Box) -> bool:
    """Tell whether a component is a flat line under another one."""
    return (
        line.width > max(_LINE_LENGTH * line.height, _LINE_WIDTH * digit.width)
        and (line.top + line.bottom) / 2 > digit.bottom
        and line.top > digit.bottom - _LINE_OVERLAP * digit.height
        and line.left < digit.right
        and digit.left < line.right
        and digit.height > 2 * line.height
    )


def _above_underline(components: Components, main: int, weights: FloatArray) -> int:
    """Return the component that a main one underlines, itself where it is no underline."""
    boxes = components.boxes
    if boxes[main].width < _LINE_LENGTH * boxes[main].height:
        return main
    above = [n for n in np.flatnonzero(weights).tolist() if n != main and is_underline(boxes[main], boxes[n])]
    return max(above, key=lambda number: weights[number], default=main)


def _without_underline(found: Segmentation, factor: int) -> Segmentation:
    """Return a digit without the line just under it, with which the coarse level joined it."""
    box = found.box
    band = found.digit[max(box.top, box.bottom - max(2, round(_LINE_BAND * box.height))) : box.bottom]
    if factor == 1 or np.count_nonzero(band.any(axis=0)) < _LINE_COVERED * box.width:
        return found
    parts = find_components(found.strength, found.digit, 1)
    if len(parts) == 2:
        return found
    main = _above_underline(parts, int(parts.intensity_sum.argmax()), parts.intensity_sum)
    boxes = enumerate(parts.boxes)
    chosen = np.array(
        [number > 0 and (number == main or not is_underline(one, parts.boxes[main])) for number, one in boxes]
    )
    if chosen[1:].all():
        return found
    weight = float(parts.intensity_sum[chosen].sum())
    return replace(
        found, components=parts, selection=replace(found.selection, chosen=chosen, weight=weight), weight=weight
    )
