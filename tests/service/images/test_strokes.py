"""Tests of service.images.strokes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.images.components import Box, bounding_box
from service.images.strokes import DIGIT_SIDE, OVERSAMPLING, dilate, dilation_radius, normalize_strokes, stroke_width
from service.types import ByteArray, FloatArray
from tests.service.images.scenes import drawn, eight_bits, placed

# The range of stroke widths after `normalize_strokes`, in pixels of MNIST's frame.
THINNEST, WIDEST = 1.8, 3.6

inks = arrays.arrays(np.uint8, (12, 9))


def ink_of(coverage: FloatArray) -> ByteArray:
    """Return coverage as ink, uint8, 0..255."""
    return eight_bits(255 * coverage)


def ring(radius: float, width: float, side: int = 100) -> ByteArray:
    """Return a ring of this radius in the middle of its width, with half-covered pixels at its edges."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return eight_bits(255 * np.clip(width / 2 + 0.5 - np.abs(np.hypot(rows, columns) - radius), 0, 1))


# --- Width


@pytest.mark.parametrize("width", [2, 4, 6.5, 10, 16])
def test_the_width_of_a_ring(width: float) -> None:
    """A ring of radii R and r has the area pi (R^2 - r^2) and outlines of 2 pi (R + r) together: its width is R - r."""
    assert pytest.approx(width, rel=0.05) == stroke_width(ring(35, width))


@pytest.mark.parametrize(("height", "width"), [(100, 5), (100, 12), (160, 5), (160, 12)])
def test_the_width_of_bars_in_all_directions(height: int, width: int) -> None:
    """The measured perimeter is pi/4 of the true one along the axes, 1.11 of it at 45 degrees, and right on average."""
    bar = np.zeros((200, 200), np.float32)
    bar[100 - height // 2 : 100 + height // 2, 90 : 90 + width] = 1
    widths = [stroke_width(ink_of(ndimage.rotate(bar, angle, reshape=False, order=1))) for angle in range(0, 180, 5)]
    # The ends of a bar belong to its perimeter.
    expected = width * height / (width + height)

    assert pytest.approx(4 / np.pi * expected, rel=0.02) == widths[0] == max(widths)
    assert pytest.approx(expected, rel=0.05) == np.mean(widths)


def test_a_single_pixel_has_a_width() -> None:
    """It has an area of 1 and a perimeter of pi/4 times 4."""
    dot = np.zeros((8, 8), np.uint8)
    dot[2, 2] = 255

    assert pytest.approx(2 / np.pi) == stroke_width(dot)


def test_no_ink_has_no_width() -> None:
    """Without area and perimeter there is no division by zero."""
    assert 0 == stroke_width(np.zeros((8, 8), np.uint8))


# --- Dilation


@given(st.floats(1.5, 7))
def test_dilation_reaches_as_far_as_the_radius(radius: float) -> None:
    """A dot becomes a disc of that radius about its centre, by scipy's distance transform."""
    dot = np.zeros((25, 25), np.uint8)
    dot[12, 12] = 255
    distance = ndimage.distance_transform_edt(dot == 0)
    covered = dilate(dot, radius)

    assert 255 == covered[distance <= radius - 1.5].min()
    assert 0 == covered[distance >= radius + 1.5].max()


@given(inks, st.integers(0, 4))
def test_dilation_and_erosion_are_scipy_s(ink: ByteArray, radius: int) -> None:
    """For whole radii and half a pixel, with the disc that the dilation of a dot gives."""
    dot = np.zeros((11, 11), np.uint8)
    dot[5, 5] = 255
    disc = dilate(dot, radius + 0.5) > 0

    np.testing.assert_array_equal(ndimage.grey_dilation(ink, footprint=disc, mode="nearest"), dilate(ink, radius + 0.5))
    np.testing.assert_array_equal(ndimage.grey_erosion(ink, footprint=disc, mode="nearest"), dilate(ink, -radius - 0.5))


@given(inks, st.floats(0, 5))
def test_fractional_radii_are_interpolated(ink: ByteArray, radius: float) -> None:
    """The result is the mean of those of the two next discs, weighted by the fraction."""
    part = radius % 1
    smaller, larger = (dilate(ink, int(radius) + more).astype(float) for more in (0.5, 1.5))

    np.testing.assert_allclose((1 - part) * smaller + part * larger, dilate(ink, radius + 0.5), atol=0.51)


@given(inks, st.floats(0, 5))
def test_erosion_is_the_dual_of_dilation(ink: ByteArray, radius: float) -> None:
    """Erosion is the complement of the dilation of the complement, also at the border."""
    np.testing.assert_allclose(255 - dilate(255 - ink, radius).astype(int), dilate(ink, -radius), atol=1)


# --- The radius of dilation


@given(st.floats(0.2, 6.8))
def test_dilated_and_scaled_strokes_are_in_mnist_s_range(width: float) -> None:
    """Dilation makes the digit larger. Scaled to 20 pixels again, its strokes are within the range."""
    widening = dilation_radius(width)
    shrunk = (width + 2 * widening) * DIGIT_SIDE / (DIGIT_SIDE + 2 * widening)

    assert pytest.approx(min(max(width, THINNEST), WIDEST), abs=1e-9) == shrunk


@pytest.mark.parametrize("width", [1.8, 2.5, 3.6])
def test_strokes_in_the_range_are_unchanged(width: float) -> None:
    """Strokes as wide as MNIST's are neither dilated nor eroded."""
    assert 0 == dilation_radius(width)


@given(st.floats(0, 100))
def test_the_radius_is_bounded(width: float) -> None:
    """Strokes of any width are dilated or eroded by at most 2 pixels."""
    assert 2 >= abs(dilation_radius(width))


# --- The step as a whole


@pytest.mark.parametrize("digit", range(10))
def test_strokes_are_normalised(digit: int) -> None:
    """The measured width is reported, and the resulting width is about within MNIST's range."""
    for pen in (0.03, 0.12, 0.2):
        before = ink_of(placed(drawn(digit)(200, pen), (300, 300)))
        changed, stroke = normalize_strokes(before, bounding_box(before))
        box = bounding_box((changed.ink > 127).view(np.uint8))
        after = stroke_width(changed.ink) * DIGIT_SIDE / box.longer

        assert pytest.approx(stroke_width(before) * DIGIT_SIDE / 200, rel=0.15) == stroke.width
        assert dilation_radius(stroke.width) == stroke.widening
        assert THINNEST - 0.3 < after < WIDEST + 0.6


@pytest.mark.parametrize("size", [(300, 300), (40, 300), (300, 40), (20, 12)], ids=["large", "flat", "tall", "small"])
def test_scale_and_shift_map_the_picture_to_the_digit(size: tuple[int, int]) -> None:
    """They map the box's corners to the margin, and its longer side to 80 pixels."""
    ink = np.zeros(size, np.uint8)
    box = Box(size[0] // 4, size[1] // 6, size[0] - 2, size[1] - 1)
    ink[box.slices] = 255
    digit, _ = normalize_strokes(ink, box)
    corners = [digit.scale * place + shift for place, shift in zip(box, digit.shift * 2, strict=True)]
    margin = corners[0]
    height, width = digit.ink.shape

    assert pytest.approx(OVERSAMPLING * DIGIT_SIDE / box.longer) == digit.scale
    assert pytest.approx(corners, abs=0.51) == [margin, margin, height - margin, width - margin]
    assert margin > 2 * OVERSAMPLING
    assert np.uint8 == digit.ink.dtype


def test_a_hairline_does_not_vanish() -> None:
    """A line that is hundreds of times as long as wide keeps its ink."""
    ink = np.zeros((9, 288), np.uint8)
    ink[4] = 255
    digit, _ = normalize_strokes(ink, bounding_box(ink))

    assert 127 < digit.ink.max()


def test_ink_without_strokes_is_not_eroded_away() -> None:
    """Thousands of faint pixels beside a black one keep their ink, and the reported radius is 0."""
    ink = np.full((80, 80), 120, np.uint8)
    ink[40, 40] = 255
    digit, stroke = normalize_strokes(ink, bounding_box(ink))

    assert 255 == digit.ink.max()
    assert 0 == stroke.widening
    assert 3.6 < stroke.width
