"""The C library's memory, told to give back what large pictures took.

glibc keeps what is freed for the next time, apart for each thread, and the more of it the larger pieces it saw: after
some minutes of pictures of all sizes a process has twice what it needs. Other libraries are left as they are.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

# Names and numbers as in <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# The weights that a digit needs are picked into less than this, again and again; pictures of many pixels need more.
_LARGE_BYTES = 2 * 1024 * 1024
_KEPT_BYTES = 16 * 1024 * 1024
# Between what is in use, free pages stay until somebody asks for them to be given back, which takes a millisecond.
_TRIM_SECONDS = 20


def configure_malloc() -> bool:
    """Have threads share their memory, and large pieces given back when they are freed; return whether that is known.

    For all of the process, and best before it has threads.
    """
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    options = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _LARGE_BYTES, _M_TRIM_THRESHOLD: _KEPT_BYTES}
    return all(mallopt(option, value) for option, value in options.items())


@asynccontextmanager
async def trimmed(seconds: float = _TRIM_SECONDS) -> AsyncIterator[None]:
    """Within this context, give back what is free every so many seconds."""
    trim = _function("malloc_trim")

    async def keep_trimming() -> None:
        while trim is not None:
            await asyncio.sleep(seconds)
            # In a thread, since requests need not wait for it.
            await asyncio.to_thread(trim, 0)

    task = asyncio.create_task(keep_trimming())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _function(name: str) -> Callable[..., int] | None:
    """Return a function of the C library, None where there is none of this name."""
    return None if sys.platform == "win32" else getattr(ctypes.CDLL(None), name, None)
