"""Tests of service.normalization.levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.network import FloatArray
from service.normalization.levels import median, otsu

SHAPES = arrays.array_shapes(min_dims=1, max_dims=2, max_side=40)


@given(
    st.one_of(
        arrays.arrays(np.float32, SHAPES, elements=st.floats(-1, 1, width=32)),
        arrays.arrays(np.float32, SHAPES, elements=st.sampled_from([0, 0, 0.25, 0.5])),
    )
)
def test_the_median_is_numpys(values: FloatArray) -> None:
    """Also where many values are equal, and where their number is even."""
    assert float(np.median(values)) == median(values)


@given(
    st.one_of(
        arrays.arrays(np.float32, st.integers(2, 60), elements=st.floats(0, 1, width=32)),
        # Where bins meet.
        arrays.arrays(np.float32, st.integers(2, 60), elements=st.integers(0, 64).map(lambda k: k * 49 / 4096)),
    )
)
def test_otsu_has_the_least_variance_within_its_classes(values: FloatArray) -> None:
    """No other threshold between 64 bins parts the histogram into classes that vary less."""
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values.astype(np.float64), 64, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    heap = centres.repeat(counts)

    def within(threshold: float) -> float:
        below, above = heap[heap <= threshold], heap[heap > threshold]
        return float(sum(((part - part.mean()) ** 2).sum() for part in (below, above) if part.size))

    found = otsu(values)

    assert low == high or low < found <= high
    assert low == high or pytest.approx(min(within(edge) for edge in edges[1:-1]), abs=1e-9) == within(found)


def test_otsu_parts_two_heaps_between_them() -> None:
    """The threshold lies between two heaps of values, also when they are of very different size."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.02, 950), rng.normal(0.8, 0.02, 50)]).astype(np.float32)

    assert 0.25 < otsu(values) < 0.75


def test_otsu_of_one_value_is_that_value() -> None:
    """There is nothing to part."""
    assert pytest.approx(0.3) == otsu(np.full(9, 0.3, np.float32))


@pytest.mark.parametrize("value", [0.07, 0.5, 1.0])
def test_otsu_of_neighbouring_numbers_is_one_of_them(value: float) -> None:
    """Rounding makes two values of one."""
    values = np.array([np.nextafter(np.float32(value), np.float32(0)), value], np.float32)

    assert values[0] <= otsu(values) <= values[1]
