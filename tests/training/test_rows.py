"""Rows of digits: their gaps, their texts and their pictures."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tests.training.tiny import draw_digits
from training.mnist import Digits
from training.rows import GAPS, Row, make_row

DIGITS = draw_digits(20, seed=3)


def rows(gaps: tuple[int, int], n: int = 20, digits: Digits = DIGITS) -> list[Row]:
    """Return rows of four of these digits."""
    rng = np.random.default_rng(4)
    return [make_row(digits[rng.integers(len(digits), size=4)], gaps, rng) for _ in range(n)]


def measured_gaps(row: Row, level: float = 127) -> list[float]:
    """Return the gaps between the digits in pixels of MNIST's digits."""
    # A row is 42 of these pixels high, and has a margin of 8 of them.
    scale = row.ink.shape[1] / (42 + 2 * 8)
    columns = [np.flatnonzero((one > level).any(axis=0)) for one in row.ink]
    return [(after[0] - before[-1] - 1) / scale for before, after in itertools.pairwise(columns)]


@pytest.mark.parametrize("kind", GAPS)
def test_gaps_are_those_that_were_asked_for(kind: str) -> None:
    """All lie in the range, and fill it, but for the blur of enlarging them."""
    least, beyond = GAPS[kind]
    gaps = [gap for row in rows(GAPS[kind]) for gap in measured_gaps(row)]

    assert least - 0.5 <= min(gaps) < least + 1.5
    assert beyond - 2.5 < max(gaps) < beyond + 1.5


def test_kinds_of_gaps_follow_one_another() -> None:
    """Digits that touch are closer than those that are near, and these than those apart."""
    touching, near, apart = (
        np.mean([measured_gaps(row) for row in rows(GAPS[kind])]) for kind in ("touching", "near", "apart")
    )

    assert touching < near < apart


def test_text_is_that_of_the_digits_in_their_order() -> None:
    """The labels are those of the digits, and so is the ink, from left to right."""
    chosen = DIGITS[np.array([7, 0, 13])]
    row = make_row(chosen, (5, 6), np.random.default_rng(0))

    assert ("703", [7, 0, 3]) == (row.text, row.labels.tolist())
    assert 3 == len(row.ink)
    middles = [np.flatnonzero(one.any(axis=0)).mean() for one in row.ink]
    assert sorted(middles) == middles


def test_ink_is_complete_and_within_the_margin() -> None:
    """No digit is cut off by the picture, and the ink has the range of a picture."""
    for row in rows(GAPS["touching"]) + rows(GAPS["apart"]):
        together = row.ink.max(axis=0)
        scale = together.shape[0] // (42 + 2 * 8)
        assert scale in {2, 3}
        inner = together[4 * scale : -4 * scale, 4 * scale : -4 * scale]
        assert together[together > 20].size == inner[inner > 20].size
        assert 0 <= together.min() < 200 < together.max() <= 255


def test_picture_has_one_of_two_polarities() -> None:
    """Most pictures are dark on light, the others are their negatives."""
    several = rows(GAPS["near"], 40)

    assert 0.5 < np.mean([row.is_dark for row in several]) < 0.9
    for row in several:
        ink = 255 - row.pixels if row.is_dark else row.pixels
        np.testing.assert_array_equal(row.ink.max(axis=0).astype(np.uint8), ink)
        assert row.is_dark == (np.median(row.pixels) > 127)


def test_file_is_the_picture() -> None:
    """The PNG has the pixels of the row."""
    (row,) = rows(GAPS["near"], 1)

    np.testing.assert_array_equal(row.pixels, np.asarray(Image.open(io.BytesIO(row.png()))))


def test_row_of_one_digit() -> None:
    """It needs no gap."""
    row = make_row(DIGITS[np.array([5])], (-2, 1), np.random.default_rng(0))

    assert ("5", 1) == (row.text, len(row.ink))


def test_narrow_digits_that_overlap_stay_in_the_picture() -> None:
    """A digit never starts left of the row, even where the one before it is narrower than the overlap."""
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 4:24, 13:15] = 255
    row = make_row(Digits(images, np.ones(3, np.int64)), (-9, -8), np.random.default_rng(0))

    assert "111" == row.text
    assert all(one.max() > 200 for one in row.ink)


def test_same_numbers_make_the_same_row() -> None:
    """The random generator determines the row, and another one makes another."""
    first, again, other = (make_row(DIGITS[:4], (1, 4), np.random.default_rng(seed)) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert first.pixels.shape != other.pixels.shape or (first.pixels != other.pixels).any()
