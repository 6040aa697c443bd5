"""Segments of rows: those that are one digit look like digits, and the others do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from service.images.pages import Candidate
from service.types import FloatArray
from tests.training.tiny import draw_digits
from training import segments as module
from training.segments import Segments, make_segments

DIGITS = draw_digits(40, seed=5)


@pytest.fixture(scope="module")
def segments() -> Segments:
    """Return the segments of some rows."""
    return make_segments(12, DIGITS, np.random.default_rng(6))


def place(ink: FloatArray, width: int, left: int) -> FloatArray:
    """Return the ink of a digit, enlarged, in a row of this width, with its left column here."""
    columns = np.flatnonzero(ink.any(axis=0))
    tight = np.kron(ink[:, columns[0] : columns[-1] + 1], np.ones((3, 3))).astype(np.float32)
    row = np.zeros((28 * 3 + 20, width), np.float32)
    row[10:-10, left : left + tight.shape[1]] = tight
    return row


def test_segments_are_images_in_mnist_form(segments: Segments) -> None:
    """uint8, with the full range and the ink in the middle 20 rows or columns."""
    for images in (segments.digits, segments.others):
        assert ((28, 28), np.dtype(np.uint8)) == (images.shape[1:], images.dtype)
        assert (images.max(axis=(1, 2)) > 200).all()
        assert (images[:, 0] == 0).all()
        assert (images[:, :, 0] == 0).all()


def test_there_are_more_others_than_digits(segments: Segments) -> None:
    """Each row gives most of its digits, and at most 2.5 others for each."""
    assert len(segments.digits) >= 12
    assert len(segments.digits) < len(segments.others) <= 3 * len(segments.digits)


def test_whole_digits_have_the_ink_of_digits(segments: Segments) -> None:
    """They are about as wide as digits, while some of the others are splinters, and some are wider."""

    def width(images: FloatArray) -> FloatArray:
        return np.array([np.ptp(np.flatnonzero(image.any(axis=0))) for image in images > 60], np.float32)

    def height(images: FloatArray) -> FloatArray:
        return np.array([np.ptp(np.flatnonzero(image.any(axis=1))) for image in images > 60], np.float32)

    digits, others = segments.digits.astype(np.float32), segments.others.astype(np.float32)

    assert (height(digits) >= 16).all()
    assert np.ptp(width(digits) / height(digits)) < np.ptp(width(others) / height(others))


def likeness(one: FloatArray, other: FloatArray) -> float:
    """Return the largest correlation of two images, -1 to 1, of which one may be shifted by some pixels."""
    shifts = itertools.product(range(-3, 4), range(-3, 4))
    return max(float(np.corrcoef(one.ravel(), np.roll(other, by, (0, 1)).ravel())[0, 1]) for by in shifts)


def test_digits_apart_are_whole() -> None:
    """Every digit of a row is one segment that looks like it, and halves and pairs are the others."""
    first, second = DIGITS.images[3].astype(np.float32), DIGITS.images[7].astype(np.float32)
    ink = np.stack([place(first, 200, 15), place(second, 200, 110)])

    whole, others = module._segments_of(ink)  # noqa: SLF001 - rows cannot be made as exactly

    assert 2 <= len(whole)
    for image, own, other in ((whole[0], first, second), (whole[-1], second, first)):
        assert likeness(image, own) > likeness(image, other)
    assert all(image.max() > 0.5 for image in others)


def test_half_of_a_digit_is_another_segment() -> None:
    """A row of one wide 0 has itself as a digit, and its halves as others."""
    zero = np.kron(DIGITS.images[0].astype(np.float32), np.ones((1, 2)))
    ink = place(zero, 220, 20)[None]

    whole, others = module._segments_of(ink)  # noqa: SLF001 - as above

    assert whole
    assert len(others) >= 2


def test_row_without_a_page_has_no_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no ink is found there is nothing to cut, and no images is a valid result."""
    monkeypatch.setattr(Candidate, "page", lambda _: None)

    found = make_segments(2, DIGITS, np.random.default_rng(0))

    assert (0, 28, 28) == found.digits.shape == found.others.shape


def test_same_numbers_make_the_same_segments() -> None:
    """The random generator determines them."""
    first, again = (make_segments(2, DIGITS, np.random.default_rng(1)) for _ in range(2))

    np.testing.assert_array_equal(first.digits, again.digits)
    np.testing.assert_array_equal(first.others, again.others)


def test_digit_with_a_thin_one_beside_it_is_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment with nearly all ink of one digit is no digit where it has a second one, however little ink that has."""
    thin = np.zeros((28, 28), np.float32)
    thin[4:24, 14] = 255
    left = place(DIGITS.images[3].astype(np.float32), 200, 15)
    ink = np.stack([left, place(thin, 200, int(np.flatnonzero(left.any(axis=0))[-1]) + 1)])

    whole, others = module._segments_of(ink)  # noqa: SLF001 - as above
    monkeypatch.setattr(module, "_SECOND", 1.0)
    _, former_others = module._segments_of(ink)  # noqa: SLF001 - as above

    assert len(others) > len(former_others)
    assert not any(np.array_equal(image, other) for image in whole for other in others)
