"""Building blocks of the pictures of `benchmarks.kinds`: writers of digits, colours, light, a camera.

Coverage is float32 (height, width), the share of each pixel that ink covers, 0..1. Colours are float32
(height, width, 3), RGB, 0..255. Everything random comes from the generator that is passed in.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from training import mnist
from training.fitting import split
from training.glyphs import FORMS
from training.mnist import Digits

Values = npt.NDArray[np.float32]
Colour = tuple[float, float, float]

# The validation split of `training.recipes`: the model was not fitted on these digits.
_N_VALIDATION, _SPLIT_SEED = 5_000, 1

# Steepness of the edges of a magnified digit: an edge pixel of MNIST becomes an edge of a fifth of its width.
_STEEPNESS = 5
# Points per segment of a curve.
_STEPS = 16
# Fractional bits of the coordinates of OpenCV's drawing functions.
_SHIFT = 4
# Forms of `training.synthetic_digits` that are ambiguous: 1s like a Greek Lambda, a 2 like a Z, a 9 like a g.
_AMBIGUOUS_FORMS = (
    "2,58 56,0! 56,100",
    "0,62 34,38 58,0! 58,100",
    "10,6! 86,4! 10,98! 92,96",
    "74,6 30,8 14,34 46,50 84,24 84,70 50,100 18,94",
)
# Noise is tiled in squares of this side, which is faster.
_TILE = 700
_LUMA = np.array([0.299, 0.587, 0.114])


class Writer(Protocol):
    """Draws one digit at any height. `pen` is the stroke width as a share of the height."""

    @property
    def label(self) -> int:
        """The digit."""

    def write(self, height: int, pen: float) -> Values:
        """Return the coverage of the digit, cropped to it and `height` pixels high."""


@dataclass(frozen=True, eq=False)
class MnistWriter:
    """A digit of MNIST, uint8 (28, 28), magnified with sharp edges. Its stroke width is its own."""

    label: int
    image: npt.NDArray[np.uint8]

    def write(self, height: int, pen: float) -> Values:  # noqa: ARG002 - the stroke width is fixed
        """Return the coverage of the digit, cropped to it and about `height` pixels high."""
        rows, columns = (np.flatnonzero(self.image.any(axis=axis)) for axis in (1, 0))
        tight = np.pad(self.image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 2)
        scale = height / (tight.shape[0] - 4)
        size = (max(1, round(scale * tight.shape[1])), max(1, round(scale * tight.shape[0])))
        large = np.asarray(Image.fromarray(tight).resize(size, Image.Resampling.BICUBIC), np.float32) / np.float32(255)
        smooth = blurred(large, scale / 4)
        return crop(np.clip(_STEEPNESS * smooth - (_STEEPNESS - 1) / 2, 0, 1))


@dataclass(frozen=True, eq=False)
class PenWriter:
    """A synthetic digit: the paths of a pen, (n, 2) of x and y, in shares of its height, from the upper left.

    The stroke width varies by the share `pressure`, as a wave along the paths.
    """

    label: int
    strokes: Sequence[Values]
    pressure: float = 0

    def write(self, height: int, pen: float) -> Values:
        """Return the coverage of the digit, cropped to it and `height` pixels high."""
        finer = 4 if height <= 500 else 2
        width = max(1.0, finer * height * pen)
        paths = [path + width / 2 + finer for path in self.paths(finer * height - width)]
        right, bottom = np.max([path.max(axis=0) for path in paths], axis=0) + width / 2 + finer
        fine = np.zeros((finer * (int(bottom) // finer + 1), finer * (int(right) // finer + 1)), np.uint8)
        for path in paths:
            for number, (begin, end) in enumerate(pairwise(_subpixels(path))):
                wave = 1 - self.pressure * (0.5 + 0.5 * np.sin(number / _STEPS))
                cv2.line(fine, begin, end, 255, max(1, round(width * wave)), cv2.LINE_8, _SHIFT)
        size = (fine.shape[1] // finer, fine.shape[0] // finer)
        return crop(np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255))

    def paths(self, height: float) -> list[Values]:
        """Return the paths in pixels, for a digit of this height."""
        return [stroke * np.float32(height) for stroke in self.strokes]

    def hard(self, height: int, width: int) -> npt.NDArray[np.bool_]:
        """Return the mask of a pen of `width` pixels without anti-aliasing."""
        paths = [path + width + 1 for path in self.paths(height - width)]
        right, bottom = np.max([path.max(axis=0) for path in paths], axis=0) + width + 2
        inked = np.zeros((int(bottom), int(right)), np.uint8)
        for path in paths:
            cv2.polylines(inked, [np.round(path).astype(np.int32)], False, 255, width, cv2.LINE_8)  # noqa: FBT003
        return crop(np.asarray(inked, np.float32)) > 0


def _subpixels(path: Values) -> list[tuple[int, int]]:
    return [(round(x), round(y)) for x, y in (path * 2**_SHIFT).tolist()]


def validation_digits() -> Digits:
    """Return the validation digits, which are held out from training."""
    return split(mnist.load(mnist.find()).train, _N_VALIDATION, _SPLIT_SEED)[1]


def mnist_writer(digits: Digits, classes: Sequence[int], rng: np.random.Generator) -> MnistWriter:
    """Return a writer of a random MNIST digit of these classes."""
    row = int(rng.choice(np.flatnonzero(digits.labels == rng.choice(classes))))
    return MnistWriter(int(digits.labels[row]), digits.images[row])


def pen_writer(
    rng: np.random.Generator, classes: Sequence[int], forms: Mapping[int, Sequence[str]] = FORMS
) -> PenWriter:
    """Return a writer of a random form of these classes, distorted. `forms` are as in `training.synthetic_digits`."""
    label = int(rng.choice(classes))
    form = str(rng.choice([form for form in forms[label] if form not in _AMBIGUOUS_FORMS]))
    return PenWriter(label, shaped(curves(form, rng), rng), rng.uniform(0, 0.3))


def curves(form: str, rng: np.random.Generator, wobble: float = 0.018) -> list[Values]:
    """Return the strokes of a form of `training.synthetic_digits` with jitter on each point, in shares of its box."""
    strokes = []
    for stroke in form.split(";"):
        marks = stroke.split()
        points = np.array([mark.rstrip("!").split(",") for mark in marks], np.float32) / np.float32(100)
        points += rng.normal(0, wobble, points.shape).astype(np.float32)
        corners = [i for i, mark in enumerate(marks[1:-1], start=1) if mark.endswith("!")]
        pieces = [_curve(points[a : b + 1]) for a, b in pairwise([0, *corners, len(marks) - 1])]
        strokes.append(np.concatenate(pieces))
    return strokes


def shaped(
    strokes: Sequence[Values], rng: np.random.Generator, widths: tuple[float, float] = (0.5, 0.8)
) -> list[Values]:
    """Return strokes with a random aspect ratio, slant and rotation, scaled to height 1, from the upper left."""
    slant, angle = np.radians(rng.uniform(-6, 16)), np.radians(rng.uniform(-5, 5))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    change = np.diag([rng.uniform(*widths), 1]) @ np.array([[1, 0], [-np.tan(slant), 1]]) @ turn
    moved = [stroke @ change for stroke in strokes]
    low, high = (pick([pick(stroke, axis=0) for stroke in moved], axis=0) for pick in (np.min, np.max))
    return [np.asarray((stroke - low) / (high[1] - low[1]), np.float32) for stroke in moved]


def _curve(points: Values) -> Values:
    """Return a Catmull-Rom spline through points (n, 2)."""
    ends = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    before, begin, end, after = (np.vstack([ends[0], points, ends[1]])[i : len(points) - 1 + i] for i in range(4))
    t = np.linspace(0, 1, _STEPS, dtype=np.float32)[:, None, None]
    curve = (
        2 * begin
        + (end - before) * t
        + (2 * before - 5 * begin + 4 * end - after) * t**2
        + (3 * begin - before - 3 * end + after) * t**3
    ) / 2
    return np.asarray(curve.transpose(1, 0, 2).reshape(-1, 2), np.float32)


# --- Coverage


def crop(coverage: Values) -> Values:
    """Return coverage cropped to its ink."""
    rows, columns = (np.flatnonzero(coverage.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return coverage
    return np.asarray(coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)


def shrink_to_fit(coverage: Values, height: float, width: float) -> Values:
    """Return coverage, scaled down if it is higher or wider than this."""
    share = min(height / coverage.shape[0], width / coverage.shape[1])
    if share >= 1:
        return coverage
    size = (max(1, int(share * coverage.shape[1])), max(1, int(share * coverage.shape[0])))
    return np.asarray(cv2.resize(coverage, size, interpolation=cv2.INTER_AREA), np.float32)


def placed(coverage: Values, size: tuple[int, int], corner: tuple[float, float]) -> Values:
    """Return coverage of this size with a piece at a corner (top, left). The piece is clipped to the picture."""
    ground = np.zeros(size, np.float32)
    lows = [round(value) for value in corner]
    here = tuple(slice(max(0, low), max(0, low + part)) for low, part in zip(lows, coverage.shape, strict=True))
    seen = ground[here].shape
    there = tuple(slice(max(0, -low), max(0, -low) + part) for low, part in zip(lows, seen, strict=True))
    ground[here] = coverage[there]
    return ground


def random_corner(
    rng: np.random.Generator, size: tuple[int, int], piece: tuple[int, ...], margin: float = 0.04
) -> tuple[float, float]:
    """Return a random corner (top, left) of a piece, at least `margin`, a share of the side, away from the edges."""
    top, left = (
        rng.uniform(min(margin * side, (side - part) / 2), max(side - part - margin * side, (side - part) / 2))
        for side, part in zip(size, piece, strict=True)
    )
    return (top, left)


def turned(coverage: Values, degrees: float) -> Values:
    """Return coverage rotated counterclockwise, and cropped."""
    if not degrees:
        return coverage
    image = Image.fromarray(np.pad(coverage, 2))
    return crop(np.clip(np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True), np.float32), 0, 1))


def polygon(points: npt.ArrayLike, size: tuple[int, int]) -> Values:
    """Return the coverage (height, width) of a polygon with corners (n, 2) of x and y."""
    finer = 2
    corners = np.round(np.asarray(points) * finer * 2**_SHIFT).astype(np.int32)
    fine = np.zeros((finer * size[0], finer * size[1]), np.uint8)
    cv2.fillPoly(fine, [corners], 255, cv2.LINE_AA, _SHIFT)
    return np.asarray(cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def pen_width(coverage: Values) -> float:
    """Return an estimate of the stroke width in pixels."""
    inked = np.pad(coverage > 0.5, 1).astype(np.uint8)
    depths = np.asarray(cv2.distanceTransform(inked, cv2.DIST_L2, 5))
    return 2 * float(np.percentile(depths[depths > 0], 90)) if inked.any() else 1.0


def n_holes(coverage: Values) -> int:
    """Return the number of holes of the ink, without tiny ones."""
    ground = np.pad(coverage < 0.5, 1, constant_values=True).astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(ground, connectivity=4)
    areas = np.sort(np.asarray(statistics)[1:, cv2.CC_STAT_AREA])[:-1]
    return int((areas > 0.0015 * coverage.shape[0] ** 2).sum())


# --- Colours and light


def luma(colour: npt.ArrayLike) -> float:
    """Return the brightness of a colour, 0..255."""
    return float(_LUMA @ np.asarray(colour))


def similar_colour(colour: Sequence[float], rng: np.random.Generator, spread: float = 12) -> Colour:
    """Return a random colour similar to this one."""
    red, green, blue = np.clip(np.array(colour) + rng.uniform(-spread, spread, 3), 0, 255).tolist()
    return (red, green, blue)


def any_colour(rng: np.random.Generator, low: float = 0, high: float = 255) -> Colour:
    """Return a random colour with a brightness between these, half of the time a grey."""
    if rng.random() < 0.5:
        grey = rng.uniform(low, high)
        return similar_colour((grey, grey, grey), rng, 3)
    while True:
        colour = similar_colour((128, 128, 128), rng, 128)
        if low <= luma(colour) <= high:
            return colour


def contrasting_colour(rng: np.random.Generator, distance: float, *others: Colour) -> Colour:
    """Return a random colour whose brightness differs from these by `distance`, or by as much as possible."""
    for needed in np.linspace(distance, 0, 200):
        colour = any_colour(rng)
        if all(abs(luma(colour) - luma(other)) >= needed for other in others):
            return colour
    return (0, 0, 0)


def plain(size: tuple[int, int], colour: Sequence[float]) -> Values:
    """Return a picture of one colour."""
    return np.full((*size, 3), np.array(colour, np.float32))


def mix(ground: Values, colour: npt.ArrayLike, coverage: Values) -> None:
    """Alpha-blend a colour, or colours, onto the ground in place; the coverage is the alpha."""
    ground += (np.asarray(colour, np.float32) - ground) * coverage[:, :, None]


def blurred(values: Values, sigma: float) -> Values:
    """Return values after a Gaussian blur with replicated borders."""
    if sigma < 0.2:
        return values
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def cloud(size: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Values:
    """Return value noise: Gaussian noise of standard deviation 1 on a grid of cells, interpolated to the size."""
    rows, columns = (max(2, min(cell, side)) for cell, side in zip(cells, size, strict=True))
    coarse = rng.standard_normal((rows, columns), np.float32)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def light(size: tuple[int, int], rng: np.random.Generator, darkest: float) -> Values:
    """Return uneven illumination, from 1 down to `darkest`: a linear gradient with some value noise."""
    rows, columns = np.mgrid[-1:1:9j, -1:1:9j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    coarse = np.cos(angle) * columns + np.sin(angle) * rows + rng.uniform(0, 0.6) * cloud((9, 9), (3, 3), rng)
    coarse = 1 - (1 - darkest) * (coarse - coarse.min()) / np.ptp(coarse)
    return np.asarray(cv2.resize(coarse.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def half_plane(size: tuple[int, int], angle: float, share: float, softness: float) -> Values:
    """Return the coverage of the half plane beyond this share of the picture in a direction, in radians."""
    rows, columns = np.ogrid[0 : size[0], 0 : size[1]]
    along = np.cos(angle) * columns + np.sin(angle) * rows
    low, high = along.min(), along.max()
    return np.asarray(np.clip((along - low - share * (high - low)) / max(softness, 1) + 0.5, 0, 1), np.float32)


def table(size: tuple[int, int], colour: Sequence[float], rng: np.random.Generator) -> Values:
    """Return a tabletop of a colour: smooth, with wood grain, or speckled."""
    ground = plain(size, colour)
    look = rng.choice(["smooth", "wood", "speckled"])
    if look == "wood":
        fine, along = int(rng.integers(25, 120)), int(rng.integers(2, 6))
        cells = (fine, along) if rng.random() < 0.5 else (along, fine)
        ground += rng.uniform(3, 9) * cloud(size, cells, rng)[:, :, None]
    elif look == "speckled":
        ground += rng.uniform(2, 6) * cloud(size, (size[0] // 3, size[1] // 3), rng)[:, :, None]
    return ground


# --- Files


def encode(values: npt.NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of a picture file of greys or colours, 0..255."""
    buffer = io.BytesIO()
    pixels = values if values.dtype == np.uint8 else np.clip(values + 0.5, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> Values:
    """Return camera noise of standard deviation 1, spatially correlated in half of the pictures."""
    rows, columns, *channels = shape
    tile = rng.standard_normal((min(rows, _TILE), min(columns, _TILE), *channels), np.float32)
    if rng.random() < 0.5:
        tile = blurred(tile, rng.uniform(0.3, 0.7))
        tile /= tile.std()
    repeats = (-(-rows // tile.shape[0]), -(-columns // tile.shape[1]), *(1 for _ in channels))
    return np.tile(tile, repeats)[:rows, :columns]


def photo(
    ground: Values, rng: np.random.Generator, *, noise: float = 5, darkest: float = 0.6, blur: float = 1.2
) -> bytes:
    """Return a JPEG photo of greys or colours: with uneven light, and with noise and blur up to these limits."""
    shone = light((ground.shape[0], ground.shape[1]), rng, rng.uniform(darkest, 1))
    seen = ground * (shone if ground.ndim == 2 else shone[:, :, None])
    seen = blurred(seen, rng.uniform(0, blur))
    seen += rng.uniform(0.5, noise) * grain(seen.shape, rng)
    return encode(seen, "JPEG", quality=int(rng.integers(65, 96)))


def drawing_or_photo(ground: Values, rng: np.random.Generator) -> bytes:
    """Return colours as a PNG or JPEG drawing, or as a photo."""
    choice = rng.random()
    if choice < 0.4:
        return encode(ground, compress_level=3)
    if choice < 0.55:
        return encode(ground, "JPEG", quality=int(rng.integers(60, 96)))
    return photo(ground, rng)
