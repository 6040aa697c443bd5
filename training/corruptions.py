"""Corruptions of digits, for the evaluation of robustness. They are not used for training.

Enters and leaves: one image uint8 (28, 28), 0 = background to 255 = foreground. The kinds follow MNIST-C (Mu and Gilmer
2019, arXiv 1906.02337). Strengths are random, up to what a person can still read. Out of scope: data augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from service.types import IMAGE_SIDE

Image = npt.NDArray[np.uint8]


def _grey(values: npt.NDArray[np.floating]) -> Image:
    levels: Image = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return levels


def noise(image: Image, rng: np.random.Generator) -> Image:
    """Add Gaussian noise with a standard deviation of 40 grey levels."""
    return _grey(image + rng.normal(0, 40, image.shape))


def blur(image: Image, rng: np.random.Generator) -> Image:
    """Blur with a Gaussian of 0.7 to 1.3 pixels."""
    return _grey(ndimage.gaussian_filter(image.astype(np.float64), rng.uniform(0.7, 1.3)))


def brightness(image: Image, rng: np.random.Generator) -> Image:
    """Brighten by 80 to 140 grey levels, clipped at white."""
    return _grey(image + rng.uniform(80, 140))


def stripes(image: Image, rng: np.random.Generator) -> Image:
    """Add two horizontal stripes of half the foreground's grey, one pixel wide."""
    corrupted = image.copy()
    rows = rng.choice(np.arange(5, 23), 2, replace=False)
    corrupted[rows] = np.maximum(corrupted[rows], 128)
    return corrupted


def fog(image: Image, rng: np.random.Generator) -> Image:
    """Blend with white, by smoothed noise as opacity, from 0 to a half."""
    cloud = ndimage.gaussian_filter(rng.standard_normal(image.shape), 4, mode="wrap")
    cloud = 127 * (cloud - cloud.min()) / np.ptp(cloud)
    return _grey(cloud + image * (1 - cloud / 255))


def rotation(image: Image, rng: np.random.Generator) -> Image:
    """Rotate by 15 to 30 degrees, in either direction."""
    angle = rng.choice([-1, 1]) * rng.uniform(15, 30)
    return _grey(ndimage.rotate(image.astype(np.float64), angle, reshape=False, order=1))


def scale(image: Image, rng: np.random.Generator) -> Image:
    """Scale by 0.5 to 0.8, about the centre."""
    return _resampled(image, 1 / rng.uniform(0.5, 0.8), (0, 0))


def shift(image: Image, rng: np.random.Generator) -> Image:
    """Shift by up to 4 whole pixels in each direction."""
    return _resampled(image, 1, rng.integers(-4, 5, 2))


def contrast(image: Image, rng: np.random.Generator) -> Image:
    """Reduce the contrast to 15 to 40 %, about middle grey."""
    return _grey(128 + rng.uniform(0.15, 0.4) * (image - 128.0))


def _resampled(image: Image, step: float, offset: npt.ArrayLike) -> Image:
    centre = (IMAGE_SIDE - 1) / 2
    origin = centre - step * centre - np.asarray(offset)
    return _grey(ndimage.affine_transform(image.astype(np.float64), np.full(2, step), origin, order=1))


CORRUPTIONS: Mapping[str, Callable[[Image, np.random.Generator], Image]] = MappingProxyType(
    {
        function.__name__: function
        for function in (noise, blur, brightness, stripes, fog, rotation, scale, shift, contrast)
    }
)
