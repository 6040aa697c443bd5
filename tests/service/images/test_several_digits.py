"""Tests of service.images.segmentation.shows_several: whether a picture may show several digits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from service.classifier import Classifier
from service.images.pipeline import normalize
from service.model.verdict import Verdict
from service.types import ByteArray
from tests.pictures import draw, encode

INK, PAPER = 30, 230


def arranged(
    *digits: tuple[int, int, int, int], size: tuple[int, int] = (400, 300), pen: float = 0.06, ink: int = INK
) -> ByteArray:
    """Return a picture, uint8 (height, width), of digits, each (digit, left, top, height)."""
    picture = np.full((size[1], size[0]), PAPER, np.uint8)
    for digit, left, top, height in digits:
        shape = (height * 3 // 4, height)
        part = np.asarray(draw(digit, size=shape, box=(0.1, 0.05, 0.9, 0.95), width=pen, ink=ink, paper=PAPER))
        there = picture[top : top + height, left : left + part.shape[1]]
        np.minimum(there, part[: there.shape[0], : there.shape[1]], out=there)
    return picture


PAIRS = {
    "side by side": arranged((4, 60, 100, 100), (2, 150, 100, 100)),
    "close": arranged((4, 60, 100, 100), (2, 132, 100, 100)),
    "far apart": arranged((7, 20, 150, 60), (8, 330, 150, 60)),
    "of two sizes": arranged((3, 60, 90, 110), (5, 160, 110, 80)),
    "stacked": arranged((6, 150, 20, 100), (2, 150, 150, 100)),
    "small and far apart": arranged((6, 30, 100, 22), (9, 300, 100, 22)),
    "tiny": arranged((6, 100, 300, 40), (9, 200, 300, 40), size=(1200, 900)),
    "light on dark": 255 - arranged((4, 60, 100, 100), (2, 150, 100, 100)),
    "above a flat one": np.vstack(
        [
            arranged((6, 150, 20, 110), size=(400, 150)),
            np.asarray(draw(0, size=(400, 150), box=(0.38, 0.1, 0.66, 0.43), width=0.03, ink=INK, paper=PAPER)),
        ]
    ),
    "bold and thin": np.minimum(arranged((8, 60, 100, 100), pen=0.15), arranged((1, 200, 100, 100), pen=0.06, ink=60)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pair_has_several(name: str) -> None:
    """Two digits in one row or column are several, whatever the distance and the polarity."""
    assert normalize(PAIRS[name]).has_several


def filled(picture: ByteArray, box: tuple[int, int, int, int], ink: int = INK) -> ByteArray:
    """Return the picture with a filled rectangle: top, left, height, width."""
    top, left, height, width = box
    picture = picture.copy()
    picture[top : top + height, left : left + width] = ink
    return picture


ONE = arranged((4, 150, 80, 120))
SINGLES = {
    "alone": ONE,
    "specks": filled(filled(ONE, (40, 60, 6, 6)), (200, 330, 9, 7)),
    "underlined": filled(ONE, (215, 130, 6, 130)),
    "a line beside": filled(ONE, (140, 280, 6, 90)),
    "a smaller sign beside": arranged((4, 150, 80, 120), (0, 260, 150, 50)),
    "a larger shape beside": filled(ONE, (0, 320, 300, 60)),
    "out of line": arranged((4, 40, 20, 100), (2, 300, 190, 100)),
    "something faint beside": filled(ONE, (90, 290, 90, 40), ink=200),
    "leaving the picture": arranged((4, 150, 80, 120), (1, 350, 0, 120)),
}


@pytest.mark.parametrize("name", SINGLES)
def test_single_digit_has_not(name: str) -> None:
    """What is smaller, larger, fainter, out of line, flat or cut off is no other digit."""
    assert not normalize(SINGLES[name]).has_several


def test_broken_digit_is_one() -> None:
    """The bar of a 5 that does not touch the rest is a part of it."""
    picture = arranged((5, 120, 60, 160))
    rows = np.flatnonzero((picture < 128).any(axis=1))
    picture[rows[0] + 22 : rows[0] + 28] = PAPER

    assert not normalize(picture).has_several


def test_verdict_is_several_digits(classifier: Classifier) -> None:
    """The verdict does not depend on what the network thinks of one of them; arrays and single digits have others."""
    several, single = (classifier.predict_picture(encode(Image.fromarray(one))) for one in (PAIRS["far apart"], ONE))

    assert (Verdict.SEVERAL_DIGITS, Verdict.CLEAR) == (several.verdict, single.verdict)
