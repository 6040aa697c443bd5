"""Tests of service.normalization.windows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.network import FloatArray
from service.normalization.windows import sliding_max

SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)


@given(
    arrays.arrays(np.float32, SHAPES, elements=st.floats(-1, 1, width=32)),
    st.sampled_from([1, 3, 5, 11, 31]),
    st.sampled_from([-np.inf, 0.0, 2.0]),
)
def test_the_maximum_over_a_square(values: FloatArray, side: int, beyond: float) -> None:
    """It is scipy's, whatever lies beyond the frame and also for squares that reach beyond all of it."""
    expected = ndimage.maximum_filter(values, side, mode="constant", cval=beyond)

    np.testing.assert_array_equal(expected, sliding_max(values, side, beyond))
