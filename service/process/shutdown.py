"""Graceful shutdown: SIGTERM first fails the readiness probe, and stops the server after a delay.

During the delay load balancers notice the failing probe and stop sending requests, before connections are refused. Out
of scope: finishing requests in flight (uvicorn).
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
    """Within this context, SIGTERM calls `begin`, and after `seconds` the previous handler.

    Does nothing without a previous handler, or outside of the main thread, which alone receives signals.
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
