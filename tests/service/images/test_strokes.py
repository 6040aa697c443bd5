"""Tests of service.images.strokes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.images.components import Box, bounding_box
from service.images.strokes import DIGIT_SIDE, FINENESS, dilate, normalize_strokes, stroke_width, wanted_widening
from service.types import ByteArray, FloatArray
from tests.service.images.scenes import drawn, eight_bits, placed

# What is usual in MNIST, in pixels of its frame, as `normalize_strokes` leaves it.
THINNEST, WIDEST = 1.8, 3.6

inks = arrays.arrays(np.uint8, (12, 9))


def ink_of(coverage: FloatArray) -> ByteArray:
    """Return coverage as ink."""
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
    """Along the pixels an outline is measured as pi/4 of its length, at 45 degrees as 1.11 of it, on average right."""
    bar = np.zeros((200, 200), np.float32)
    bar[100 - height // 2 : 100 + height // 2, 90 : 90 + width] = 1
    widths = [stroke_width(ink_of(ndimage.rotate(bar, angle, reshape=False, order=1))) for angle in range(0, 180, 5)]
    # A bar has ends, too, which are outline.
    expected = width * height / (width + height)

    assert pytest.approx(4 / np.pi * expected, rel=0.02) == widths[0] == max(widths)
    assert pytest.approx(expected, rel=0.05) == np.mean(widths)


def test_a_single_pixel_has_a_width() -> None:
    """It has an area of 1 and an outline of pi/4 times 4."""
    dot = np.zeros((8, 8), np.uint8)
    dot[2, 2] = 255

    assert pytest.approx(2 / np.pi) == stroke_width(dot)


def test_nothing_has_no_width() -> None:
    """Where there is neither area nor outline, nothing is divided by zero."""
    assert 0 == stroke_width(np.zeros((8, 8), np.uint8))


# --- Dilation


@settings(max_examples=60)
@given(st.floats(1.5, 7))
def test_dilation_reaches_as_far_as_the_radius(radius: float) -> None:
    """A dot becomes a disc of that radius, from its centre, to half a pixel: scipy's distance to it tells."""
    dot = np.zeros((25, 25), np.uint8)
    dot[12, 12] = 255
    distance = ndimage.distance_transform_edt(dot == 0)
    covered = dilate(dot, radius)

    assert 255 == covered[distance <= radius - 1.5].min()
    assert 0 == covered[distance >= radius + 1.5].max()


@settings(max_examples=60)
@given(inks, st.integers(0, 4))
def test_dilation_by_half_a_pixel_more_is_scipy_s(ink: ByteArray, radius: int) -> None:
    """It is the maximum, or the minimum, over a disc; what it is of is found with one dot."""
    dot = np.zeros((11, 11), np.uint8)
    dot[5, 5] = 255
    disc = dilate(dot, radius + 0.5) > 0

    np.testing.assert_array_equal(ndimage.grey_dilation(ink, footprint=disc, mode="nearest"), dilate(ink, radius + 0.5))
    np.testing.assert_array_equal(ndimage.grey_erosion(ink, footprint=disc, mode="nearest"), dilate(ink, -radius - 0.5))


@settings(max_examples=60)
@given(inks, st.floats(0, 5))
def test_between_whole_radii_dilation_is_mixed(ink: ByteArray, radius: float) -> None:
    """A fraction has that share of the larger disc and the rest of the smaller one, to the rounding."""
    part = radius % 1
    smaller, larger = (dilate(ink, int(radius) + more).astype(float) for more in (0.5, 1.5))

    np.testing.assert_allclose((1 - part) * smaller + part * larger, dilate(ink, radius + 0.5), atol=0.51)


@settings(max_examples=60)
@given(inks, st.floats(0, 5))
def test_erosion_dilates_the_paper(ink: ByteArray, radius: float) -> None:
    """What is taken from the ink is what its complement gains, so nothing is thinned or widened at the frame."""
    np.testing.assert_allclose(255 - dilate(255 - ink, radius).astype(int), dilate(ink, -radius), atol=1)


# --- Widening


@given(st.floats(0.2, 6.8))
def test_after_shrinking_strokes_have_the_wanted_width(width: float) -> None:
    """Grown on both sides, as the whole digit is, and shrunk to 20 pixels again, strokes are within MNIST's range."""
    widening = wanted_widening(width)
    shrunk = (width + 2 * widening) * DIGIT_SIDE / (DIGIT_SIDE + 2 * widening)

    assert pytest.approx(min(max(width, THINNEST), WIDEST), abs=1e-9) == shrunk


@pytest.mark.parametrize("width", [1.8, 2.5, 3.6])
def test_usual_strokes_are_left_alone(width: float) -> None:
    """What is as wide as MNIST's strokes is neither widened nor thinned."""
    assert 0 == wanted_widening(width)


@given(st.floats(0, 100))
def test_widening_has_bounds(width: float) -> None:
    """No more than 2 pixels are added or taken on each side, whatever the width."""
    assert 2 >= abs(wanted_widening(width))


# --- The step as a whole


@pytest.mark.parametrize("digit", range(10))
def test_strokes_come_out_within_the_usual(digit: int) -> None:
    """What was measured is reported, and what is too thin or thick is mended by about as much as wanted."""
    for pen in (0.03, 0.12, 0.2):
        before = ink_of(placed(drawn(digit)(200, pen), (300, 300)))
        changed, stroke = normalize_strokes(before, bounding_box(before))
        box = bounding_box((changed.ink > 127).view(np.uint8))
        after = stroke_width(changed.ink) * DIGIT_SIDE / box.longer

        assert pytest.approx(stroke_width(before) * DIGIT_SIDE / 200, rel=0.15) == stroke.width
        assert wanted_widening(stroke.width) == stroke.widening
        assert THINNEST - 0.3 < after < WIDEST + 0.6


@pytest.mark.parametrize("size", [(300, 300), (40, 300), (300, 40), (20, 12)], ids=["large", "flat", "tall", "small"])
def test_scale_and_shift_lead_from_the_picture_to_the_digit(size: tuple[int, int]) -> None:
    """The box's corners lie at the margin, its longer side is 80 pixels, and its middle stays its middle."""
    ink = np.zeros(size, np.uint8)
    box = Box(size[0] // 4, size[1] // 6, size[0] - 2, size[1] - 1)
    ink[box.slices] = 255
    digit, _ = normalize_strokes(ink, box)
    corners = [digit.scale * place + shift for place, shift in zip(box, digit.shift * 2, strict=True)]
    margin = corners[0]
    height, width = digit.ink.shape

    assert pytest.approx(FINENESS * DIGIT_SIDE / box.longer) == digit.scale
    assert pytest.approx(corners, abs=0.51) == [margin, margin, height - margin, width - margin]
    assert margin > 2 * FINENESS
    assert np.uint8 == digit.ink.dtype


def test_a_line_of_a_pixel_keeps_a_pixel() -> None:
    """What is hundreds of times as long as wide does not vanish."""
    ink = np.zeros((9, 288), np.uint8)
    ink[4] = 255
    digit, _ = normalize_strokes(ink, bounding_box(ink))

    assert 127 < digit.ink.max()


def test_nothing_is_thinned_away() -> None:
    """What is no stroke, as thousands of faint pixels beside a black one, keeps its ink and is said to be as it was."""
    ink = np.full((80, 80), 120, np.uint8)
    ink[40, 40] = 255
    digit, stroke = normalize_strokes(ink, bounding_box(ink))

    assert 255 == digit.ink.max()
    assert 0 == stroke.widening
    assert 3.6 < stroke.width
