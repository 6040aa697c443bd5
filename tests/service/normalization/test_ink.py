"""Tests of service.normalization.ink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.errors import NoInk
from service.network import FloatArray
from service.normalization.ink import Ink, edge_width, find_digit, grown, ink_strength, is_sheet
from service.normalization.marks import Box, bounding_box
from service.normalization.runs import BoolArray
from tests.service.normalization.scenes import PEN, axes, cloud, dice, drawn, placed

SIDE = 200
digits = pytest.mark.parametrize("digit", range(10))


def written(digit: int, *, height: int = 100, pen: float = PEN, place: tuple[float, float] = (0.5, 0.5)) -> FloatArray:
    """Return coverage by a digit."""
    return placed(drawn(digit)(height, pen), (SIDE, SIDE), place)


def sheet(coverage: FloatArray, *, ink: float = 0.2, grain: float = 0) -> FloatArray:
    """Return the brightness of even paper with ink on it, and with grain."""
    noise = np.random.default_rng(0).normal(0, grain, coverage.shape)
    return (1 - (1 - ink) * coverage + noise).astype(np.float32)


# --- The strength of ink


def test_full_ink_is_the_core_of_the_strokes() -> None:
    """Half-covered edges do not lower the contrast that counts as full ink, and paper has none."""
    contrast = np.zeros((50, 50), np.float32)
    contrast[10:40, 20:26] = 0.6
    contrast[10:40, 19] = contrast[10:40, 26] = 0.3
    strength = ink_strength(contrast, 0.1)

    assert strength is not None
    np.testing.assert_allclose(contrast / 0.6, strength, atol=1e-6)


def test_what_lifts_the_paper_is_no_ink() -> None:
    """Strength counts from the median on, since noise lifts the closing everywhere."""
    contrast = np.full((50, 50), 0.1, np.float32)
    contrast[10:40, 20:26] = 0.6
    strength = ink_strength(contrast, 0.1)

    assert strength is not None
    np.testing.assert_allclose(contrast > 0.5, strength, atol=1e-6)


def test_blacker_ink_is_full_ink() -> None:
    """Nothing has more ink than full."""
    contrast = np.zeros((50, 50), np.float32)
    contrast[10:40, 20:26] = 0.6
    contrast[20, 20:26] = 0.9
    strength = ink_strength(contrast, 0.1)

    assert strength is not None
    assert 1 == strength.max()


@pytest.mark.parametrize(
    ("ink", "grain", "faintest"),
    [(0.0, 0.0, 0.07), (0.06, 0.0, 0.07), (0.0, 0.05, 0.07), (0.25, 0.06, 0.07), (0.15, 0.0, 0.2)],
    ids=["blank", "faint", "grain", "as faint as the grain", "too faint for this window"],
)
def test_what_does_not_stand_out_is_no_ink(ink: float, grain: float, faintest: float) -> None:
    """Less contrast than is asked for, or less than six standard deviations of the grain, is none."""
    # Clipped below, so that the grain alone does not reach six of its deviations.
    noise = np.clip(np.random.default_rng(0).normal(0, grain, (50, 50)), -4 * grain, 4 * grain).astype(np.float32)
    noise[10:40, 20:26] = ink

    assert ink_strength(noise, faintest) is None


@pytest.mark.parametrize("grain", [0.005, 0.02])
def test_what_stands_out_from_the_grain_is_ink(grain: float) -> None:
    """With more than six standard deviations it is, and paper with its grain has little."""
    contrast = np.random.default_rng(0).normal(0, grain, (50, 50)).astype(np.float32)
    contrast[10:40, 20:26] += 0.3
    strength = ink_strength(contrast, 0.07)

    assert strength is not None
    assert pytest.approx(1, abs=0.1) == strength[10:40, 20:26].mean()
    assert 0.05 > strength[:, 30:].mean()


# --- Edges


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)), st.integers(1, 4))
def test_growing_adds_neighbours_on_all_sides(mask: BoolArray, reach: int) -> None:
    """It is scipy's dilation with a square of three pixels, as often as is asked for."""
    expected = ndimage.binary_dilation(mask, np.ones((3, 3), np.bool_), reach)

    np.testing.assert_array_equal(expected, grown(mask, reach))


@pytest.mark.parametrize("width", [10, 20, 40])
@pytest.mark.parametrize("turned", [False, True], ids=["level", "upright"])
def test_the_width_of_an_edge(width: float, turned: bool) -> None:  # noqa: FBT001
    """Where strength rises evenly over so many pixels, that is the width."""
    strength = np.clip((np.arange(SIDE, dtype=np.float32) - 100) / np.float32(width) + np.float32(0.5), 0, 1)
    strength = np.ones((SIDE, 1), np.float32) * strength
    strength = strength.T if turned else strength

    assert pytest.approx(width, rel=0.02) == edge_width(strength, strength > 0.4)


@digits
@pytest.mark.parametrize("pen", [0.03, 0.1, 0.2])
def test_strokes_have_sharp_edges(digit: int, pen: float) -> None:
    """Writing has edges of no more pixels than are looked at, also where its strokes are as thin."""
    strength = written(digit, pen=pen)

    assert 2 * SIDE / 50 > edge_width(strength, strength > 0.4)


@pytest.mark.parametrize("width", [1, 2, 3, 10])
def test_straight_lines_have_sharp_edges(width: int) -> None:
    """A line of few pixels, without a half-covered one, has edges as narrow as can be measured: a 50th of the side."""
    strength = np.zeros((SIDE, SIDE), np.float32)
    strength[40:160, 100 : 100 + width] = 1

    assert SIDE / 50 == edge_width(strength, strength > 0.4)


def test_a_mark_without_an_edge_is_as_wide_as_anything() -> None:
    """Where nothing rises the width is huge, and nothing is divided by zero."""
    assert 1000 < edge_width(np.ones((SIDE, SIDE), np.float32), np.tri(SIDE, dtype=np.bool_))


# --- The digit


@digits
@pytest.mark.parametrize("grain", [0, 0.02])
def test_the_digit_is_found_whole(digit: int, grain: float) -> None:
    """Its ink is what covers the paper, and its box that of its strokes."""
    coverage = written(digit)
    found = find_digit(sheet(coverage, grain=grain))

    # The finest window that finds enough may miss some of the corners where strokes meet, an eighth of the ink at most.
    assert 0.125 + grain > np.abs(found.strength - coverage).sum() / coverage.sum()
    assert pytest.approx(bounding_box(coverage > 0.4), abs=2) == found.box
    assert pytest.approx(float(coverage.sum()), rel=0.15) == found.weight


@pytest.mark.parametrize("width", [2, 5, 12, 25, 50, 70])
def test_strokes_of_any_width_are_found_whole(width: int) -> None:
    """Hairlines and brushes are found by the window that shows all of them."""
    coverage = np.zeros((SIDE, SIDE), np.float32)
    coverage[40:160, 100 - width // 2 : 100 + width - width // 2] = 1
    coverage[150:160, 60:140] = 1
    found = find_digit(sheet(coverage))

    np.testing.assert_allclose(found.strength, coverage, atol=0.01)
    assert bounding_box(coverage > 0) == found.box


def test_a_pencil_in_a_black_box_is_full_ink() -> None:
    """Its strokes are as strong as if they were alone, and nothing is left of the box."""
    box = np.zeros((SIDE, SIDE), np.float32)
    box[10:190, 10:190] = 1
    box[13:187, 13:187] = 0
    alone = find_digit(sheet(0.4 * written(3)))
    found = find_digit(sheet(np.maximum(0.45 * written(3), box), ink=0))

    assert alone.box == found.box
    np.testing.assert_allclose(alone.strength, found.strength, atol=0.1)


def test_a_blot_elsewhere_is_not_the_digit() -> None:
    """A coarse window shows it, and it is somewhat heavier than the digit, but not beside it."""
    coverage = written(3, height=80, place=(0.1, 0.1))
    digit = find_digit(sheet(coverage))
    coverage[150:188, 150:188] = 1

    assert digit.box == find_digit(sheet(coverage)).box


def test_specks_are_left_out_and_strokes_are_kept() -> None:
    """A speck far off does not belong to the digit, a second stroke as long as the first does."""
    coverage = np.zeros((100, 100), np.float32)
    coverage[20:80, 40:44] = coverage[20:80, 56:60] = coverage[2:5, 2:5] = 1
    found = find_digit(sheet(coverage))

    assert Box(20, 40, 80, 60) == found.box
    assert 1 == found.strength[50, 41] == found.strength[50, 57]
    assert 0 == found.strength[3, 3]


@digits
def test_rules_through_the_picture_are_left_out(digit: int) -> None:
    """Lines as black as the ink, from edge to edge above and below the digit, are not its strokes."""
    ruled = written(digit)
    ruled[30:33] = ruled[170:173] = 1
    found = find_digit(sheet(ruled))

    assert pytest.approx(bounding_box(written(digit) > 0.4), abs=2) == found.box


def test_a_picture_of_one_rule_shows_that() -> None:
    """Where nothing but a line is seen from edge to edge, it is what there is: a stroke on a close crop."""
    ruled = np.zeros((SIDE, SIDE), np.float32)
    ruled[60:64] = 1

    assert Box(60, 0, 64, SIDE) == find_digit(sheet(ruled)).box


@pytest.mark.parametrize(
    "brightness",
    [
        np.ones((SIDE, SIDE), np.float32),
        sheet(np.zeros((SIDE, SIDE), np.float32), grain=0.01),
        sheet(np.zeros((SIDE, SIDE), np.float32), grain=0.05),
        1 + 0.05 * cloud((SIDE, SIDE), 2, dice("paper")),
        1 - 0.3 * np.clip(1 - 3 * np.hypot(*axes(SIDE)), 0, 1),
        sheet(written(3, height=10)),
        np.ones((1, 1), np.float32),
        np.ones((2, 300), np.float32),
    ],
    ids=["white", "grain", "coarse grain", "texture", "a soft spot", "a tiny mark", "a pixel", "a line"],
)
def test_paper_without_writing_is_blank(brightness: FloatArray) -> None:
    """Grain, texture, soft shadows and specks are no digit."""
    with pytest.raises(NoInk, match="blank: no ink stands out"):
        find_digit(brightness)


# --- Sheets and parts of pictures


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        (np.pad(np.ones((80, 60), np.float32), 20), True),
        (np.pad(np.ones((80, 60), np.float32), ((20, 20), (0, 20))), False),
        (np.pad(np.ones((80, 60), np.float32), ((0, 20), (20, 20))), False),
        (np.pad(np.ones((80, 60), np.float32), ((20, 0), (20, 20))), False),
        (np.pad(np.ones((80, 60), np.float32), ((20, 20), (20, 0))), False),
        (np.pad(np.ones((80, 30), np.float32), 20), False),
        (np.pad(np.tri(80, dtype=np.float32), 20), False),
        ((np.abs(axes(SIDE)).sum(axis=0) < 0.6).astype(np.float32), True),
        ((np.hypot(*axes(SIDE)) < 0.5).astype(np.float32), False),
        (np.pad(written(0, height=120, pen=0.2), 20), False),
        *((written(digit), False) for digit in range(10)),
    ],
    ids=["a sheet", "at the left", "at the top", "at the bottom", "at the right", "a bar", "a triangle"]
    + ["a turned sheet", "a disc", "a thick 0"]
    + [f"a {digit}" for digit in range(10)],
)
def test_a_sheet_is_broad_and_full_and_stands_free(strength: FloatArray, expected: bool) -> None:  # noqa: FBT001
    """What touches the picture's edge, is narrow or leaves much of its box free is no sheet on a table."""
    assert expected == is_sheet(Ink(strength, bounding_box(strength > 0.4), 1))


def test_ink_within_a_part_lies_in_the_whole() -> None:
    """The ink of a sheet is found in the picture where the sheet lies, and around it there is none."""
    part = np.random.default_rng(0).random((3, 4), np.float32)
    whole = Ink(part, Box(1, 0, 2, 3), 5).within(10, 12, Box(2, 6, 5, 10))
    expected = np.zeros((10, 12), np.float32)
    expected[2:5, 6:10] = part

    np.testing.assert_array_equal(expected, whole.strength)
    assert (3, 6, 4, 9) == whole.box
    assert 5 == whole.weight
