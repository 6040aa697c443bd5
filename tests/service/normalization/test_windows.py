"""Tests of service.normalization.windows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.network import FloatArray
from service.normalization.runs import BoolArray
from service.normalization.windows import sliding_max

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)


SIDES = st.sampled_from([1, 3, 5, 11, 31])


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(-1, 1, width=32)), SIDES, SIDES)
def test_the_maximum_over_a_window(values: FloatArray, rows: int, columns: int) -> None:
    """It is scipy's, also for windows that reach beyond all of the picture."""
    expected = ndimage.maximum_filter(values, (rows, columns), mode="constant", cval=-np.inf)

    np.testing.assert_array_equal(expected, sliding_max(values, rows, columns))


@given(arrays.arrays(np.bool_, SHAPES), SIDES, SIDES)
def test_a_mask_grows(mask: BoolArray, rows: int, columns: int) -> None:
    """It is scipy's dilation with a rectangle: nothing comes in from outside."""
    expected = ndimage.binary_dilation(mask, np.ones((rows, columns), np.bool_))

    np.testing.assert_array_equal(expected, sliding_max(mask, rows, columns))
