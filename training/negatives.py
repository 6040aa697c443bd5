"""Negatives: generated out-of-distribution images such as letters, scribbles, several digits, blobs, stripes and noise.

Enters: a number of images, digits to make some of them from, and a random generator. Leaves: images uint8 (n, 28, 28)
in MNIST form, as the service's normalisation returns them. `training.novelty` fits the OOD detector on them, and
`training.report` measures it on others. Out of scope: real pictures without digits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from service.images.components import bounding_box
from service.images.mnist_frame import frame
from service.images.strokes import normalize_strokes
from service.types import IMAGE_SIDE
from training.mnist import Digits
from training.synthetic_digits import Handwriting, draw

Images = npt.NDArray[np.uint8]

# Letters and symbols in the notation of `training.synthetic_digits`. Without those that some people write as others
# write a digit: b, D, g, G, i, I, j, l, O, q, S, y, Z.
GLYPHS: Sequence[str] = (
    "10,100 50,0! 90,100; 25,62 75,62",  # A
    "60,2 15,2! 15,98! 62,96 86,74 60,50 15,50; 60,2 82,24 60,50",  # B
    "88,15 50,0 12,50 50,100 88,85",  # C
    "85,0 15,0! 15,100! 88,100; 15,48 75,48",  # E
    "85,0 15,0! 15,100; 15,48 72,48",  # F
    "12,0 12,100; 88,0 88,100; 12,50 88,50",  # H
    "75,0 75,70 45,100 12,78",  # J
    "15,0 15,100; 85,0 15,55! 88,100",  # K
    "15,0 15,100! 85,100",  # L
    "8,100 14,0! 50,60! 86,0! 92,100",  # M
    "12,100 12,0! 88,100! 88,0",  # N
    "15,100 15,0! 60,0 88,24 60,50 15,52",  # P
    "50,0 12,50 50,100 88,50 50,0; 58,66 96,106",  # Q
    "15,100 15,0! 60,0 86,24 58,48 15,50! 88,100",  # R
    "2,2 98,2; 50,2 50,100",  # T
    "12,0 12,60 50,100 88,60 88,0",  # U
    "8,0 50,100! 92,0",  # V
    "4,0 26,100! 50,30! 74,100! 96,0",  # W
    "10,0 90,100; 90,0 10,100",  # X
    "8,0 50,50! 92,0; 50,50 50,100",  # Y
    "80,35 45,25 12,60 35,98 78,75 82,35! 84,85 98,98",  # a
    "12,20 50,8 80,30 80,100; 80,50 30,55 14,80 40,100 80,82",  # a with a roof
    "84,0 82,98; 82,60 50,38 14,65 40,100 80,80",  # d
    "12,55 85,50 60,10 20,25 15,75 55,100 90,82",  # e
    "85,12 60,0 45,25 45,100; 20,42 75,42",  # f
    "15,0 15,100! 20,60 55,42 82,62 82,100",  # h
    "15,0 15,100; 75,38 18,68! 80,100",  # k
    "8,100 8,40! 12,52 32,38 48,55 48,100! 52,55 72,38 92,55 92,100",  # m
    "12,100 12,35! 20,50 55,32 85,55 85,100",  # n
    "15,35 15,135; 15,50 55,30 88,62 55,95 18,85",  # p
    "18,100 18,35! 30,48 75,32",  # r
    "45,0 45,80 65,100 85,92; 15,30 80,30",  # t
    "12,35 15,80 45,100 80,80 84,35! 86,100",  # u
    "95,10 72,60 34,96 8,55 36,14 68,52 96,96",  # alpha
    "72,4 66,60 36,98 10,62 34,26 62,50 98,100",  # alpha, steep
    "88,0 70,60 30,96 8,70 34,48 66,66 74,98",  # alpha, with a stem
    "15,125 18,22 50,0 80,20 48,46! 88,70 50,100 22,88",  # beta
    "5,10 30,8 54,60 48,112 38,92 90,0",  # gamma
    "85,12 45,0 18,22 50,46! 14,72 45,100 90,88",  # epsilon
    "84,14 48,0 18,22 40,48 60,42 46,34 14,70 46,100 90,84",  # epsilon, with a loop
    "92,6 40,4 16,26 70,44! 14,66 40,98 96,90",  # epsilon, of one line
    "10,2 34,6 90,100; 54,46 10,100",  # lambda
    "6,20 26,0 46,20 64,76 96,92; 50,38 8,100",  # lambda, hooked
    "90,0 10,100; 50,50 92,100",  # lambda, leaning
    "18,130 22,20! 22,80 50,100 78,80 82,20! 84,90 96,98",  # mu
    "5,20 95,15; 30,18 24,100; 70,18 74,100",  # pi
    "95,14 45,16 12,56 44,98 80,60 55,18",  # sigma
    "15,20 6,70 30,98 50,70! 70,98 94,70 85,20",  # omega
    "90,5 10,5! 55,50! 8,95! 92,95",  # Sigma
    "10,10 14,55 50,70 86,55 90,10; 50,0 50,115",  # psi
    "50,0 50,100; 50,28 12,34 14,72 50,76 88,70 86,32 50,28",  # phi
    "5,0 42,50! 5,100; 95,0 58,50! 95,100; 50,0 50,100",  # Zhe
    "12,0 12,100! 88,0! 88,100",  # I, Cyrillic
    "15,0 15,100! 50,100! 50,0; 50,100 86,100! 86,0",  # Sha
    "12,0 12,100; 12,50 44,50; 68,0 44,50 68,100 94,50 68,0",  # Yu
    "85,100 85,0! 40,2 14,26 42,50 85,52; 46,52 10,100",  # Ya
    "0,22 100,22; 50,0 50,100; 48,24 6,78; 52,24 94,78",  # a tree, Chinese
    "50,0 46,40 6,100; 50,36 94,100",  # a man, Chinese
    "50,0 50,100; 0,50 100,50",  # +
    "0,30 100,30; 0,70 100,70",  # =
    "15,20 50,0 82,25 50,55 50,72; 50,95 51,98",  # ?
    "30,0 20,100; 75,0 65,100; 0,32 100,32; 0,68 100,68",  # #
    "50,0 50,100; 8,25 92,75; 92,25 8,75",  # *
    "90,100 25,25 50,0 70,25 12,75 45,100 92,60",  # &
    "70,65 50,35 30,60 55,75 72,40! 78,70 95,40 50,0 5,50 50,100 90,85",  # @
    "85,0 15,100; 20,0 5,18 20,35 35,18 20,0; 80,65 65,82 80,100 95,82 80,65",  # %
    "0,60 35,100! 100,0",  # a tick
    "0,50 100,50; 65,20 100,50! 65,80",  # an arrow
    "50,0 5,90! 95,90! 50,0",  # a triangle
    "50,100 5,35 28,0 50,25! 72,0 95,35 50,100",  # a heart
    "50,50 60,42 66,55 50,70 30,52 50,22 85,50 52,95 8,50 50,0",  # a spiral
    "50,0 2,50 50,100 98,50 50,0; 32,35 33,38; 66,35 67,38; 28,68 50,80 72,68",  # a face
)

# Letters are wider than digits, and those of some scripts lean to the left.
_LETTER_STYLE = Handwriting(widths=(0.45, 1.25), slants=(-20, 28), turns=(-10, 10))

# Share of scribbled strokes with corners; share of columns among columns and rows of digits; range of the foreground's
# share in noise.
_CORNER_SHARE = 0.3
_COLUMN_SHARE = 0.15
_FOREGROUND_SHARE = (0.05, 0.5)
# Binarisation threshold, of 255, for the bounding box of the foreground.
_THRESHOLD = 64


def make_negatives(n: int, digits: Digits, rng: np.random.Generator) -> dict[str, Images]:
    """Return n images of each kind by name, and two or three times as many of kinds that are varied or close to digits.

    `digits` are the source of the kinds "several digits" and "turned digits". There are no turned digits where `digits`
    has no 3, 4 or 7.
    """
    return {
        "figures": _glyphs(3 * n, rng),
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
        # As people write: not exactly on one line, and up to three pixels apart.
        lifted = np.roll(turned, rng.integers(-2, 3), axis=0)
        gap = np.zeros((IMAGE_SIDE, rng.integers(0, 4)), np.uint8)
        row = np.hstack([row, gap, lifted[:, columns[0] : columns[-1] + 1]])
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
    strength = np.rint(255 * ink).astype(np.uint8)
    digit, _ = normalize_strokes(strength, bounding_box((strength > _THRESHOLD).view(np.uint8)))
    pixels, _ = frame(digit)
    framed: Images = np.rint(255 * pixels).astype(np.uint8)
    return framed
