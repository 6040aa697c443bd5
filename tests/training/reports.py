"""Reports in a moment: with few negatives, few damaged digits and few draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from training import reliability, report

N_NEGATIVES = 4


@contextmanager
def quick_reports(n_damaged: int = 2) -> Iterator[None]:
    """Let reports be made of so many damaged digits of each kind, four negatives and a hundred draws of labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_N_NEGATIVES", N_NEGATIVES)
        patch.setattr(report, "_N_DAMAGED", n_damaged)
        patch.setattr(reliability, "_DRAWS", 100)
        yield
