"""Tests of service.images.grayscale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.images import grayscale
from service.images.grayscale import average_blocks, flatten_alpha, to_grey, to_uint8

SIDES = st.sampled_from([1, 2, 3, 4, 5, 80, 300])
SEEDS = st.integers(0, 2**32 - 1)


@given(SIDES, SIDES, SEEDS, st.booleans())
def test_pictures_of_every_shape_are_flattened(height: int, width: int, seed: int, hard: bool) -> None:  # noqa: FBT001
    """Also of few pixels, which OpenCV may take for a colour. Opaque pixels keep their colour, or are 0 in grey."""
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
def test_colours_are_projected_on_the_principal_component(height: int, width: int, seed: int) -> None:
    """It is numpy's, up to a few levels, since it is measured on a thumbnail."""
    rng = np.random.default_rng(seed)
    two = rng.integers(0, 256, (2, 3))
    pixels = two[rng.integers(0, 2, (height, width))].astype(np.uint8)
    grey = to_grey(pixels)
    axis = np.linalg.eigh(np.cov(pixels.reshape(-1, 3).astype(float).T, bias=True))[1][:, -1]
    axis *= np.sign(axis.sum())
    expected = (pixels @ axis - 255 * np.minimum(axis, 0).sum()) / np.sqrt(3)

    assert (height, width) == grey.shape
    # The axis through two colours does not depend on the numbers of their pixels. Where both are equally light,
    # rounding decides its direction.
    if np.ptp(pixels.reshape(-1, 3), axis=0).max() > 40 and abs(axis.sum()) > 0.1:
        np.testing.assert_allclose(grey, expected, atol=5)


@given(SIDES, SIDES, SEEDS)
def test_grey_colours_are_exact(height: int, width: int, seed: int) -> None:
    """A picture of grey colours has the values of the grey picture."""
    grey = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)

    assert to_grey(grey) is grey
    np.testing.assert_array_equal(grey, to_grey(np.dstack(3 * [grey])))


def test_one_coloured_pixel_is_enough() -> None:
    """A picture with one coloured pixel is projected, although its thumbnail is grey."""
    pixels = np.full((720, 720, 3), 100, np.uint8)
    pixels[5, 5] = (101, 100, 100)

    assert (720, 720) == to_grey(pixels).shape


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20), SEEDS)
def test_blocks_are_averaged(height: int, width: int, side: int, seed: int) -> None:
    """Each pixel is the mean of a block. Blocks that are not full are padded by their last row and column."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    factor = max(1, -(-max(height, width) // side))
    padded = np.pad(values, ((0, -height % factor), (0, -width % factor)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // factor, factor, -1, factor).mean(axis=(1, 3))

    np.testing.assert_allclose(average_blocks(values, side), blocks, atol=0.51)


def test_downsampling_by_a_fractional_factor() -> None:
    """The longer side has exactly the pixels that were asked for."""
    assert (216, 288, 3) == grayscale.downsample(np.zeros((240, 320, 3), np.uint8), 288).shape
    assert (288, 216) == grayscale.downsample(np.zeros((320, 240), np.uint8), 288).shape


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
def test_white_is_that_of_the_bit_depth(values: np.ndarray, white: float) -> None:
    """White is the maximum of the integers' bit depth, 1 for floats up to 1, and else the largest value."""
    np.testing.assert_allclose(to_uint8(values), values / white * 255, atol=0.51)
