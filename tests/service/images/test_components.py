"""Tests of service.images.components."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.images.components import Box, Components, bounding_box, find_components, is_printed_box, square
from service.types import ByteArray

SIDE = 64
EIGHT_NEIGHBOURS = np.ones((3, 3))


def boxes(most: int = 20) -> st.SearchStrategy[Box]:
    """Return boxes of at least a pixel."""
    sides = st.tuples(st.integers(0, most), st.integers(1, most))
    return st.builds(lambda row, column: Box(row[0], column[0], sum(row), sum(column)), sides, sides)


def masks(most: int = 20) -> st.SearchStrategy[ByteArray]:
    """Return masks, 0 or 255, from the least side of a level up to this one."""
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=most)
    return arrays.arrays(np.uint8, shapes, elements=st.sampled_from([0, 255]))


def components_on(mask: ByteArray) -> Components:
    """Return the components of a mask with full ink."""
    return find_components(mask, mask, 1)


def mask_of(*filled: Box) -> ByteArray:
    """Return the mask that is set in these boxes."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for box in filled:
        mask[box.slices] = 255
    return mask


def outline(box: Box, width: int) -> ByteArray:
    """Return the mask of a printed box, with lines of this width along the inside of a box."""
    return mask_of(box) - mask_of(box.expanded(-width))


# --- Boxes


def test_the_sides_of_a_box_are_numbers_of_pixels() -> None:
    """Bottom and right are exclusive."""
    box = Box(top=2, left=3, bottom=7, right=6)

    assert (5, 3, 5) == (box.height, box.width, box.longer)
    assert (5, 3) == np.zeros((10, 10))[box.slices].shape


def test_boxes_are_scaled_and_expanded() -> None:
    """Scaling multiplies the coordinates, and expansion adds pixels on every side."""
    box = Box(2, 3, 7, 6)

    assert (4, 6, 14, 12) == box.scaled(2)
    assert (1, 2, 8, 7) == box.expanded(1)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Box(12, 12, 18, 18), 0),
        (Box(20, 10, 25, 20), 0),
        (Box(23, 10, 25, 20), 3),
        (Box(0, 10, 5, 20), 5),
        (Box(10, 27, 20, 30), 7),
        (Box(10, 0, 20, 1), 9),
        (Box(21, 26, 25, 30), 6),
    ],
    ids=["inside", "touching", "below", "above", "right", "left", "diagonal"],
)
def test_the_gap_between_boxes(other: Box, expected: int) -> None:
    """It is the number of pixels between them, along the axis with the larger distance."""
    assert expected == Box(10, 10, 20, 20).gap(other)


@given(boxes(), boxes())
def test_the_gap_is_that_between_the_nearest_pixels(one: Box, other: Box) -> None:
    """It is the least chessboard distance between their pixels, less 1."""
    outside = np.ones((41, 41), np.bool_)
    outside[one.slices] = False
    nearest = int(ndimage.distance_transform_cdt(outside, "chessboard")[other.slices].min())

    assert max(nearest - 1, 0) == one.gap(other) == other.gap(one)


@given(boxes(), boxes())
def test_the_union_is_the_bounding_box_of_both(one: Box, other: Box) -> None:
    """It contains both. A box that contains the other is the union."""
    mask = np.zeros((41, 41), np.uint8)
    mask[one.slices] = mask[other.slices] = 255
    around = bounding_box(mask)

    assert around == one.union(other) == other.union(one)
    assert around.contains(one)
    assert (around == one) == one.contains(other)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Box(10, 10, 30, 30), True),
        (Box(11, 9, 31, 29), True),
        (Box(10, 10, 30, 27), True),
        (Box(10, 10, 30, 25), False),
        (Box(15, 15, 35, 35), False),
        (Box(40, 40, 60, 60), False),
    ],
    ids=["equal", "hardly moved", "somewhat narrower", "narrower", "moved", "elsewhere"],
)
def test_boxes_are_similar(other: Box, expected: bool) -> None:  # noqa: FBT001
    """Each fills more than four fifths of the union."""
    box = Box(10, 10, 30, 30)

    assert expected == box.is_similar(other) == other.is_similar(box)


@given(masks().filter(np.any))
def test_the_bounding_box_is_scipy_s(mask: ByteArray) -> None:
    """It is the box that scipy finds around all pixels that are set."""
    rows, columns = ndimage.find_objects(mask.astype(int), 255)[254]

    assert Box(rows.start, columns.start, rows.stop, columns.stop) == bounding_box(mask)


def test_the_square_structuring_element_is_full() -> None:
    """All of its pixels are 1."""
    np.testing.assert_array_equal(np.ones((5, 5)), square(5))


# --- Components


@given(masks())
def test_labels_are_those_of_8_connected_components(mask: ByteArray) -> None:
    """They are scipy's, with diagonal neighbours, numbered from 1 without gaps."""
    expected, n = ndimage.label(mask, EIGHT_NEIGHBOURS)
    labels = components_on(mask).labels
    inked = mask > 0

    assert list(range(1, n + 1)) == sorted(set(labels[inked].tolist()))
    assert n == len(set(zip(labels[inked].tolist(), expected[inked].tolist(), strict=True)))
    assert not labels[~inked].any()


def test_a_component_may_wind() -> None:
    """A spiral, and a comb whose teeth meet only at the bottom, are one component."""
    spiral = np.array(
        [
            [1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 1],
            [1, 1, 1, 1, 0, 1],
            [1, 0, 0, 1, 0, 1],
            [1, 0, 0, 0, 0, 1],
            [1, 1, 1, 1, 1, 1],
        ],
        np.uint8,
    )
    comb = np.array([[1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0, 1], [1, 1, 1, 1, 1, 1, 1]], np.uint8)

    np.testing.assert_array_equal(spiral, components_on(255 * spiral).labels)
    np.testing.assert_array_equal(comb, components_on(255 * comb).labels)


@given(masks(), st.integers(0, 2**32 - 1))
def test_components_are_measured(mask: ByteArray, seed: int) -> None:
    """Ink and box of every component are scipy's, and the share of the border is that of counting."""
    strength = np.random.default_rng(seed).integers(0, 256, mask.shape, np.uint8)
    found = find_components(strength, mask, 1)
    numbers = range(1, len(found))
    height, width = mask.shape
    # Corners count twice, as pixels of two sides.
    border = [(row, column) for column in range(width) for row in (0, height - 1)]
    border += [(row, column) for row in range(height) for column in (0, width - 1)]

    expected = ndimage.sum_labels(strength / 255, found.labels, numbers)
    np.testing.assert_allclose(expected, found.intensity_sum[1:], rtol=1e-5)
    for number, (rows, columns) in zip(numbers, ndimage.find_objects(found.labels), strict=True):
        touched = sum(found.labels[place] == number for place in border)

        assert Box(rows.start, columns.start, rows.stop, columns.stop) == found.boxes[number]
        assert pytest.approx(touched / len(border)) == float(found.border_fraction[number])
        np.testing.assert_array_equal(255 * (found.labels[rows, columns] == number), found.mask(number))


@given(masks())
def test_the_background_has_no_ink(mask: ByteArray) -> None:
    """Component 0 is the background, without ink, and the others have all of the ink."""
    found = find_components(np.full(mask.shape, 255, np.uint8), mask, 1)

    assert (0, 0) == (found.intensity_sum[0], found.border_fraction[0])
    assert pytest.approx(np.count_nonzero(mask)) == found.intensity_sum.sum()
    assert len(found) == len(found.boxes) == len(found.intensity_sum) == len(found.border_fraction)


def test_a_blank_sheet_has_no_components() -> None:
    """It has only the background."""
    found = components_on(np.zeros((9, 8), np.uint8))

    assert [0] == found.intensity_sum.tolist()
    assert 0 == found.labels.max()


@pytest.mark.parametrize(("gap", "expected"), [(2, 1), (4, 2)], ids=["narrow", "wide"])
def test_narrow_gaps_close_by_downsampling(gap: int, expected: int) -> None:
    """A dry stroke is one component with the ink of all its pixels. Two strokes are two."""
    mask = np.zeros((320, 200), np.uint8)
    mask[101:201, 50:60] = mask[201 + gap : 301, 50:60] = 255
    found = find_components(mask // 2, mask, 2)

    assert expected == len(found) - 1
    assert pytest.approx(np.count_nonzero(mask) * 127 / 255, rel=0.01) == found.intensity_sum.sum()
    assert (50, 25, 151, 30) == bounding_box((found.labels > 0).view(np.uint8))


def test_a_component_encloses_another_in_its_box() -> None:
    """A ring encloses a dot within it, and a dot encloses nothing."""
    found = components_on(outline(Box(4, 4, 60, 60), 2) + mask_of(Box(20, 20, 30, 30)))
    by_size = sorted((1, 2), key=lambda number: found.boxes[number].height)

    assert [False, True] == [found.encloses_another(number) for number in by_size]


# --- Printed boxes


def rotated(mask: ByteArray, degrees: float) -> ByteArray:
    """Return a mask rotated about its middle."""
    matrix = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), degrees, 1)
    seen: ByteArray = cv2.warpAffine(mask, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST)
    return seen


CIRCLE = (np.hypot(*(np.mgrid[:SIDE, :SIDE] - 31.5)).round() == 28).astype(np.uint8) * np.uint8(255)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (outline(Box(4, 4, 60, 60), 2), True),
        (outline(Box(10, 4, 40, 60), 1), True),
        (rotated(outline(Box(14, 14, 50, 50), 2), 20), True),
        (cv2.subtract(outline(Box(4, 4, 60, 60), 2), mask_of(Box(0, 30, 6, 35))), True),
        (mask_of(Box(20, 28, 44, 32)), False),
        (mask_of(Box(10, 10, 50, 50)), False),
        (outline(Box(4, 4, 60, 60), 14), False),
        (cv2.subtract(outline(Box(4, 4, 60, 60), 2), mask_of(Box(20, 58, 60, 60), Box(58, 20, 60, 60))), False),
        (outline(Box(4, 4, 60, 60), 2) | mask_of(Box(31, 4, 33, 60)), False),
        (outline(Box(4, 4, 12, 12), 1), False),
        (CIRCLE, False),
    ],
    ids=["a box", "flat", "rotated", "with a gap", "a bar", "a block", "thick", "half open", "two", "tiny", "a circle"],
)
def test_a_printed_box_has_four_thin_sides(mask: ByteArray, expected: bool) -> None:  # noqa: FBT001
    """It has ink along all of its sides and little elsewhere. A 0 is no printed box."""
    assert expected == is_printed_box(components_on(mask), 1)


def test_only_the_component_itself_closes_a_printed_box() -> None:
    """Another component in a gap of its outline, which does not touch it, does not close the gap."""
    gap = mask_of(Box(4, 8, 6, 54), Box(8, 4, 54, 6))
    mask = cv2.subtract(outline(Box(4, 4, 60, 60), 2), gap) | mask_of(Box(4, 10, 6, 52), Box(10, 4, 52, 6))
    found = components_on(mask)

    assert is_printed_box(components_on(outline(Box(4, 4, 60, 60), 2)), 1)
    assert not any(is_printed_box(found, number) for number in range(1, len(found)))
