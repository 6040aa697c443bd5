"""Tests of service.images.ruled_lines."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.images.ruled_lines import remove_ruled_lines
from service.types import ByteArray
from tests.service.images.scenes import PEN, drawn, placed

SIDE = 200
digits = pytest.mark.parametrize("digit", range(10))
either_way = pytest.mark.parametrize("upright", [False, True], ids=["level", "upright"])


def unruled(mask: ByteArray) -> ByteArray:
    """Return a mask without its ruled lines."""
    rest, _ = remove_ruled_lines(mask)
    return rest


def line(place: float, *, slope: float = 0, width: float = 3, upright: bool = False) -> ByteArray:
    """Return the mask of a line across the picture, at this row in the middle, with this slope and width."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mask = (np.abs(rows - place - slope * (columns - SIDE / 2)) < width / 2).astype(np.uint8) * np.uint8(255)
    return np.ascontiguousarray(mask.T) if upright else mask


def written(digit: int, height: int = 120) -> ByteArray:
    """Return the mask of a digit in the middle of the picture."""
    return (placed(drawn(digit)(height, PEN), (SIDE, SIDE)) > 0.5).astype(np.uint8) * np.uint8(255)


@either_way
@pytest.mark.parametrize("slope", [0, 0.03, -0.03])
def test_a_thin_line_from_edge_to_edge_is_ruled(slope: float, upright: bool) -> None:  # noqa: FBT001
    """It is removed completely, horizontal or vertical, also with a slope."""
    for width in (1, 2, 4):
        assert not unruled(line(60.5, slope=slope, width=width, upright=upright)).any()


@pytest.mark.parametrize("shape", [(80, 300), (300, 80)], ids=["level", "upright"])
@pytest.mark.parametrize("along", [0, 1], ids=["down", "across"])
def test_an_oblong_picture_has_ruled_lines_too(shape: tuple[int, int], along: int) -> None:
    """They are removed along both sides of a picture that is no square."""
    mask = np.zeros(shape, np.uint8)
    np.moveaxis(mask, along, 0)[40:42] = 255

    assert not unruled(mask).any()


@digits
def test_strokes_beside_a_ruled_line_are_unchanged(digit: int) -> None:
    """Lines above, below and beside the digit are removed, and the digit is unchanged."""
    inked = written(digit)
    for slope, upright in ((0, False), (0.03, False), (0.03, True)):
        ruled = line(20.5, slope=slope, upright=upright) | line(180.5, slope=slope, upright=upright)

        np.testing.assert_array_equal(inked, unruled(inked | ruled))


@digits
def test_strokes_across_a_ruled_line_are_kept(digit: int) -> None:
    """A digit on a line keeps nearly all of its ink."""
    inked = written(digit)
    for upright in (False, True):
        rest = unruled(inked | line(86.5, upright=upright))

        assert 0.03 > np.count_nonzero(cv2.subtract(inked, rest)) / np.count_nonzero(inked)


@pytest.mark.parametrize(
    ("mask", "strokes"),
    [
        (line(86.5) | line(100, width=20, upright=True), line(100, width=20, upright=True)),
        (line(86.5) | line(30, upright=True), np.zeros((SIDE, SIDE), np.uint8)),
    ],
    ids=["a stroke", "a line"],
)
def test_a_crossed_ruled_line_is_removed(mask: ByteArray, strokes: ByteArray) -> None:
    """Hardly anything is left of a line through a stroke or through another line."""
    ruled = cv2.subtract(mask, strokes)

    assert 0.1 > np.count_nonzero(cv2.bitwise_and(ruled, unruled(mask))) / np.count_nonzero(ruled)


def test_ruled_lines_are_counted() -> None:
    """A line in two parts counts once, and so does one that crosses another."""
    halves = line(60.5)
    halves[:, 90:110] = 0

    assert [0, 1, 2, 3] == [
        remove_ruled_lines(mask)[1]
        for mask in (written(8), halves, line(60.5) | line(120.5), halves | line(120.5) | line(30.5, upright=True))
    ]


@digits
def test_a_digit_is_no_ruled_line(digit: int) -> None:
    """On blank paper nothing is removed."""
    np.testing.assert_array_equal(written(digit, 190), unruled(written(digit, 190)))


def dashes(*places: tuple[float, int, int]) -> ByteArray:
    """Return the mask of pieces of level lines: the row, and the first and the last column."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for row, first, last in places:
        mask[:, first:last] |= line(row)[:, first:last]
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        line(60.5, width=9),
        dashes((60.5, 0, 170)),
        line(60.5, slope=0.5),
        dashes((40.5, 0, 50), (52.5, 60, 110), (64.5, 120, 170), (76.5, 150, 200)),
        np.zeros((SIDE, SIDE), np.uint8),
        np.full((SIDE, SIDE), 255, np.uint8),
    ],
    ids=["a bar", "a dash", "a slanting line", "steps", "nothing", "all"],
)
def test_other_lines_are_not_ruled(mask: ByteArray) -> None:
    """Lines that are as thick as a stroke, end before the edge, or are oblique are kept."""
    rest, n_lines = remove_ruled_lines(mask)

    np.testing.assert_array_equal(mask, rest)
    assert 0 == n_lines


def test_short_pieces_of_a_ruled_line_are_removed() -> None:
    """An interrupted line is removed up to its ends, also where pieces are shorter than the least run length."""
    broken = line(60.5)
    broken[:, 30:36] = broken[:, 170:176] = 0

    assert not unruled(broken).any()


@given(
    arrays.arrays(
        np.uint8,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=40),
        elements=st.sampled_from([0, 255]),
    )
)
def test_nothing_is_added(mask: ByteArray) -> None:
    """The result is a part of the mask, and the whole mask where there are no lines."""
    rest, n_lines = remove_ruled_lines(mask)

    assert not np.count_nonzero(cv2.subtract(rest, mask))
    assert n_lines or np.array_equal(mask, rest)
