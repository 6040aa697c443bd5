"""Tests of service.normalization.rules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from service.normalization.rules import without_rules
from service.normalization.runs import BoolArray
from tests.service.normalization.scenes import PEN, drawn, placed

SIDE = 200
digits = pytest.mark.parametrize("digit", range(10))


def unruled(mask: BoolArray) -> BoolArray:
    """Return a mask without its rules."""
    left, _ = without_rules(mask)
    return left


def line(place: float, *, slope: float = 0, width: float = 3, upright: bool = False) -> BoolArray:
    """Return the mask of a line through the middle of the picture, shifted and rising so much to the right."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mask: BoolArray = np.abs(rows - place - slope * (columns - SIDE / 2)) < width / 2
    return mask.T if upright else mask


def written(digit: int, height: int = 120) -> BoolArray:
    """Return the mask of a digit in the middle of the picture."""
    return placed(drawn(digit)(height, PEN), (SIDE, SIDE)) > 0.5


@pytest.mark.parametrize("upright", [False, True], ids=["level", "upright"])
@pytest.mark.parametrize("slope", [0, 0.01, 0.03, -0.03])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_thin_line_from_edge_to_edge_is_a_rule(upright: bool, slope: float, width: float) -> None:  # noqa: FBT001
    """It goes without a trace, level or upright, also where it leaves its row."""
    assert not unruled(line(60.5, slope=slope, width=width, upright=upright)).any()


@pytest.mark.parametrize("shape", [(80, 300), (300, 80)], ids=["level", "upright"])
@pytest.mark.parametrize("along", [0, 1], ids=["down", "across"])
def test_an_oblong_picture_has_rules_too(shape: tuple[int, int], along: int) -> None:
    """Rules go from edge to edge along either side of a picture that is no square."""
    mask = np.zeros(shape, np.bool_)
    np.moveaxis(mask, along, 0)[40:42] = True

    assert not unruled(mask).any()


@digits
@pytest.mark.parametrize("upright", [False, True], ids=["level", "upright"])
@pytest.mark.parametrize("slope", [0, 0.03])
def test_strokes_beside_a_rule_stay_whole(digit: int, upright: bool, slope: float) -> None:  # noqa: FBT001
    """Above, below and beside the digit rules go, and the digit is untouched."""
    inked = written(digit)
    rules = line(20.5, slope=slope, upright=upright) | line(180.5, slope=slope, upright=upright)

    np.testing.assert_array_equal(inked, unruled(inked | rules))


@digits
@pytest.mark.parametrize("upright", [False, True], ids=["level", "upright"])
def test_strokes_that_a_rule_crosses_stay_whole(digit: int, upright: bool) -> None:  # noqa: FBT001
    """A digit on a rule keeps nearly all of its ink."""
    inked, rule = written(digit), line(86.5, upright=upright)
    left = unruled(inked | rule)

    assert 0.03 > (inked & ~left).sum() / inked.sum()


@pytest.mark.parametrize(
    ("mask", "strokes"),
    [
        pytest.param(line(86.5) | line(100, width=20, upright=True), line(100, width=20, upright=True), id="a stroke"),
        pytest.param(line(86.5) | line(30, upright=True), np.zeros((SIDE, SIDE), np.bool_), id="a rule"),
    ],
)
def test_a_rule_that_is_crossed_goes(mask: BoolArray, strokes: BoolArray) -> None:
    """Of a rule through a stroke, or through another rule, hardly anything is left."""
    left = unruled(mask)

    assert 0.1 > (left & ~strokes).sum() / (mask & ~strokes).sum()


def test_rules_are_counted() -> None:
    """Also where one is in two parts, or crosses another."""
    halves = line(60.5)
    halves[:, 90:110] = False

    assert [0, 1, 2, 3] == [
        without_rules(mask)[1]
        for mask in (written(8), halves, line(60.5) | line(120.5), halves | line(120.5) | line(30.5, upright=True))
    ]


@digits
def test_a_digit_is_no_rule(digit: int) -> None:
    """On blank paper nothing is taken away."""
    np.testing.assert_array_equal(written(digit, 190), unruled(written(digit, 190)))


@pytest.mark.parametrize(
    "mask",
    [
        line(60.5, width=9),
        line(60.5) & (np.arange(SIDE) < 0.85 * SIDE),
        line(60.5, slope=0.5),
        np.zeros((SIDE, SIDE), np.bool_),
        np.ones((SIDE, SIDE), np.bool_),
    ],
    ids=["a bar", "a dash", "a slanting line", "nothing", "all"],
)
def test_other_lines_are_no_rules(mask: BoolArray) -> None:
    """What is as thick as a stroke, ends before the edge, or is neither level nor upright stays."""
    np.testing.assert_array_equal(mask, unruled(mask))


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_nothing_is_added(mask: BoolArray) -> None:
    """Whatever is left was there."""
    assert not (unruled(mask) & ~mask).any()
