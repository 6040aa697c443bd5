"""Segmentation: which ink of a picture is the digit.

Enters: the Pyramid of a picture, with dark ink. Leaves: a Segmentation, the result at the scale that shows the digit
best, and Ink, the digit's ink alone. Steps: background estimation and binarisation at several scales, removal of ruled
lines, selection and grouping of connected components, removal of print and of an underline.

`is_underline` answers one question: is one component a flat line below another one, by their boxes alone? A printed box
is recognised by `components.is_printed_box`, a ruled line by `ruled_lines`. Out of scope: sheets and badges (`sheet`),
and which polarity or which part of the picture is segmented (`search`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt

from service.errors import NoInk
from service.images.background import BINARISATION_THRESHOLD, Background, InkLevels, Pyramid, ink_levels
from service.images.components import Box, Components, bounding_box, find_components, is_printed_box, square
from service.images.ruled_lines import remove_ruled_lines
from service.types import ByteArray, FloatArray

EMPTY = "the picture is blank: no ink stands out from its paper"
FAINT = "the picture is blank: what is on it is too faint, write darker or add light"
SMALL = "the picture is blank: what is on it is too small, send the part with the digit"
SOFT = "the picture is blank: what is on it is as soft as a shadow, take a sharp picture"

# Scales, the finer first: the side of the closing's structuring element, as a share of the picture's longer side, and
# the least contrast of ink, 1 = black on white. Less is JPEG noise, and for wider strokes uneven light.
_SCALES = ((0.14, 0.07), (0.42, 0.12))
# Scales for pictures without a digit at the usual ones. Soft ink is sharper at a finer scale, and all ink may be faint.
_FALLBACK_SCALES = ((0.06, 0.07), (0.14, 0.06))
# The least contrast, 1 = black on white, of what is reported as too faint.
_MIN_TRACE = 0.02
# The scale at which ink is searched that is too small for a digit.
_SMALL_INK_SCALE = (0.14, 0.12)
# Fainter ink within this distance of the digit, a share of the picture's longer side, belongs to it. Ink above this
# strength, of 255, is inside its bounding box.
_FRINGE = 0.025
_OUTLINE = 64
# The longer side of a digit is at least this share of the picture's longer side.
_MIN_DIGIT = 0.07
# A digit with fewer pixels on its longer side is measured at the fine level.
_MIN_MEDIUM_PIXELS = 60
# Ink has edges no wider than this share of the picture's longer side, or this many pixels. Shadows have wider ones.
# Isolated ink of more contrast than this, of 255, is no shadow: its edges may be wider by the last factor.
_MAX_EDGE = 0.035
_MAX_EDGE_PIXELS = 2.5
_STRONG_CONTRAST = 80
_STRONG_EDGE_FACTOR = 2.0
# Full ink of a mask is this percentile of its strength.
_FULL_INK = 0.75
# Below this share of the picture's full ink a digit is fainter than print beside it, and print is removed.
_MIN_FULL_INK = 0.8
# Ink beside print or beside the border has at least this many times the contrast of the faintest ink.
_CONTRAST_BESIDE_PRINT = 2
# Pixels by which a mask of print is dilated, to include its edges.
_PRINT_EDGE = 2
# From this number on, ruled lines are not strokes of a digit that fills its frame.
_MANY_LINES = 3
# Above this number, components may be pieces of ruled lines.
_MANY_PIECES = 8
# A coarser scale replaces a finer one where it finds more than this many times the ink.
_MORE_INK = 1.12

# Weights of the ink of components that touch the border: of print, a thumb or the table; and of cut-off writing.
_FOREIGN_WEIGHT = 0.05
_CUT_OFF_WEIGHT = 0.8
# Cut-off writing touches less than this share of the border, or extends along more than this share of a side.
_CUT_OFF_CONTACT = 0.1
_CUT_OFF_EXTENT = 0.85
# The dark margin of a picture touches more than this share of its border, and extends less than this share inwards.
_MARGIN_CONTACT = 0.2
_MARGIN_DEPTH = 0.2
# Pixels of the coarse level by which ink at the border is dilated, to include its edges.
_MARGIN_EDGE = 2
# A component is grouped with the digit when it has at least this share of its ink and is no further away than this
# share of its longer side. Only this many components, those with the most ink, are looked at.
_GROUP_INK = 0.03
_GROUP_GAP = 0.25
_MAX_COMPONENTS = 64
# The same for cut-off components beside a digit that is not cut off: the gap, and the longer side as a share.
_CUT_OFF_GAP = 0.12
_CUT_OFF_LENGTH = 1.25
# An underline is more than this many times as wide as high and has more than this share of the digit's width. Its top
# is above the digit's bottom by no more than this share of the digit's height.
_UNDERLINE_ASPECT = 2.5
_UNDERLINE_WIDTH = 0.5
_UNDERLINE_OVERLAP = 0.05
# An underline that touches the digit covers at least the second share of the width of the lowest band of both; the band
# has the first share of their height.
_UNDERLINE_BAND = 0.15
_UNDERLINE_COVERED = 0.7

# Another digit beside the digit has at least this share of its ink and its mean ink, and between this share of its size
# and the inverse. They have this share of their rows or columns in common, and side by side hardly any columns. What is
# above or below has at least the last share of the digit's height. Two components of the digit that may be two digits
# have at least the second share of the heaviest one's ink.
_OTHER_INK = 0.12
_PART_INK = 0.2
_OTHER_DENSITY = 0.5
_OTHER_SIZE = 0.6
_IN_LINE = 0.4
_SIDE_BY_SIDE = 0.25
_MIN_STACKED = 0.5


@dataclass(frozen=True, eq=False)
class Selection:
    """The selected components, bool (n_components,), and their weighted ink in fully inked pixels.

    `is_isolated` is True where the main one does not touch the border, and is not print.
    """

    chosen: npt.NDArray[np.bool_]
    weight: float
    is_isolated: bool


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The result at one scale: ink, foreground, its components, and which of them are the digit.

    `strength` is the ink, uint8 (height, width), 0..255, and `foreground` its mask, 0 or 255, both at the medium level.
    `levels` are those of the contrast with `background`. `weight` is the weighted ink of the digit, in fully inked
    pixels.
    """

    strength: ByteArray
    foreground: ByteArray
    components: Components
    selection: Selection
    levels: InkLevels
    background: Background
    weight: float

    @cached_property
    def digit(self) -> ByteArray:
        """The mask of the digit, uint8 (height, width), 0 or 255."""
        if len(self.components) == 2:
            return self.foreground
        coarse = (self.selection.chosen.view(np.uint8) * np.uint8(255))[self.components.labels]
        if coarse.shape == self.foreground.shape:
            return coarse
        size = (self.foreground.shape[1], self.foreground.shape[0])
        return _intersection(cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST), self.foreground)

    @cached_property
    def box(self) -> Box:
        """The bounding box of the digit."""
        return bounding_box(self.digit)


@dataclass(frozen=True, eq=False)
class Ink:
    """The digit's ink alone, uint8 (height, width), 0..255, and its bounding box.

    `factor` is the downsampling factor from the picture to `strength`, 1 or 2.
    """

    strength: ByteArray
    box: Box
    factor: int
    segmentation: Segmentation

    def rotated(self, degrees: float) -> Ink:
        """Return the ink in its box, rotated clockwise by this angle."""
        part = self.strength[self.box.slices]
        side = int(np.hypot(*part.shape)) + 2
        matrix = cv2.getRotationMatrix2D(((part.shape[1] - 1) / 2, (part.shape[0] - 1) / 2), -degrees, 1)
        matrix[:, 2] += (side - part.shape[1]) / 2, (side - part.shape[0]) / 2
        strength = cv2.warpAffine(part, matrix, (side, side))
        return replace(self, strength=strength, box=bounding_box(strength))


def extract_ink(pyramid: Pyramid, *, exclude_border: bool = False) -> Ink:
    """Return the digit's ink. Raises NoInk where there is no digit.

    `exclude_border` leaves out ink that touches the border.
    """
    found = segment(pyramid, exclude_border=exclude_border)
    # Half-covered pixels and dry strokes are below the threshold, and belong to the digit.
    reach = max(1, round(_FRINGE * max(pyramid.medium.shape)))
    around = cv2.dilate(found.digit, square(2 * reach + 1))
    strength, factor = found.strength, pyramid.medium_factor
    if factor > 1 and found.box.longer < _MIN_MEDIUM_PIXELS:
        contrast = found.background.contrast(pyramid.fine)
        size = (contrast.shape[1], contrast.shape[0])
        around = cv2.resize(around, size, interpolation=cv2.INTER_NEAREST)
        digit = cv2.resize(found.digit, size, interpolation=cv2.INTER_NEAREST)
        full = max(found.levels.full, ink_levels(contrast, 0, digit).full)
        strength, factor = replace(found.levels, full=full).strength(contrast), 1
    strength = _intersection(strength, around)
    return Ink(strength, bounding_box(_binarised(strength, _OUTLINE)), factor, found)


def shows_several(components: Components, chosen: npt.NDArray[np.bool_]) -> bool:
    """Return whether there may be several digits: other components as large and as dark as the digit, in line with it.

    `chosen`, bool (n_components,), are those of the digit. Two of them that stand apart may be two digits as well.
    """
    if len(components) == 2:
        return False
    own = np.flatnonzero(chosen).tolist()
    main = max(own, key=lambda number: components.intensity_sum[number])
    digit = _bounding_box(components, chosen)
    ink, min_density = components.intensity_sum, _OTHER_DENSITY * components.density(main)
    parts = [components.boxes[number] for number in own if ink[number] > _PART_INK * ink[main]]
    if any(_stand_apart(*pair) for pair in combinations(parts, 2)):
        return True
    return any(
        components.border_fraction[number] == 0
        and _is_beside(components.boxes[number], digit)
        and components.density(number) > min_density
        and not is_printed_box(components, number)
        for number in np.flatnonzero(~chosen & (ink > _OTHER_INK * ink[main])).tolist()
    )


def _is_beside(other: Box, digit: Box) -> bool:
    """Return whether a box is as large as the digit's, and in one row or column with it; an underline is not."""
    if not _OTHER_SIZE * digit.longer <= other.longer <= digit.longer / _OTHER_SIZE:
        return False
    if other.width > _UNDERLINE_ASPECT * other.height:
        return False
    rows, columns = _overlap(other, digit)
    in_row = rows >= _IN_LINE * min(other.height, digit.height)
    in_column = columns >= _IN_LINE * min(other.width, digit.width) and other.height >= _MIN_STACKED * digit.height
    return (in_row and columns <= _SIDE_BY_SIDE * min(other.width, digit.width)) or (in_column and rows <= 0)


def _stand_apart(one: Box, other: Box) -> bool:
    """Return whether two boxes are about as high, and side by side or one above the other."""
    if min(one.height, other.height) < _OTHER_SIZE * max(one.height, other.height):
        return False
    rows, columns = _overlap(one, other)
    return rows <= 0 or columns <= _SIDE_BY_SIDE * min(one.width, other.width)


def _overlap(one: Box, other: Box) -> tuple[int, int]:
    """Return how many rows and columns two boxes have in common; negative: how far apart they are."""
    rows = min(one.bottom, other.bottom) - max(one.top, other.top)
    columns = min(one.right, other.right) - max(one.left, other.left)
    return rows, columns


def find_small_ink(pyramid: Pyramid) -> tuple[Box, bool]:
    """Return the box of the most ink that is too small for a digit, in fine pixels, and whether it shows several.

    Raises NoInk if there is none.
    """
    window, faintest = _SMALL_INK_SCALE
    contrast = Background(pyramid.coarse, window).contrast(pyramid.fine)
    levels = ink_levels(contrast, faintest)
    if not levels.has_ink:
        raise NoInk(EMPTY)
    strength = levels.strength(contrast)
    components = find_components(strength, _binarised(strength, BINARISATION_THRESHOLD), pyramid.medium_factor)
    selection = select_components(components)
    if selection is None:
        raise NoInk(EMPTY)
    box = _bounding_box(components, selection.chosen).scaled(pyramid.medium_factor)
    return box, shows_several(components, selection.chosen)


def _bounding_box(components: Components, chosen: npt.NDArray[np.bool_]) -> Box:
    """Return the smallest box around the chosen components, of which there is one at least."""
    return reduce(Box.union, (components.boxes[number] for number in np.flatnonzero(chosen).tolist()))


def blank_reason(pyramid: Pyramid) -> str:
    """Return why a picture has no digit: EMPTY, or FAINT, SMALL or SOFT where something is on it."""
    contrast = Background(pyramid.coarse, _SCALES[0][0]).contrast(pyramid.medium)
    levels = ink_levels(contrast, _MIN_TRACE)
    if not levels.has_ink:
        return EMPTY
    if levels.contrast < ink_levels(contrast, _SCALES[0][1]).faintest:
        return FAINT
    strength = levels.strength(contrast)
    foreground = _binarised(strength, BINARISATION_THRESHOLD)
    boxes = find_components(strength, foreground, pyramid.coarse_factor).boxes[1:]
    is_small = max(box.longer for box in boxes) < _MIN_DIGIT * max(pyramid.coarse.shape)
    return SMALL if is_small else SOFT


def _binarised(values: ByteArray, threshold: float) -> ByteArray:
    """Return the mask, 0 or 255, of the values above a threshold."""
    return cv2.threshold(values, threshold, 255, cv2.THRESH_BINARY)[1]


def _intersection(one: cv2.typing.MatLike, other: ByteArray) -> ByteArray:
    return cv2.bitwise_and(one, other)


def segment(
    pyramid: Pyramid, *, exclude_border: bool = False, scales: Sequence[tuple[float, float]] = _SCALES
) -> Segmentation:
    """Return the segmentation at the best scale. Raises NoInk where no scale has a digit.

    Too fine a scale finds only the ends of strokes, too coarse a scale also finds shadows. The finest one is returned
    that finds nearly as much ink as the coarser ones. `exclude_border` leaves out ink that touches the border.
    """
    best: Segmentation | None = None
    for window, faintest in scales:
        if best is not None and best.background.is_uniform:
            break
        background = Background(pyramid.coarse, window)
        if best is not None and background.is_close_to(best.background):
            break
        strength, levels = _ink_at_scale(pyramid, background, faintest, exclude_border=exclude_border)
        # The foreground bounds the weight of a digit from above, so components need not be found.
        if not levels.has_ink or (best is not None and _foreground_ink(strength) <= _MORE_INK * best.weight):
            continue
        found = _segment_at_scale(strength, pyramid.coarse_factor, levels, background)
        if found is not None and (best is None or found.weight > _MORE_INK * best.weight):
            best = found
    if best is not None:
        return best
    if scales is _SCALES and not exclude_border:
        return segment(pyramid, scales=_FALLBACK_SCALES)
    raise NoInk(EMPTY)


def _ink_at_scale(
    pyramid: Pyramid, background: Background, faintest: float, *, exclude_border: bool
) -> tuple[ByteArray, InkLevels]:
    """Return how much ink each pixel has, uint8 (height, width), and the levels by which it was measured."""
    contrast = background.contrast(pyramid.medium)
    levels = ink_levels(contrast, faintest, pyramid.mask)
    if not levels.has_ink:
        return contrast, levels
    strength = levels.strength(contrast)
    if not exclude_border:
        return strength, levels
    inner = _away_from_border(strength, pyramid.coarse_factor)
    levels = ink_levels(contrast, _CONTRAST_BESIDE_PRINT * faintest, inner)
    return (_intersection(levels.strength(contrast), inner) if levels.has_ink else strength), levels


def _away_from_border(strength: ByteArray, factor: int) -> ByteArray:
    """Return a mask, 0 or 255, without the components that touch the border and their edges."""
    components = find_components(strength, _binarised(strength, BINARISATION_THRESHOLD), factor)
    at_border = np.where(components.border_fraction > 0, 255, 0).astype(np.uint8)[components.labels]
    size = (strength.shape[1], strength.shape[0])
    near = cv2.resize(cv2.dilate(at_border, square(2 * _MARGIN_EDGE + 1)), size, interpolation=cv2.INTER_NEAREST)
    return cv2.bitwise_not(near)


def _foreground_ink(strength: ByteArray) -> float:
    """Return the ink of the foreground, in fully inked pixels."""
    kept = cv2.threshold(strength, BINARISATION_THRESHOLD, 0, cv2.THRESH_TOZERO)[1]
    return cv2.sumElems(kept)[0] / 255


def _segment_at_scale(
    strength: ByteArray, factor: int, levels: InkLevels, background: Background
) -> Segmentation | None:
    """Return the segmentation at one scale, None where no candidate is writing."""
    foreground = _binarised(strength, BINARISATION_THRESHOLD)
    for components, selection, mask in _candidates(strength, foreground, factor):
        found = Segmentation(strength, mask, components, selection, levels, background, selection.weight)
        found = _remove_underline(found, factor)
        # Print may be blacker than the digit, as beside pencil. Where there is only one component, it has full ink.
        is_alone = len(components) == 2 and mask is foreground
        full = 1.0 if is_alone else _percentile(strength, found.digit, _FULL_INK) / 255
        if not _is_writing(found, full):
            continue
        if full > _MIN_FULL_INK:
            return found
        if full * levels.contrast > _CONTRAST_BESIDE_PRINT * levels.faintest:
            return _remove_print(found, factor, full)
    return None


def _percentile(values: ByteArray, mask: ByteArray, share: float) -> int:
    """Return the value that this share of the values in a mask do not exceed."""
    counts = cv2.calcHist([values], [0], mask, [256], [0, 256]).ravel().cumsum()
    return int(counts.searchsorted(share * counts[-1]))


def _remove_print(found: Segmentation, factor: int, full: float) -> Segmentation:
    """Return the segmentation without blacker print, and with ink rescaled so that the digit's full ink is 255.

    Fainter parts of the digit then exceed the threshold. `full` is the digit's full ink, 0..1. The recursion ends,
    since `full` rises with each rescaling.
    """
    printed = cv2.subtract(_binarised(found.strength, 255 * (1 + full) / 2), found.digit)
    printed = cv2.subtract(cv2.dilate(printed, square(2 * _PRINT_EDGE + 1)), found.digit)
    alone = cv2.convertScaleAbs(cv2.subtract(found.strength, printed), alpha=1 / full)
    levels = replace(found.levels, full=found.levels.background + full * found.levels.contrast)
    again = _segment_at_scale(alone, factor, levels, found.background)
    return (
        replace(found, strength=alone, levels=levels) if again is None else replace(again, weight=full * again.weight)
    )


def _candidates(
    strength: ByteArray, foreground: ByteArray, factor: int
) -> Iterator[tuple[Components, Selection, ByteArray]]:
    """Yield candidates for the digit, the likeliest first: components, the selection, and their foreground."""
    components = find_components(strength, foreground, factor)
    selection = select_components(components)
    if selection is None or not selection.is_isolated or len(components) > _MANY_PIECES:
        # A ruled line may join the digit to the border. One or two lines may also be strokes of a digit that fills its
        # frame: then nothing is isolated without them. Thin lines are half as strong where they lie across two rows.
        unruled, n_lines = remove_ruled_lines(_binarised(strength, BINARISATION_THRESHOLD / min(factor, 2)))
        unruled = _intersection(unruled, foreground)
        if n_lines and cv2.countNonZero(unruled):
            others = find_components(strength, unruled, factor)
            without = select_components(others)
            if without is not None and (without.is_isolated or n_lines >= _MANY_LINES):
                yield others, without, unruled
    if selection is not None:
        yield components, selection, foreground


def _is_writing(found: Segmentation, full: float) -> bool:
    """Return whether the digit is writing: larger than specks, with sharper edges than shadows.

    `full` is the digit's full ink, 0..1.
    """
    side = max(found.strength.shape)
    if found.box.longer < _MIN_DIGIT * side:
        return False
    widest = max(_MAX_EDGE * side, _MAX_EDGE_PIXELS)
    if found.selection.is_isolated and full * found.levels.contrast > _STRONG_CONTRAST:
        widest *= _STRONG_EDGE_FACTOR
    return full * edge_width(found.strength, found.digit) <= widest


def edge_width(strength: ByteArray, mask: ByteArray) -> float:
    """Return over how many pixels strength rises from 0 to 255 along the edge of a mask, uint8 (height, width).

    It is 510 over the upper quartile of the morphological gradient, which spans two pixels. The median would be too
    low, since beside a hairline paper is on both sides.
    """
    gradient = cv2.morphologyEx(strength, cv2.MORPH_GRADIENT, square(3))
    edge = cv2.subtract(cv2.dilate(mask, square(3)), mask)
    return 2 * 255 / max(_percentile(gradient, edge, 0.75), 1)


def select_components(components: Components) -> Selection | None:
    """Return the components that are the digit: the one with the most weighted ink, and those grouped with it.

    Returns None where no component has any weight.
    """
    ink = components.intensity_sum
    if len(components) == 2:
        weight = _border_weight(components, 1)
        return Selection(_ONLY_COMPONENT, weight * float(ink[1]), weight == 1) if weight else None
    weights = np.zeros(len(components), np.float32)
    # Noise has thousands of components, so only those with the most ink are looked at.
    heaviest = np.argsort(ink)[: -_MAX_COMPONENTS - 1 : -1]
    for number in heaviest[ink[heaviest] >= max(_GROUP_INK * ink.max(), 1e-6)].tolist():
        is_print = components.encloses_another(number) and is_printed_box(components, number)
        weights[number] = _FOREIGN_WEIGHT if is_print else _border_weight(components, number)
    weighted_ink = ink * weights
    main = int(weighted_ink.argmax())
    if weighted_ink[main] == 0:
        return None
    main = _underlined_component(components, main, weighted_ink)
    chosen = _group(components, main, weights)
    return Selection(chosen, float(weighted_ink[chosen].sum()), bool(weights[main] == 1))


_ONLY_COMPONENT = np.array([False, True])


def _border_weight(components: Components, number: int) -> float:
    """Return the weight of a component's ink, 0..1, by its extent and its contact with the border."""
    contact = components.border_fraction[number]
    if contact == 0:
        return 1.0
    box, (height, width) = components.boxes[number], components.labels.shape
    if contact > _MARGIN_CONTACT and min(box.height / height, box.width / width) < _MARGIN_DEPTH:
        return 0.0
    is_extended = max(box.height / height, box.width / width) > _CUT_OFF_EXTENT
    return _CUT_OFF_WEIGHT if is_extended or contact < _CUT_OFF_CONTACT else _FOREIGN_WEIGHT


def _group(components: Components, main: int, weights: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which components are grouped with the main one, bool (n_components,)."""
    boxes, ink = components.boxes, components.intensity_sum
    size = boxes[main].longer
    max_gap = {}
    for number in np.flatnonzero((ink >= _GROUP_INK * ink[main]) & (weights > _FOREIGN_WEIGHT)).tolist():
        if number != main and is_underline(boxes[number], boxes[main]):
            continue
        if weights[number] >= weights[main]:
            max_gap[number] = _GROUP_GAP * size
        elif boxes[number].longer < _CUT_OFF_LENGTH * size:
            # A cut-off component beside a digit that is not cut off may be the digit's neighbour, so it has to be
            # nearer. A longer one is a printed line.
            max_gap[number] = _CUT_OFF_GAP * size
    chosen = np.zeros(len(components), np.bool_)
    # Gaps are measured from each component to the next, since a dry stroke is a row of them.
    pending = [main]
    while pending:
        here = pending.pop()
        if not chosen[here]:
            chosen[here] = True
            pending += [other for other, gap in max_gap.items() if boxes[here].gap(boxes[other]) <= gap]
    return chosen


def is_underline(line: Box, digit: Box) -> bool:
    """Return whether one component is a flat line below another one, by their boxes."""
    return (
        line.width > max(_UNDERLINE_ASPECT * line.height, _UNDERLINE_WIDTH * digit.width)
        and (line.top + line.bottom) / 2 > digit.bottom
        and line.top > digit.bottom - _UNDERLINE_OVERLAP * digit.height
        and line.left < digit.right
        and digit.left < line.right
        and digit.height > 2 * line.height
    )


def _underlined_component(components: Components, main: int, weighted_ink: FloatArray) -> int:
    """Return the heaviest component that the main one underlines; the main one where it is no underline."""
    boxes = components.boxes
    if boxes[main].width < _UNDERLINE_ASPECT * boxes[main].height:
        return main
    above = [n for n in np.flatnonzero(weighted_ink).tolist() if n != main and is_underline(boxes[main], boxes[n])]
    return max(above, key=lambda number: weighted_ink[number], default=main)


def _remove_underline(found: Segmentation, factor: int) -> Segmentation:
    """Return the segmentation without an underline that touches the digit only at the coarse level."""
    box = found.box
    band = found.digit[max(box.top, box.bottom - max(2, round(_UNDERLINE_BAND * box.height))) : box.bottom]
    if factor == 1 or np.count_nonzero(band.any(axis=0)) < _UNDERLINE_COVERED * box.width:
        return found
    parts = find_components(found.strength, found.digit, 1)
    if len(parts) == 2:
        return found
    main = _underlined_component(parts, int(parts.intensity_sum.argmax()), parts.intensity_sum)
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
