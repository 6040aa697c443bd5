"""How much a process has in hand, and whether it should take more: by how long work has waited, and by memory.

Leaves: Overloaded. Who comes too often gets that at once, so that whoever is accepted is answered in time; after
Nichols and Jacobson 2012, "Controlling Queue Delay", a queue is too long when what leaves it has waited too long.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from service import processors
from service.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

# Seconds that the event loop may be behind, and that the next in line for a thread may have waited. For the loop wait
# probes and tiny pictures, in line for a thread only what takes long itself.
MAX_LAG = 0.04
# Fewer requests in one turn of the loop are not what keeps it: then the processor is busy with something else.
CROWD = 16
MAX_WAIT = 1.0
# The loop's delay is measured against a clock of this many seconds.
_TICK = 0.01


class Load:
    """What one process does at the moment; made within the event loop that it measures.

    `max_bytes` is what the bodies of all requests may have together; `now` returns seconds.
    """

    def __init__(self, max_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._n_bytes = 0
        self._n_requests = 0
        self._due = math.inf
        self._waiting: deque[float] = deque()
        # More threads than processors would only take turns, each with a decoded picture in memory.
        n_threads = processors.count()
        self._turns = CapacityLimiter(n_threads)
        self._threads = CapacityLimiter(n_threads)

    @property
    def lag(self) -> float:
        """Seconds that the event loop is behind."""
        return max(0.0, self._now() - self._due)

    def check(self) -> None:
        """Take note of one more request. Raises Overloaded while so many are what keeps the event loop behind."""
        self._n_requests += 1
        if self._n_requests > CROWD and self.lag > MAX_LAG:
            raise _overloaded()

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """Give what takes note of so many more bytes in memory, to the end of the context. It raises Overloaded."""
        n_held = 0

        def hold(n_bytes: int) -> None:
            nonlocal n_held
            if self._n_bytes + n_bytes > self._max_bytes:
                raise _overloaded()
            n_held += n_bytes
            self._n_bytes += n_bytes

        try:
            yield hold
        finally:
            self._n_bytes -= n_held

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that takes longer than the event loop should wait. Raises Overloaded where the line is too long."""
        now = self._now()
        if self._waiting and now - self._waiting[0] > MAX_WAIT:
            raise _overloaded()
        self._waiting.append(now)
        try:
            await self._turns.acquire()
        finally:
            self._waiting.remove(now)
        try:
            return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=self._threads)
        finally:
            self._turns.release()

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Measure the loop's delay within this context."""
        loop = asyncio.get_running_loop()

        def tick() -> None:
            self._due = self._now() + _TICK
            self._n_requests = 0
            self._timer = loop.call_later(_TICK, tick)

        tick()
        try:
            yield
        finally:
            self._timer.cancel()
            self._due = math.inf


def _overloaded() -> Overloaded:
    return Overloaded("the service has more work than it can do at the moment: send it again after a while")
