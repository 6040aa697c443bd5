"""Distortions of training digits, so that a network without convolutions learns what may vary.

Enters: images uint8 (n, 28, 28). Leaves: inputs float32 (n, 784), 0..1, each changed a little differently: the ink
(width of strokes, breaks), then the place of every point (affine and elastic distortions as in Simard, Steinkraus and
Platt 2003, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis"), then the grey
levels (pressure, noise).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from service.types import IMAGE_SIDE, PIXELS, FloatArray

_CENTRE = (IMAGE_SIDE - 1) / 2
# Enough digits at once to keep numpy busy, few enough that the intermediate arrays stay in the processor's cache.
_CHUNK = 250
# The knots of the elastic field lie this far beyond the frame, as a share of their distance.
_MARGIN = 1.0


@dataclass(frozen=True)
class Augmentation:
    """How far digits are changed; every quantity is drawn anew for every digit.

    Angles in degrees and shifts in pixels are drawn evenly from -x..x, sizes from 1-x..1+x. The elastic
    field has this root mean square displacement in pixels and is smooth over this many pixels. `thickness` is the
    largest share by which strokes grow to, or shrink from, one pixel more on every side. Of all digits this share is
    broken by a gap, and this share gets noise with a standard deviation of up to `noise`.
    """

    rotation: float = 0.0
    shear: float = 0.0
    scaling: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    smoothness: float = 4.0
    thickness: float = 0.0
    gamma: float = 0.0
    broken: float = 0.0
    noisy: float = 0.0
    noise: float = 0.0

    def weakened(self, strength: float) -> Augmentation:
        """Return the same distortions at a part of their strength, 0 to 1."""
        kept = {"smoothness", "noise"}
        values = {f.name: getattr(self, f.name) * (1 if f.name in kept else strength) for f in fields(self)}
        return Augmentation(**values)


def distort(images: npt.NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> FloatArray:
    """Return every image changed once: float32 (n, 784), 0..1."""
    distorted = np.empty((len(images), PIXELS), np.float32)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        ink = chunk.astype(np.float32)
        ink *= np.float32(1 / 255)
        if how.thickness:
            ink = _thickened(ink, rng.uniform(-how.thickness, how.thickness, len(chunk)))
        if how.broken:
            _break(ink, how.broken, rng)
        bent = _sample(ink, *_source_coordinates(len(chunk), how, rng))
        if how.gamma:
            _fade(bent, how.gamma, rng)
        if how.noisy:
            _disturb(bent, how.noisy, how.noise, rng)
        distorted[start : start + _CHUNK] = bent.reshape(-1, PIXELS)
    return distorted


def _thickened(ink: FloatArray, shares: npt.NDArray[np.float64]) -> FloatArray:
    """Return ink with wider strokes (shares above 0) or narrower ones (below 0), at 1 and -1 by a pixel a side."""
    thick = shares > 0
    other = np.empty_like(ink)
    # Narrower strokes are a wider background.
    for chosen, sign in ((thick, 1), (~thick, -1)):
        padded = np.pad(sign * ink[chosen], ((0, 0), (1, 1), (1, 1)), constant_values=min(0, sign))
        across = np.maximum(padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])
        down = np.maximum(padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
        other[chosen] = sign * np.maximum(np.maximum(across, down), padded[:, 1:-1, 1:-1])
    other -= ink
    other *= np.abs(shares).astype(np.float32)[:, None, None]
    other += ink
    return other


def _break(ink: FloatArray, share: float, rng: np.random.Generator) -> None:
    """Wipe a bar across the middle part of some digits, 1 to 2 pixels wide and a few long, as a pen that skips."""
    chosen = np.flatnonzero(rng.random(len(ink)) < share)
    row, column = rng.uniform(5, 22, (2, len(chosen), 1, 1))
    angle = rng.uniform(0, np.pi, (len(chosen), 1, 1))
    half_width, half_length = rng.uniform(0.5, 1.1, (len(chosen), 1, 1)), rng.uniform(1.5, 4, (len(chosen), 1, 1))
    y, x = np.arange(IMAGE_SIDE)[:, None] - row, np.arange(IMAGE_SIDE) - column
    across, along = np.abs(np.cos(angle) * y - np.sin(angle) * x), np.abs(np.sin(angle) * y + np.cos(angle) * x)
    left = np.clip(np.maximum(across - half_width, along - half_length) + 0.5, 0, 1)
    ink[chosen] *= left.astype(np.float32)


def _source_coordinates(n: int, how: Augmentation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return, for every pixel of n distorted images, the row and the column it comes from, each (n, 28, 28)."""
    angle = np.radians(rng.uniform(-how.rotation, how.rotation, n))
    slant = np.tan(np.radians(rng.uniform(-how.shear, how.shear, n)))
    height, width = 1 / rng.uniform(1 - how.scaling, 1 + how.scaling, (2, n))
    cos, sin = np.cos(angle), np.sin(angle)
    # Rotation times shear along the row times sizes, as the map from target to source about the centre.
    to_source = np.array([[height * cos, width * -sin], [height * (sin + slant * cos), width * (cos - slant * sin)]])
    axis = np.arange(IMAGE_SIDE, dtype=np.float32) - np.float32(_CENTRE)
    # Row and column of the source are sums of what the target's row and its column contribute.
    down, across = to_source.astype(np.float32)[..., None] * axis
    shift = rng.uniform(-how.shift, how.shift, (2, n, 1)).astype(np.float32) + np.float32(_CENTRE)
    rows = (down[0] + shift[0])[:, :, None] + down[1][:, None, :]
    columns = (across[0] + shift[1])[:, :, None] + across[1][:, None, :]
    if how.elastic:
        basis = _elastic_basis(how.smoothness)
        knots = rng.standard_normal((2, n, basis.shape[1], basis.shape[1]), dtype=np.float32)
        knots *= np.float32(how.elastic)
        rows += basis @ knots[0] @ basis.T
        columns += basis @ knots[1] @ basis.T
    return rows, columns


def _elastic_basis(smoothness: float) -> FloatArray:
    """Return what each of k knots contributes along a side, (28, k): Gaussians, of squares that sum to 1 everywhere.

    Between knots no further apart than its width, a sum of Gaussians is white noise filtered by one.
    """
    spacing = smoothness
    n_knots = int(np.ceil((IMAGE_SIDE - 1) / spacing + 2 * _MARGIN)) + 1
    knots = (np.arange(n_knots) - (n_knots - 1) / 2) * spacing
    basis = np.exp(-(((np.arange(IMAGE_SIDE) - _CENTRE)[:, None] - knots) ** 2) / (2 * smoothness**2))
    basis /= np.sqrt(np.sum(basis**2, axis=1, keepdims=True))
    contributions: FloatArray = basis.astype(np.float32)
    return contributions


def _sample(ink: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Read images between their pixels, bilinearly; outside them is background."""
    n = len(ink)
    side = IMAGE_SIDE + 2
    padded = np.zeros((n, side, side), np.float32)
    padded[:, 1:-1, 1:-1] = ink
    # Beyond the frame everything is read on the empty margin.
    rows = np.clip(rows + 1, 0, IMAGE_SIDE + 1 - 1e-3)
    columns = np.clip(columns + 1, 0, IMAGE_SIDE + 1 - 1e-3)
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    rows -= top
    columns -= left
    top *= side
    top += left
    top += np.arange(0, n * side * side, side * side, dtype=np.int32)[:, None, None]
    corner = top.astype(np.intp)
    flat = padded.ravel()
    upper, lower = flat.take(corner), flat.take(corner + side)
    corner += 1
    upper += columns * (flat.take(corner) - upper)
    corner += side
    lower += columns * (flat.take(corner) - lower)
    lower -= upper
    lower *= rows
    lower += upper
    return lower


def _fade(ink: FloatArray, gamma: float, rng: np.random.Generator) -> None:
    """Make half-covered pixels lighter or darker, as ink that fades or bleeds at the edge of its strokes."""
    exponents = (1 + gamma) ** rng.uniform(-1, 1, (len(ink), 1, 1))
    np.power(ink, exponents.astype(np.float32), out=ink)


def _disturb(ink: FloatArray, share: float, noise: float, rng: np.random.Generator) -> None:
    """Add noise of varied strength to some images, and keep them within 0..1."""
    chosen = np.flatnonzero(rng.random(len(ink)) < share)
    strength = rng.uniform(0, noise, (len(chosen), 1, 1)).astype(np.float32)
    ink[chosen] += strength * rng.standard_normal((len(chosen), IMAGE_SIDE, IMAGE_SIDE), dtype=np.float32)
    np.clip(ink, 0, 1, out=ink)
