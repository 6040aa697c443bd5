"""Tests of service.normalization.stroke."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.network import FloatArray
from service.normalization.ink import Ink
from service.normalization.marks import Box, bounding_box
from service.normalization.stroke import DIGIT_SIDE, FINENESS, even_strokes, spread, stroke_width, wanted_widening
from tests.service.normalization.scenes import drawn, placed

# What is usual in MNIST, in pixels of its frame, as `even_strokes` leaves it.
THINNEST, WIDEST = 1.8, 3.6


def ink_of(coverage: FloatArray) -> Ink:
    """Return coverage as the ink of a digit."""
    return Ink(coverage, bounding_box(coverage > 0), 1)


def ring(radius: float, width: float, side: int = 100) -> FloatArray:
    """Return a ring of this radius in the middle of its width, with half-covered pixels at its edges."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    covered: FloatArray = np.clip(width / 2 + 0.5 - np.abs(np.hypot(rows, columns) - radius), 0, 1).astype(np.float32)
    return covered


# --- Width


@pytest.mark.parametrize("width", [2, 4, 6.5, 10, 16])
def test_the_width_of_a_ring(width: float) -> None:
    """A ring of radii R and r has the area pi (R^2 - r^2) and outlines of 2 pi (R + r) together: its width is R - r."""
    assert pytest.approx(width, rel=0.05) == stroke_width(ring(35, width))


@pytest.mark.parametrize("height", [100, 160])
@pytest.mark.parametrize("width", [5, 12])
def test_the_width_of_bars_in_all_directions(height: int, width: int) -> None:
    """Along the pixels an outline is measured as pi/4 of its length, at 45 degrees as 1.11 of it, on average right."""
    bar = np.zeros((200, 200), np.float32)
    bar[100 - height // 2 : 100 + height // 2, 90 : 90 + width] = 1
    widths = [stroke_width(ndimage.rotate(bar, angle, reshape=False, order=1)) for angle in range(0, 180, 5)]
    # A bar has ends, too, which are outline.
    expected = width * height / (width + height)

    assert pytest.approx(4 / np.pi * expected, rel=0.02) == widths[0] == max(widths)
    assert pytest.approx(expected, rel=0.05) == np.mean(widths)


def test_a_single_pixel_has_a_width() -> None:
    """It has an area of 1 and an outline of pi/4 times 4."""
    dot = np.zeros((5, 5), np.float32)
    dot[2, 2] = 1

    assert pytest.approx(2 / np.pi) == stroke_width(dot)


# --- Spreading


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.bool_, (24, 17)).filter(np.any), st.floats(0, 7))
def test_spreading_reaches_as_far_as_the_radius(
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]], radius: float
) -> None:
    """A pixel is covered by how far the radius reaches over its nearer half: scipy's distance to the ink tells."""
    distance = ndimage.distance_transform_edt(~mask)
    expected = np.where(mask, 1, np.clip(radius + 0.5 - distance, 0, 1))

    np.testing.assert_allclose(expected, spread(mask.astype(np.float32), radius), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, (12, 9), elements=st.floats(0, 1, width=32)), st.floats(0, 5))
def test_thinning_spreads_the_paper(ink: FloatArray, radius: float) -> None:
    """What is taken from the ink is what its complement gains, so nothing is thinned or widened at the frame."""
    np.testing.assert_allclose(1 - spread(1 - ink, radius), spread(ink, -radius), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, (12, 9), elements=st.floats(0, 1, width=32)), st.floats(0, 5))
def test_spreading_only_adds_ink_and_thinning_only_takes(ink: FloatArray, radius: float) -> None:
    """Between 0 and 1, every pixel has at least what it had, or at most."""
    more, less = spread(ink, radius), spread(ink, -radius)

    assert (more >= ink - 1e-6).all()
    assert 1 >= more.max()
    assert (less <= ink + 1e-6).all()
    assert 0 <= less.min()


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
@pytest.mark.parametrize("pen", [0.03, 0.12, 0.2], ids=["thin", "usual", "thick"])
def test_strokes_come_out_within_the_usual(digit: int, pen: float) -> None:
    """What was measured is reported, and what is too thin or thick is mended by about as much as wanted."""
    before = placed(drawn(digit)(200, pen), (300, 300))
    changed, stroke = even_strokes(ink_of(before))
    box = bounding_box(changed.ink > 0.5)
    after = stroke_width(changed.ink) * DIGIT_SIDE / max(box.height, box.width)

    assert pytest.approx(stroke_width(before) * DIGIT_SIDE / 200, rel=0.15) == stroke.width
    assert wanted_widening(stroke.width) == stroke.widening
    assert THINNEST - 0.3 < after < WIDEST + 0.6


@pytest.mark.parametrize("size", [(300, 300), (40, 300), (300, 40), (20, 12)], ids=["large", "flat", "tall", "small"])
def test_scale_and_shift_lead_from_the_picture_to_the_working_size(size: tuple[int, int]) -> None:
    """The box's corners lie at the margin, its longer side is 80 pixels, and its middle stays its middle."""
    coverage = np.zeros(size, np.float32)
    box = Box(size[0] // 4, size[1] // 6, size[0] - 2, size[1] - 1)
    coverage[box.top : box.bottom, box.left : box.right] = 1
    digit, _ = even_strokes(Ink(coverage, box, 1))
    corners = [digit.scale * place + shift for place, shift in zip(box, digit.shift * 2, strict=True)]
    margin = corners[0]
    height, width = digit.ink.shape

    assert pytest.approx(FINENESS * DIGIT_SIDE / max(box.height, box.width)) == digit.scale
    assert pytest.approx(corners, abs=0.51) == [margin, margin, height - margin, width - margin]
    assert margin > 2 * FINENESS
    assert np.float32 == digit.ink.dtype
    assert 0 <= digit.ink.min()
    assert 1 >= digit.ink.max()


def test_a_line_of_a_pixel_keeps_a_pixel() -> None:
    """What is hundreds of times as long as wide does not vanish."""
    coverage = np.zeros((9, 288), np.float32)
    coverage[4] = 1
    digit, _ = even_strokes(ink_of(coverage))

    assert 0.5 < digit.ink.max()
