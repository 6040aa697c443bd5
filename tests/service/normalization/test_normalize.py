"""Tests of service.normalization as a whole: the answer does not depend on how the picture was made."""

from __future__ import annotations

import numpy as np
import pytest

from service.classifier import Classifier
from service.errors import NoInk
from service.normalization import normalize
from service.normalization.paper import Polarity
from tests.pictures import Colour, draw, encode
from training.mnist import Mnist

digits = pytest.mark.parametrize("digit", range(10))


@digits
@pytest.mark.parametrize(
    ("ink", "paper"),
    [(255, 0), (0, 255), (100, 180), ((200, 30, 30), (255, 255, 255)), ((240, 230, 40), (255, 255, 255)), ((250, 250, 250), (30, 60, 40))],
    ids=["light on dark", "dark on light", "faint", "red", "yellow", "chalk"],
)  # fmt: skip
def test_colours_do_not_matter(classifier: Classifier, digit: int, ink: Colour, paper: Colour) -> None:
    """Any ink and paper with contrast between them show the same digit."""
    mode = "L" if isinstance(ink, int) else "RGB"

    assert digit == classifier.predict_picture(encode(draw(digit, ink=ink, paper=paper, mode=mode))).digit


@digits
@pytest.mark.parametrize("size", [(60, 60), (400, 400), (1500, 1100), (150, 600)])
def test_size_does_not_matter(classifier: Classifier, digit: int, size: tuple[int, int]) -> None:
    """Small, large and oblong pictures show the same digit."""
    height = 0.6 * min(size)
    box = (
        0.5 - 0.35 * height / size[0],
        0.5 - 0.5 * height / size[1],
        0.5 + 0.35 * height / size[0],
        0.5 + 0.5 * height / size[1],
    )

    assert digit == classifier.predict_picture(encode(draw(digit, size=size, box=box))).digit


@digits
@pytest.mark.parametrize("corner", [(0.02, 0.02), (0.6, 0.02), (0.02, 0.5), (0.6, 0.5)])
def test_place_does_not_matter(classifier: Classifier, digit: int, corner: tuple[float, float]) -> None:
    """A digit in a corner is the same digit."""
    left, top = corner

    assert digit == classifier.predict_picture(encode(draw(digit, box=(left, top, left + 0.35, top + 0.46)))).digit


@digits
def test_drawings_in_alpha_are_seen(classifier: Classifier, digit: int) -> None:
    """A transparent picture shows its digit, whatever colour its ink has."""
    for ink in [(0, 0, 0, 255), (255, 255, 255, 255), (200, 0, 90, 255)]:
        picture = encode(draw(digit, ink=ink, paper=(0, 0, 0, 0), mode="RGBA"))
        assert digit == classifier.predict_picture(picture).digit


@digits
def test_light_from_one_side_does_not_matter(classifier: Classifier, digit: int) -> None:
    """A picture that gets darker to one side shows the same digit."""
    grey = np.asarray(draw(digit, ink=60, paper=230), float)
    lit = grey * np.linspace(1, 0.5, grey.shape[1])

    assert digit == classifier.predict_picture(encode(lit.astype(np.uint8))).digit


@pytest.mark.parametrize("grey", [0, 100, 255])
def test_a_blank_picture_has_no_ink(grey: int) -> None:
    """A picture of one colour is blank."""
    with pytest.raises(NoInk):
        normalize(np.full((100, 80), grey / 255, np.float32))


def test_mnist_form_comes_out_unchanged(real_mnist: Mnist) -> None:
    """A test digit is not touched, and the report says that nothing moved."""
    grey = real_mnist.test.images[0].astype(np.float32) / np.float32(255)
    normalized = normalize(grey)

    np.testing.assert_array_equal(grey, normalized.pixels)
    assert Polarity.LIGHT_ON_DARK == normalized.report.polarity
    assert (1, (0, 0)) == (normalized.report.frame.scale, normalized.report.frame.shift)
