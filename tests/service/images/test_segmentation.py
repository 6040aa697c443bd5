"""Tests of service.images.segmentation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.errors import NoInk
from service.images.background import Pyramid, pyramid
from service.images.components import Box, Components, bounding_box, find_components
from service.images.decoding import WORKING_SIDE
from service.images.segmentation import (
    EMPTY,
    FAINT,
    SMALL,
    SOFT,
    Ink,
    Selection,
    edge_width,
    find_digit,
    find_small,
    is_underline,
    segment,
    select,
    why_blank,
)
from service.types import ByteArray, FloatArray
from tests.service.images.scenes import PEN, axes, cloud, dice, drawn, eight_bits, placed

SIDE = 200
digits = pytest.mark.parametrize("digit", range(10))


def written(digit: int, *, height: int = 100, pen: float = PEN, place: tuple[float, float] = (0.5, 0.5)) -> FloatArray:
    """Return coverage by a digit."""
    return placed(drawn(digit)(height, pen), (SIDE, SIDE), place)


def inked(*boxes: Box) -> FloatArray:
    """Return coverage that is full in these boxes."""
    coverage = np.zeros((SIDE, SIDE), np.float32)
    for box in boxes:
        coverage[box.slices] = 1
    return coverage


def sheet(coverage: FloatArray, *, ink: float = 0.2, grain: float = 0) -> Pyramid:
    """Return the levels of even paper with ink on it, and with grain."""
    noise = np.random.default_rng(0).normal(0, grain, coverage.shape)
    return pyramid(eight_bits(255 * (1 - (1 - ink) * coverage + noise)), WORKING_SIDE)


def box_of(coverage: FloatArray) -> Box:
    """Return where ink covers its paper."""
    return bounding_box(eight_bits(coverage > 0.4))


def in_picture(ink: Ink) -> tuple[FloatArray, Box]:
    """Return the strength of ink, 0..1, and its box, in pixels of the picture."""
    strength = ink.strength.astype(np.float32) / np.float32(255)
    return strength.repeat(ink.factor, axis=0).repeat(ink.factor, axis=1), ink.box.scaled(ink.factor)


def lost(expected: FloatArray, strength: FloatArray) -> float:
    """Return which share of the ink is missing, or was not there."""
    return float(np.abs(expected - strength).sum() / expected.sum())


# --- The digit


@digits
def test_the_digit_is_found_whole(digit: int) -> None:
    """Its ink is what covers the paper, its box that of its strokes, and it weighs what it has of ink."""
    coverage = written(digit)
    for grain in (0, 0.02):
        found = find_digit(sheet(coverage, grain=grain))
        strength, box = in_picture(found)

        # The finer window may miss some of the corners where strokes meet, an eighth of the ink at most.
        assert 0.125 + grain > lost(coverage, strength)
        assert pytest.approx(box_of(coverage), abs=2) == box
        # At the medium level a pixel is one of four.
        assert pytest.approx(float(coverage.sum()) / 4, rel=0.15) == found.segmentation.weight


@digits
def test_what_is_large_is_measured_at_the_medium_level(digit: int) -> None:
    """There every pixel is one of 2x2, and the digit the same."""
    coverage = written(digit, height=160)
    found = find_digit(sheet(coverage))

    assert 2 == found.factor
    assert 0.2 > lost(coverage, in_picture(found)[0])
    assert pytest.approx(box_of(coverage), abs=3) == in_picture(found)[1]


@pytest.mark.parametrize("width", [2, 6, 12, 24, 50, 70])
def test_strokes_of_any_width_are_found_whole(width: int) -> None:
    """Hairlines and brushes are found by the window that shows all of them."""
    left = 100 - 2 * (width // 4)
    coverage = inked(Box(40, left, 160, left + width), Box(150, 60, 160, 140))
    strength, box = in_picture(find_digit(sheet(coverage)))

    assert 0.05 > lost(coverage, strength)
    assert pytest.approx(box_of(coverage), abs=1) == box


def test_a_pencil_in_a_black_box_is_full_ink() -> None:
    """Its strokes are as strong as if they were alone, and nothing is left of the box."""
    frame = inked(Box(10, 10, 190, 190)) - inked(Box(14, 14, 186, 186))
    alone, box = in_picture(find_digit(sheet(0.4 * written(3))))
    found, found_box = in_picture(find_digit(sheet(np.maximum(0.45 * written(3), frame), ink=0)))

    assert pytest.approx(box, abs=2) == found_box
    assert 0.1 > lost(alone, found)


def test_a_blot_elsewhere_is_not_the_digit() -> None:
    """A coarse window shows it, and it is somewhat heavier than the digit, but not beside it."""
    coverage = written(3, height=80, place=(0.1, 0.1))
    digit = find_digit(sheet(coverage))
    found = find_digit(sheet(np.maximum(coverage, inked(Box(150, 150, 176, 176)))))

    assert digit.box == found.box


def test_specks_are_left_out_and_strokes_are_kept() -> None:
    """A speck far off does not belong to the digit, a second stroke as long as the first does."""
    strokes = inked(Box(40, 80, 160, 88), Box(40, 112, 160, 120))
    strength, box = in_picture(find_digit(sheet(strokes + inked(Box(4, 4, 10, 10)))))

    assert Box(40, 80, 160, 120) == box
    assert 0.02 > lost(strokes, strength)


@digits
def test_ruled_lines_through_the_picture_are_left_out(digit: int) -> None:
    """Lines as black as the ink, from edge to edge above and below the digit, are not its strokes."""
    ruled = written(digit)
    ruled[30:33] = ruled[170:173] = 1

    assert pytest.approx(box_of(written(digit)), abs=2) == in_picture(find_digit(sheet(ruled)))[1]


def test_a_picture_of_one_ruled_line_shows_that() -> None:
    """Where nothing but a line is seen from edge to edge, it is what there is: a stroke on a close crop."""
    line = Box(60, 0, 64, SIDE)

    assert line == in_picture(find_digit(sheet(inked(line))))[1]


def test_faint_ink_may_be_all_that_there_is() -> None:
    """Where nothing is darker, a little less than is ink elsewhere is ink; a little less again is not."""
    seen = find_digit(sheet(0.078 * written(3)))

    assert pytest.approx(box_of(written(3)), abs=3) == in_picture(seen)[1]
    with pytest.raises(NoInk):
        find_digit(sheet(0.06 * written(3)))


def blurred(coverage: FloatArray, deviation: float) -> FloatArray:
    """Return coverage as a lens out of focus shows it."""
    soft: FloatArray = ndimage.gaussian_filter(coverage, deviation)
    return soft


@pytest.mark.parametrize(("ink", "is_found"), [(0.2, True), (0.8, False)], ids=["black", "faint"])
def test_soft_ink_is_a_shadow_unless_it_is_strong(ink: float, is_found: bool) -> None:  # noqa: FBT001
    """A digit out of focus is one where it is black."""
    coverage = blurred(written(1, height=140, pen=0.14), 5)
    levels = sheet(coverage / coverage.max(), ink=ink)

    if is_found:
        assert pytest.approx(box_of(written(1, height=140, pen=0.14)), abs=14) == in_picture(find_digit(levels))[1]
    else:
        with pytest.raises(NoInk):
            find_digit(levels)


BLANK = {
    "white": sheet(inked()),
    "grain": sheet(inked(), grain=0.01),
    "coarse grain": sheet(inked(), grain=0.05),
    "texture": pyramid(eight_bits(220 + 12 * cloud((SIDE, SIDE), 2, dice("paper"))), WORKING_SIDE),
    "a soft spot": sheet(np.clip(1 - 3 * np.hypot(*axes(SIDE)), 0, 1).astype(np.float32), ink=0.7),
    "a tiny mark": sheet(written(3, height=8)),
    "a pixel": pyramid(np.full((1, 1), 255, np.uint8), WORKING_SIDE),
    "a line": pyramid(np.full((2, 300), 255, np.uint8), WORKING_SIDE),
}


@pytest.mark.parametrize("levels", BLANK.values(), ids=BLANK)
def test_paper_without_writing_is_blank(levels: Pyramid) -> None:
    """Grain, texture, soft shadows and specks are no digit."""
    with pytest.raises(NoInk, match="blank"):
        find_digit(levels)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (BLANK["white"], EMPTY),
        (sheet(0.05 * written(3)), FAINT),
        (BLANK["a tiny mark"], SMALL),
        (sheet(blurred(written(1, height=140, pen=0.14), 8), ink=0.2), SOFT),
    ],
    ids=["empty", "faint", "small", "soft"],
)
def test_it_is_said_why_a_picture_is_blank(levels: Pyramid, expected: str) -> None:
    """Of what is no digit, the reason is the first that rules it out."""
    assert expected == why_blank(levels)


def test_a_digit_is_what_one_window_shows() -> None:
    """Its pixels are those above the threshold in the components that are chosen, and its box is theirs."""
    coverage = np.maximum(written(3), inked(Box(4, 4, 12, 12)))
    seen = segment(sheet(coverage))

    assert 3 == len(seen.components)
    np.testing.assert_array_equal(
        np.where(written(3)[::2, ::2] + written(3)[1::2, 1::2] > 0, seen.foreground, 0), seen.digit
    )
    assert bounding_box(seen.digit) == seen.box


# --- What is too small


def test_what_is_small_is_found() -> None:
    """A mark of ten pixels is, where it lies, with what belongs to it."""
    dots = inked(Box(20, 30, 30, 34), Box(20, 36, 30, 40), Box(150, 150, 153, 153))

    assert Box(20, 30, 30, 40) == find_small(sheet(dots))


@pytest.mark.parametrize(
    "levels",
    [BLANK["white"], sheet(0.1 * written(3, height=10)), sheet(inked(Box(0, 0, SIDE, 6)))],
    ids=["white", "faint", "a margin"],
)
def test_there_may_be_nothing_small(levels: Pyramid) -> None:
    """Paper, fainter marks and the margin of a picture are nothing to be seen closer."""
    with pytest.raises(NoInk):
        find_small(levels)


# --- Edges


@pytest.mark.parametrize("width", [10, 20, 34])
def test_the_width_of_an_edge(width: float) -> None:
    """Where strength rises evenly over so many pixels, that is the width, level or upright."""
    ramp = np.clip((np.arange(SIDE) - 100) / width + 0.5, 0, 1)
    strength = eight_bits(255 * np.ones((SIDE, 1)) * ramp)
    for turned in (strength, np.ascontiguousarray(strength.T)):
        assert pytest.approx(width, rel=0.05) == edge_width(turned, eight_bits(255 * (turned > 102)))


@digits
def test_strokes_have_sharp_edges(digit: int) -> None:
    """Writing has edges of hardly more pixels than are looked at, also where its strokes are as thin."""
    for pen in (0.03, 0.1, 0.2):
        strength = eight_bits(255 * written(digit, pen=pen))

        assert 3 > edge_width(strength, eight_bits(255 * (strength > 102)))


@pytest.mark.parametrize("width", [1, 2, 3, 10])
def test_straight_lines_have_sharp_edges(width: int) -> None:
    """A line of few pixels, without a half-covered one, has edges as narrow as can be measured: two pixels."""
    strength = eight_bits(255 * inked(Box(40, 100, 160, 100 + width)))

    assert 2 == edge_width(strength, strength)


def test_a_mask_without_an_edge_is_as_wide_as_anything() -> None:
    """Where nothing rises the width is huge, and nothing is divided by zero."""
    assert 500 < edge_width(np.full((SIDE, SIDE), 255, np.uint8), 255 * np.tri(SIDE, dtype=np.uint8))


# --- Which components are the digit

# So many pixels a side have the masks by which components are selected.
SMALL_SIDE = 64
DIGIT = Box(20, 28, 44, 32)


def components_on(mask: ByteArray) -> Components:
    """Return the components of a mask, all of full ink."""
    mask = np.ascontiguousarray(mask)
    return find_components(mask, mask, 1)


def mask_of(*boxes: Box) -> ByteArray:
    """Return the mask that is set in these boxes."""
    return eight_bits(255 * inked(*boxes)[:SMALL_SIDE, :SMALL_SIDE])


def selected(mask: ByteArray, strength: ByteArray | None = None) -> tuple[ByteArray, Selection]:
    """Return the digit, as a mask, among components of which one counts at least."""
    components = components_on(mask) if strength is None else find_components(strength, mask, 1)
    selection = select(components)

    assert selection is not None
    return eight_bits(255 * selection.chosen[components.labels]), selection


def n_pixels(mask: ByteArray) -> int:
    """Return how many pixels are set."""
    return int(np.count_nonzero(mask))


@given(
    arrays.arrays(
        np.uint8,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=40),
        elements=st.sampled_from([0, 255]),
    ),
    st.integers(0, 2**32 - 1),
)
def test_a_digit_weighs_no_more_than_all_ink(mask: ByteArray, seed: int) -> None:
    """By that `segment` leaves out windows."""
    strength = np.random.default_rng(seed).integers(0, 256, mask.shape, np.uint8)
    selection = select(find_components(strength, mask, 1))

    assert selection is None or selection.weight <= strength[mask > 0].sum() / 255 * 1.00001


def test_a_component_alone_is_the_digit() -> None:
    """It counts what it has of ink."""
    digit, selection = selected(mask_of(DIGIT))

    np.testing.assert_array_equal(mask_of(DIGIT), digit)
    assert pytest.approx(24 * 4) == selection.weight
    assert selection.is_isolated


def test_ink_counts_by_its_strength() -> None:
    """Of two components as large the blacker is the digit."""
    grey, black = Box(5, 5, 29, 9), Box(20, 50, 44, 54)
    digit, _ = selected(mask_of(grey, black), mask_of(grey) // 2 + mask_of(black))

    np.testing.assert_array_equal(mask_of(black), digit)


@pytest.mark.parametrize(
    ("other", "belongs"),
    [
        (Box(20, 35, 30, 38), True),
        (Box(46, 28, 52, 32), True),
        (Box(30, 40, 31, 42), False),
        (Box(20, 50, 30, 53), False),
        (Box(54, 45, 60, 49), False),
    ],
    ids=["a second stroke", "the rest of a stroke", "a speck", "far to the right", "far below"],
)
def test_strokes_that_are_near_belong_together(other: Box, belongs: bool) -> None:  # noqa: FBT001
    """A component with some ink that is near is a stroke of the digit; a speck and what is far off are not."""
    digit, selection = selected(mask_of(DIGIT, other))
    expected = mask_of(DIGIT, other) if belongs else mask_of(DIGIT)

    np.testing.assert_array_equal(expected, digit)
    assert pytest.approx(n_pixels(expected)) == selection.weight


def test_a_row_of_dashes_is_followed_from_each_to_the_next() -> None:
    """What a pen that ran dry left belongs together, though its ends are far apart."""
    dashes = mask_of(*(Box(4 + 12 * i, 30, 4 + 12 * i + 10, 32) for i in range(5)))

    np.testing.assert_array_equal(dashes, selected(dashes)[0])


def test_what_covers_an_edge_is_no_digit() -> None:
    """A thumb at the edge has more ink than the digit, and does not count."""
    for turns in range(4):
        digit, selection = selected(np.rot90(mask_of(DIGIT, Box(52, 10, 64, 50)), turns))

        np.testing.assert_array_equal(np.rot90(mask_of(DIGIT), turns), digit)
        assert selection.is_isolated


def test_a_dark_margin_is_nothing() -> None:
    """A strip along a whole side of the picture, as a falling light leaves it, does not count at all, nor do two."""
    for turns in range(4):
        assert select(components_on(np.rot90(mask_of(Box(0, 0, 64, 6)), turns))) is None
        assert select(components_on(np.rot90(mask_of(Box(0, 0, 64, 6), Box(0, 58, 64, 64)), turns))) is None


@pytest.mark.parametrize(
    ("other", "belongs"),
    [(Box(30, 36, 33, 64), False), (Box(30, 34, 33, 64), False), (Box(30, 35, 33, 64), True)],
    ids=["not quite near", "a long line", "near"],
)
def test_a_neighbour_that_is_cut_off_is_not_the_digit(other: Box, belongs: bool) -> None:  # noqa: FBT001
    """What leaves the picture beside a digit that does not is none of its strokes, unless it is near and no longer."""
    box = Box(20, 28, 44, 33) if belongs else DIGIT
    expected = mask_of(box, other) if belongs else mask_of(box)
    for turns in (0, 2):
        digit, _ = selected(np.rot90(mask_of(box, other), turns))

        np.testing.assert_array_equal(np.rot90(expected, turns), digit)


def test_a_digit_that_leaves_the_picture_is_one() -> None:
    """Alone, it is selected as a whole; but it is not isolated."""
    mask = mask_of(Box(0, 30, 40, 34), Box(20, 20, 24, 44))
    for turns in range(4):
        digit, selection = selected(np.rot90(mask, turns))

        np.testing.assert_array_equal(np.rot90(mask, turns), digit)
        assert not selection.is_isolated
        assert 0.5 * n_pixels(mask) < selection.weight < n_pixels(mask)


def test_a_digit_that_fills_its_picture_is_one() -> None:
    """A 0 that touches all four edges is selected, though it touches much of them."""
    rows, columns = np.mgrid[:SMALL_SIDE, :SMALL_SIDE] - (SMALL_SIDE - 1) / 2
    zero = eight_bits(255 * (np.abs(np.hypot(rows, columns) - 28.5) < 4))

    assert zero[0].any()
    assert zero[:, 0].any()
    np.testing.assert_array_equal(zero, selected(zero)[0])


def test_a_printed_box_is_not_the_digit_in_it() -> None:
    """Its lines have more ink than the digit, and do not count."""
    printed = mask_of(Box(4, 4, 60, 60)) - mask_of(Box(6, 6, 58, 58))
    digit, _ = selected(printed + mask_of(DIGIT))

    assert n_pixels(printed) > n_pixels(mask_of(DIGIT))
    np.testing.assert_array_equal(mask_of(DIGIT), digit)


# --- Underlines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (Box(46, 20, 49, 45), True),
        (Box(43, 20, 47, 45), True),
        (Box(40, 20, 43, 45), False),
        (Box(10, 20, 13, 45), False),
        (Box(46, 20, 60, 45), False),
        (Box(46, 50, 49, 64), False),
        (Box(46, 0, 49, 10), False),
        (Box(46, 20, 47, 26), False),
    ],
    ids=["below", "touching", "through its foot", "above", "thick", "to the right", "to the left", "short"],
)
def test_an_underline_is_long_flat_and_below(line: Box, expected: bool) -> None:  # noqa: FBT001
    """Anything else is a stroke of its own."""
    assert expected == is_underline(line, Box(20, 24, 44, 40))


def test_a_dash_is_no_digit_with_a_line_below() -> None:
    """What is as flat as a line is not underlined."""
    assert not is_underline(Box(30, 10, 34, 50), Box(24, 10, 28, 50))


@pytest.mark.parametrize("thickness", [2, 4], ids=["thinner", "heavier"])
def test_an_underline_is_not_selected(thickness: int) -> None:
    """Neither beside the digit nor in its place, where it has more ink."""
    line = Box(46, 4, 46 + thickness, 62)

    np.testing.assert_array_equal(mask_of(DIGIT), selected(mask_of(DIGIT, line))[0])


def test_a_line_with_nothing_above_is_selected() -> None:
    """Though it is flat: there is nothing that it underlines."""
    line = Box(30, 10, 34, 50)

    np.testing.assert_array_equal(mask_of(line), selected(mask_of(line, Box(50, 10, 60, 12)))[0])


@pytest.mark.parametrize("gap", [3, 4, 12])
@pytest.mark.parametrize("digit", [1, 2, 7])
def test_underlines_are_left_out(digit: int, gap: int) -> None:
    """Also where the line is so near that the two touch when seen from afar."""
    coverage = written(digit)
    box = box_of(coverage)
    line = Box(box.bottom + gap, box.left - 8, box.bottom + gap + 5, box.right + 8)
    seen = segment(sheet(np.maximum(coverage, inked(line))))

    assert pytest.approx(box, abs=2) == seen.box.scaled(2)
    assert pytest.approx(float(coverage.sum()) / 4, rel=0.15) == seen.weight


def test_strokes_side_by_side_are_no_underline() -> None:
    """What touches when seen from afar, and is broad below, may be all of the digit."""
    strokes = inked(Box(50, 86, 150, 98), Box(50, 99, 150, 114))

    assert box_of(strokes) == in_picture(find_digit(sheet(strokes)))[1]


def test_a_digit_may_stand_on_a_stroke_of_its_own() -> None:
    """The foot of a 2 or an L is no underline where it is joined to the rest."""
    strokes = inked(Box(50, 60, 150, 74), Box(140, 60, 150, 140))

    assert pytest.approx(box_of(strokes), abs=1) == in_picture(find_digit(sheet(strokes)))[1]
