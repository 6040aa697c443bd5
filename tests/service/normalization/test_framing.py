"""Tests of service.normalization.framing."""

from __future__ import annotations

import numpy as np
import pytest

from service.normalization import framing
from service.normalization.ink import Ink, bounding_box
from tests.pictures import draw
from training.mnist import Mnist


def ink_of(digit: int, **options: tuple[float, ...]) -> Ink:
    """Return the ink of a drawn digit."""
    strength = np.asarray(draw(digit, ink=255, paper=0, **options), np.float32) / np.float32(255)  # type: ignore[arg-type]
    return Ink(strength, bounding_box(strength > 0.5))


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("box", [(0.3, 0.2, 0.7, 0.8), (0.05, 0.05, 0.95, 0.3), (0.6, 0.0, 1.0, 1.0)])
def test_the_frame_is_mnist_s(digit: int, box: tuple[float, ...]) -> None:
    """The digit's longer side is 20 pixels, and its centre of mass lies at the centre."""
    framed, _ = framing.frame(ink_of(digit, box=box))
    found = bounding_box(framed > 0.5)
    row, column = framing.centre_of_mass(framed)

    assert (28, 28) == framed.shape
    assert 18 <= max(found.height, found.width) <= 21
    assert pytest.approx(framing.CENTRE, abs=0.25) == row
    assert pytest.approx(framing.CENTRE, abs=0.25) == column


def test_scale_and_shift_lead_from_the_picture_to_the_frame() -> None:
    """A point of the picture is found where the report says."""
    ink = ink_of(1)
    _, placed = framing.frame(ink)
    row, column = framing.centre_of_mass(ink.strength)

    assert pytest.approx(20 / max(ink.box.height, ink.box.width)) == placed.scale
    # Pixels from their edges: a pixel's centre is half a pixel in.
    assert pytest.approx(framing.CENTRE + 0.5) == placed.scale * (row + 0.5) + placed.shift[0]
    assert pytest.approx(framing.CENTRE + 0.5) == placed.scale * (column + 0.5) + placed.shift[1]


def test_mnist_has_mnist_form(real_mnist: Mnist) -> None:
    """All but a few of the 60,000 training digits are recognised as what they are."""
    forms = [framing.has_mnist_form(image.astype(np.float32) / 255) for image in real_mnist.train.images]

    assert np.mean(forms) > 0.999


def mnist_like() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return a bar in MNIST form."""
    grey = np.zeros((28, 28), np.float32)
    grey[4:24, 13:16] = 1
    return grey


def test_other_pictures_do_not_have_mnist_form() -> None:
    """Dark on light, off the centre, too large, too faint or of another size is not MNIST form."""
    grey = mnist_like()
    tall = grey.copy()
    tall[3, 14] = tall[24, 14] = 1

    assert framing.has_mnist_form(grey)
    assert not framing.has_mnist_form(1 - grey)
    assert not framing.has_mnist_form(np.roll(grey, 3, axis=1))
    assert not framing.has_mnist_form(tall)
    assert not framing.has_mnist_form(grey * np.float32(0.4))
    assert not framing.has_mnist_form(np.pad(grey, 1))
    assert not framing.has_mnist_form(np.zeros_like(grey))
