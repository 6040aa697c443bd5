"""Reports that take a moment: few negatives, few corrupted digits, few resamples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from training import reliability, report

N_NEGATIVES = 4


@contextmanager
def quick_reports(n_corrupted: int = 2) -> Iterator[None]:
    """Make reports with this number of corrupted digits per kind, four negatives per kind, and 100 resamples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_N_NEGATIVES", N_NEGATIVES)
        patch.setattr(report, "_N_CORRUPTED", n_corrupted)
        patch.setattr(reliability, "_RESAMPLES", 100)
        yield
