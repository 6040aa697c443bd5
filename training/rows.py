"""Rows of digits: pictures of numbers, made of MNIST's digits, which touch, overlap or stand apart.

Enters: digits and a random generator. Leaves: Rows: the ink of each digit of a row, and the picture of all. They are
read for calibration and evaluation, and cut into `training.segments`. Out of scope: real pictures of numbers
(`training.numbers`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from service.types import IMAGE_SIDE, ByteArray, FloatArray
from training.mnist import Digits

# Gaps in pixels of MNIST's digits: the least, and one more than the largest; negative: they overlap.
GAPS = {"apart": (5, 13), "near": (1, 4), "touching": (-2, 1)}
# The range of the digits' sizes, and the most pixels by which each is shifted up or down.
_SIZES = (0.85, 1.18)
_MAX_LIFT = 2
# Height of a row and margin around it, in pixels of MNIST's digits, and the range of factors by which it is enlarged.
_HEIGHT = 42
_MARGIN = 8
_FACTORS = (2, 4)
# The share of rows that are dark on light, as most pictures are.
_DARK_SHARE = 0.7


@dataclass(frozen=True, eq=False)
class Row:
    """The ink of each digit, float32 (n_digits, height, width), 0..255, and their labels, int64 (n_digits,).

    The picture is dark on light where `is_dark` is True.
    """

    ink: FloatArray
    labels: npt.NDArray[np.int64]
    is_dark: bool

    @property
    def text(self) -> str:
        """The row as it is read."""
        return "".join(map(str, self.labels.tolist()))

    @property
    def pixels(self) -> ByteArray:
        """The picture of the row, uint8 (height, width)."""
        together: ByteArray = self.ink.max(axis=0).astype(np.uint8)
        return 255 - together if self.is_dark else together

    def png(self) -> bytes:
        """Return the picture as a PNG file."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, "PNG")
        return file.getvalue()


def make_row(digits: Digits, gaps: tuple[int, int], rng: np.random.Generator) -> Row:
    """Return a row of all of these digits, one at least, of several writers' sizes and baselines.

    `gaps` is the least gap between two digits in pixels of MNIST's digits, and one more than the largest.
    """
    placed, left = [], 0
    for image in digits.images:
        columns = np.flatnonzero(image.any(axis=0))
        part, size = image[:, columns[0] : columns[-1] + 1].astype(np.float32), rng.uniform(*_SIZES)
        shape = (max(2, round(size * part.shape[1])), round(size * IMAGE_SIDE))
        part = cv2.resize(part, shape, interpolation=cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR)
        top = (_HEIGHT - part.shape[0]) // 2 + int(rng.integers(-_MAX_LIFT, _MAX_LIFT + 1))
        placed.append((top, left, part))
        left = max(0, left + part.shape[1] + int(rng.integers(*gaps)))
    width = max(left + part.shape[1] for _, left, part in placed)
    ink = np.zeros((len(placed), _HEIGHT, width), np.float32)
    for number, (top, left, part) in enumerate(placed):
        ink[number, top : top + part.shape[0], left : left + part.shape[1]] = part
    ink = np.pad(ink, ((0, 0), (_MARGIN, _MARGIN), (_MARGIN, _MARGIN)))
    factor = int(rng.integers(*_FACTORS))
    enlarged = [cv2.resize(one, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC) for one in ink]
    return Row(np.clip(np.stack(enlarged), 0, 255), digits.labels, bool(rng.random() < _DARK_SHARE))
