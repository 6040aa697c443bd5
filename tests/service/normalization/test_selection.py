"""Tests of service.normalization.selection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.normalization.marks import Box, Marks, find_marks
from service.normalization.runs import BoolArray
from service.normalization.selection import Selection, is_frame, least_covered_side, select

# No more than 64 pixels a side, so that marks are connected pixels and gaps do not close.
SIDE = 64
DIGIT = Box(20, 28, 44, 32)


def digit_in(marks: Marks) -> Selection:
    """Return the digit among marks of which one counts at least."""
    selection = select(marks)

    assert selection is not None
    return selection


def marks_on(mask: BoolArray) -> Marks:
    """Return the marks of a mask, all of full ink."""
    return find_marks(mask.astype(np.float32), mask)


def mask_of(*boxes: Box) -> BoolArray:
    """Return the mask that is set in these boxes."""
    mask = np.zeros((SIDE, SIDE), np.bool_)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def outline(box: Box, width: int) -> BoolArray:
    """Return the mask of a frame of this width, inside a box."""
    top, left, bottom, right = box
    return mask_of(box) & ~mask_of(Box(top + width, left + width, bottom - width, right - width))


# --- The digit and what belongs to it


@given(
    arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, min_side=4, max_side=40)),
    st.integers(0, 2**32 - 1),
)
def test_a_digit_weighs_no_more_than_all_ink(mask: BoolArray, seed: int) -> None:
    """By that `ink` leaves out windows."""
    strength = np.random.default_rng(seed).random(mask.shape, np.float32)
    selection = select(find_marks(strength, mask))

    assert selection is None or selection.weight <= strength[mask].sum() * 1.00001


def test_a_mark_alone_is_the_digit() -> None:
    """It counts what it has of ink."""
    selection = digit_in(marks_on(mask_of(DIGIT)))

    np.testing.assert_array_equal(mask_of(DIGIT), selection.mask)
    assert 24 * 4 == selection.weight
    assert selection.stands_free


def test_ink_counts_by_its_strength() -> None:
    """Of two marks as large the blacker is the digit."""
    grey, black = Box(5, 5, 29, 9), Box(20, 50, 44, 54)
    mask = mask_of(grey, black)
    selection = digit_in(find_marks(np.where(mask_of(grey), np.float32(0.5), np.float32(1)), mask))

    np.testing.assert_array_equal(mask_of(black), selection.mask)


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
    """A mark with some ink that is near is a stroke of the digit; a speck and what is far off are not."""
    selection = digit_in(marks_on(mask_of(DIGIT, other)))
    expected = mask_of(DIGIT, other) if belongs else mask_of(DIGIT)

    np.testing.assert_array_equal(expected, selection.mask)
    assert expected.sum() == selection.weight


def test_a_row_of_dashes_is_followed_from_each_to_the_next() -> None:
    """What a pen that ran dry left belongs together, though its ends are far apart."""
    dashes = [Box(4 + 12 * i, 30, 4 + 12 * i + 10, 32) for i in range(5)]

    np.testing.assert_array_equal(mask_of(*dashes), digit_in(marks_on(mask_of(*dashes))).mask)


# --- What is no writing


@pytest.mark.parametrize("turns", range(4))
def test_what_covers_an_edge_is_no_digit(turns: int) -> None:
    """A thumb at the edge has more ink than the digit, and does not count."""
    mask = np.rot90(mask_of(DIGIT, Box(52, 10, 64, 50)), turns)
    selection = digit_in(marks_on(mask))

    np.testing.assert_array_equal(np.rot90(mask_of(DIGIT), turns), selection.mask)
    assert selection.stands_free


@pytest.mark.parametrize("turns", range(4))
def test_a_dark_margin_is_nothing(turns: int) -> None:
    """A strip along a whole side of the picture, as a falling light leaves it, does not count at all."""
    mask = np.rot90(mask_of(Box(0, 0, SIDE, 6)), turns)

    assert select(marks_on(mask)) is None


@pytest.mark.parametrize("turns", range(4))
def test_a_neighbour_that_is_cut_off_is_not_the_digit(turns: int) -> None:
    """Of two marks with as much ink it is the one that stands free, and a stroke at the edge is none of its own."""
    mask = np.rot90(mask_of(DIGIT, Box(30, 36, 33, 64)), turns)
    selection = digit_in(marks_on(mask))

    np.testing.assert_array_equal(np.rot90(mask_of(DIGIT), turns), selection.mask)


@pytest.mark.parametrize("turns", range(4))
def test_a_digit_that_leaves_the_picture_is_one(turns: int) -> None:
    """Alone, it is selected as a whole; but it does not stand free."""
    mask = np.rot90(mask_of(Box(0, 30, 40, 34), Box(20, 20, 24, 44)), turns)
    selection = digit_in(marks_on(mask))

    np.testing.assert_array_equal(mask, selection.mask)
    assert not selection.stands_free
    assert 0.5 * mask.sum() < selection.weight < mask.sum()


def test_a_digit_that_fills_its_picture_is_one() -> None:
    """A 0 that touches all four edges is selected, though it touches much of them."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    zero = np.abs(np.hypot(rows, columns) - 28.5) < 4

    assert zero[0].any()
    assert zero[:, 0].any()
    np.testing.assert_array_equal(zero, digit_in(marks_on(zero)).mask)


def test_a_printed_box_is_not_the_digit_in_it() -> None:
    """Its frame has more ink than the digit, and does not count."""
    frame = outline(Box(4, 4, 60, 60), 2)
    mask = frame | mask_of(DIGIT)
    selection = digit_in(marks_on(mask))

    assert frame.sum() > mask_of(DIGIT).sum()
    np.testing.assert_array_equal(mask_of(DIGIT), selection.mask)


# --- Printed boxes


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (outline(Box(4, 4, 60, 60), 2), True),
        (outline(Box(10, 4, 40, 60), 1), True),
        (outline(Box(4, 4, 60, 60), 2) & ~mask_of(Box(0, 30, 6, 35)), True),
        (mask_of(DIGIT), False),
        (mask_of(Box(10, 10, 50, 50)), False),
        (outline(Box(4, 4, 60, 60), 14), False),
        (outline(Box(4, 4, 60, 60), 2) & ~mask_of(Box(56, 0, 64, 64)), False),
        (outline(Box(4, 4, 60, 60), 2) & ~mask_of(Box(20, 4, 40, 6)), False),
        (outline(Box(4, 4, 16, 16), 1), False),
        (np.hypot(*(np.mgrid[:64, :64] - 31.5)).round() == 28, False),
    ],
    ids=[
        "a box",
        "a flat one",
        "with a gap",
        "a bar",
        "a block",
        "thick",
        "open below",
        "half open",
        "tiny",
        "a circle",
    ],
)
def test_a_frame_has_four_thin_sides(mask: BoolArray, expected: bool) -> None:  # noqa: FBT001
    """A printed box has ink along all of its sides, and little else; a 0 has not."""
    assert expected == is_frame(marks_on(mask), 1)


def test_a_digit_in_a_frame_is_said_to_be() -> None:
    """Whoever looks at its ink has to know what else is black."""
    frame = outline(Box(2, 2, 62, 62), 2)

    assert digit_in(marks_on(frame | mask_of(DIGIT))).beside_frame
    assert not digit_in(marks_on(mask_of(DIGIT))).beside_frame


def test_only_the_mark_itself_closes_a_frame() -> None:
    """Another mark that fills a gap in a frame, without touching it, is no part of it."""
    frame = outline(Box(4, 4, 60, 60), 2) & ~mask_of(Box(4, 10, 6, 50))
    mask = frame | mask_of(Box(4, 12, 6, 48))
    marks = marks_on(mask)

    assert 2 == len(marks.boxes) - 1
    assert [False, False] == [is_frame(marks, number) for number in (1, 2)]


@pytest.mark.parametrize(("depth", "expected"), [(1, 0.0), (2, 0.4), (3, 0.6)])
@pytest.mark.parametrize("turns", range(4))
def test_the_least_covered_side_worked_by_hand(depth: int, expected: float, turns: int) -> None:
    """Within a depth of 1, 2 and 3 the bottom has ink in 0, 2 and 3 of 5 columns, and every other side in more."""
    mask = np.array(
        [
            [1, 1, 1, 1, 0],
            [1, 0, 0, 0, 1],
            [1, 0, 1, 0, 0],
            [0, 0, 0, 0, 0],
        ],
        np.bool_,
    )

    assert pytest.approx(expected) == least_covered_side(np.rot90(mask, turns), depth)
