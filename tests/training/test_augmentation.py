"""Digits are bent as far as it is said, evenly, and read between their pixels as scipy reads them.

Where every pixel of a bent digit comes from is found out from outside: an image whose grey is its row number shows,
bent, the row that each pixel was read from; bent with the same random numbers, the same holds for columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import map_coordinates
from scipy.stats import kstest, pearsonr

from training.augmentation import Augmentation, distort

STRONG = Augmentation(rotation=30, shear=20, scaling=0.3, shift=3, elastic=1.5, smoothness=4)
# So far inside that no weak bend reads from outside the frame.
INSIDE = slice(6, 22)
PER_STEP = 9


class Sources(NamedTuple):
    """The row and the column that each pixel was read from, (n, 28, 28), and where that is inside the frame."""

    rows: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float64]
    inside: npt.NDArray[np.bool_]


def bend(images: npt.NDArray[np.uint8], how: Augmentation, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return bent images as images (n, 28, 28)."""
    return distort(images, how, np.random.default_rng(seed)).reshape(-1, 28, 28)


def sources(how: Augmentation, n: int) -> Sources:
    """Return where the pixels of n bent images come from."""
    ramp = np.repeat(np.arange(28, dtype=np.uint8)[:, None] * PER_STEP, 28, axis=1)
    rows, columns, full = (
        bend(np.repeat(image[None], n, axis=0), how).astype(np.float64) * 255
        for image in (ramp, ramp.T, np.full((28, 28), 255, np.uint8))
    )
    return Sources(rows / PER_STEP, columns / PER_STEP, full > 255 - 1e-3)


def affine_maps(how: Augmentation, n: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the maps from target to source about the centre, matrices (n, 2, 2) and offsets (n, 2)."""
    axis = np.arange(28)[INSIDE] - 13.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    positions = np.stack([y.ravel(), x.ravel(), np.ones(y.size)], axis=1)
    found = sources(how, n)
    assert found.inside[:, INSIDE, INSIDE].all()
    read = np.stack([found.rows, found.columns], axis=-1)[:, INSIDE, INSIDE].reshape(n, -1, 2) - 13.5
    solved = np.linalg.pinv(positions) @ read
    # The fit is exact: nothing but an affine map was there.
    np.testing.assert_allclose(positions @ solved, read, atol=1e-4)
    return solved[:, :2].transpose(0, 2, 1), solved[:, 2]


def assert_even(values: npt.NDArray[np.float64], low: float, high: float) -> None:
    """Assert that values are spread evenly over a range and stay in it."""
    assert values.min() >= low - 1e-3
    assert values.max() <= high + 1e-3
    assert kstest(values, "uniform", args=(low, high - low)).pvalue > 0.01


def noise(n: int) -> npt.NDArray[np.uint8]:
    """Return random images."""
    return np.random.default_rng(7).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def test_nothing_to_bend_leaves_images_alone() -> None:
    """Without any distortion the result is the images, scaled to 0..1."""
    images = noise(20)

    np.testing.assert_allclose(
        images.reshape(-1, 784) / 255, distort(images, Augmentation(), np.random.default_rng(0)), atol=1e-6
    )


@pytest.mark.parametrize("n", [1, 500, 501])
def test_result_is_inputs_for_a_network(n: int) -> None:
    """Any number of images gives as many float32 rows of 784 values in 0..1, however strongly they are bent."""
    bent = distort(noise(n), STRONG, np.random.default_rng(0))

    assert ((n, 784), np.dtype(np.float32)) == (bent.shape, bent.dtype)
    assert 0 <= bent.min() < bent.max() <= 1


def test_random_numbers_decide() -> None:
    """The same random numbers bend alike, others otherwise, and of equal images each is bent in its own way."""
    images = np.repeat(noise(1), 3, axis=0)

    bent = bend(images, STRONG)

    np.testing.assert_array_equal(bent, bend(images, STRONG))
    assert np.abs(bent - bend(images, STRONG, seed=1)).max() > 0.1
    assert np.abs(bent[0] - bent[1]).max() > 0.1
    assert np.abs(bent[1] - bent[2]).max() > 0.1


def test_digits_beyond_a_chunk_are_bent_anew() -> None:
    """No two of a thousand digits are bent alike, though they are bent in chunks."""
    _, offsets = affine_maps(Augmentation(shift=2), 1000)

    assert 1000 == len(np.unique(offsets.round(4), axis=0))


def test_shift_moves_evenly_both_ways() -> None:
    """A shift moves the whole digit, by amounts spread evenly over -x..x pixels, rows and columns independently."""
    matrices, offsets = affine_maps(Augmentation(shift=2), 600)

    np.testing.assert_allclose(np.broadcast_to(np.eye(2), (600, 2, 2)), matrices, atol=1e-5)
    assert_even(offsets[:, 0], -2, 2)
    assert_even(offsets[:, 1], -2, 2)
    assert abs(pearsonr(offsets[:, 0], offsets[:, 1]).statistic) < 0.1


def test_rotation_turns_evenly_about_the_centre() -> None:
    """A rotation is one, about the middle of the image, by angles spread evenly over -x..x degrees."""
    matrices, offsets = affine_maps(Augmentation(rotation=15), 600)

    turned_back = matrices @ matrices.transpose(0, 2, 1)
    np.testing.assert_allclose(np.broadcast_to(np.eye(2), (600, 2, 2)), turned_back, atol=1e-4)
    np.testing.assert_allclose(np.ones(600), np.linalg.det(matrices), atol=1e-4)
    np.testing.assert_allclose(np.zeros((600, 2)), offsets, atol=1e-4)
    assert_even(np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])), -15, 15)


def test_scaling_sizes_height_and_width_evenly() -> None:
    """Height and width are multiplied by sizes spread evenly over 1-x..1+x, independently, about the centre."""
    matrices, offsets = affine_maps(Augmentation(scaling=0.2), 600)

    sizes = 1 / np.diagonal(matrices, axis1=1, axis2=2)
    np.testing.assert_allclose(np.zeros((600, 2)), matrices[:, [0, 1], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(np.zeros((600, 2)), offsets, atol=1e-4)
    assert_even(sizes[:, 0], 0.8, 1.2)
    assert_even(sizes[:, 1], 0.8, 1.2)
    assert abs(pearsonr(sizes[:, 0], sizes[:, 1]).statistic) < 0.1


def test_shear_slants_evenly() -> None:
    """A shear keeps rows where they are and slants columns, by angles spread evenly over -x..x degrees."""
    matrices, offsets = affine_maps(Augmentation(shear=15), 600)

    np.testing.assert_allclose(np.broadcast_to([1, 0, 1], (600, 3)), matrices[:, [0, 0, 1], [0, 1, 1]], atol=1e-4)
    np.testing.assert_allclose(np.zeros((600, 2)), offsets, atol=1e-4)
    assert_even(np.degrees(np.arctan(matrices[:, 1, 0])), -15, 15)


@pytest.mark.parametrize("smoothness", [2.0, 4.0])
def test_elastic_field_is_as_strong_and_as_smooth_as_said(smoothness: float) -> None:
    """The field has the root mean square that is asked for, and correlates over distance as a Gaussian does."""
    found = sources(Augmentation(elastic=0.5, smoothness=smoothness), 500)

    field = np.stack([found.rows - np.arange(28)[:, None], found.columns - np.arange(28)])
    assert pytest.approx(0.5, rel=0.02) == np.sqrt(np.mean(field[:, found.inside] ** 2))
    middle = field[:, :, INSIDE, INSIDE]
    for distance in (1, 2, 4):
        correlation = np.mean(middle[..., distance:] * middle[..., :-distance]) / np.mean(middle**2)
        # White noise smoothed by a Gaussian of width s correlates over distance d as exp(-d^2 / 4 s^2).
        assert pytest.approx(np.exp(-(distance**2) / (4 * smoothness**2)), abs=0.03) == correlation


def test_pixels_are_read_as_scipy_reads_them() -> None:
    """Wherever a pixel comes from inside the frame, its value is scipy's bilinear interpolation there."""
    images = noise(100)
    found = sources(STRONG, 100)

    expected = np.stack(
        [
            map_coordinates(image / 255, [rows, columns], order=1, mode="grid-constant")
            for image, rows, columns in zip(images, found.rows, found.columns, strict=True)
        ]
    )

    assert found.inside.mean() > 0.6
    np.testing.assert_allclose(expected[found.inside], bend(images, STRONG)[found.inside], atol=1e-4)


def test_outside_of_the_frame_is_background() -> None:
    """What is read from beyond the frame fades to background within a pixel, as scipy's does."""
    how = Augmentation(shift=5)
    _, offsets = affine_maps(how, 50)
    full = np.full((50, 28, 28), 255, np.uint8)
    axis = np.arange(28)

    expected = np.stack(
        [
            map_coordinates(
                np.ones((28, 28)), np.meshgrid(axis + down, axis + right, indexing="ij"), order=1, mode="grid-constant"
            )
            for down, right in offsets
        ]
    )

    # The last row and column are still read with a weight of a thousandth, a quarter of a grey level.
    np.testing.assert_allclose(expected, bend(full, how), atol=1.1e-3)
