"""Distortions of training digits, so that a network without convolutions learns what may vary.

Enters: images uint8 (n, 28, 28). Leaves: inputs float32 (n, 784), 0..1, each bent a little differently. Affine and
elastic distortions as in Simard, Steinkraus and Platt 2003, "Best Practices for Convolutional Neural Networks Applied
to Visual Document Analysis".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from service.network import IMAGE_SIDE, PIXELS, FloatArray

_CENTRE = (IMAGE_SIDE - 1) / 2
# Enough digits at once to keep numpy busy, few enough that the intermediate arrays stay in the processor's cache.
_CHUNK = 500


@dataclass(frozen=True)
class Augmentation:
    """How far digits are bent; every quantity is drawn anew for every digit.

    Angles in degrees and shifts in pixels are drawn evenly from -x..x, sizes from 1-x..1+x. The elastic field has this
    root mean square displacement in pixels and is smooth over this many pixels.
    """

    rotation: float = 0.0
    shear: float = 0.0
    scaling: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    smoothness: float = 4.0


def distort(images: npt.NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> FloatArray:
    """Return every image bent once: float32 (n, 784), 0..1."""
    parts = [_distort(images[start : start + _CHUNK], how, rng) for start in range(0, len(images), _CHUNK)]
    return np.concatenate(parts)


def _distort(images: npt.NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> FloatArray:
    rows, columns = _source_coordinates(len(images), how, rng)
    return _sample(images, rows, columns).reshape(-1, PIXELS)


def _source_coordinates(n: int, how: Augmentation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return, for every pixel of n distorted images, the row and the column it comes from, each (n, 28, 28)."""
    angle = np.radians(rng.uniform(-how.rotation, how.rotation, n))
    slant = np.tan(np.radians(rng.uniform(-how.shear, how.shear, n)))
    height, width = 1 / rng.uniform(1 - how.scaling, 1 + how.scaling, (2, n))
    cos, sin = np.cos(angle), np.sin(angle)
    # Rotation times shear along the row times sizes, as the map from target to source about the centre.
    to_source = np.array([[height * cos, width * -sin], [height * (sin + slant * cos), width * (cos - slant * sin)]])
    axis = np.arange(IMAGE_SIDE) - _CENTRE
    y, x = np.meshgrid(axis, axis, indexing="ij")
    grid = np.einsum("abn,bij->anij", to_source.astype(np.float32), np.stack([y, x]).astype(np.float32))
    grid += _CENTRE + rng.uniform(-how.shift, how.shift, (2, n, 1, 1)).astype(np.float32)
    if how.elastic:
        field = gaussian_filter(
            rng.standard_normal((2, n, IMAGE_SIDE, IMAGE_SIDE), dtype=np.float32),
            how.smoothness,
            axes=(2, 3),
            mode="constant",
            truncate=2.5,
        )
        field *= how.elastic / np.sqrt(np.mean(field**2))
        grid += field
    return grid[0], grid[1]


def _sample(images: npt.NDArray[np.uint8], rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Read images between their pixels, bilinearly; outside them is background."""
    n = len(images)
    padded = np.zeros((n, IMAGE_SIDE + 2, IMAGE_SIDE + 2), np.float32)
    padded[:, 1:-1, 1:-1] = images / np.float32(255)
    # Beyond the frame everything is read on the empty margin.
    rows = np.clip(rows + 1, 0, IMAGE_SIDE + 1 - 1e-3)
    columns = np.clip(columns + 1, 0, IMAGE_SIDE + 1 - 1e-3)
    top, left = np.floor(rows), np.floor(columns)
    down, right = rows - top, columns - left
    side = IMAGE_SIDE + 2
    flat = padded.ravel()
    corner = (np.arange(n)[:, None, None] * side + top.astype(np.intp)) * side + left.astype(np.intp)
    upper: FloatArray = flat[corner] * (1 - right) + flat[corner + 1] * right
    lower: FloatArray = flat[corner + side] * (1 - right) + flat[corner + side + 1] * right
    blended: FloatArray = upper * (1 - down) + lower * down
    return blended
