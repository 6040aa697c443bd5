"""Tests of service.images.steps."""

from __future__ import annotations

import numpy as np
import pytest

from service.images.pipeline import normalize
from service.images.steps import draw
from service.types import IMAGE_SIDE
from tests.service.images.scenes import PEN, coloured, drawn, eight_bits, painted, placed

SHAPE = (280, 240)


@pytest.mark.parametrize("is_colour", [False, True], ids=["grey", "colour"])
def test_every_step_has_a_picture(is_colour: bool) -> None:  # noqa: FBT001
    """They are in their order, the digit's box is drawn in the first, and the picture itself is unchanged."""
    coverage = placed(drawn(3)(160, PEN), SHAPE)
    pixels = eight_bits(coloured(coverage, (20, 40, 160), (240, 240, 220)) if is_colour else painted(coverage))
    before = pixels.copy()
    normalized = normalize(pixels)
    steps = draw(pixels, normalized)
    top, left, bottom, right = normalized.report.ink_box
    changed = (steps["picture"] != (before if is_colour else before[..., None])).any(axis=2)
    outline = np.zeros(SHAPE, np.bool_)
    outline[top:bottom, left:right] = True
    outline[top + 1 : bottom - 1, left + 1 : right - 1] = False

    assert ["picture", "view", "strength", "components", "digit", "strokes", "input"] == list(steps)
    assert {np.dtype(np.uint8)} == {picture.dtype for picture in steps.values()}
    np.testing.assert_array_equal(outline, changed)
    np.testing.assert_array_equal(before, pixels)
    np.testing.assert_array_equal(before, steps["view"])


def test_components_have_colours() -> None:
    """Two strokes have two colours, and the paper is black."""
    strokes = placed(np.ones((120, 8), np.float32), SHAPE, (0.5, 0.4)) + placed(
        np.ones((120, 8), np.float32), SHAPE, (0.5, 0.6)
    )
    pixels = eight_bits(painted(strokes))
    colours = draw(pixels, normalize(pixels))["components"].reshape(-1, 3)

    assert 3 == len(np.unique(colours, axis=0))
    assert [0, 0, 0] == colours[0].tolist()


def test_the_input_is_magnified() -> None:
    """A picture in MNIST form has no other steps, and its input is magnified eight times."""
    grey = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    grey[4:24, 13:16] = 190
    steps = draw(grey, normalize(grey))

    assert ["picture", "input"] == list(steps)
    np.testing.assert_array_equal(grey.repeat(8, axis=0).repeat(8, axis=1), steps["input"])
