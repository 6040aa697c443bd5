"""Digits as the service sees them in pictures: still in MNIST form, with the strokes of `service.images`."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from service.classifier import Classifier
from service.images.mnist_frame import CENTRE, centre_of_mass
from service.images.strokes import stroke_width
from training.enlarging import renormalize
from training.mnist import Digits
from training.synthetic_digits import Handwriting, synthesize


@pytest.fixture(scope="module")
def plain() -> Digits:
    """Return synthetic digits that were drawn in MNIST form, without a canvas."""
    return synthesize(300, np.random.default_rng(0), Handwriting())


@pytest.fixture(scope="module")
def renormalized(plain: Digits) -> npt.NDArray[np.uint8]:
    """Return them as the service sees them in pictures."""
    return renormalize(plain.images, np.random.default_rng(1))


def test_images_keep_mnist_form(renormalized: npt.NDArray[np.uint8]) -> None:
    """The box of the ink has 20 pixels, up to faint edges, and its centre of mass is at the centre."""
    assert ((300, 28, 28), np.dtype(np.uint8)) == (renormalized.shape, renormalized.dtype)
    for image in renormalized:
        sides = [np.ptp((image > 64).any(axis=axis).nonzero()[0]) + 1 for axis in (0, 1)]
        assert 18 <= max(sides) <= 21
        np.testing.assert_allclose(CENTRE, centre_of_mass(image), atol=1)


def test_strokes_change_both_ways(plain: Digits, renormalized: npt.NDArray[np.uint8]) -> None:
    """Some strokes become wider and some thinner, within the service's range of widths."""
    before, after = (
        [stroke_width(cv2.resize(i, None, fx=4, fy=4)) / 4 for i in some] for some in (plain.images, renormalized)
    )
    change = np.array(after) - np.array(before)

    assert (change > 0.3).mean() > 0.1
    assert (change < -0.3).mean() > 0.1
    assert np.quantile(after, 0.95) < 4.2


def test_digits_are_still_read(classifier: Classifier, plain: Digits, renormalized: npt.NDArray[np.uint8]) -> None:
    """The digits stay what they were: the bundled model reads nearly all of them as it should."""
    read = np.array([prediction.digit for prediction in classifier.predict_pixels(renormalized)])

    assert np.mean(read == plain.labels) > 0.9


def test_seed_determines_the_images(plain: Digits) -> None:
    """The same seed gives the same images, another one others. The images that were given stay as they are."""
    images = plain.images[:20].copy()
    first, again, other = (renormalize(images, np.random.default_rng(seed)) for seed in (2, 2, 3))

    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(plain.images[:20], images)


def test_what_erosion_would_remove_stays() -> None:
    """An image without strong ink is returned as it is."""
    faint = np.zeros((5, 28, 28), np.uint8)
    faint[:, 10:18, 13] = 90

    np.testing.assert_array_equal(faint, renormalize(faint, np.random.default_rng(0)))
