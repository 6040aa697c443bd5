"""Tests of service.normalization.ink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.errors import NoInk
from service.normalization import ink
from service.normalization.ink import Box


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_labels_number_the_connected_groups(mask: ink.BoolArray) -> None:
    """The groups are scipy's, with diagonal neighbours, under whatever numbers."""
    expected, n_groups = ndimage.label(mask, np.ones((3, 3)))
    labels = ink.label(mask)

    assert n_groups == len(np.unique(labels[mask]))
    assert n_groups == len({(int(a), int(b)) for a, b in zip(labels[mask], expected[mask], strict=True)})
    assert not labels[~mask].any()


def test_the_box_is_tight() -> None:
    """The box has the first and the last row and column with ink, the last not included."""
    mask = np.zeros((9, 12), np.bool_)
    mask[2, 5] = mask[6, 3] = True
    box = ink.bounding_box(mask)

    assert Box(top=2, left=3, bottom=7, right=6) == box
    assert (5, 3) == (box.height, box.width)


def test_specks_are_left_out_and_strokes_are_kept() -> None:
    """A speck far off does not belong to the digit, a second stroke as long as the first does."""
    contrast = np.zeros((100, 100), np.float32)
    contrast[20:80, 40:44] = contrast[20:80, 60:64] = 0.5
    contrast[2:4, 2:4] = 0.5
    found = ink.find_digit(contrast)

    assert Box(20, 40, 80, 64) == found.box
    assert 1 == found.strength[50, 41] == found.strength[50, 61]
    assert 0 == found.strength[3, 3]


def test_full_ink_is_the_core_of_the_strokes() -> None:
    """Half-covered edges do not lower the contrast that counts as full ink."""
    contrast = np.zeros((50, 50), np.float32)
    contrast[10:40, 20:26] = 0.6
    contrast[10:40, 19] = contrast[10:40, 26] = 0.3

    assert pytest.approx(0.6) == ink.full_ink(contrast)


@pytest.mark.parametrize("grain", [0, 0.01, 0.03])
def test_grain_is_no_ink(grain: float) -> None:
    """Paper with the grain of a camera's noise is blank."""
    contrast = np.abs(np.random.default_rng(0).normal(0, 1, (200, 200)) * grain).astype(np.float32)

    with pytest.raises(NoInk, match="blank"):
        ink.find_digit(contrast)
