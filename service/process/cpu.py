"""How many CPUs this process may use, and which of its threads yield to others.

Out of scope: CPU quotas of containers (cgroups), which set no affinity.
"""

from __future__ import annotations

import os
import sys
import threading

# Of a thread that yields. Beside a busy one of the usual priority it has a sixth of a CPU.
_NICENESS = 7


def count() -> int:
    """Return the number of CPUs that this process may use, at least 1.

    That is the number of the machine, or PYTHON_CPU_COUNT from Python 3.13 on, but at most the CPU affinity of the
    process where the system has one.
    """
    n = os.cpu_count() or 1
    affinity = getattr(os, "sched_getaffinity", lambda _: range(n))
    return min(n, len(affinity(0)))


def share(n_processes: int) -> int:
    """Return the number of CPUs for each of `n_processes` busy processes, at least 1."""
    return max(1, count() // n_processes)


def lower_priority_of_thread() -> None:
    """Let the calling thread yield to the other threads. Only on Linux, where a thread has a nice value of its own."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)
