"""Synthetic digits in handwriting styles that are under-represented in MNIST.

Enters: a number of digits and a random generator. Leaves: images uint8 (n, 28, 28) in MNIST form, with their labels.
Each digit has several letter forms (`training.glyphs`), as schools in different countries teach them and as people
write them in a hurry. Each image has random proportions, slant, rotation, jitter, pen width and pressure. A share of
the images is drawn on a larger canvas and normalised by `service.images`, as the service sees such pictures. Out of
scope: distortions that apply to all training digits (`training.augmentation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicHermiteSpline

from service.images.components import bounding_box
from service.images.mnist_frame import CENTRE, frame
from service.images.strokes import DIGIT_SIDE, normalize_strokes
from service.types import IMAGE_SIDE, FloatArray
from training.glyphs import FORMS
from training.mnist import Digits

# Discs along a stroke, per length of the longer side of the bounding box: two per pixel of MNIST's 20.
_SAMPLES_PER_SIDE = 40
_CHUNK = 64
# Samples of the path between two independent displacements by tremor.
_TREMOR_STEP = 3
# The range of the canvas's side in pixels; the share of pens that draw without anti-aliasing; and the fractional bits
# of coordinates that OpenCV draws.
_CANVAS_SIDES = (18, 120)
_HARD_SHARE = 0.6
_FRACTIONAL_BITS = 4
# Grey level, of 255, above which a pixel belongs to the bounding box of the ink.
_THRESHOLD = 64


@dataclass(frozen=True)
class Handwriting:
    """Ranges of the random style parameters. Each is sampled for every digit, uniformly where it is a range.

    - `wobble`: standard deviation of the points, as a share of the digit's height.
    - `widths`: width of the bounding box divided by its height.
    - `slants`, `turns`: shear and rotation in degrees. A positive slant leans to the right.
    - `pens`: stroke widths in pixels of the 28x28 image.
    - `pressure`: largest relative change of the stroke width along the strokes, 0..1.
    - `tremor`: largest standard deviation of a tremor along the strokes, as a share of the digit's longer side.
    - `angular`: share of the digits with straight strokes between the points, 0..1.
    - `on_canvas`: share of the digits that are drawn on a larger canvas and normalised by `service.images`, 0..1.
    """

    wobble: float = 0.03
    widths: tuple[float, float] = (0.4, 0.85)
    slants: tuple[float, float] = (-12, 28)
    turns: tuple[float, float] = (-7, 7)
    pens: tuple[float, float] = (1.6, 4.0)
    pressure: float = 0.2
    tremor: float = 0.0
    angular: float = 0.0
    on_canvas: float = 0.0


VARIED = Handwriting(pens=(1.4, 4.0), tremor=0.012, angular=0.25, on_canvas=0.5)


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
    images = np.empty((n, IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    is_angular, is_on_canvas = rng.random(n) < style.angular, rng.random(n) < style.on_canvas
    for angular, on_canvas in ((False, False), (False, True), (True, False), (True, True)):
        places = np.flatnonzero((is_angular == angular) & (is_on_canvas == on_canvas))
        if places.size:
            curve = _curve(form, angular=angular)
            path = _path(curve, places.size, rng, style)
            if on_canvas:
                # A piece between two corners that are close together has no sample of its own.
                strokes = [[part for part in np.split(one, curve.starts) if len(part)] for one in path]
                images[places] = [_draw_on_canvas(one, rng, style) for one in strokes]
            else:
                images[places] = _draw_in_frame(path, _radii(len(path), path.shape[1], rng, style))
    return images


def _path(curve: _Curve, n: int, rng: np.random.Generator, style: Handwriting) -> npt.NDArray[np.float64]:
    """Return n random variants of a curve, (n, n_samples, 2). Columns are x and y, the longer side is 1."""
    points = curve.points
    height = points[:, 1].max() - points[:, 1].min() or 1.0
    skeleton = (points / height)[None] + rng.normal(0, style.wobble, (n, *points.shape))
    skeleton[..., 0] *= rng.uniform(*style.widths, (n, 1))
    skeleton[..., 0] -= np.tan(np.radians(rng.uniform(*style.slants, (n, 1)))) * skeleton[..., 1]
    angle = np.radians(rng.uniform(*style.turns, n))
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    path: npt.NDArray[np.float64] = curve.weights @ (skeleton @ rotation)
    path /= np.maximum(np.ptp(path, axis=1).max(axis=1), 1e-3)[:, None, None]
    if style.tremor:
        # Linear interpolation between independent displacements.
        before, beyond = np.divmod(np.arange(path.shape[1]), _TREMOR_STEP)
        share = (beyond / _TREMOR_STEP)[:, None]
        strength = rng.uniform(0, style.tremor, (n, 1, 1))
        tremor = strength * rng.standard_normal((n, before[-1] + 2, 2))
        path += (1 - share) * tremor[:, before] + share * tremor[:, before + 1]
    return path


def _draw_in_frame(path: npt.NDArray[np.float64], radii: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return images of paths (n, n_samples, 2) with these radii (n, n_samples), uint8 (n, 28, 28), in MNIST form."""
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


def _draw_on_canvas(
    strokes: Sequence[npt.NDArray[np.float64]], rng: np.random.Generator, style: Handwriting
) -> npt.NDArray[np.uint8]:
    """Return an image of strokes, each (n_samples, 2), uint8 (28, 28): drawn in a random size, then normalised.

    The pen is a whole number of pixels wide, at least one, with hard edges or soft ones.
    """
    side = np.exp(rng.uniform(*np.log(_CANVAS_SIDES)))
    pen = max(1, round(side * rng.uniform(*style.pens) / DIGIT_SIDE))
    origin = np.min([stroke.min(axis=0) for stroke in strokes], axis=0)
    fixed = [np.rint(((stroke - origin) * side + pen + 1) * 2**_FRACTIONAL_BITS).astype(np.int32) for stroke in strokes]
    width, height = np.max([stroke.max(axis=0) for stroke in fixed], axis=0) // 2**_FRACTIONAL_BITS + pen + 2
    canvas = np.zeros((int(height), int(width)), np.uint8)
    line = cv2.LINE_8 if rng.random() < _HARD_SHARE else cv2.LINE_AA
    cv2.polylines(canvas, fixed, isClosed=False, color=255, thickness=pen, lineType=line, shift=_FRACTIONAL_BITS)
    return normalize(canvas)


def normalize(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return ink, uint8 (height, width), not all 0, in MNIST form as the service normalises it, uint8 (28, 28)."""
    digit, _ = normalize_strokes(ink, bounding_box((ink > _THRESHOLD).view(np.uint8)))
    pixels, _ = frame(digit)
    framed: npt.NDArray[np.uint8] = np.rint(255 * pixels).astype(np.uint8)
    return framed


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


@dataclass(frozen=True, eq=False)
class _Curve:
    """The points (k, 2) of a form, as shares of its bounding box, and the curve through them.

    Each row of `weights` (n_samples, k) has the weights of the points in one sample of the curve. `starts` has the
    samples at which a new piece starts, without the first.
    """

    points: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    starts: npt.NDArray[np.int64]


@lru_cache(maxsize=1024)
def _curve(form: str, *, angular: bool) -> _Curve:
    strokes = [stroke.split() for stroke in form.split(";")]
    points = np.array([point.rstrip("!").split(",") for stroke in strokes for point in stroke], np.float64) / 100
    # A piece is a smooth part of a stroke, between two corners or ends.
    pieces = []
    first = 0
    for stroke in strokes:
        corners = [i for i, point in enumerate(stroke[1:-1], start=1) if angular or point.endswith("!")]
        ends = [0, *corners, len(stroke) - 1]
        pieces += [range(first + a, first + b + 1) for a, b in pairwise(ends)]
        first += len(stroke)
    lengths = [float(np.hypot(*np.diff(points[list(piece)], axis=0).T).sum()) for piece in pieces]
    size = float(np.ptp(points, axis=0).max())
    starts = np.round(np.cumsum([0, *lengths]) * _SAMPLES_PER_SIDE / size).astype(int)
    weights = np.zeros((starts[-1], len(points)))
    for piece, begin, end in zip(pieces, starts[:-1], starts[1:], strict=True):
        weights[begin:end, list(piece)] = _catmull_rom(len(piece), end - begin)
    return _Curve(points, weights, starts[1:-1])


def _catmull_rom(n_points: int, n_samples: int) -> npt.NDArray[np.float64]:
    """Return the weights (n_samples, n_points) of the points in a Catmull-Rom spline through them.

    Catmull and Rom 1974, "A Class of Local Interpolating Splines": a cubic Hermite spline whose tangents are central
    differences, one-sided at the ends, as `np.gradient` computes them.
    """
    points = np.eye(n_points)
    spline = CubicHermiteSpline(np.arange(n_points), points, np.gradient(points, axis=0))
    weights: npt.NDArray[np.float64] = spline(np.linspace(0, n_points - 1, n_samples))
    return weights
