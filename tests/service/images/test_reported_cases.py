"""Regression tests: pictures that were once misread or not read, the smallest of each kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.classifier import Classifier
from service.model.verdict import Verdict

FOLDER = Path(__file__).parent / "reported"

CASES = {
    # A rotated sheet on a table.
    "phone_sheet_7deg.jpg": 7,
    "note_black_075_6deg.jpg": 7,
    "note_yellow_grey_064_20deg.jpg": 7,
    # A sign that is no rectangle.
    "disc_white7_on_red.png": 7,
    # Pens of a pixel or two on large canvases.
    "hair1000.png": 3,
    "canvas_lw1_500.png": 5,
    "line300_4_2px.png": 4,
    # Digits of 5 % and of 3 % of the longer side.
    "small_0.05.png": 5,
    "small_0.03.png": 5,
    # Underlined.
    "underlined_7.png": 7,
    "underlined_2_below.png": 2,
    # A JPEG without its end marker, with all pixels.
    "noeoi.jpg": 5,
    # 32-bit integers from 0 to 255, and 16-bit ones from 0 to 1023.
    "i32_8bit.tif": 5,
    "u16_10bit.png": 5,
    # An alpha channel that is 0 everywhere, which is padding.
    "bmp32_v5_alpha0.bmp": 5,
}


@pytest.mark.parametrize(("name", "digit"), CASES.items(), ids=CASES)
def test_reported_pictures_are_read(classifier: Classifier, name: str, digit: int) -> None:
    """The digit is the one that a person reads, and the verdict is clear."""
    prediction = classifier.predict_picture((FOLDER / name).read_bytes())

    assert digit == prediction.digit
    assert Verdict.CLEAR == prediction.verdict


def test_every_picture_in_the_folder_is_tested() -> None:
    """The folder contains no other file."""
    assert set(CASES) == {path.name for path in FOLDER.iterdir()}


def test_files_have_the_properties_that_were_reported() -> None:
    """Bit depth, alpha and the missing end marker are those that once caused the failure."""
    with Image.open(FOLDER / "i32_8bit.tif") as integers, Image.open(FOLDER / "u16_10bit.png") as shorts:
        assert ("I", (0, 255)) == (integers.mode, integers.getextrema())
        assert "I;16" == shorts.mode
        assert 10 == int(np.asarray(shorts).max()).bit_length()
    with Image.open(FOLDER / "bmp32_v5_alpha0.bmp") as bitmap:
        assert 32 == int.from_bytes((FOLDER / "bmp32_v5_alpha0.bmp").read_bytes()[28:30], "little")
        assert (0, 0) == bitmap.convert("RGBA").getchannel("A").getextrema()
    assert not (FOLDER / "noeoi.jpg").read_bytes().endswith(b"\xff\xd9")
