"""What the pictures of `benchmarks.kinds` are made of: hands that write, colours, light, a camera.

Coverage is float32 (height, width), the share of each pixel that ink covers, 0..1; colours are float32
(height, width, 3), RGB, 0..255. All that differs from picture to picture is drawn from the generator that is handed in.
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
from training.mnist import Digits
from training.pen import FORMS

Values = npt.NDArray[np.float32]
Colour = tuple[float, float, float]

# As in the recipes of `training.recipes`: these digits were not learned from.
_N_VALIDATION, _SPLIT_SEED = 5_000, 1

# How steep the edge of a magnified digit is: the half-covered pixels of MNIST become an edge of a fifth of their width.
_STEEPNESS = 5
# Points of a curve between two of those that it goes through.
_STEPS = 16
# Bits of a pixel's fractions in OpenCV's drawing.
_SHIFT = 4
# Forms of `training.pen` that some readers take for something else: 1s like a Greek Lambda, a 2 like a Z, a 9 like a g.
_DOUBTFUL = (
    "2,58 56,0! 56,100",
    "0,62 34,38 58,0! 58,100",
    "10,6! 86,4! 10,98! 92,96",
    "74,6 30,8 14,34 46,50 84,24 84,70 50,100 18,94",
)
# Noise is repeated beyond so many pixels, which is quicker.
_TILE = 700
_LUMA = np.array([0.299, 0.587, 0.114])


class Hand(Protocol):
    """Who writes one digit at any height; the pen's width is a share of the height."""

    @property
    def label(self) -> int:
        """The digit."""

    def write(self, height: int, pen: float) -> Values:
        """Return coverage, cut out tightly and so many pixels high."""


@dataclass(frozen=True, eq=False)
class Dry:
    """A digit of MNIST, uint8 (28, 28), magnified smoothly with sharp edges; its pen is the one that it had."""

    label: int
    image: npt.NDArray[np.uint8]

    def write(self, height: int, pen: float) -> Values:  # noqa: ARG002 - ink that is dry
        """Return coverage, cut out tightly and about so many pixels high."""
        rows, columns = (np.flatnonzero(self.image.any(axis=axis)) for axis in (1, 0))
        tight = np.pad(self.image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 2)
        scale = height / (tight.shape[0] - 4)
        size = (max(1, round(scale * tight.shape[1])), max(1, round(scale * tight.shape[0])))
        large = np.asarray(Image.fromarray(tight).resize(size, Image.Resampling.BICUBIC), np.float32) / np.float32(255)
        smooth = blurred(large, scale / 4)
        return cut(np.clip(_STEEPNESS * smooth - (_STEEPNESS - 1) / 2, 0, 1))


@dataclass(frozen=True, eq=False)
class Fresh:
    """A digit as the way of a pen's tip: strokes (n, 2) of x and y, in shares of its height, from the upper left.

    The pen's width varies by the share `pressure` in a wave along the strokes.
    """

    label: int
    strokes: Sequence[Values]
    pressure: float = 0

    def write(self, height: int, pen: float) -> Values:
        """Return coverage, cut out tightly and so many pixels high."""
        finer = 4 if height <= 500 else 2
        width = max(1.0, finer * height * pen)
        ways = [way + width / 2 + finer for way in self.ways(finer * height - width)]
        right, bottom = np.max([way.max(axis=0) for way in ways], axis=0) + width / 2 + finer
        fine = np.zeros((finer * (int(bottom) // finer + 1), finer * (int(right) // finer + 1)), np.uint8)
        for way in ways:
            for number, (begin, end) in enumerate(pairwise(_subpixels(way))):
                wave = 1 - self.pressure * (0.5 + 0.5 * np.sin(number / _STEPS))
                cv2.line(fine, begin, end, 255, max(1, round(width * wave)), cv2.LINE_8, _SHIFT)
        size = (fine.shape[1] // finer, fine.shape[0] // finer)
        return cut(np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255))

    def ways(self, height: float) -> list[Values]:
        """Return the strokes of a digit so many pixels high."""
        return [stroke * np.float32(height) for stroke in self.strokes]

    def hard(self, height: int, width: int) -> npt.NDArray[np.bool_]:
        """Return which pixels a pen of so many whole pixels covers that leaves none covered in part."""
        ways = [way + width + 1 for way in self.ways(height - width)]
        right, bottom = np.max([way.max(axis=0) for way in ways], axis=0) + width + 2
        inked = np.zeros((int(bottom), int(right)), np.uint8)
        for way in ways:
            cv2.polylines(inked, [np.round(way).astype(np.int32)], False, 255, width, cv2.LINE_8)  # noqa: FBT003
        return cut(np.asarray(inked, np.float32)) > 0


def _subpixels(way: Values) -> list[tuple[int, int]]:
    return [(round(x), round(y)) for x, y in (way * 2**_SHIFT).tolist()]


def validation_digits() -> Digits:
    """Return the training digits that no recipe learns from."""
    return split(mnist.load(mnist.find()).train, _N_VALIDATION, _SPLIT_SEED)[1]


def dry(digits: Digits, classes: Sequence[int], rng: np.random.Generator) -> Dry:
    """Return the hand of one of MNIST's digits of these classes."""
    row = int(rng.choice(np.flatnonzero(digits.labels == rng.choice(classes))))
    return Dry(int(digits.labels[row]), digits.images[row])


def fresh(rng: np.random.Generator, classes: Sequence[int], forms: Mapping[int, Sequence[str]] = FORMS) -> Fresh:
    """Return a hand that writes one of the forms of these digits in its own way; forms are as in `training.pen`."""
    label = int(rng.choice(classes))
    form = str(rng.choice([form for form in forms[label] if form not in _DOUBTFUL]))
    return Fresh(label, shaped(curves(form, rng), rng), rng.uniform(0, 0.3))


def curves(form: str, rng: np.random.Generator, wobble: float = 0.018) -> list[Values]:
    """Return the strokes of a form of `training.pen`, each point moved a little, in shares of its box."""
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
    """Return strokes with proportions, slant and turn of their own, as high as 1, from the upper left."""
    slant, angle = np.radians(rng.uniform(-6, 16)), np.radians(rng.uniform(-5, 5))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    change = np.diag([rng.uniform(*widths), 1]) @ np.array([[1, 0], [-np.tan(slant), 1]]) @ turn
    moved = [stroke @ change for stroke in strokes]
    low, high = (pick([pick(stroke, axis=0) for stroke in moved], axis=0) for pick in (np.min, np.max))
    return [np.asarray((stroke - low) / (high[1] - low[1]), np.float32) for stroke in moved]


def _curve(points: Values) -> Values:
    """Return a smooth curve through points (n, 2), after Catmull and Rom."""
    ends = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    before, begin, end, after = (np.vstack([ends[0], points, ends[1]])[i : len(points) - 1 + i] for i in range(4))
    t = np.linspace(0, 1, _STEPS, dtype=np.float32)[:, None, None]
    way = (
        2 * begin
        + (end - before) * t
        + (2 * before - 5 * begin + 4 * end - after) * t**2
        + (3 * begin - before - 3 * end + after) * t**3
    ) / 2
    return np.asarray(way.transpose(1, 0, 2).reshape(-1, 2), np.float32)


# --- Coverage


def cut(coverage: Values) -> Values:
    """Return coverage without what is empty around it."""
    rows, columns = (np.flatnonzero(coverage.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return coverage
    return np.asarray(coverage[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)


def within(coverage: Values, height: float, width: float) -> Values:
    """Return coverage, made smaller where it is higher or wider than this."""
    share = min(height / coverage.shape[0], width / coverage.shape[1])
    if share >= 1:
        return coverage
    size = (max(1, int(share * coverage.shape[1])), max(1, int(share * coverage.shape[0])))
    return np.asarray(cv2.resize(coverage, size, interpolation=cv2.INTER_AREA), np.float32)


def placed(coverage: Values, size: tuple[int, int], corner: tuple[float, float]) -> Values:
    """Return coverage (height, width) with this piece at a corner (top, left); it may leave the picture."""
    ground = np.zeros(size, np.float32)
    lows = [round(value) for value in corner]
    here = tuple(slice(max(0, low), max(0, low + part)) for low, part in zip(lows, coverage.shape, strict=True))
    seen = ground[here].shape
    there = tuple(slice(max(0, -low), max(0, -low) + part) for low, part in zip(lows, seen, strict=True))
    ground[here] = coverage[there]
    return ground


def anywhere(
    rng: np.random.Generator, size: tuple[int, int], piece: tuple[int, ...], margin: float = 0.04
) -> tuple[float, float]:
    """Return the corner of a piece that lies anywhere but nearer to an edge than the margin, a share of the side."""
    top, left = (
        rng.uniform(min(margin * side, (side - part) / 2), max(side - part - margin * side, (side - part) / 2))
        for side, part in zip(size, piece, strict=True)
    )
    return (top, left)


def turned(coverage: Values, degrees: float) -> Values:
    """Return coverage turned to the left."""
    if not degrees:
        return coverage
    image = Image.fromarray(np.pad(coverage, 2))
    return cut(np.clip(np.asarray(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True), np.float32), 0, 1))


def polygon(points: npt.ArrayLike, size: tuple[int, int]) -> Values:
    """Return the coverage (height, width) of a polygon with corners (n, 2) of x and y."""
    finer = 2
    corners = np.round(np.asarray(points) * finer * 2**_SHIFT).astype(np.int32)
    fine = np.zeros((finer * size[0], finer * size[1]), np.uint8)
    cv2.fillPoly(fine, [corners], 255, cv2.LINE_AA, _SHIFT)
    return np.asarray(cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def pen_of(coverage: Values) -> float:
    """Return about how many pixels wide the pen is that covered this."""
    inked = np.pad(coverage > 0.5, 1).astype(np.uint8)
    depths = np.asarray(cv2.distanceTransform(inked, cv2.DIST_L2, 5))
    return 2 * float(np.percentile(depths[depths > 0], 90)) if inked.any() else 1.0


def n_holes(coverage: Values) -> int:
    """Return how many holes the ink has that are seen at a glance."""
    ground = np.pad(coverage < 0.5, 1, constant_values=True).astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(ground, connectivity=4)
    areas = np.sort(np.asarray(statistics)[1:, cv2.CC_STAT_AREA])[:-1]
    return int((areas > 0.0015 * coverage.shape[0] ** 2).sum())


# --- Colours and light


def luma(colour: npt.ArrayLike) -> float:
    """Return how bright a colour is."""
    return float(_LUMA @ np.asarray(colour))


def near(colour: Sequence[float], rng: np.random.Generator, spread: float = 12) -> Colour:
    """Return a colour like this one."""
    red, green, blue = np.clip(np.array(colour) + rng.uniform(-spread, spread, 3), 0, 255).tolist()
    return (red, green, blue)


def any_colour(rng: np.random.Generator, low: float = 0, high: float = 255) -> Colour:
    """Return a colour whose brightness lies between these, half of the time a grey."""
    if rng.random() < 0.5:
        grey = rng.uniform(low, high)
        return near((grey, grey, grey), rng, 3)
    while True:
        colour = near((128, 128, 128), rng, 128)
        if low <= luma(colour) <= high:
            return colour


def apart(rng: np.random.Generator, distance: float, *others: Colour) -> Colour:
    """Return any colour whose brightness differs by so much from these, or by as much as they leave."""
    for needed in np.linspace(distance, 0, 200):
        colour = any_colour(rng)
        if all(abs(luma(colour) - luma(other)) >= needed for other in others):
            return colour
    return (0, 0, 0)


def plain(size: tuple[int, int], colour: Sequence[float]) -> Values:
    """Return a picture of one colour."""
    return np.full((*size, 3), np.array(colour, np.float32))


def mix(ground: Values, colour: npt.ArrayLike, coverage: Values) -> None:
    """Paint a colour, or colours, over what is covered."""
    ground += (np.asarray(colour, np.float32) - ground) * coverage[:, :, None]


def blurred(values: Values, sigma: float) -> Values:
    """Return values smoothed with a Gaussian, which goes on at the edges."""
    if sigma < 0.2:
        return values
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def cloud(size: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Values:
    """Return smooth noise of standard deviation 1 before it was made smooth: so many cells down and across."""
    rows, columns = (max(2, min(cell, side)) for cell, side in zip(cells, size, strict=True))
    coarse = rng.standard_normal((rows, columns), np.float32)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def light(size: tuple[int, int], rng: np.random.Generator, darkest: float) -> Values:
    """Return uneven light, from 1 to this share of it: it falls from one side to the other and is a little cloudy."""
    rows, columns = np.mgrid[-1:1:9j, -1:1:9j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    coarse = np.cos(angle) * columns + np.sin(angle) * rows + rng.uniform(0, 0.6) * cloud((9, 9), (3, 3), rng)
    coarse = 1 - (1 - darkest) * (coarse - coarse.min()) / np.ptp(coarse)
    return np.asarray(cv2.resize(coarse.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def beyond(size: tuple[int, int], angle: float, share: float, softness: float) -> Values:
    """Return the coverage of the half plane that begins at this share of the way in a direction, in radians."""
    rows, columns = np.ogrid[0 : size[0], 0 : size[1]]
    along = np.cos(angle) * columns + np.sin(angle) * rows
    low, high = along.min(), along.max()
    return np.asarray(np.clip((along - low - share * (high - low)) / max(softness, 1) + 0.5, 0, 1), np.float32)


def table(size: tuple[int, int], colour: Sequence[float], rng: np.random.Generator) -> Values:
    """Return a table of a colour: smooth, with the grain of wood, or speckled."""
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
    """Return greys or colours, 0..255, as the bytes of a file."""
    buffer = io.BytesIO()
    pixels = values if values.dtype == np.uint8 else np.clip(values + 0.5, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> Values:
    """Return a camera's noise of standard deviation 1, in half of the pictures over more than one pixel."""
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
    """Return a camera's JPEG of greys or colours: with noise, blur (both up to this) and light of its own."""
    shone = light((ground.shape[0], ground.shape[1]), rng, rng.uniform(darkest, 1))
    seen = ground * (shone if ground.ndim == 2 else shone[:, :, None])
    seen = blurred(seen, rng.uniform(0, blur))
    seen += rng.uniform(0.5, noise) * grain(seen.shape, rng)
    return encode(seen, "JPEG", quality=int(rng.integers(65, 96)))


def drawing_or_photo(ground: Values, rng: np.random.Generator) -> bytes:
    """Return colours as a drawing's PNG or JPEG, or as a photo."""
    choice = rng.random()
    if choice < 0.4:
        return encode(ground, compress_level=3)
    if choice < 0.55:
        return encode(ground, "JPEG", quality=int(rng.integers(60, 96)))
    return photo(ground, rng)
