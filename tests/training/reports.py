"""Reports that take a moment: few negatives, few corrupted digits, few rows, few resamples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from training import reliability, report

N_NEGATIVES = 4
# Pictures of pairs, rows of each kind, and the digits of which the rows consist.
N_ROWS = 3


@contextmanager
def quick_reports(n_corrupted: int = 2) -> Iterator[None]:
    """Make reports with `n_corrupted` digits per corruption, four negatives per kind, three rows and 100 resamples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_N_NEGATIVES", N_NEGATIVES)
        patch.setattr(report, "_N_CORRUPTED", n_corrupted)
        for name in ("_N_PAIRS", "_N_ROWS", "_N_ROW_DIGITS"):
            patch.setattr(report, name, N_ROWS)
        patch.setattr(reliability, "_RESAMPLES", 100)
        yield
