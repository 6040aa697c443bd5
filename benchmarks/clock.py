"""How long work takes: the best of several rounds, since whatever else the machine does only adds to it."""

from __future__ import annotations

import time
from collections.abc import Callable

_ROUNDS = 7


def best(work: Callable[[], object], n: int) -> float:
    """Return the seconds that one call takes, in the best of several rounds of n calls."""
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(n):
            work()
        times.append((time.perf_counter() - start) / n)
    return min(times)
