"""Tests of service.normalization.runs."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis.extra import numpy as arrays

from service.normalization.runs import BoolArray, find_runs

MASK = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0]]) > 0


def test_runs_end_with_their_row() -> None:
    """A row that ends in ink, and the next that begins with it, are two runs."""
    runs = find_runs(MASK)

    assert [2, 1, 3, 1] == runs.lengths.tolist()
    assert 5 == runs.stride
    assert [0, 3, 11, 15] == runs.starts.tolist()
    assert [2, 4, 14, 16] == runs.ends.tolist()


def test_runs_are_painted_with_their_values() -> None:
    """Each in its place, and nothing beside them."""
    expected = [[7, 7, 0, 8], [0, 0, 0, 0], [0, 9, 9, 9], [5, 0, 0, 0]]

    np.testing.assert_array_equal(expected, find_runs(MASK).painted(np.array([7, 8, 9, 5])))


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_runs_are_those_of_each_row(mask: BoolArray) -> None:
    """Their lengths are what counting gives, row by row, and painting them with 1 gives the mask."""
    runs = find_runs(mask)

    assert [len(list(run)) for row in mask.tolist() for inked, run in groupby(row) if inked] == runs.lengths.tolist()
    np.testing.assert_array_equal(mask, runs.painted(np.ones(len(runs.lengths), np.intp)))
