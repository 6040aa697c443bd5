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

# Prints malloc_info of a process in which four threads have allocated memory at the same time.
_PROGRAM = """
import ctypes, sys, threading
from service.process import memory

if sys.argv[1] == "configured":
    assert memory.configure_malloc()
allocated = threading.Barrier(4)

def work():
    block = bytearray(100_000)
    allocated.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
library = ctypes.CDLL(None)
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
library.fflush(None)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_threads_share_one_arena() -> None:
    """M_ARENA_MAX=1 leaves one arena. By default each thread gets its own."""

    def n_arenas(mode: str) -> int:
        command = [sys.executable, "-c", _PROGRAM, mode]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.count("<heap nr=")

    assert 1 == n_arenas("configured") < n_arenas("default")


def test_configure_malloc_without_mallopt(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another C library it returns False."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    assert not memory.configure_malloc()


def resident_bytes() -> int:
    """Return the resident set size of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_free_pages_between_used_blocks_are_returned() -> None:
    """After every other block of 64 MB is freed, malloc_trim returns at least 16 MB."""

    async def allocate_and_free() -> None:
        blocks = [bytearray(b"x" * 64_000) for _ in range(1_000)]
        async with memory.trimmed_periodically(interval=0.01):
            before = resident_bytes()
            del blocks[::2]
            for _ in range(1_000):
                await asyncio.sleep(0.01)
                if resident_bytes() < before - 16_000_000:
                    return
        pytest.fail("no memory was returned")

    asyncio.run(allocate_and_free())


def test_trimming_without_malloc_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another C library the context does nothing."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    async def pass_through() -> bool:
        async with memory.trimmed_periodically(interval=0):
            await asyncio.sleep(0.01)
        return True

    assert asyncio.run(pass_through())
