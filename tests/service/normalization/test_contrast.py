"""Tests of service.normalization.contrast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.network import FloatArray
from service.normalization.contrast import contrasts
from tests.service.normalization.scenes import halves

LEVELS = arrays.arrays(
    np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=30), elements=st.floats(0.5, 1, width=32)
)


def contrast(brightness: FloatArray, window: int) -> FloatArray:
    """Return the contrast in one window."""
    (found,) = contrasts(brightness, [window])
    return found


@given(LEVELS, st.lists(st.sampled_from([1, 3, 4, 5, 8, 12, 61])).map(sorted))
def test_contrast_is_what_a_square_closing_takes_away(grey: FloatArray, windows: list[int]) -> None:
    """The paper of each is scipy's closing with a square, the next odd one, beyond whose frame there is nothing."""
    for window, found in zip(windows, contrasts(grey, windows), strict=True):
        side = window + 1 - window % 2
        closed = ndimage.minimum_filter(
            ndimage.maximum_filter(grey, side, mode="constant", cval=-np.inf), side, mode="constant", cval=np.inf
        )

        np.testing.assert_allclose(1 - grey / closed, found, atol=1e-6)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(
    "light",
    [np.linspace(0.9, 0.4, 100, dtype=np.float32) * np.ones((80, 1), np.float32), halves(0.9, 0.5)],
    ids=["ramp", "step"],
)
def test_light_is_no_contrast(light: FloatArray, turns: int) -> None:
    """Paper that gets darker from side to side, or in one step, is paper, but for half a window at a darkening edge."""
    found = np.rot90(contrast(np.rot90(light, turns), 21), -turns)

    assert pytest.approx(0, abs=1e-6) == found[:, :-10].max()


def test_contrast_is_the_same_in_shadow() -> None:
    """Ink that leaves a quarter of the light does so in the light and in its shadow, up to where that begins."""
    lit = np.ones((100, 100), np.float32)
    lit[40:50, 10:90] = 0.25
    shaded = contrast(lit * halves(0.4, 1, (100, 100)), 31)

    np.testing.assert_allclose(contrast(lit, 31), shaded, atol=1e-6)
    np.testing.assert_allclose(shaded[40:50, 10:90], 0.75, atol=1e-6)


def test_strokes_as_wide_as_the_window_are_paper() -> None:
    """A window shows narrower strokes whole, and of wider ones nothing."""
    grey = np.ones((100, 100), np.float32)
    grey[20:80, 20:29] = grey[20:80, 50:61] = 0.5
    found = contrast(grey, 11)

    np.testing.assert_allclose(found[20:80, 20:29], 0.5, atol=1e-6)
    assert 0 == found[:, 40:].max()


def test_deep_shadow_has_no_contrast() -> None:
    """The noise of a black picture is not magnified without bounds."""
    grey = np.abs(np.random.default_rng(0).normal(0, 0.002, (64, 64))).astype(np.float32)

    assert 0.03 > np.ptp(contrast(grey, 9))
