"""Tests of service.images.segmentation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.errors import NoInk
from service.images.background import Pyramid, build_pyramid
from service.images.components import Box, Components, bounding_box, find_components
from service.images.decoding import WORKING_SIDE
from service.images.segmentation import (
    EMPTY,
    FAINT,
    SMALL,
    SOFT,
    Ink,
    Selection,
    blank_reason,
    edge_width,
    extract_ink,
    find_small_ink,
    is_underline,
    segment,
    select_components,
)
from service.types import ByteArray, FloatArray
from tests.service.images.scenes import PEN, axes, cloud, dice, drawn, eight_bits, placed

SIDE = 200
digits = pytest.mark.parametrize("digit", range(10))


def written(digit: int, *, height: int = 100, pen: float = PEN, place: tuple[float, float] = (0.5, 0.5)) -> FloatArray:
    """Return coverage by a digit."""
    return placed(drawn(digit)(height, pen), (SIDE, SIDE), place)


def inked(*boxes: Box) -> FloatArray:
    """Return coverage that is 1 in these boxes."""
    coverage = np.zeros((SIDE, SIDE), np.float32)
    for box in boxes:
        coverage[box.slices] = 1
    return coverage


def paper(coverage: FloatArray, *, ink: float = 0.2, grain: float = 0) -> Pyramid:
    """Return the pyramid of uniform paper with ink on it, and with noise of this standard deviation."""
    noise = np.random.default_rng(0).normal(0, grain, coverage.shape)
    return build_pyramid(eight_bits(255 * (1 - (1 - ink) * coverage + noise)), WORKING_SIDE)


def box_of(coverage: FloatArray) -> Box:
    """Return the bounding box of ink."""
    return bounding_box(eight_bits(coverage > 0.4))


def in_picture(ink: Ink) -> tuple[FloatArray, Box]:
    """Return the strength of ink, 0..1, and its box, in pixels of the picture."""
    strength = ink.strength.astype(np.float32) / np.float32(255)
    return strength.repeat(ink.factor, axis=0).repeat(ink.factor, axis=1), ink.box.scaled(ink.factor)


def error_share(expected: FloatArray, strength: FloatArray) -> float:
    """Return the absolute difference of two inks, as a share of the expected ink."""
    return float(np.abs(expected - strength).sum() / expected.sum())


# --- The digit


@digits
def test_the_digit_is_extracted_completely(digit: int) -> None:
    """Ink and box are those that were drawn, and the weight is the amount of ink."""
    coverage = written(digit)
    for grain in (0, 0.02):
        found = extract_ink(paper(coverage, grain=grain))
        strength, box = in_picture(found)

        # The finer scale may miss corners where strokes meet, at most an eighth of the ink.
        assert 0.125 + grain > error_share(coverage, strength)
        assert pytest.approx(box_of(coverage), abs=2) == box
        # A pixel of the medium level is the mean of four.
        assert pytest.approx(float(coverage.sum()) / 4, rel=0.15) == found.segmentation.weight


@digits
def test_a_large_digit_is_measured_at_the_medium_level(digit: int) -> None:
    """Its ink has half the resolution of the picture, and the same box."""
    coverage = written(digit, height=160)
    found = extract_ink(paper(coverage))

    assert 2 == found.factor
    assert 0.2 > error_share(coverage, in_picture(found)[0])
    assert pytest.approx(box_of(coverage), abs=3) == in_picture(found)[1]


@pytest.mark.parametrize("width", [2, 6, 12, 24, 50, 70])
def test_strokes_of_any_width_are_extracted_completely(width: int) -> None:
    """Hairlines and brushes are found at the scale that shows them completely."""
    left = 100 - 2 * (width // 4)
    coverage = inked(Box(40, left, 160, left + width), Box(150, 60, 160, 140))
    strength, box = in_picture(extract_ink(paper(coverage)))

    assert 0.05 > error_share(coverage, strength)
    assert pytest.approx(box_of(coverage), abs=1) == box


def test_print_beside_pencil_is_removed() -> None:
    """In a black box, strokes of pencil are as strong as on empty paper, and nothing is left of the box."""
    frame = inked(Box(10, 10, 190, 190)) - inked(Box(14, 14, 186, 186))
    alone, box = in_picture(extract_ink(paper(0.4 * written(3))))
    found, found_box = in_picture(extract_ink(paper(np.maximum(0.45 * written(3), frame), ink=0)))

    assert pytest.approx(box, abs=2) == found_box
    assert 0.1 > error_share(alone, found)


def test_a_blot_elsewhere_is_not_the_digit() -> None:
    """It is found only at the coarse scale, where it has somewhat more ink than the digit."""
    coverage = written(3, height=80, place=(0.1, 0.1))
    digit = extract_ink(paper(coverage))
    found = extract_ink(paper(np.maximum(coverage, inked(Box(150, 150, 176, 176)))))

    assert digit.box == found.box


def test_specks_are_left_out_and_strokes_are_kept() -> None:
    """A distant speck does not belong to the digit. A second stroke as long as the first does."""
    strokes = inked(Box(40, 80, 160, 88), Box(40, 112, 160, 120))
    strength, box = in_picture(extract_ink(paper(strokes + inked(Box(4, 4, 10, 10)))))

    assert Box(40, 80, 160, 120) == box
    assert 0.02 > error_share(strokes, strength)


@digits
def test_ruled_lines_through_the_picture_are_left_out(digit: int) -> None:
    """Lines as black as the ink, across the whole picture above and below the digit, are not its strokes."""
    ruled = written(digit)
    ruled[30:33] = ruled[170:173] = 1

    assert pytest.approx(box_of(written(digit)), abs=2) == in_picture(extract_ink(paper(ruled)))[1]


def test_a_single_line_across_the_picture_is_a_stroke() -> None:
    """Without other ink a line from edge to edge is no ruled line, but a stroke on a close crop."""
    line = Box(60, 0, 64, SIDE)

    assert line == in_picture(extract_ink(paper(inked(line))))[1]


def test_faint_ink_is_found_at_the_fallback_scales() -> None:
    """Ink just below the usual least contrast is found where there is no other. Fainter ink is not."""
    seen = extract_ink(paper(0.078 * written(3)))

    assert pytest.approx(box_of(written(3)), abs=3) == in_picture(seen)[1]
    with pytest.raises(NoInk):
        extract_ink(paper(0.06 * written(3)))


def blurred(coverage: FloatArray, deviation: float) -> FloatArray:
    """Return coverage out of focus."""
    soft: FloatArray = ndimage.gaussian_filter(coverage, deviation)
    return soft


@pytest.mark.parametrize(("ink", "is_found"), [(0.2, True), (0.8, False)], ids=["black", "faint"])
def test_soft_ink_is_a_shadow_unless_it_is_strong(ink: float, is_found: bool) -> None:  # noqa: FBT001
    """A digit out of focus is found where it is black."""
    coverage = blurred(written(1, height=140, pen=0.14), 5)
    pyramid = paper(coverage / coverage.max(), ink=ink)

    if is_found:
        assert pytest.approx(box_of(written(1, height=140, pen=0.14)), abs=14) == in_picture(extract_ink(pyramid))[1]
    else:
        with pytest.raises(NoInk):
            extract_ink(pyramid)


BLANK = {
    "white": paper(inked()),
    "noise": paper(inked(), grain=0.01),
    "strong noise": paper(inked(), grain=0.05),
    "texture": build_pyramid(eight_bits(220 + 12 * cloud((SIDE, SIDE), 2, dice("paper"))), WORKING_SIDE),
    "a soft spot": paper(np.clip(1 - 3 * np.hypot(*axes(SIDE)), 0, 1).astype(np.float32), ink=0.7),
    "a tiny mark": paper(written(3, height=8)),
    "a pixel": build_pyramid(np.full((1, 1), 255, np.uint8), WORKING_SIDE),
    "a line": build_pyramid(np.full((2, 300), 255, np.uint8), WORKING_SIDE),
}


@pytest.mark.parametrize("pyramid", BLANK.values(), ids=BLANK)
def test_paper_without_writing_is_blank(pyramid: Pyramid) -> None:
    """Noise, texture, soft shadows and specks are no digit."""
    with pytest.raises(NoInk, match="blank"):
        extract_ink(pyramid)


@pytest.mark.parametrize(
    ("pyramid", "expected"),
    [
        (BLANK["white"], EMPTY),
        (paper(0.05 * written(3)), FAINT),
        (BLANK["a tiny mark"], SMALL),
        (paper(blurred(written(1, height=140, pen=0.14), 8), ink=0.2), SOFT),
    ],
    ids=["empty", "faint", "small", "soft"],
)
def test_the_reason_of_a_blank_picture(pyramid: Pyramid, expected: str) -> None:
    """It is the first criterion that rules out a digit: no ink, too faint, too small, or too soft."""
    assert expected == blank_reason(pyramid)


def test_the_digit_is_the_foreground_of_the_selected_components() -> None:
    """Its pixels are those above the binarisation threshold in the selected components, and its box is theirs."""
    coverage = np.maximum(written(3), inked(Box(4, 4, 12, 12)))
    seen = segment(paper(coverage))

    assert 3 == len(seen.components)
    np.testing.assert_array_equal(
        np.where(written(3)[::2, ::2] + written(3)[1::2, 1::2] > 0, seen.foreground, 0), seen.digit
    )
    assert bounding_box(seen.digit) == seen.box


# --- Ink that is too small


def test_small_ink_is_found() -> None:
    """A mark of ten pixels is found with the component beside it; they may be two digits."""
    dots = inked(Box(20, 30, 30, 34), Box(20, 36, 30, 40), Box(150, 150, 153, 153))

    assert (Box(20, 30, 30, 40), True) == find_small_ink(paper(dots))


@pytest.mark.parametrize(
    "pyramid",
    [BLANK["white"], paper(0.1 * written(3, height=10)), paper(inked(Box(0, 0, SIDE, 6)))],
    ids=["white", "faint", "a margin"],
)
def test_there_may_be_no_small_ink(pyramid: Pyramid) -> None:
    """Paper, fainter marks and the margin of a picture are no small ink."""
    with pytest.raises(NoInk):
        find_small_ink(pyramid)


# --- Edges


@pytest.mark.parametrize("width", [10, 20, 34])
def test_the_width_of_an_edge(width: float) -> None:
    """The width of a linear ramp is its length in pixels, horizontal or vertical."""
    ramp = np.clip((np.arange(SIDE) - 100) / width + 0.5, 0, 1)
    strength = eight_bits(255 * np.ones((SIDE, 1)) * ramp)
    for turned in (strength, np.ascontiguousarray(strength.T)):
        assert pytest.approx(width, rel=0.05) == edge_width(turned, eight_bits(255 * (turned > 102)))


@digits
def test_strokes_have_sharp_edges(digit: int) -> None:
    """Writing with any pen has edges of less than three pixels."""
    for pen in (0.03, 0.1, 0.2):
        strength = eight_bits(255 * written(digit, pen=pen))

        assert 3 > edge_width(strength, eight_bits(255 * (strength > 102)))


@pytest.mark.parametrize("width", [1, 2, 3, 10])
def test_straight_lines_have_sharp_edges(width: int) -> None:
    """A line without half-covered pixels has the narrowest edges that can be measured: two pixels."""
    strength = eight_bits(255 * inked(Box(40, 100, 160, 100 + width)))

    assert 2 == edge_width(strength, strength)


def test_a_mask_without_an_edge_has_a_huge_width() -> None:
    """Where strength does not rise, there is no division by zero."""
    assert 500 < edge_width(np.full((SIDE, SIDE), 255, np.uint8), 255 * np.tri(SIDE, dtype=np.uint8))


# --- Selection and grouping of components

# Pixels a side of the masks below.
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
    """Return the selected components as a mask, and the selection."""
    components = components_on(mask) if strength is None else find_components(strength, mask, 1)
    selection = select_components(components)

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
    """Therefore `segment` may skip scales by their foreground alone."""
    strength = np.random.default_rng(seed).integers(0, 256, mask.shape, np.uint8)
    selection = select_components(find_components(strength, mask, 1))

    assert selection is None or selection.weight <= strength[mask > 0].sum() / 255 * 1.00001


def test_a_component_alone_is_the_digit() -> None:
    """Its weight is its ink."""
    digit, selection = selected(mask_of(DIGIT))

    np.testing.assert_array_equal(mask_of(DIGIT), digit)
    assert pytest.approx(24 * 4) == selection.weight
    assert selection.is_isolated


def test_ink_is_weighted_by_its_strength() -> None:
    """Of two components of the same size the blacker one is the digit."""
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
def test_near_strokes_are_grouped(other: Box, belongs: bool) -> None:  # noqa: FBT001
    """A near component with enough ink is a stroke of the digit. A speck and a distant component are not."""
    digit, selection = selected(mask_of(DIGIT, other))
    expected = mask_of(DIGIT, other) if belongs else mask_of(DIGIT)

    np.testing.assert_array_equal(expected, digit)
    assert pytest.approx(n_pixels(expected)) == selection.weight


def test_a_row_of_dashes_is_grouped() -> None:
    """The dashes of a dry pen belong together by the gap from each to the next, although the ends are far apart."""
    dashes = mask_of(*(Box(4 + 12 * i, 30, 4 + 12 * i + 10, 32) for i in range(5)))

    np.testing.assert_array_equal(dashes, selected(dashes)[0])


def test_ink_along_an_edge_is_no_digit() -> None:
    """A thumb at the edge has more ink than the digit, and is not selected."""
    for turns in range(4):
        digit, selection = selected(np.rot90(mask_of(DIGIT, Box(52, 10, 64, 50)), turns))

        np.testing.assert_array_equal(np.rot90(mask_of(DIGIT), turns), digit)
        assert selection.is_isolated


def test_a_dark_margin_is_not_selected() -> None:
    """Strips along one or two whole sides of the picture, as uneven light leaves them, have no weight."""
    for turns in range(4):
        assert select_components(components_on(np.rot90(mask_of(Box(0, 0, 64, 6)), turns))) is None
        assert select_components(components_on(np.rot90(mask_of(Box(0, 0, 64, 6), Box(0, 58, 64, 64)), turns))) is None


@pytest.mark.parametrize(
    ("other", "belongs"),
    [(Box(30, 36, 33, 64), False), (Box(30, 34, 33, 64), False), (Box(30, 35, 33, 64), True)],
    ids=["not quite near", "a long line", "near"],
)
def test_a_neighbour_that_is_cut_off_is_not_the_digit(other: Box, belongs: bool) -> None:  # noqa: FBT001
    """A cut-off component beside a whole digit is grouped with it only where it is quite near and no longer."""
    box = Box(20, 28, 44, 33) if belongs else DIGIT
    expected = mask_of(box, other) if belongs else mask_of(box)
    for turns in (0, 2):
        digit, _ = selected(np.rot90(mask_of(box, other), turns))

        np.testing.assert_array_equal(np.rot90(expected, turns), digit)


def test_a_digit_that_is_cut_off_is_selected() -> None:
    """Without other components it is selected, with less weight, and is not isolated."""
    mask = mask_of(Box(0, 30, 40, 34), Box(20, 20, 24, 44))
    for turns in range(4):
        digit, selection = selected(np.rot90(mask, turns))

        np.testing.assert_array_equal(np.rot90(mask, turns), digit)
        assert not selection.is_isolated
        assert 0.5 * n_pixels(mask) < selection.weight < n_pixels(mask)


def test_a_digit_that_fills_its_picture_is_selected() -> None:
    """A 0 that touches all four edges is selected."""
    rows, columns = np.mgrid[:SMALL_SIDE, :SMALL_SIDE] - (SMALL_SIDE - 1) / 2
    zero = eight_bits(255 * (np.abs(np.hypot(rows, columns) - 28.5) < 4))

    assert zero[0].any()
    assert zero[:, 0].any()
    np.testing.assert_array_equal(zero, selected(zero)[0])


def test_a_printed_box_is_not_the_digit_in_it() -> None:
    """Its lines have more ink than the digit, and are not selected."""
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
    """A line at another place or of another form is a stroke."""
    assert expected == is_underline(line, Box(20, 24, 44, 40))


def test_a_dash_is_not_underlined() -> None:
    """A component as flat as the line below it is no digit."""
    assert not is_underline(Box(30, 10, 34, 50), Box(24, 10, 28, 50))


@pytest.mark.parametrize("thickness", [2, 4], ids=["thinner", "heavier"])
def test_an_underline_is_not_selected(thickness: int) -> None:
    """It is neither grouped with the digit nor, where it has more ink, selected instead of it."""
    line = Box(46, 4, 46 + thickness, 62)

    np.testing.assert_array_equal(mask_of(DIGIT), selected(mask_of(DIGIT, line))[0])


def test_a_line_with_nothing_above_is_selected() -> None:
    """A flat component that underlines nothing is a stroke."""
    line = Box(30, 10, 34, 50)

    np.testing.assert_array_equal(mask_of(line), selected(mask_of(line, Box(50, 10, 60, 12)))[0])


@pytest.mark.parametrize("gap", [3, 4, 12])
@pytest.mark.parametrize("digit", [1, 2, 7])
def test_underlines_are_left_out(digit: int, gap: int) -> None:
    """Also where the line is so near that both are one component of the coarse level."""
    coverage = written(digit)
    box = box_of(coverage)
    line = Box(box.bottom + gap, box.left - 8, box.bottom + gap + 5, box.right + 8)
    seen = segment(paper(np.maximum(coverage, inked(line))))

    assert pytest.approx(box, abs=2) == seen.box.scaled(2)
    assert pytest.approx(float(coverage.sum()) / 4, rel=0.15) == seen.weight


def test_strokes_side_by_side_are_no_underline() -> None:
    """Strokes that are one component of the coarse level, and wide at the bottom, are all kept."""
    strokes = inked(Box(50, 86, 150, 98), Box(50, 99, 150, 114))

    assert box_of(strokes) == in_picture(extract_ink(paper(strokes)))[1]


def test_a_digit_may_stand_on_a_stroke_of_its_own() -> None:
    """The foot of a 2 or an L is no underline where it is joined to the rest."""
    strokes = inked(Box(50, 60, 150, 74), Box(140, 60, 150, 140))

    assert pytest.approx(box_of(strokes), abs=1) == in_picture(extract_ink(paper(strokes)))[1]
