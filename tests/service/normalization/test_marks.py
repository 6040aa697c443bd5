"""Tests of service.normalization.marks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.normalization.marks import Box, bounding_box, find_marks, label
from service.normalization.runs import BoolArray

EIGHT_NEIGHBOURS = np.ones((3, 3))


def boxes(most: int = 20) -> st.SearchStrategy[Box]:
    """Return boxes of at least a pixel."""
    sides = st.tuples(st.integers(0, most), st.integers(1, most))
    return st.builds(lambda row, column: Box(row[0], column[0], sum(row), sum(column)), sides, sides)


def masks(most: int = 20) -> st.SearchStrategy[BoolArray]:
    """Return masks of up to so many pixels a side."""
    return arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=most))


# --- Boxes


def test_the_sides_of_a_box_count_its_pixels() -> None:
    """Bottom and right are the first that are not in it."""
    box = Box(top=2, left=3, bottom=7, right=6)

    assert (5, 3) == (box.height, box.width)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Box(12, 12, 18, 18), 0),
        (Box(0, 0, 30, 30), 0),
        (Box(19, 19, 25, 25), 0),
        (Box(20, 10, 25, 20), 0),
        (Box(23, 10, 25, 20), 3),
        (Box(0, 10, 5, 20), 5),
        (Box(10, 27, 20, 30), 7),
        (Box(10, 0, 20, 1), 9),
        (Box(21, 26, 25, 30), 6),
    ],
    ids=["inside", "around", "overlapping", "touching", "below", "above", "right", "left", "diagonal"],
)
def test_the_gap_between_boxes(other: Box, expected: int) -> None:
    """It counts the pixels between them, along the axis where they lie further apart."""
    assert expected == Box(10, 10, 20, 20).gap(other)


@given(boxes(), boxes())
def test_the_gap_is_that_between_the_nearest_pixels(one: Box, other: Box) -> None:
    """It is the chessboard distance from any pixel of one to any of the other, less the step into it."""
    outside = np.ones((41, 41), np.bool_)
    outside[one.top : one.bottom, one.left : one.right] = False
    distance = ndimage.distance_transform_cdt(outside, "chessboard")
    nearest = int(distance[other.top : other.bottom, other.left : other.right].min())

    assert max(nearest - 1, 0) == one.gap(other) == other.gap(one)


@given(masks().filter(np.any))
def test_the_bounding_box_is_tight(mask: BoolArray) -> None:
    """It is the box that scipy finds around all pixels that are set."""
    rows, columns = ndimage.find_objects(mask.astype(int))[0]

    assert Box(rows.start, columns.start, rows.stop, columns.stop) == bounding_box(mask)


# --- Groups


@settings(max_examples=200)
@given(masks())
def test_labels_number_the_connected_groups(mask: BoolArray) -> None:
    """The groups are scipy's, with diagonal neighbours, numbered from 1 without gaps."""
    expected, n_groups = ndimage.label(mask, EIGHT_NEIGHBOURS)
    labels = label(mask)

    assert list(range(1, n_groups + 1)) == sorted(set(labels[mask].tolist()))
    assert n_groups == len(set(zip(labels[mask].tolist(), expected[mask].tolist(), strict=True)))
    assert not labels[~mask].any()


def test_a_group_may_wind() -> None:
    """Arms that meet only at the far end of a spiral, or below a comb, are one group."""
    spiral = np.array(
        [
            [1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 1],
            [1, 1, 1, 1, 0, 1],
            [1, 0, 0, 1, 0, 1],
            [1, 0, 0, 0, 0, 1],
            [1, 1, 1, 1, 1, 1],
        ]
    )
    comb = np.array([[1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0, 1], [1, 1, 1, 1, 1, 1, 1]])

    np.testing.assert_array_equal(spiral, label(spiral > 0))
    np.testing.assert_array_equal(comb, label(comb > 0))


# --- Marks


@settings(max_examples=200)
@given(masks(), st.integers(0, 2**32 - 1))
def test_marks_are_measured(mask: BoolArray, seed: int) -> None:
    """Ink, box and share of the picture's edge of every mark are those that scipy and counting give."""
    strength = np.random.default_rng(seed).random(mask.shape, np.float32)
    marks = find_marks(strength, mask)
    numbers = range(1, len(marks.boxes))
    height, width = mask.shape
    # Corners lie on two edges.
    edges = [(row, column) for column in range(width) for row in (0, height - 1)]
    edges += [(row, column) for row in range(height) for column in (0, width - 1)]

    np.testing.assert_allclose(marks.mass[1:], ndimage.sum_labels(strength, marks.labels, numbers), rtol=1e-5)
    for number, (rows, columns) in zip(numbers, ndimage.find_objects(marks.labels), strict=True):
        touched = sum(marks.labels[edge] == number for edge in edges)

        assert Box(rows.start, columns.start, rows.stop, columns.stop) == marks.boxes[number]
        assert pytest.approx(touched / len(edges)) == float(marks.contact[number])


@given(masks())
def test_paper_has_no_ink(mask: BoolArray) -> None:
    """Number 0 stands for everything that is no mark, without mass."""
    marks = find_marks(np.ones(mask.shape, np.float32), mask)

    assert 0 == marks.mass[0]
    assert not marks.labels[~mask].any()
    assert marks.labels[mask].all()
    assert len(marks.boxes) == len(marks.mass) == len(marks.contact)


def test_a_blank_sheet_has_no_marks() -> None:
    """There is only the paper."""
    marks = find_marks(np.zeros((9, 7), np.float32), np.zeros((9, 7), np.bool_))

    assert [0] == marks.mass.tolist()
    assert 0 == marks.labels.max()


@pytest.mark.parametrize("shape", [(640, 400), (400, 640), (613, 637)], ids=["upright", "level", "odd"])
@pytest.mark.parametrize(("gap", "expected"), [(6, 1), (24, 2)], ids=["narrow", "wide"])
def test_narrow_gaps_in_large_pictures_close(shape: tuple[int, int], gap: int, expected: int) -> None:
    """A dry stroke is one mark, whose ink and box are those of its pixels; two strokes are two marks."""
    mask = np.zeros(shape, np.bool_)
    mask[101:201, 50:60] = mask[201 + gap : 301, 50:60] = True
    marks = find_marks(np.full(shape, 0.5, np.float32), mask)

    assert expected == len(marks.boxes) - 1
    assert 0.5 * mask.sum() == marks.mass.sum()
    assert (101, 50, 301, 60) == bounding_box(marks.labels > 0)
    assert (101, 50) == marks.boxes[1][:2]
    np.testing.assert_array_equal(mask, marks.labels > 0)
