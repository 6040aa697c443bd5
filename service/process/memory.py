"""glibc malloc settings that limit heap fragmentation: mallopt (M_ARENA_MAX and thresholds) and malloc_trim.

By default glibc gives each thread an arena of its own, does not return freed memory to the operating system, and
raises its mmap threshold with the largest freed block. After minutes of pictures of all sizes the resident set is twice
what is needed. ctypes calls glibc, since Python has no interface to it. Out of scope: other C libraries (musl, macOS,
Windows), where these functions do nothing.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

# Options of mallopt(3), from <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# Larger blocks come from mmap and return to the operating system when freed. Buffers of inference are smaller and are
# reused from the heap. Buffers of large pictures are larger.
_MMAP_THRESHOLD = 2 * 1024 * 1024
# Free bytes at the top of the heap that are kept.
_TRIM_THRESHOLD = 16 * 1024 * 1024
# malloc_trim also returns free pages between used blocks. It takes about a millisecond.
_TRIM_INTERVAL = 20


def configure_malloc() -> bool:
    """Let all threads share one arena (M_ARENA_MAX=1), and fix the thresholds from which freed memory is returned.

    Applies to the whole process; call it before threads start. Returns False if the C library has no mallopt.
    """
    mallopt = _libc_function("mallopt")
    if mallopt is None:
        return False
    options = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _MMAP_THRESHOLD, _M_TRIM_THRESHOLD: _TRIM_THRESHOLD}
    return all(mallopt(option, value) for option, value in options.items())


@asynccontextmanager
async def trimmed_periodically(interval: float = _TRIM_INTERVAL) -> AsyncIterator[None]:
    """Within this context, call malloc_trim every `interval` seconds: it returns free pages to the operating system."""
    malloc_trim = _libc_function("malloc_trim")

    async def trim_periodically() -> None:
        while malloc_trim is not None:
            await asyncio.sleep(interval)
            # In a thread, so that it does not block the event loop.
            await asyncio.to_thread(malloc_trim, 0)

    task = asyncio.create_task(trim_periodically())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _libc_function(name: str) -> Callable[..., int] | None:
    """Return a function of the C library, or None if it has none of this name."""
    return None if sys.platform == "win32" else getattr(ctypes.CDLL(None), name, None)
