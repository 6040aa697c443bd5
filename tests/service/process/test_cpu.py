"""Tests of service.process.cpu."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.process import cpu


def test_count_is_at_most_that_of_the_machine() -> None:
    """And at least 1."""
    assert 1 <= cpu.count() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_count_respects_cpu_affinity() -> None:
    """`taskset` and the CPU manager of Kubernetes set it."""
    program = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from service.process import cpu; "
    command = [sys.executable, "-c", program + "print(cpu.count())"]

    assert "1\n" == subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("n_processes", "expected"), [(2, 3), (4, 1), (7, 1)])
def test_share_of_each_process(monkeypatch: pytest.MonkeyPatch, n_processes: int, expected: int) -> None:
    """Rounded down, and at least 1."""
    monkeypatch.setattr(cpu, "count", lambda: 6)

    assert expected == cpu.share(n_processes)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a nice value of its own on Linux only")
def test_thread_of_lower_priority_leaves_the_others_alone() -> None:
    """Its nice value is higher, and that of this thread is as it was."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=cpu.lower_priority_of_thread) as pool:
        lowered = pool.submit(os.getpriority, os.PRIO_PROCESS, 0).result()

    assert lowered > before
    assert before == os.getpriority(os.PRIO_PROCESS, 0)


def test_elsewhere_priorities_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the nice value is that of the whole process."""
    monkeypatch.setattr(sys, "platform", "darwin")
    before = os.getpriority(os.PRIO_PROCESS, 0)
    cpu.lower_priority_of_thread()

    assert before == os.getpriority(os.PRIO_PROCESS, 0)
