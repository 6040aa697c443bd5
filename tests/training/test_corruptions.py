"""Every corruption has its documented effect and strength, and is random."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.images.mnist_frame import centre_of_mass
from tests.training.tiny import draw_digits
from training.corruptions import CORRUPTIONS

Image = npt.NDArray[np.uint8]

DIGIT: Image = draw_digits(3, seed=4).images[2]
BLANK: Image = np.zeros((28, 28), np.uint8)
N = 60


def rectangle(rows: slice, columns: slice, grey: int = 255) -> Image:
    """Return a rectangle of this grey on black."""
    image = BLANK.copy()
    image[rows, columns] = grey
    return image


BLOCK = rectangle(slice(9, 19), slice(9, 19))
STEPS = rectangle(slice(0, 28), slice(10, 20), 60) + rectangle(slice(0, 28), slice(20, 28))


def corrupted(kind: str, image: Image, n: int = N) -> npt.NDArray[np.float64]:
    """Return an image with this corruption for each of n seeds, (n, 28, 28)."""
    return np.stack([CORRUPTIONS[kind](image, np.random.default_rng(seed)) for seed in range(n)]).astype(np.float64)


def test_there_are_nine_kinds() -> None:
    """Each corruption has its name."""
    expected = ["noise", "blur", "brightness", "stripes", "fog", "rotation", "scale", "shift", "contrast"]

    assert expected == list(CORRUPTIONS)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@settings(max_examples=10)
@given(image=arrays(np.uint8, (28, 28)), seed=st.integers(0, 2**32))
def test_any_image_gives_an_image(kind: str, image: Image, seed: int) -> None:
    """Shape and dtype stay, the seed determines the result, and the input is not modified."""
    before = image.copy()

    first, second = (CORRUPTIONS[kind](image, np.random.default_rng(seed)) for _ in range(2))

    assert ((28, 28), np.dtype(np.uint8)) == (first.shape, first.dtype)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(before, image)


def test_corruptions_are_random() -> None:
    """With other seeds the same digit gives other results, and hardly ever itself."""
    for kind in CORRUPTIONS:
        results = corrupted(kind, DIGIT)

        assert len(np.unique(results, axis=0)) > 0.6 * N, kind
        assert np.mean((results != DIGIT).any(axis=(1, 2))) > 0.9, kind


def test_noise_has_a_standard_deviation_of_forty() -> None:
    """On middle grey, where few values are clipped, it is independent normal noise with mean 0."""
    noise = corrupted("noise", np.full((28, 28), 128, np.uint8)) - 128

    assert pytest.approx(0, abs=1) == noise.mean()
    # Cut off at 3.2 standard deviations.
    assert pytest.approx(40, abs=0.5) == noise.std()
    assert pytest.approx(0.6827, abs=0.01) == np.mean(np.abs(noise) < 40)
    assert abs(np.mean(noise[:, :, 1:] * noise[:, :, :-1])) < 40


def test_noise_is_clipped() -> None:
    """Values do not wrap around: half of a black image stays black, half of a white one white."""
    assert pytest.approx(0.5, abs=0.02) == np.mean(corrupted("noise", BLANK) == 0)
    assert pytest.approx(0.5, abs=0.02) == np.mean(corrupted("noise", BLANK + np.uint8(255)) == 255)


def test_blur_is_a_gaussian_of_about_a_pixel() -> None:
    """A point becomes a Gaussian of 0.7 to 1.3 pixels, with the same sum and centre."""
    dot = rectangle(slice(14, 15), slice(14, 15))
    steps = np.arange(-14, 15)

    def peak(sigma: float) -> float:
        return float(255 / np.exp(-(steps**2) / (2 * sigma**2)).sum() ** 2)

    spread = corrupted("blur", dot)

    peaks = spread[:, 14, 14]
    assert peak(1.3) - 0.5 <= peaks.min() < peak(1.2)
    assert peak(0.8) < peaks.max() <= peak(0.7) + 0.5
    assert pytest.approx(np.full(N, 255), rel=0.06) == spread.sum(axis=(1, 2))
    np.testing.assert_array_equal(spread[:, 1:, 1:], spread[:, :0:-1, :0:-1])
    np.testing.assert_array_equal(spread, spread.transpose(0, 2, 1))


def test_brightness_is_a_constant_offset() -> None:
    """80 to 140 levels are added to all pixels, clipped at white."""
    lifted = corrupted("brightness", STEPS)

    lifts = lifted[:, 0, 0]
    assert 80 <= lifts.min() < 90
    assert 130 < lifts.max() <= 140
    np.testing.assert_array_equal(np.minimum(255, STEPS + lifts[:, None, None]), lifted)


def test_stripes_are_two_horizontal_lines() -> None:
    """Two rows of the middle part have half of the foreground's grey."""
    striped = corrupted("stripes", BLANK)

    touched = striped.any(axis=2)
    assert {2} == set(touched.sum(axis=1).tolist())
    assert {0, 128} == set(np.unique(striped).tolist())
    np.testing.assert_array_equal(touched, striped.all(axis=2))
    rows = np.flatnonzero(touched.sum(axis=0))
    assert (5, 22) == (rows.min(), rows.max())


def test_stripes_keep_brighter_foreground() -> None:
    """Foreground above the stripes' grey stays, fainter foreground gets it."""
    striped = corrupted("stripes", STEPS)

    np.testing.assert_array_equal(np.broadcast_to(STEPS, striped.shape)[..., 20:], striped[..., 20:])
    assert {60, 128} == set(np.unique(striped[..., 10:20]).tolist())


def test_fog_is_a_smooth_cloud_up_to_half_of_white() -> None:
    """On black it is smooth, from 0 to middle grey, and differs by seed."""
    clouds = corrupted("fog", BLANK)

    assert {0.0} == set(clouds.min(axis=(1, 2)).tolist())
    assert {127.0} == set(clouds.max(axis=(1, 2)).tolist())
    assert max(np.abs(np.diff(clouds, axis=axis)).max() for axis in (1, 2)) < 32
    assert len(set(clouds.reshape(N, -1).argmax(axis=1).tolist())) > 0.8 * N


def test_fog_blends_with_white() -> None:
    """At opacity 1/2, half of the contrast is left. No pixel gets darker."""
    clouds, fogged = corrupted("fog", BLANK), corrupted("fog", STEPS)

    assert np.abs(clouds + STEPS * (1 - clouds / 255) - fogged).max() <= 1
    assert (fogged >= STEPS).all()
    assert {255.0} == set(np.unique(fogged[..., 20:]).tolist())


def tilt(image: npt.NDArray[np.float64]) -> float:
    """Return the tilt of the foreground in degrees, to the right above 0."""
    y, x = np.mgrid[:28, :28] - 13.5
    return math.degrees(math.atan2(-2 * (image * x * y).sum(), (image * (y**2 - x**2)).sum())) / 2


def test_rotation_turns_by_fifteen_to_thirty_degrees() -> None:
    """A vertical bar is tilted by 15 to 30 degrees in either direction, about its centre."""
    bar = rectangle(slice(5, 23), slice(13, 15))
    assert pytest.approx(0) == tilt(bar.astype(np.float64))

    turned = corrupted("rotation", bar)

    tilts = np.array([tilt(image) for image in turned])
    assert 14.9 < np.abs(tilts).min() < 17
    assert 28 < np.abs(tilts).max() < 30.1
    assert 0.3 < np.mean(tilts > 0) < 0.7
    for image in turned:
        assert pytest.approx((13.5, 13.5), abs=0.05) == centre_of_mass(image.astype(np.float32))


def test_scale_shrinks_about_the_centre() -> None:
    """The sides of a square become 0.5 to 0.8 of their length, about its centre."""
    shrunk = corrupted("scale", BLOCK)

    heights, widths = shrunk.sum(axis=(1, 2)) / shrunk.sum(axis=2).max(axis=1), shrunk.sum(axis=1).max(axis=1) / 255
    shares = np.sqrt(shrunk.sum(axis=(1, 2)) / BLOCK.sum())
    assert 0.49 < shares.min() < 0.55
    assert 0.75 < shares.max() < 0.81
    np.testing.assert_allclose(heights, widths, rtol=0.06)
    for image in shrunk:
        assert pytest.approx((13.5, 13.5), abs=0.01) == centre_of_mass(image.astype(np.float32))


def test_shift_moves_by_up_to_four_whole_pixels() -> None:
    """The image is moved by up to four pixels in each direction, and all directions occur."""
    ink = BLANK.copy()
    ink[4:24, 4:24] = np.random.default_rng(1).integers(0, 256, (20, 20))
    offsets = set()

    for image in corrupted("shift", ink):
        moved = [
            (down, right)
            for down in range(-4, 5)
            for right in range(-4, 5)
            if (np.roll(ink, (down, right), axis=(0, 1)) == image).all()
        ]
        assert 1 == len(moved)
        offsets.update(moved)

    assert set(range(-4, 5)) == {down for down, _ in offsets} == {right for _, right in offsets}
    assert {(True, True), (True, False), (False, True), (False, False)} <= {(a > 0, b > 0) for a, b in offsets}


def test_contrast_is_reduced_about_middle_grey() -> None:
    """15 to 40 % of the distance to middle grey are left, for foreground and background."""
    image = np.repeat(np.array([[0, 128, 255, 60]], np.uint8), 28, axis=0).repeat(7, axis=1)

    weakened = corrupted("contrast", image)

    black, middle, white, grey = (weakened[:, 0, column] for column in (0, 7, 14, 21))
    left = (white - 128) / 127
    assert 0.145 < left.min() < 0.18
    assert 0.37 < left.max() < 0.405
    assert {128.0} == set(middle.tolist())
    assert np.abs(128 - 128 * left - black).max() <= 1.1
    assert np.abs(128 - 68 * left - grey).max() <= 1.1
