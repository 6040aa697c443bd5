"""SIGTERM: first the service says that it is not ready, then, some time later, the server hears of it and stops.

So that whatever hands out requests has noticed before connections are refused.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def draining(begin: Callable[[], None], seconds: float) -> Iterator[None]:
    """Within this context, call `begin` on SIGTERM, and the handler that was there so many seconds later.

    Where there was none, or outside of the main thread, where signals do not arrive, nothing changes.
    """
    stop = signal.getsignal(signal.SIGTERM)
    if not callable(stop) or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        begin()
        loop.call_soon_threadsafe(loop.call_later, seconds, stop, number, frame)

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
