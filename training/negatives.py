"""Negatives: generated out-of-distribution images such as letters, scribbles, several digits, blobs, stripes and noise.

Enters: a number of images, digits to make some of them from, and a random generator. Leaves: images uint8 (n, 28, 28)
in MNIST form, as the service's normalisation returns them. `training.novelty` fits the OOD detector on them, and
`training.report` measures it on others. Out of scope: real pictures without digits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from service.types import IMAGE_SIDE
from training.glyphs import GLYPHS
from training.mnist import Digits
from training.synthetic_digits import VARIED, draw, normalize

Images = npt.NDArray[np.uint8]

# Letters are wider than digits, and those of some scripts lean to the left.
_LETTER_STYLE = replace(VARIED, widths=(0.45, 1.25), slants=(-20, 28), turns=(-10, 10))

# Share of scribbled strokes with corners; share of columns among columns and rows of digits; range of the foreground's
# share in noise.
_CORNER_SHARE = 0.3
_COLUMN_SHARE = 0.15
_FOREGROUND_SHARE = (0.05, 0.5)


def make_negatives(n: int, digits: Digits, rng: np.random.Generator) -> dict[str, Images]:
    """Return n images of each kind by name, and two to four times as many of kinds that are varied or close to digits.

    `digits` are the source of the kinds "several digits" and "turned digits". There are no turned digits where `digits`
    has no 3, 4 or 7.
    """
    return {
        "figures": _glyphs(4 * n, rng),
        "scribbles": np.stack([_scribble(rng) for _ in range(2 * n)]),
        "several digits": np.stack([_several_digits(digits, rng) for _ in range(2 * n)]),
        "turned digits": _turned_digits(n, digits, rng),
        "blobs": np.stack([_smoothed_noise(rng, sigmas=(1.5, 5), sides=(14, 28)) for _ in range(n)]),
        "noise": np.stack([_smoothed_noise(rng, sigmas=(0.01, 1.5), sides=(18, 28)) for _ in range(n)]),
        "stripes": np.stack([_stripes(rng) for _ in range(n)]),
    }


def _glyphs(n: int, rng: np.random.Generator) -> Images:
    which = rng.integers(len(GLYPHS), size=n)
    images = np.empty((n, IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    for number in np.unique(which).tolist():
        places = which == number
        images[places] = draw(GLYPHS[number], int(places.sum()), rng, _LETTER_STYLE)
    return images


def _scribble(rng: np.random.Generator) -> Images:
    """Return one to three strokes through random points, smooth or with corners, uint8 (28, 28)."""
    strokes = []
    for _ in range(rng.integers(1, 4)):
        corner = "!" if rng.random() < _CORNER_SHARE else ""
        points = rng.integers(0, 100, (rng.integers(5, 10), 2)).tolist()
        strokes.append(" ".join(f"{x},{y}{corner}" for x, y in points))
    image: Images = draw(";".join(strokes), 1, rng)[0]
    return image


def _several_digits(digits: Digits, rng: np.random.Generator) -> Images:
    """Return two or three digits in a row, or sometimes in a column, normalised as one picture, uint8 (28, 28)."""
    images = digits.images[rng.integers(len(digits), size=rng.choice([2, 2, 3]))]
    is_column = rng.random() < _COLUMN_SHARE
    row = np.zeros((IMAGE_SIDE, 0), np.uint8)
    for image in images:
        turned = image.T if is_column else image
        columns = np.flatnonzero(turned.any(axis=0))
        # As people write: not exactly on one line, and from an overlap of two pixels to a gap of three.
        lifted = np.roll(turned, rng.integers(-2, 3), axis=0)[:, columns[0] : columns[-1] + 1]
        start = max(0, row.shape[1] + rng.integers(-2, 4))
        longer = np.zeros((IMAGE_SIDE, max(row.shape[1], start + lifted.shape[1])), np.uint8)
        longer[:, : row.shape[1]] = row
        part = longer[:, start : start + lifted.shape[1]]
        np.maximum(part, lifted, out=part)
        row = longer
    return _normalized((row.T if is_column else row) / 255)


def _turned_digits(n: int, digits: Digits, rng: np.random.Generator) -> Images:
    """Return digits that are mirrored or rotated by 90 degrees, of classes that are no digits then."""
    suitable = np.flatnonzero(np.isin(digits.labels, [3, 4, 7]))
    if not suitable.size:
        return np.empty((0, IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    images = digits.images[rng.choice(suitable, n)]
    is_mirrored = rng.random((n, 1, 1)) < 1 / 2
    turned: Images = np.where(is_mirrored, images[:, :, ::-1], np.rot90(images, axes=(1, 2)))
    return turned


def _smoothed_noise(rng: np.random.Generator, sigmas: tuple[float, float], sides: tuple[int, int]) -> Images:
    """Return thresholded Gaussian-filtered noise, uint8 (28, 28).

    `sigmas` is the range of the filter's standard deviation, `sides` that of the noise's side, both in pixels.
    """
    side = rng.integers(*sides, endpoint=True)
    field = gaussian_filter(rng.standard_normal((side, side)), rng.uniform(*sigmas))
    threshold = np.quantile(field, 1 - rng.uniform(*_FOREGROUND_SHARE))
    return _normalized(np.clip((field - threshold) / field.std() * rng.uniform(2, 20) + 0.5, 0, 1))


def _stripes(rng: np.random.Generator) -> Images:
    """Return parallel bars, or a grid of them, at a random angle, uint8 (28, 28)."""
    side = rng.integers(14, IMAGE_SIDE, endpoint=True)
    y, x = np.mgrid[:side, :side]
    ink = np.zeros((side, side))
    angle = rng.uniform(0, np.pi)
    for turn in (0, np.pi / 2)[: rng.integers(1, 3)]:
        phase = (np.cos(angle + turn) * y + np.sin(angle + turn) * x) / rng.uniform(3, 9) + rng.random()
        bars = np.clip((rng.uniform(0.15, 0.3) - np.abs(phase % 1 - 0.5)) * rng.uniform(4, 12) + 0.5, 0, 1)
        ink = np.maximum(ink, bars)
    return _normalized(ink)


def _normalized(ink: npt.NDArray[np.floating]) -> Images:
    """Return ink, 0..1, in MNIST form as the service normalises it, uint8 (28, 28)."""
    return normalize(np.rint(255 * ink).astype(np.uint8))
