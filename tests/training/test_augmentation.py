"""Digits are bent and inked as far as it is said, evenly, and read between their pixels as scipy reads them.

Where every pixel of a bent digit comes from is found out from outside: an image whose grey is its row number shows,
bent, the row that each pixel was read from; bent with the same random numbers, the same holds for columns.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import grey_dilation, grey_erosion, map_coordinates
from scipy.stats import kstest, pearsonr

from training.augmentation import Augmentation, distort

STRONG = Augmentation(rotation=30, shear=20, scaling=0.3, shift=3, elastic=1.5, smoothness=4)
ALL = replace(STRONG, thickness=1, gamma=0.5, broken=0.5, noisy=0.5, noise=0.5)
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
    bent = distort(noise(n), ALL, np.random.default_rng(0))

    assert ((n, 784), np.dtype(np.float32)) == (bent.shape, bent.dtype)
    assert 0 <= bent.min() < bent.max() <= 1


def test_random_numbers_decide() -> None:
    """The same random numbers bend alike, others otherwise, and of equal images each is bent in its own way."""
    images = np.repeat(noise(1), 3, axis=0)

    bent = bend(images, ALL)

    np.testing.assert_array_equal(bent, bend(images, ALL))
    assert np.abs(bent - bend(images, ALL, seed=1)).max() > 0.1
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


# --- Ink and grey levels

# The four neighbours of a pixel, and itself.
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.bool_)


def test_strokes_grow_and_shrink_evenly() -> None:
    """A bar is widened, or narrowed, by shares of a pixel on either side that are spread evenly over -x..x."""
    bars = np.zeros((600, 28, 28), np.uint8)
    bars[:, 5:23, 12:16] = 255

    inked = bend(bars, Augmentation(thickness=0.8)).astype(np.float64)

    middle = inked[:, 14]
    shares = middle[:, 11] - (1 - middle[:, 12])
    assert_even(shares, -0.8, 0.8)
    np.testing.assert_allclose(middle[:, ::-1], middle, atol=1e-6)
    np.testing.assert_allclose(middle.sum(axis=1), 4 + 2 * shares, atol=1e-5)
    assert not middle[:, [10, 17]].any()
    # Either wider or narrower, never both.
    np.testing.assert_allclose(middle[:, 11] * (1 - middle[:, 12]), np.zeros(600), atol=1e-6)


def test_strokes_grow_as_scipys_do() -> None:
    """Each image lies between itself and its dilation or erosion by a cross, at one share of the way."""
    images = noise(60)
    ink = images / 255
    grown = np.stack([grey_dilation(image, footprint=CROSS, mode="constant", cval=0) for image in ink]) - ink
    shrunk = np.stack([grey_erosion(image, footprint=CROSS, mode="constant", cval=1) for image in ink]) - ink

    change = bend(images, Augmentation(thickness=1)) - ink

    lines = np.where(change.sum(axis=(1, 2), keepdims=True) > 0, grown, shrunk)
    shares = np.sum(change * lines, axis=(1, 2)) / np.sum(lines**2, axis=(1, 2))
    np.testing.assert_allclose(shares[:, None, None] * lines, change, atol=1e-5)
    assert 20 < np.sum(change.sum(axis=(1, 2)) > 0) < 40


def test_some_digits_are_broken_by_a_gap() -> None:
    """The share that is asked for loses ink, along a bar of 1 to 2 pixels by 3 to 8, in the middle part."""
    full = np.full((1000, 28, 28), 255, np.uint8)

    lost = 1 - bend(full, Augmentation(broken=0.3)).astype(np.float64)

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


def test_breaks_cover_every_direction() -> None:
    """Gaps lie level, upright and slanted both ways, about equally often."""
    full = np.full((1000, 28, 28), 255, np.uint8)

    lost = 1 - bend(full, Augmentation(broken=1)).astype(np.float64)

    rows, columns = np.indices((28, 28)).reshape(2, -1)
    slants = []
    for gap in lost.reshape(1000, -1):
        spread = np.cov(rows, columns, aweights=gap)
        slants.append(0.5 * np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1]))
    counts, _ = np.histogram(slants, bins=4, range=(-np.pi / 2, np.pi / 2))
    assert pytest.approx(np.full(4, 250), abs=60) == counts


def test_ink_fades_and_bleeds_evenly() -> None:
    """Grey levels are raised to one power an image, from 1 / (1 + x) to 1 + x, as often above 1 as below."""
    ramp = np.linspace(0, 255, 784).astype(np.uint8).reshape(28, 28)
    images = np.repeat(ramp[None], 600, axis=0)

    faded = bend(images, Augmentation(gamma=0.4)).astype(np.float64)

    between = (ramp > 20) & (ramp < 240)
    powers = np.log(faded[:, between]) / np.log(ramp[between] / 255)
    np.testing.assert_allclose(np.broadcast_to(powers[:, :1], powers.shape), powers, rtol=1e-3)
    assert_even(np.log(powers[:, 0]) / np.log(1.4), -1, 1)
    np.testing.assert_array_equal(np.zeros((600, 1)), faded[:, ramp == 0][:, :1])
    np.testing.assert_allclose(np.ones((600, 1)), faded[:, ramp == 255][:, :1], atol=1e-6)


def test_some_digits_get_noise() -> None:
    """The share that is asked for gets noise of its own strength, spread evenly up to the one that is asked for."""
    grey = np.full((1000, 28, 28), 127, np.uint8)

    change = bend(grey, Augmentation(noisy=0.4, noise=0.1)).astype(np.float64) - 127 / 255

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
def test_noise_stays_within_the_grey_levels(grey: int) -> None:
    """However strong the noise, nothing is darker than background or lighter than ink."""
    noised = bend(np.full((50, 28, 28), grey, np.uint8), Augmentation(noisy=1, noise=2))

    assert (0, 1) == (noised.min(), noised.max())


@settings(deadline=None)
@given(
    st.builds(
        Augmentation,
        **dict.fromkeys(asdict(Augmentation()), st.floats(0, 30)),
    ),
    st.floats(0, 1),
)
def test_weakened_distortions_reach_less_far(how: Augmentation, strength: float) -> None:
    """Every reach and every share is multiplied; how smooth the field is, and how strong noise, stays."""
    weaker = asdict(how.weakened(strength))

    for name, value in asdict(how).items():
        assert value * (1 if name in {"smoothness", "noise"} else strength) == weaker[name]


def test_weakened_to_nothing_leaves_images_alone() -> None:
    """At a strength of 0 nothing is bent, inked or noised, and at 1 everything as before."""
    images = noise(20)

    np.testing.assert_allclose(images / 255, bend(images, ALL.weakened(0)), atol=1e-6)
    assert ALL == ALL.weakened(1)
