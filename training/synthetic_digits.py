"""Synthetic digits in handwriting styles that are under-represented in MNIST.

Enters: a number of digits and a random generator. Leaves: images uint8 (n, 28, 28) in MNIST form, with their labels.
Each digit has several letter forms, as schools in different countries teach them and as people write them in a hurry.
Each image has random proportions, slant, rotation, jitter, pen width and pressure. Out of scope: distortions that apply
to all training digits (`training.augmentation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicHermiteSpline

from service.images.mnist_frame import CENTRE
from service.images.strokes import DIGIT_SIDE
from service.types import IMAGE_SIDE, FloatArray
from training.mnist import Digits

# A form is a list of strokes, separated by `;`. A stroke is a list of points `x,y` in per cent of the digit's bounding
# box, from the upper left corner. It is a smooth curve through its points, with a corner at each point marked `!`.
FORMS: Mapping[int, Sequence[str]] = MappingProxyType(
    {
        0: (
            "50,0 15,18 4,50 15,82 50,100 85,82 96,50 85,18 50,0",
            "62,3 30,8 6,42 14,82 48,100 84,82 94,45 78,10 45,6",
            "45,4 12,25 6,60 30,97 70,95 94,60 88,22 55,0 30,12",
        ),
        1: (
            "50,0 50,100",
            "28,20 52,0! 52,100",
            "12,40 54,0! 54,100",
            "2,58 56,0! 56,100",
            "0,62 34,38 58,0! 58,100",
            "8,42 60,0! 44,90 54,100",
            "26,22 52,0! 52,100; 20,100 84,100",
            "8,40 52,0! 52,100; 16,100 86,100",
            "50,0 50,100; 22,100 80,100",
        ),
        2: (
            "10,26 32,3 66,3 84,26 68,56 8,100! 92,100",
            "8,28 42,0 82,20 62,60 10,97! 42,90 70,100 96,92",
            "10,25 40,0 80,20 64,60 26,95 7,86 24,74 52,90 96,97",
            "14,18 46,0 84,24 54,70 26,98 6,88 28,76 60,96 94,88",
            "10,6! 86,4! 10,98! 92,96",
        ),
        3: (
            "10,12 50,0 84,22 42,47! 90,72 50,100 8,86",
            "12,2! 86,2! 40,42! 88,70 50,100 8,88",
            "12,15 50,0 82,22 42,48 40,50 88,72 48,100 8,84",
            "14,10 54,0 84,20 50,46 38,50 50,48 90,74 46,100 6,90",
        ),
        4: (
            "30,0 10,62! 92,60; 70,26 64,100",
            "66,100 70,0! 4,68! 96,68",
            "16,0 12,46 36,56 84,50; 82,0 74,100",
            "42,0 8,58! 88,52; 66,28 58,100",
            "18,2 14,52! 88,52; 72,4 70,100",
            "34,2 10,60 16,66! 90,50; 82,4 54,100",
            "36,0 8,72; 14,54 88,44; 86,2 56,100",
        ),
        5: (
            "86,2 26,2! 20,45! 55,37 88,66 54,100 8,90",
            "26,4 18,45! 56,38 88,68 52,100 8,88; 26,4 90,0",
            "86,4 42,5 20,28 54,48 86,72 50,100 8,88",
            "24,14 18,46! 58,38 88,68 50,100 10,88; 34,4 94,0",
            "80,4 30,4! 22,40 60,46 84,70 40,98 4,96",
        ),
        6: (
            "76,3 30,36 10,70 40,100 82,80 64,52 30,58 12,76",
            "58,0 14,60 30,98 76,92 76,60 40,52 16,72",
            "86,12 56,2 14,50 20,90 60,100 86,72 56,50 18,70",
            "40,0 12,50 14,90 60,100 84,74 52,56 14,78",
        ),
        7: (
            "8,5! 90,5! 40,100",
            "8,5! 90,4! 56,50 42,100",
            "8,5! 90,5! 40,100; 28,52 82,48",
            "8,24 12,3! 90,5! 44,100",
            "8,24 12,3! 90,5! 44,100; 28,54 84,48",
            "4,26 20,4 90,8! 50,100; 24,56 84,50",
            "8,14 30,2 60,10 92,0! 46,100",
            "8,14 30,2 60,10 92,0! 46,100; 28,52 82,48",
            "6,18 26,2 88,6! 60,40 46,100",
            "2,26 16,6 30,28 52,32 88,0! 48,100; 18,72 86,64",
            "4,16 14,34 34,30 92,0! 50,100; 20,76 90,68",
            "2,26 16,6 30,26 54,24 90,0! 46,100; 24,54 84,46",
        ),
        8: (
            "80,15 50,0 20,18 50,47 88,75 50,100 12,75 50,47 80,15",
            "50,0 22,22 50,46 78,22 50,0; 50,46 14,73 50,100 86,73 50,46",
            "86,8 45,2 20,22 55,50 86,76 50,100 14,76 45,50 78,20",
            "70,6 30,8 24,30 70,62 72,92 34,98 24,74 64,38 74,14",
        ),
        9: (
            "84,20 50,0 14,25 44,50 82,25! 80,100",
            "82,22 48,0 14,25 44,50 82,28 80,70 55,100 14,88",
            "78,8 35,5 12,32 40,52 80,30; 86,4 78,100",
            "80,22 50,0 15,25 45,52 82,22 70,65 36,100",
            "74,6 30,8 14,34 46,50 84,24 84,70 50,100 18,94",
        ),
    }
)

# Discs along a stroke, per length of the longer side of the bounding box: two per pixel of MNIST's 20.
_SAMPLES_PER_SIDE = 40
_CHUNK = 64


@dataclass(frozen=True)
class Handwriting:
    """Ranges of the random style parameters. Each is sampled for every digit, uniformly where it is a range.

    - `wobble`: standard deviation of the points, as a share of the digit's height.
    - `widths`: width of the bounding box divided by its height.
    - `slants`, `turns`: shear and rotation in degrees. A positive slant leans to the right.
    - `pens`: stroke widths in pixels of the 28x28 image.
    - `pressure`: largest relative change of the stroke width along the strokes, 0..1.
    """

    wobble: float = 0.03
    widths: tuple[float, float] = (0.4, 0.85)
    slants: tuple[float, float] = (-12, 28)
    turns: tuple[float, float] = (-7, 7)
    pens: tuple[float, float] = (1.6, 4.0)
    pressure: float = 0.2


VARIED = Handwriting()


def synthesize(
    n: int, rng: np.random.Generator, style: Handwriting = VARIED, classes: Sequence[int] = tuple(FORMS)
) -> Digits:
    """Return n synthetic digits. Classes are equally frequent, and so are the forms of a class."""
    labels = rng.choice(np.array(classes, np.int64), n)
    images = np.empty((n, IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    which = np.array([rng.integers(len(FORMS[label])) for label in labels.tolist()], np.int64)
    for digit in classes:
        for number, form in enumerate(FORMS[digit]):
            places = np.flatnonzero((labels == digit) & (which == number))
            if places.size:
                images[places] = draw(form, places.size, rng, style)
    return Digits(images, labels)


def draw(form: str, n: int, rng: np.random.Generator, style: Handwriting = VARIED) -> npt.NDArray[np.uint8]:
    """Return n images of a form, each with its own random style: uint8 (n, 28, 28) in MNIST form."""
    points, curve = _points_and_curve(form)
    height = points[:, 1].max() - points[:, 1].min() or 1.0
    skeleton = (points / height)[None] + rng.normal(0, style.wobble, (n, *points.shape))
    skeleton[..., 0] *= rng.uniform(*style.widths, (n, 1))
    skeleton[..., 0] -= np.tan(np.radians(rng.uniform(*style.slants, (n, 1)))) * skeleton[..., 1]
    angle = np.radians(rng.uniform(*style.turns, n))
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    path = curve @ (skeleton @ rotation)
    radii = _radii(n, len(curve), rng, style)
    # The bounding box of the ink fills 20x20, so the path's box is smaller by the stroke width.
    low, high = path.min(axis=1), path.max(axis=1)
    size = (high - low).max(axis=1)
    scale = (DIGIT_SIDE - 2 * radii.max(axis=1)) / np.maximum(size, 1e-3)
    path = (path - low[:, None]) * scale[:, None, None]
    path += (IMAGE_SIDE - 1 - (high - low) * scale[:, None])[:, None] / 2
    # The centre of mass is that of the rendered ink: where strokes cross there is less ink than along their path.
    ink = _render(path.astype(np.float32), radii.astype(np.float32)).astype(np.float32)
    ink /= ink.sum(axis=(1, 2), keepdims=True)
    axis = np.arange(IMAGE_SIDE, dtype=np.float32)
    path += CENTRE - np.stack([ink.sum(axis=1) @ axis, ink.sum(axis=2) @ axis], axis=1)[:, None]
    return _render(path.astype(np.float32), radii.astype(np.float32))


def _radii(n: int, n_points: int, rng: np.random.Generator, style: Handwriting) -> npt.NDArray[np.float64]:
    """Return half the stroke width at every point of the path, (n, n_points). It varies slowly along the path."""
    pens = rng.uniform(*style.pens, (n, 1)) / 2
    phase, frequency = rng.uniform(0, 2 * np.pi, (n, 1)), rng.uniform(1, 3, (n, 1))
    waves = np.sin(phase + frequency * np.linspace(0, 2 * np.pi, n_points))
    radii: npt.NDArray[np.float64] = pens * (1 + style.pressure * rng.uniform(0, 1, (n, 1)) * waves)
    return radii


def _render(path: FloatArray, radii: FloatArray) -> npt.NDArray[np.uint8]:
    """Return images uint8 (n, 28, 28) of discs with these centres (n, n_points, 2) and radii (n, n_points)."""
    images = np.empty((len(path), IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    axis = np.arange(IMAGE_SIDE, dtype=np.float32)
    for start in range(0, len(path), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        across = (path[chunk, :, 0, None] - axis) ** 2
        down = (path[chunk, :, 1, None] - axis) ** 2
        depth = radii[chunk, :, None, None] - np.sqrt(down[..., None] + across[..., None, :])
        images[chunk] = 255 * np.clip(depth.max(axis=1) + 0.5, 0, 1)
    return images


@lru_cache(maxsize=256)
def _points_and_curve(form: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the points (k, 2) of a form, as shares of its bounding box, and the curve through them.

    The curve is a matrix (n_samples, k): each row has the weights of the points in one sample of the path.
    """
    strokes = [stroke.split() for stroke in form.split(";")]
    points = np.array([point.rstrip("!").split(",") for stroke in strokes for point in stroke], np.float64) / 100
    # A piece is a smooth part of a stroke, between two corners or ends.
    pieces = []
    first = 0
    for stroke in strokes:
        corners = [i for i, point in enumerate(stroke[1:-1], start=1) if point.endswith("!")]
        ends = [0, *corners, len(stroke) - 1]
        pieces += [range(first + a, first + b + 1) for a, b in pairwise(ends)]
        first += len(stroke)
    lengths = [float(np.hypot(*np.diff(points[list(piece)], axis=0).T).sum()) for piece in pieces]
    size = float(np.ptp(points, axis=0).max())
    starts = np.round(np.cumsum([0, *lengths]) * _SAMPLES_PER_SIDE / size).astype(int)
    curve = np.zeros((starts[-1], len(points)))
    for piece, begin, end in zip(pieces, starts[:-1], starts[1:], strict=True):
        curve[begin:end, list(piece)] = _catmull_rom(len(piece), end - begin)
    return points, curve


def _catmull_rom(n_points: int, n_samples: int) -> npt.NDArray[np.float64]:
    """Return the weights (n_samples, n_points) of the points in a Catmull-Rom spline through them.

    Catmull and Rom 1974, "A Class of Local Interpolating Splines": a cubic Hermite spline whose tangents are central
    differences, one-sided at the ends, as `np.gradient` computes them.
    """
    points = np.eye(n_points)
    spline = CubicHermiteSpline(np.arange(n_points), points, np.gradient(points, axis=0))
    weights: npt.NDArray[np.float64] = spline(np.linspace(0, n_points - 1, n_samples))
    return weights
