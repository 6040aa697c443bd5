"""How many processors there are for this process."""

from __future__ import annotations

import os


def count() -> int:
    """Return how many processors this process may use.

    That is as many as the machine has, or from Python 3.13 on as `PYTHON_CPU_COUNT` says, but no more than the process
    is bound to, where the system can tell.
    """
    n = os.cpu_count() or 1
    bound = getattr(os, "sched_getaffinity", lambda _: range(n))
    return min(n, len(bound(0)))


def share(n_processes: int) -> int:
    """Return how many processors there are for each of so many processes that all work: at least one."""
    return max(1, count() // n_processes)
