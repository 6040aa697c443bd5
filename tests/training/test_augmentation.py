"""Augmentation has the documented strengths, uniformly distributed, and interpolates as scipy does.

The source of each pixel is measured: an image whose grey is its row index shows, after the augmentation, the row that
each pixel comes from. With the same random numbers, the transposed image shows the columns.

"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import grey_dilation, grey_erosion, map_coordinates
from scipy.stats import kstest, pearsonr

from training.augmentation import Augmentation, augment

STRONG = Augmentation(rotation=30, shear=20, scaling=0.3, shift=3, elastic=1.5, smoothness=4, bend=2, squared=0.5)
ALL = replace(STRONG, thickness=1, gamma=0.5, broken=0.5, noisy=0.5, noise=0.5)
# So far inside that no weak bend reads from outside the frame.
INSIDE = slice(6, 22)
PER_STEP = 9


class Sources(NamedTuple):
    """The source row and column of each pixel, (n, 28, 28), and whether they are inside of the image."""

    rows: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float64]
    inside: npt.NDArray[np.bool_]


def augmented(images: npt.NDArray[np.uint8], how: Augmentation, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return augmented images as images (n, 28, 28)."""
    return augment(images, how, np.random.default_rng(seed)).reshape(-1, 28, 28)


def sources(how: Augmentation, n: int) -> Sources:
    """Return the sources of the pixels of n augmented images."""
    ramp = np.repeat(np.arange(28, dtype=np.uint8)[:, None] * PER_STEP, 28, axis=1)
    rows, columns, full = (
        augmented(np.repeat(image[None], n, axis=0), how).astype(np.float64) * 255
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


def assert_uniform(values: npt.NDArray[np.float64], low: float, high: float) -> None:
    """Assert that values are uniform in a range."""
    assert values.min() >= low - 1e-3
    assert values.max() <= high + 1e-3
    assert kstest(values, "uniform", args=(low, high - low)).pvalue > 0.01


def noise(n: int) -> npt.NDArray[np.uint8]:
    """Return random images."""
    return np.random.default_rng(7).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def test_without_distortions_images_are_only_scaled() -> None:
    """The result is the images, scaled to 0..1."""
    images = noise(20)

    np.testing.assert_allclose(
        images.reshape(-1, 784) / 255, augment(images, Augmentation(), np.random.default_rng(0)), atol=1e-6
    )


@pytest.mark.parametrize("n", [1, 501])
def test_result_is_inputs_for_a_network(n: int) -> None:
    """Any number of images gives as many float32 rows of 784 values in 0..1."""
    bent = augment(noise(n), ALL, np.random.default_rng(0))

    assert ((n, 784), np.dtype(np.float32)) == (bent.shape, bent.dtype)
    assert 0 <= bent.min() < bent.max() <= 1


def test_random_numbers_determine_the_result() -> None:
    """The same seed gives the same result, another seed another. Equal images in one call differ."""
    images = np.repeat(noise(1), 3, axis=0)

    bent = augmented(images, ALL)

    np.testing.assert_array_equal(bent, augmented(images, ALL))
    assert np.abs(bent - augmented(images, ALL, seed=1)).max() > 0.1
    assert np.abs(bent[0] - bent[1]).max() > 0.1
    assert np.abs(bent[1] - bent[2]).max() > 0.1


def test_images_of_all_chunks_differ() -> None:
    """No two of a thousand images have the same distortion."""
    _, offsets = affine_maps(Augmentation(shift=2), 1000)

    assert 1000 == len(np.unique(offsets.round(4), axis=0))


def test_shifts_are_uniform() -> None:
    """Shifts are uniform in -x..x pixels, rows and columns independently."""
    matrices, offsets = affine_maps(Augmentation(shift=2), 600)

    np.testing.assert_allclose(np.broadcast_to(np.eye(2), (600, 2, 2)), matrices, atol=1e-5)
    assert_uniform(offsets[:, 0], -2, 2)
    assert_uniform(offsets[:, 1], -2, 2)
    assert abs(pearsonr(offsets[:, 0], offsets[:, 1]).statistic) < 0.1


def test_rotations_are_uniform() -> None:
    """Angles are uniform in -x..x degrees, about the centre of the image."""
    matrices, offsets = affine_maps(Augmentation(rotation=15), 600)

    turned_back = matrices @ matrices.transpose(0, 2, 1)
    np.testing.assert_allclose(np.broadcast_to(np.eye(2), (600, 2, 2)), turned_back, atol=1e-4)
    np.testing.assert_allclose(np.ones(600), np.linalg.det(matrices), atol=1e-4)
    np.testing.assert_allclose(np.zeros((600, 2)), offsets, atol=1e-4)
    assert_uniform(np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])), -15, 15)


def test_scalings_are_uniform() -> None:
    """Factors of height and width are uniform in 1-x..1+x, independently, about the centre."""
    matrices, offsets = affine_maps(Augmentation(scaling=0.2), 600)

    sizes = 1 / np.diagonal(matrices, axis1=1, axis2=2)
    np.testing.assert_allclose(np.zeros((600, 2)), matrices[:, [0, 1], [1, 0]], atol=1e-5)
    np.testing.assert_allclose(np.zeros((600, 2)), offsets, atol=1e-4)
    assert_uniform(sizes[:, 0], 0.8, 1.2)
    assert_uniform(sizes[:, 1], 0.8, 1.2)
    assert abs(pearsonr(sizes[:, 0], sizes[:, 1]).statistic) < 0.1


def test_shears_are_uniform() -> None:
    """Rows stay, columns are slanted by angles that are uniform in -x..x degrees."""
    matrices, offsets = affine_maps(Augmentation(shear=15), 600)

    np.testing.assert_allclose(np.broadcast_to([1, 0, 1], (600, 3)), matrices[:, [0, 0, 1], [0, 1, 1]], atol=1e-4)
    np.testing.assert_allclose(np.zeros((600, 2)), offsets, atol=1e-4)
    assert_uniform(np.degrees(np.arctan(matrices[:, 1, 0])), -15, 15)


@pytest.mark.parametrize("smoothness", [2.0, 4.0])
def test_elastic_field_has_its_strength_and_smoothness(smoothness: float) -> None:
    """The field has the given root mean square, and the autocorrelation of Gaussian-filtered noise."""
    found = sources(Augmentation(elastic=0.5, smoothness=smoothness), 500)

    field = np.stack([found.rows - np.arange(28)[:, None], found.columns - np.arange(28)])
    assert pytest.approx(0.5, rel=0.02) == np.sqrt(np.mean(field[:, found.inside] ** 2))
    middle = field[:, :, INSIDE, INSIDE]
    for distance in (1, 2, 4):
        correlation = np.mean(middle[..., distance:] * middle[..., :-distance]) / np.mean(middle**2)
        # White noise smoothed by a Gaussian of width s correlates over distance d as exp(-d^2 / 4 s^2).
        assert pytest.approx(np.exp(-(distance**2) / (4 * smoothness**2)), abs=0.03) == correlation


def test_bend_shifts_the_middle_and_keeps_the_ends() -> None:
    """The middle of each axis is shifted uniformly in -x..x pixels; ten pixels from it and further, nothing moves."""
    found = sources(Augmentation(bend=2), 400)

    shifts = found.rows - np.arange(28)[:, None]
    np.testing.assert_allclose(0, shifts[:, [1, 3, 24, 26]], atol=1e-3)
    # The middle is between two pixels.
    middle = (1 - (0.5 / 10) ** 2) * 2
    assert_uniform(shifts[:, 13, 13], -middle, middle)
    np.testing.assert_allclose(shifts[:, 13], shifts[:, 14], atol=1e-4)
    # Along a row of pixels the shift is the same.
    assert np.ptp(shifts, axis=2).max() < 1e-3
    columns = found.columns - np.arange(28)
    assert_uniform(columns[:, 13, 13], -middle, middle)
    assert abs(pearsonr(shifts[:, 13, 13], columns[:, 13, 13]).statistic) < 0.2


def test_circles_become_squares() -> None:
    """Of a share of the digits a ring gets corners: its box keeps its size, and its diagonal grows."""
    y, x = np.mgrid[:28, :28] - 13.5
    ring = (255 * np.clip(2 - np.abs(np.hypot(y, x) - 8), 0, 1)).astype(np.uint8)

    bent = augmented(np.repeat(ring[None], 400, axis=0), Augmentation(squared=0.5))

    changed = np.abs(bent - ring / 255).max(axis=(1, 2)) > 0.02
    assert 0.4 < changed.mean() < 0.6
    reach = np.array([np.hypot(y, x)[image > 0.5].max() for image in bent])
    assert reach[~changed].max() < 10
    assert np.quantile(reach[changed], 0.9) > 10.5


def test_interpolation_is_scipys() -> None:
    """Pixels with a source inside of the image have the value of scipy's bilinear interpolation."""
    images = noise(100)
    found = sources(STRONG, 100)

    expected = np.stack(
        [
            map_coordinates(image / 255, [rows, columns], order=1, mode="grid-constant")
            for image, rows, columns in zip(images, found.rows, found.columns, strict=True)
        ]
    )

    assert found.inside.mean() > 0.6
    np.testing.assert_allclose(expected[found.inside], augmented(images, STRONG)[found.inside], atol=1e-4)


def test_outside_of_the_image_is_background() -> None:
    """Pixels with a source outside fade to background within a pixel, as scipy's do."""
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
    np.testing.assert_allclose(expected, augmented(full, how), atol=1.1e-3)


# --- Stroke width and grey levels

# The four neighbours of a pixel, and itself.
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.bool_)


def test_stroke_widths_change_uniformly() -> None:
    """A bar gets wider or narrower by shares of a pixel that are uniform in -x..x."""
    bars = np.zeros((600, 28, 28), np.uint8)
    bars[:, 5:23, 12:16] = 255

    inked = augmented(bars, Augmentation(thickness=0.8)).astype(np.float64)

    middle = inked[:, 14]
    shares = middle[:, 11] - (1 - middle[:, 12])
    assert_uniform(shares, -0.8, 0.8)
    np.testing.assert_allclose(middle[:, ::-1], middle, atol=1e-6)
    np.testing.assert_allclose(middle.sum(axis=1), 4 + 2 * shares, atol=1e-5)
    assert not middle[:, [10, 17]].any()
    # A bar is either wider or narrower.
    np.testing.assert_allclose(middle[:, 11] * (1 - middle[:, 12]), np.zeros(600), atol=1e-6)


def test_stroke_width_is_blended_with_scipys_dilation() -> None:
    """Each image is a blend of itself with its dilation or erosion by a cross."""
    images = noise(60)
    ink = images / 255
    grown = np.stack([grey_dilation(image, footprint=CROSS, mode="constant", cval=0) for image in ink]) - ink
    shrunk = np.stack([grey_erosion(image, footprint=CROSS, mode="constant", cval=1) for image in ink]) - ink

    change = augmented(images, Augmentation(thickness=1)) - ink

    lines = np.where(change.sum(axis=(1, 2), keepdims=True) > 0, grown, shrunk)
    shares = np.sum(change * lines, axis=(1, 2)) / np.sum(lines**2, axis=(1, 2))
    np.testing.assert_allclose(shares[:, None, None] * lines, change, atol=1e-5)
    assert 20 < np.sum(change.sum(axis=(1, 2)) > 0) < 40


def test_share_of_digits_has_a_gap() -> None:
    """The given share loses a bar of 1 to 2.2 by 3 to 8 pixels in the middle part."""
    full = np.full((1000, 28, 28), 255, np.uint8)

    lost = 1 - augmented(full, Augmentation(broken=0.3)).astype(np.float64)

    broken = lost[lost.any(axis=(1, 2))]
    # Three standard deviations of a share of 0.3 among 1000.
    assert pytest.approx(300, abs=44) == len(broken)
    # Its area is its width times its length, give or take what the soft edges add.
    areas = broken.sum(axis=(1, 2))
    assert 0.8 * 1 * 3 < areas.min() < 6
    assert 12 < areas.max() < 1.2 * 2.2 * 8
    rows, columns = np.indices((28, 28))
    elongations = []
    for gap, area in zip(broken, areas, strict=True):
        y, x = np.sum(gap * rows) / area, np.sum(gap * columns) / area
        assert 4.5 < min(y, x) < max(y, x) < 22.5
        # Nothing is lost further away than the corners of the longest bar.
        assert np.hypot(rows - y, columns - x)[gap > 0].max() < np.hypot(4, 1.1) + 1
        across, along = np.linalg.eigvalsh(np.cov(rows.ravel(), columns.ravel(), aweights=gap.ravel()))
        elongations.append(along / across)
    # The mean length is 3.4 times the mean width.
    assert 2 < np.median(np.sqrt(elongations)) < 5


def test_gaps_have_every_direction() -> None:
    """Gaps have all directions equally often."""
    full = np.full((1000, 28, 28), 255, np.uint8)

    lost = 1 - augmented(full, Augmentation(broken=1)).astype(np.float64)

    rows, columns = np.indices((28, 28)).reshape(2, -1)
    slants = []
    for gap in lost.reshape(1000, -1):
        spread = np.cov(rows, columns, aweights=gap)
        slants.append(0.5 * np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1]))
    counts, _ = np.histogram(slants, bins=4, range=(-np.pi / 2, np.pi / 2))
    assert pytest.approx(np.full(4, 250), abs=60) == counts


def test_gammas_are_log_uniform() -> None:
    """Each image has one exponent, log-uniform in 1/(1+x)..1+x."""
    ramp = np.linspace(0, 255, 784).astype(np.uint8).reshape(28, 28)
    images = np.repeat(ramp[None], 600, axis=0)

    faded = augmented(images, Augmentation(gamma=0.4)).astype(np.float64)

    between = (ramp > 20) & (ramp < 240)
    powers = np.log(faded[:, between]) / np.log(ramp[between] / 255)
    np.testing.assert_allclose(np.broadcast_to(powers[:, :1], powers.shape), powers, rtol=1e-3)
    assert_uniform(np.log(powers[:, 0]) / np.log(1.4), -1, 1)
    np.testing.assert_array_equal(np.zeros((600, 1)), faded[:, ramp == 0][:, :1])
    np.testing.assert_allclose(np.ones((600, 1)), faded[:, ramp == 255][:, :1], atol=1e-6)


def test_share_of_digits_has_noise() -> None:
    """The given share has normal noise, with a standard deviation that is uniform up to the given one."""
    grey = np.full((1000, 28, 28), 127, np.uint8)

    change = augmented(grey, Augmentation(noisy=0.4, noise=0.1)).astype(np.float64) - 127 / 255

    strengths = change.reshape(1000, -1).std(axis=1)
    noisy = strengths > 1e-6
    # Three standard deviations of a share of 0.4 among 1000.
    assert pytest.approx(400, abs=47) == noisy.sum()
    np.testing.assert_allclose(np.zeros((1000 - noisy.sum(), 28, 28)), change[~noisy], atol=1e-6)
    # A standard deviation of 784 values is itself off by some 2.5 %.
    assert strengths.max() < 0.11
    assert kstest(strengths[noisy], "uniform", args=(0, 0.1)).pvalue > 0.01
    pixels = change[noisy] / strengths[noisy][:, None, None]
    assert kstest(pixels[:, 3, 4], "norm").pvalue > 0.01
    assert abs(np.mean(pixels[:, 3, 4] * pixels[:, 3, 5])) < 0.2


@pytest.mark.parametrize("grey", [0, 255])
def test_noise_is_clipped(grey: int) -> None:
    """With strong noise, values are in 0..1."""
    noised = augmented(np.full((50, 28, 28), grey, np.uint8), Augmentation(noisy=1, noise=2))

    assert (0, 1) == (noised.min(), noised.max())


@given(
    st.builds(
        Augmentation,
        **dict.fromkeys(asdict(Augmentation()), st.floats(0, 30)),
    ),
    st.floats(0, 1),
)
def test_scaled_augmentation_multiplies_the_strengths(how: Augmentation, strength: float) -> None:
    """Every strength and share is multiplied, `smoothness` and `noise` stay."""
    weaker = asdict(how.scaled(strength))

    for name, value in asdict(how).items():
        assert value * (1 if name in {"smoothness", "noise"} else strength) == weaker[name]


def test_augmentation_scaled_by_0_changes_nothing() -> None:
    """At strength 0 images are only scaled to 0..1, at 1 the augmentation is the same."""
    images = noise(20)

    np.testing.assert_allclose(images / 255, augmented(images, ALL.scaled(0)), atol=1e-6)
    assert ALL == ALL.scaled(1)
