"""Tests of service.process.memory."""

from __future__ import annotations

import asyncio
import ctypes
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from service.process import memory

# Prints what glibc says of its memory after threads have used some.
_PROGRAM = """
import ctypes, sys, threading
from service.process import memory

if sys.argv[1] == "told":
    assert memory.configure_malloc()
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

    assert not memory.configure_malloc()


def resident() -> int:
    """Return how many bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_what_is_free_between_what_is_used_is_given_back() -> None:
    """Of 64 MB in pieces, every other is freed: that much less, or most of it, soon belongs to the process."""

    async def use_and_free() -> None:
        pieces = [bytearray(b"x" * 64_000) for _ in range(1_000)]
        async with memory.trimmed(seconds=0.01):
            held = resident()
            del pieces[::2]
            for _ in range(1_000):
                await asyncio.sleep(0.01)
                if resident() < held - 16_000_000:
                    return
        pytest.fail("nothing was given back")

    asyncio.run(use_and_free())


def test_without_the_function_nothing_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The context is there all the same."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    async def pass_through() -> bool:
        async with memory.trimmed(seconds=0):
            await asyncio.sleep(0.01)
        return True

    assert asyncio.run(pass_through())
