"""Data augmentation: random distortions of training digits.

Enters: images uint8 (n, 28, 28). Leaves: inputs float32 (n, 784), 0..1, each with its own random distortion, in this
order: stroke width and gaps; affine and elastic distortion (Simard, Steinkraus and Platt 2003, "Best Practices for
Convolutional Neural Networks Applied to Visual Document Analysis"); gamma and noise. Out of scope: corruptions for the
evaluation (`training.corruptions`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from service.types import IMAGE_SIDE, PIXELS, FloatArray

_CENTRE = (IMAGE_SIDE - 1) / 2
# Large enough to amortise the overhead of numpy calls, small enough for the processor's cache.
_CHUNK = 250
# Half the side of the box into which MNIST's digits are fitted, in pixels.
_HALF_DIGIT = 10
# The knots of the elastic field extend this far beyond the image, in units of their spacing.
_MARGIN = 1.0


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the distortions. Each random quantity is sampled for every digit.

    - `rotation`, `shear`: largest angles in degrees; angles are uniform in -x..x.
    - `scaling`: factors for height and width are uniform in 1-x..1+x.
    - `shift`: shifts in pixels are uniform in -x..x.
    - `elastic`, `smoothness`: root mean square displacement of the elastic field, and the standard deviation of the
      Gaussian that smooths it, in pixels.
    - `bend`: largest shift of the middle of the image along each axis, in pixels; the ends stay. Shifts are uniform in
      -x..x. A bowl, loop or flag grows or shrinks beside its stem.
    - `squared`: share of digits with a part in which curves turn into corners, 0..1.
    - `thickness`: largest weight, 0..1, of the image dilated or eroded by one pixel. Weights are uniform in -x..x.
    - `gamma`: exponents of the grey levels are log-uniform in 1/(1+x)..1+x.
    - `broken`: share of digits with a gap, 0..1.
    - `noisy`, `noise`: share of digits with Gaussian noise, 0..1, and its largest standard deviation (1 = foreground).
    """

    rotation: float = 0.0
    shear: float = 0.0
    scaling: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    smoothness: float = 4.0
    bend: float = 0.0
    squared: float = 0.0
    thickness: float = 0.0
    gamma: float = 0.0
    broken: float = 0.0
    noisy: float = 0.0
    noise: float = 0.0

    def scaled(self, strength: float) -> Augmentation:
        """Return these distortions multiplied by a strength, 0..1. `smoothness` and `noise` stay."""
        kept = {"smoothness", "noise"}
        values = {f.name: getattr(self, f.name) * (1 if f.name in kept else strength) for f in fields(self)}
        return Augmentation(**values)


def augment(images: npt.NDArray[np.uint8], how: Augmentation, rng: np.random.Generator) -> FloatArray:
    """Return images uint8 (n, 28, 28), each distorted once, as inputs float32 (n, 784), 0..1."""
    augmented = np.empty((len(images), PIXELS), np.float32)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        ink = chunk.astype(np.float32)
        ink *= np.float32(1 / 255)
        if how.thickness:
            ink = _blend_with_dilation(ink, rng.uniform(-how.thickness, how.thickness, len(chunk)))
        if how.broken:
            _add_gaps(ink, how.broken, rng)
        warped = _sample(ink, *_source_coordinates(len(chunk), how, rng))
        if how.gamma:
            _apply_gamma(warped, how.gamma, rng)
        if how.noisy:
            _add_noise(warped, how.noisy, how.noise, rng)
        augmented[start : start + _CHUNK] = warped.reshape(-1, PIXELS)
    return augmented


def _blend_with_dilation(ink: FloatArray, weights: npt.NDArray[np.float64]) -> FloatArray:
    """Return each image blended with its dilation (weight above 0) or erosion (below 0) by a cross of 3x3 pixels."""
    dilated = weights > 0
    blended = np.empty_like(ink)
    # Erosion of the foreground is dilation of the background.
    for chosen, sign in ((dilated, 1), (~dilated, -1)):
        padded = np.pad(sign * ink[chosen], ((0, 0), (1, 1), (1, 1)), constant_values=min(0, sign))
        across = np.maximum(padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])
        down = np.maximum(padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
        blended[chosen] = sign * np.maximum(np.maximum(across, down), padded[:, 1:-1, 1:-1])
    blended -= ink
    blended *= np.abs(weights).astype(np.float32)[:, None, None]
    blended += ink
    return blended


def _add_gaps(ink: FloatArray, share: float, rng: np.random.Generator) -> None:
    """Erase a bar in the middle part of a share of the images, in place, like the gap of a pen that skips.

    The bar is 1 to 2.2 pixels wide and 3 to 8 pixels long.
    """
    chosen = np.flatnonzero(rng.random(len(ink)) < share)
    row, column = rng.uniform(5, 22, (2, len(chosen), 1, 1))
    angle = rng.uniform(0, np.pi, (len(chosen), 1, 1))
    half_width, half_length = rng.uniform(0.5, 1.1, (len(chosen), 1, 1)), rng.uniform(1.5, 4, (len(chosen), 1, 1))
    y, x = np.arange(IMAGE_SIDE)[:, None] - row, np.arange(IMAGE_SIDE) - column
    across, along = np.abs(np.cos(angle) * y - np.sin(angle) * x), np.abs(np.sin(angle) * y + np.cos(angle) * x)
    remaining = np.clip(np.maximum(across - half_width, along - half_length) + 0.5, 0, 1)
    ink[chosen] *= remaining.astype(np.float32)


def _source_coordinates(n: int, how: Augmentation, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return the row and the column in the source image for every pixel of n warped images, each (n, 28, 28)."""
    angle = np.radians(rng.uniform(-how.rotation, how.rotation, n))
    slant = np.tan(np.radians(rng.uniform(-how.shear, how.shear, n)))
    height, width = 1 / rng.uniform(1 - how.scaling, 1 + how.scaling, (2, n))
    cos, sin = np.cos(angle), np.sin(angle)
    # Rotation times shear times scaling, as a map from target to source coordinates about the centre.
    to_source = np.array([[height * cos, width * -sin], [height * (sin + slant * cos), width * (cos - slant * sin)]])
    axis = np.arange(IMAGE_SIDE, dtype=np.float32) - np.float32(_CENTRE)
    # The map is linear: source coordinates are sums of a term of the target row and a term of the target column.
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
    if how.bend:
        # A parabola that is 1 in the middle and 0 at the ends of the digit.
        parabola = np.clip(1 - (axis / _HALF_DIGIT) ** 2, 0, None)
        height, width = rng.uniform(-how.bend, how.bend, (2, n, 1)).astype(np.float32)
        rows += (height * parabola)[:, :, None]
        columns += (width * parabola)[:, None, :]
    if how.squared:
        _square(rows, columns, how.squared, rng)
    return rows, columns


def _square(rows: FloatArray, columns: FloatArray, share: float, rng: np.random.Generator) -> None:
    """Change the source coordinates of a share of the images, in place, so that a circle becomes a rounded square.

    The circle is anywhere in the digit, with a random radius. The map, applied to a random degree, is that of Nowell
    2005, "Mapping a Square to a Circle".
    """
    chosen = np.flatnonzero(rng.random(len(rows)) < share)
    centre = _CENTRE + rng.uniform(-6, 6, (2, len(chosen), 1, 1)).astype(np.float32)
    radius = rng.uniform(5, 10, (len(chosen), 1, 1)).astype(np.float32)
    degree = rng.uniform(0, 1, (len(chosen), 1, 1)).astype(np.float32)
    down, across = (rows[chosen] - centre[0]) / radius, (columns[chosen] - centre[1]) / radius
    for axis, own, other in ((rows, down, across), (columns, across, down)):
        axis[chosen] += radius * np.clip(own, -1, 1) * (np.sqrt(1 - degree * np.minimum(other**2, 1) / 2) - 1)


def _elastic_basis(smoothness: float) -> FloatArray:
    """Return the weights of k knots at each position along a side, (28, k): Gaussians whose squares sum to 1.

    White noise at knots no further apart than the Gaussian's width, interpolated by Gaussians, is distributed as white
    noise that is filtered by a Gaussian.
    """
    spacing = smoothness
    n_knots = int(np.ceil((IMAGE_SIDE - 1) / spacing + 2 * _MARGIN)) + 1
    knots = (np.arange(n_knots) - (n_knots - 1) / 2) * spacing
    basis = np.exp(-(((np.arange(IMAGE_SIDE) - _CENTRE)[:, None] - knots) ** 2) / (2 * smoothness**2))
    basis /= np.sqrt(np.sum(basis**2, axis=1, keepdims=True))
    weights: FloatArray = basis.astype(np.float32)
    return weights


def _sample(ink: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Return images at these coordinates, by bilinear interpolation. Outside of an image is background."""
    n = len(ink)
    side = IMAGE_SIDE + 2
    padded = np.zeros((n, side, side), np.float32)
    padded[:, 1:-1, 1:-1] = ink
    # Coordinates outside of the image are clipped to the empty margin.
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


def _apply_gamma(ink: FloatArray, gamma: float, rng: np.random.Generator) -> None:
    """Apply a random gamma to each image, in place, like ink that fades or bleeds at the edges of strokes."""
    exponents = (1 + gamma) ** rng.uniform(-1, 1, (len(ink), 1, 1))
    np.power(ink, exponents.astype(np.float32), out=ink)


def _add_noise(ink: FloatArray, share: float, noise: float, rng: np.random.Generator) -> None:
    """Add Gaussian noise to a share of the images, in place, and clip all to 0..1.

    The standard deviation is uniform in 0..noise for each image.
    """
    chosen = np.flatnonzero(rng.random(len(ink)) < share)
    strength = rng.uniform(0, noise, (len(chosen), 1, 1)).astype(np.float32)
    ink[chosen] += strength * rng.standard_normal((len(chosen), IMAGE_SIDE, IMAGE_SIDE), dtype=np.float32)
    np.clip(ink, 0, 1, out=ink)
