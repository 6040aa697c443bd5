"""Segments of rows of digits, as `service.reader` sees them: whole digits with what a cut leaves on them, and others.

Enters: digits and a random generator. Leaves: candidate digits of rows that touch, overlap or stand apart, as images
uint8 (n, 28, 28), cut and normalised by `service.images`: those that are one digit, and those that are halves of digits
or several digits. `training.novelty` fits the segment detector on them. Out of scope: the rows (`training.rows`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.images.cuts import cut, find_segments
from service.images.pages import find_candidates
from service.types import IMAGE_SIDE, FloatArray
from training.mnist import Digits
from training.negatives import Images
from training.rows import make_row

# The fewest digits of a row, and one more than the most; the ranges of their gaps, as in `training.rows`, and the share
# of rows with each.
_N_DIGITS = (2, 5)
_GAPS = ((-3, 1), (1, 4), (4, 12))
_GAP_SHARES = (0.6, 0.25, 0.15)
# A segment is one digit where it has this share of the digit's ink, and this share of its own ink is the digit's. It is
# something else where it has less than the second shares, or more than the last share of a second digit, such as a thin
# 1 that touches a 6. What lies between is left out.
_WHOLE = 0.9
_PART = 0.72
_IMPURE = 0.78
_SECOND = 0.6
# Segments that are no digit, for each that is one.
_OTHERS_PER_DIGIT = 2.5


@dataclass(frozen=True, eq=False)
class Segments:
    """Images uint8 (n, 28, 28) of segments that are one digit, and of those that are something else."""

    digits: Images
    others: Images


def make_segments(n_rows: int, digits: Digits, rng: np.random.Generator) -> Segments:
    """Return the segments of this many rows of digits."""
    whole: list[FloatArray] = []
    others: list[FloatArray] = []
    for _ in range(n_rows):
        chosen = rng.integers(len(digits), size=int(rng.integers(*_N_DIGITS)))
        gaps = _GAPS[rng.choice(len(_GAPS), p=_GAP_SHARES)]
        row = make_row(digits[chosen], gaps, rng)
        row_whole, row_others = _segments_of(row.ink)
        whole += row_whole
        n_others = min(len(row_others), round(_OTHERS_PER_DIGIT * len(row_whole)))
        others += [row_others[number] for number in rng.choice(len(row_others), n_others, replace=False)]
    return Segments(_to_images(whole), _to_images(others))


def _segments_of(ink: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return the segments of a row that are one digit, and those that are something else.

    `ink`, float32 (n_digits, height, width), is that of each digit.
    """
    page = next(find_candidates(255 - ink.max(axis=0).astype(np.uint8))).page()
    whole: list[FloatArray] = []
    others: list[FloatArray] = []
    if page is None:
        return whole, others
    # A pixel belongs to the digit with the most ink there. Rows and columns beyond the picture are padding.
    owners = np.where(ink == ink.max(axis=0), ink, 0)
    below, beside = page.strength.shape[0] - ink.shape[1], page.strength.shape[1] - ink.shape[2]
    owners = np.pad(owners, ((0, 0), (0, below), (0, beside)))
    for line in page.lines:
        fragments = cut(line, page.strength)
        inks = np.array([(owners[:, *part.box.slices] * part.mask).sum(axis=(1, 2)) for part in fragments])
        totals = np.maximum(inks.sum(axis=0), 1)
        for segment in find_segments(fragments, line.height, page.strength):
            shares = inks[segment.start : segment.stop].sum(axis=0)
            digit = int(shares.argmax())
            shares_of_digits, share_of_segment = shares / totals, shares[digit] / max(shares.sum(), 1)
            has_second = (np.delete(shares_of_digits, digit) > _SECOND).any()
            if min(shares_of_digits[digit], share_of_segment) > _WHOLE and not has_second:
                whole.append(segment.pixels)
            elif shares_of_digits[digit] < _PART or share_of_segment < _IMPURE or has_second:
                others.append(segment.pixels)
    return whole, others


def _to_images(pixels: list[FloatArray]) -> Images:
    images: npt.NDArray[np.uint8] = np.rint(255 * np.array(pixels, np.float32)).astype(np.uint8)
    return images.reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
