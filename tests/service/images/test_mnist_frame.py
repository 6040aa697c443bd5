"""Tests of service.images.mnist_frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.images.components import bounding_box
from service.images.mnist_frame import CENTRE, centre_of_mass, frame, mnist_form_box
from service.images.strokes import DIGIT_SIDE, Digit
from service.types import IMAGE_SIDE, ByteArray, FloatArray
from tests.service.images.scenes import drawn, eight_bits
from training.mnist import Mnist

MARGIN = 12


def digit_of(coverage: FloatArray, scale: float = 1, shift: tuple[float, float] = (0, 0)) -> Digit:
    """Return coverage as a Digit with a margin, and with this transform from the picture."""
    return Digit(np.pad(eight_bits(255 * coverage), MARGIN), scale, shift)


def middle(ink: FloatArray | ByteArray) -> tuple[float, float]:
    """Return the centre of mass in pixels from the top left corner of the first pixel, not from its centre."""
    row, column = ndimage.center_of_mass(ink)
    return row + 0.5, column + 0.5


# --- Framing


@pytest.mark.parametrize("digit", range(10))
def test_the_frame_is_mnist_s(digit: int) -> None:
    """The digit's longer side is 20 pixels, its shape is kept, and its centre of mass is the centre, to a pixel."""
    for height in (37, 80, 150):
        upright = drawn(digit)(height, 0.12)
        for coverage in (upright, upright.T):
            framed, _ = frame(digit_of(coverage))
            box = bounding_box(eight_bits(framed > 0.25))
            sides = sorted(coverage.shape)

            assert (IMAGE_SIDE, IMAGE_SIDE) == framed.shape
            assert np.float32 == framed.dtype
            assert DIGIT_SIDE - 1 <= box.longer <= DIGIT_SIDE + 1
            assert pytest.approx(DIGIT_SIDE * sides[0] / sides[1], abs=1.5) == min(box.height, box.width)
            assert pytest.approx((CENTRE, CENTRE), abs=0.6) == centre_of_mass(framed)


@pytest.mark.parametrize("digit", range(10))
def test_ink_is_averaged(digit: int) -> None:
    """The amount of ink is that of the digit at the new size, and values are from 0 to about 1."""
    coverage = drawn(digit)(160, 0.15)
    framed, placed = frame(digit_of(coverage))

    assert pytest.approx(float(coverage.sum()) * placed.scale**2, rel=0.08) == float(framed.sum())
    assert 0 == framed.min()
    assert 0.95 < framed.max() <= 1


def test_a_square_of_ink_worked_by_hand() -> None:
    """80x40 pixels of ink become 20x10 pixels of full ink about the centre."""
    framed, placed = frame(digit_of(np.ones((80, 40), np.float32)))
    expected = np.zeros((28, 28), np.float32)
    # The mean of rows 0 to 19 is 9.5, so they begin at about 4.5; columns 0 to 9 at about 9.5.
    top, left = bounding_box(eight_bits(framed > 0.5))[:2]
    expected[top : top + 20, left : left + 10] = 1

    np.testing.assert_allclose(framed, expected, atol=0.51)
    assert pytest.approx(1 / 4) == placed.scale
    assert pytest.approx((4.5, 9.5), abs=0.51) == (top, left)


@pytest.mark.parametrize("turns", range(4))
def test_a_lopsided_digit_stays_in_the_frame(turns: int) -> None:
    """Where all ink is at one end, the centre of mass is off the centre, so that the other end is not cut off."""
    coverage = np.zeros((80, 60), np.float32)
    coverage[:, 28:32] = 0.3
    coverage[68:] = 1
    framed, placed = frame(digit_of(np.rot90(coverage, turns)))

    assert pytest.approx(float(coverage.sum()) * placed.scale**2, rel=0.05) == float(framed.sum())


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize(("scale", "shift"), [(1.0, (0.0, 0.0)), (0.4, (-30.0, 7.5))], ids=["as it is", "moved"])
def test_scale_and_shift_map_the_picture_to_the_frame(digit: int, scale: float, shift: tuple[float, float]) -> None:
    """They map the centre of mass of the picture's ink to that of the frame, to a quarter of a pixel."""
    working = digit_of(drawn(digit)(100, 0.12), scale, shift)
    framed, placed = frame(working)
    # From the working size to the picture, and from there to the frame.
    in_picture = [(place - moved) / scale for place, moved in zip(middle(working.ink), shift, strict=True)]
    in_frame = [placed.scale * place + moved for place, moved in zip(in_picture, placed.shift, strict=True)]

    assert pytest.approx(middle(framed), abs=0.25) == in_frame


@given(arrays.arrays(np.uint8, (7, 9), elements=st.integers(1, 255)))
def test_the_centre_of_mass(ink: ByteArray) -> None:
    """It is scipy's, for uint8 and float32."""
    expected = pytest.approx(ndimage.center_of_mass(ink.astype(float)), abs=1e-4)

    assert expected == centre_of_mass(ink)
    assert expected == centre_of_mass(ink.astype(np.float32) / np.float32(255))


# --- Recognition of MNIST form


def bar(height: int = 20) -> ByteArray:
    """Return a bar in the middle of 28x28 pixels; 20 pixels high it has MNIST form."""
    grey = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    grey[14 - height // 2 : 14 + height // 2, 13:16] = 255
    return grey


def with_ink(*places: tuple[int, int]) -> ByteArray:
    """Return the bar with more ink at these pixels."""
    grey = bar()
    for place in places:
        grey[place] = 255
    return grey


@pytest.mark.parametrize(
    ("grey", "expected"),
    [
        (bar(), True),
        (np.roll(bar(), 1, axis=1), True),
        (bar() // 5 * 3, True),
        (255 - bar(), False),
        (np.roll(bar(), 3, axis=1), False),
        (np.roll(bar(), 3, axis=0), False),
        (with_ink((3, 14), (24, 14)), False),
        (with_ink((14, 3), (14, 24)), False),
        (with_ink((0, 0), (27, 27)), False),
        (bar(16), True),
        (bar(14), False),
        (bar() // 5, False),
        (np.pad(bar(), 1), False),
        (bar()[1:-1, 1:-1], False),
        (np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint8), False),
        (np.full((IMAGE_SIDE, IMAGE_SIDE), 255, np.uint8), False),
    ],
    ids=[
        "MNIST's",
        "a pixel off",
        "grey",
        "dark on light",
        "too far right",
        "too low",
        "too tall",
        "too wide",
        "ink in corners",
        "not quite fitted into 20x20",
        "not fitted into 20x20",
        "faint",
        "larger",
        "smaller",
        "black",
        "white",
    ],
)
def test_mnist_form(grey: ByteArray, expected: bool) -> None:  # noqa: FBT001
    """It is 28x28, light on black, of strong ink, fitted into 20x20 and with its centre of mass at the centre."""
    box = mnist_form_box(grey)

    assert (bounding_box(grey) if expected else None) == box


@pytest.mark.parametrize("digit", range(10))
def test_framed_digits_have_mnist_form(digit: int) -> None:
    """The result of framing is recognised."""
    framed, _ = frame(digit_of(drawn(digit)(100, 0.12)))
    grey = eight_bits(255 * framed)

    assert bounding_box(grey) == mnist_form_box(grey)


def test_mnist_has_mnist_form(real_mnist: Mnist) -> None:
    """All but a few of the 60,000 training digits are recognised."""
    others = [image for image in real_mnist.train.images if mnist_form_box(image) is None]

    assert 60 > len(others)
