"""Tests of service.images.grayscale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.images import grayscale
from service.images.grayscale import flatten_alpha, from_wide_range, reduced, to_grey

SIDES = st.sampled_from([1, 2, 3, 4, 5, 80, 300])
SEEDS = st.integers(0, 2**32 - 1)


@given(SIDES, SIDES, SEEDS, st.booleans())
def test_pictures_of_every_shape_are_flattened(height: int, width: int, seed: int, hard: bool) -> None:  # noqa: FBT001
    """OpenCV takes arrays of a few numbers for colours: here they are none. Opaque pixels keep their colour, or 0."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    if hard:
        pixels[:, :, 3] = rng.choice([0, 255], (height, width))
    flat = flatten_alpha(pixels)
    opaque = pixels[:, :, 3] == 255

    assert np.uint8 == flat.dtype
    assert (height, width) == flat.shape[:2]
    np.testing.assert_array_equal(pixels[opaque, :3] if flat.ndim == 3 else 0, flat[opaque])


@given(SIDES, SIDES, SEEDS)
def test_colours_are_projected_as_by_numpy(height: int, width: int, seed: int) -> None:
    """By the first principal component of all pixels, to a few levels: those of the thumbnail are rounded."""
    rng = np.random.default_rng(seed)
    two = rng.integers(0, 256, (2, 3))
    pixels = two[rng.integers(0, 2, (height, width))].astype(np.uint8)
    grey = to_grey(pixels)
    axis = np.linalg.eigh(np.cov(pixels.reshape(-1, 3).astype(float).T, bias=True))[1][:, -1]
    axis *= np.sign(axis.sum())
    expected = (pixels @ axis - 255 * np.minimum(axis, 0).sum()) / np.sqrt(3)

    assert (height, width) == grey.shape
    # Two colours lie on the same axis, however many pixels of each there are and however they are averaged.
    # Where both are equally light, rounding decides which way it points.
    if np.ptp(pixels.reshape(-1, 3), axis=0).max() > 40 and abs(axis.sum()) > 0.1:
        np.testing.assert_allclose(grey, expected, atol=5)


@given(SIDES, SIDES, SEEDS)
def test_grey_colours_are_exact(height: int, width: int, seed: int) -> None:
    """A grey picture in colour is what it is in grey, to the last level."""
    grey = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)

    assert to_grey(grey) is grey
    np.testing.assert_array_equal(grey, to_grey(np.dstack(3 * [grey])))


def test_one_coloured_pixel_is_enough() -> None:
    """Although the thumbnail on which colours are measured may be grey."""
    pixels = np.full((720, 720, 3), 100, np.uint8)
    pixels[5, 5] = (101, 100, 100)

    assert (720, 720) == to_grey(pixels).shape


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20), SEEDS)
def test_blocks_are_averaged(height: int, width: int, side: int, seed: int) -> None:
    """Of each block the mean, where it is not full that of its pixels with the last ones repeated."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    factor = max(1, -(-max(height, width) // side))
    padded = np.pad(values, ((0, -height % factor), (0, -width % factor)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // factor, factor, -1, factor).mean(axis=(1, 3))

    np.testing.assert_allclose(reduced(values, side), blocks, atol=0.51)


def test_fitting_is_by_a_fraction() -> None:
    """The longer side has just as many pixels as are asked for."""
    assert (216, 288, 3) == grayscale.fitted(np.zeros((240, 320, 3), np.uint8), 288).shape
    assert (288, 216) == grayscale.fitted(np.zeros((320, 240), np.uint8), 288).shape


@pytest.mark.parametrize(
    ("values", "white"),
    [
        (np.array([[0, 255]], np.int32), 255),
        (np.array([[0, 256]], np.int32), 1023),
        (np.array([[0, 5]], np.uint16), 255),
        (np.array([[0, 16_384]], np.uint16), 65_535),
        (np.array([[0, 65_536]], np.int32), 65_536),
        (np.array([[0, 0.5]], np.float32), 1),
        (np.array([[0, 2.5]], np.float32), 2.5),
    ],
)
def test_white_is_known_by_the_largest_value(values: np.ndarray, white: float) -> None:
    """Integers have bits, floats end at 1, and all else at the largest value."""
    np.testing.assert_allclose(from_wide_range(values), values / white * 255, atol=0.51)
