"""Tests of service.memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from service import memory

# Prints what glibc says of its memory after threads have used some.
_PROGRAM = """
import ctypes, sys, threading
from service import memory

if sys.argv[1] == "told":
    assert memory.give_back()
used = threading.Barrier(4)

def work():
    piece = bytearray(100_000)
    used.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library = ctypes.CDLL(None)
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
library.fflush(None)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_threads_share_their_memory() -> None:
    """What one has freed is there for the others; without being told, each would keep it for itself."""

    def n_heaps(told: str) -> int:
        command = [sys.executable, "-c", _PROGRAM, told]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.count("<heap nr=")

    assert 1 == n_heaps("told") < n_heaps("not told")


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no such function, nothing is done."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    assert not memory.give_back()
