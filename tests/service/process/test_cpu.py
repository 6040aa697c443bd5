"""Tests of service.process.cpu."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from service.process import cpu


def test_there_are_no_more_than_the_machine_has() -> None:
    """One at least."""
    assert 1 <= cpu.count() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to processors")
def test_a_bound_process_counts_those_it_is_bound_to() -> None:
    """As `taskset` and the CPU manager of Kubernetes bind it."""
    program = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from service.process import cpu; "
    command = [sys.executable, "-c", program + "print(cpu.count())"]

    assert "1\n" == subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("n_processes", "expected"), [(1, 6), (2, 3), (4, 1), (6, 1), (7, 1)])
def test_processes_share_processors(monkeypatch: pytest.MonkeyPatch, n_processes: int, expected: int) -> None:
    """Each gets whole ones, and at least one, which then is another's too."""
    monkeypatch.setattr(cpu, "count", lambda: 6)

    assert expected == cpu.share(n_processes)
