"""Tests of service.normalization.paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from service.network import FloatArray
from service.normalization import paper
from service.normalization.paper import Polarity
from tests.pictures import Colour, draw


def grey_of(digit: int = 3, ink: Colour = 30, paper: Colour = 220, **options: tuple[float, ...]) -> FloatArray:
    """Return a drawn digit as a grey picture, 0..1."""
    return np.asarray(draw(digit, ink=ink, paper=paper, **options), np.float32) / np.float32(255)  # type: ignore[arg-type]


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([3, 5, 8, 12]))
def test_contrast_is_the_top_hat_of_a_square(height: int, width: int, window: int) -> None:
    """The contrast equals scipy's closing with a square less the picture, for odd and even windows alike."""
    grey = np.random.default_rng(height * width).random((height, width), np.float32)
    side = window + 1 - window % 2
    closed = ndimage.minimum_filter(
        ndimage.maximum_filter(grey, side, mode="constant", cval=-np.inf), side, mode="constant", cval=np.inf
    )

    np.testing.assert_allclose(closed - grey, paper.contrast(grey, window, Polarity.DARK_ON_LIGHT), atol=1e-6)


def test_a_ramp_of_light_leaves_no_contrast() -> None:
    """Paper that gets darker from side to side, or in one step, is paper all over."""
    ramp = np.linspace(0.4, 0.9, 100, dtype=np.float32) * np.ones((80, 1), np.float32)
    step = np.where(np.arange(100) < 55, np.float32(0.5), np.float32(0.9)) * np.ones((80, 1), np.float32)

    assert paper.contrast(ramp, 21, Polarity.DARK_ON_LIGHT).max() == pytest.approx(0, abs=1e-6)
    assert paper.contrast(step, 21, Polarity.DARK_ON_LIGHT).max() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize(("ink", "ground", "expected"), [(30, 220, "dark-on-light"), (220, 30, "light-on-dark")])
@pytest.mark.parametrize("box", [(0.3, 0.2, 0.7, 0.8), (0.02, 0.02, 0.98, 0.98)], ids=["inside", "full"])
def test_polarity_is_seen(digit: int, ink: int, ground: int, expected: str, box: tuple[float, ...]) -> None:
    """Dark on light and light on dark are told apart, also where the digit fills the frame."""
    assert expected == paper.remove_paper(grey_of(digit, ink, ground, box=box))[1]


@pytest.mark.parametrize(("ink", "ground", "around"), [(30, 220, 0), (220, 30, 255)])
def test_a_border_of_another_kind_does_not_mislead(ink: int, ground: int, around: int) -> None:
    """Bars around the sheet, as dark as ink, do not turn the polarity."""
    grey = np.pad(grey_of(5, ink, ground), 100, constant_values=around / 255)
    expected = Polarity.DARK_ON_LIGHT if ink < ground else Polarity.LIGHT_ON_DARK

    assert expected == paper.remove_paper(grey)[1]


def test_otsu_parts_two_heaps_between_them() -> None:
    """The threshold lies between two heaps of values, also when they are of very different size."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.02, 950), rng.normal(0.8, 0.02, 50)]).astype(np.float32)

    assert 0.25 < paper.otsu(values) < 0.75


def test_otsu_of_one_value_is_that_value() -> None:
    """There is nothing to part."""
    assert pytest.approx(0.3) == paper.otsu(np.full(9, 0.3, np.float32))
