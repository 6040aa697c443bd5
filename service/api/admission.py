"""Admission control and load shedding: which requests a process takes, so that it answers those it takes in time.

Enters: requests that ask to be admitted, bytes of bodies, work. Leaves: their turn, or Overloaded. A queue is too long
when what leaves it has waited too long, after Nichols and Jacobson 2012, "Controlling Queue Delay": that holds on every
machine, where a length of the queue would have to be guessed. Out of scope: HTTP (`api.middleware.admission`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from service.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

# A tick is one round of the event loop. Probes and new connections wait for its end, so it must be short: it admits few
# requests, fewer when the queue is slow, and rejects few.
ADMISSIONS_PER_TICK = 4
ADMISSIONS_PER_TICK_WHEN_SLOW = 2
REJECTIONS_PER_TICK = 8
# Seconds of one tick that the event loop may spend on small pictures; further ones go to threads.
MAX_INLINE_PER_TICK = 0.01
# Seconds that a request may wait to be admitted, where more than the following wait: a machine that is busy with other
# things may stall the process for longer, and a few requests that waited meanwhile are no overload.
MAX_QUEUE_DELAY = 0.1
MIN_QUEUE_TO_SHED = 16
# Seconds that the request at the head of the queue for a thread may have waited. It is longer, since pictures that take
# long wait there for pictures that take long.
MAX_THREAD_QUEUE_DELAY = 1.0


class AdmissionControl:
    """The work that one process has in flight.

    `max_bytes` is the in-flight byte budget of all request bodies together. `n_threads` is how many pictures are read
    in threads at a time. `now` returns seconds.
    """

    def __init__(self, max_bytes: int, n_threads: int, now: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._n_bytes = 0
        self._queue: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._n_admitted = 0
        self._is_tick_scheduled = False
        self._inline_seconds = 0.0
        self._thread_queue: deque[float] = deque()
        self._turns = CapacityLimiter(n_threads)
        self._threads = CapacityLimiter(n_threads)

    async def admit(self) -> None:
        """Wait until the event loop has time for the request. Raises Overloaded when the queue is long and slow."""
        if self._queue or self._n_admitted >= ADMISSIONS_PER_TICK:
            # The future's result is a flag and no exception: that would make a reference cycle with this call, and
            # collecting the garbage of thousands of rejections stops everybody.
            admitted = asyncio.get_running_loop().create_future()
            self._queue.append((self._now(), admitted))
            self._schedule_tick()
            if not await admitted:
                raise _overloaded()
        else:
            self._n_admitted += 1
            self._schedule_tick()

    def _schedule_tick(self) -> None:
        if not self._is_tick_scheduled:
            self._is_tick_scheduled = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        self._is_tick_scheduled = False
        self._n_admitted = 0
        self._inline_seconds = 0.0
        now = self._now()
        for _ in range(REJECTIONS_PER_TICK):
            if len(self._queue) <= MIN_QUEUE_TO_SHED or now - self._queue[0][0] <= MAX_QUEUE_DELAY:
                break
            _, admitted = self._queue.popleft()
            if not admitted.done():
                admitted.set_result(False)
        # Adaptive LIFO: in a long and slow queue the newest request is served first. In order, all would wait almost as
        # long as is allowed, and many longer.
        is_slow = len(self._queue) > MIN_QUEUE_TO_SHED and now - self._queue[0][0] > MAX_QUEUE_DELAY / 2
        limit = ADMISSIONS_PER_TICK_WHEN_SLOW if is_slow else ADMISSIONS_PER_TICK
        while self._queue and self._n_admitted < limit:
            if len(self._queue) > MIN_QUEUE_TO_SHED and now - self._queue[-1][0] > MAX_QUEUE_DELAY:
                break
            _, admitted = self._queue.pop() if is_slow else self._queue.popleft()
            if not admitted.done():
                admitted.set_result(True)
                self._n_admitted += 1
        if self._n_admitted or self._queue:
            self._schedule_tick()

    @contextmanager
    def reserve_bytes(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that takes bytes from the in-flight budget until the context ends. It raises Overloaded."""
        n_reserved = 0

        def reserve(n_bytes: int) -> None:
            nonlocal n_reserved
            if self._n_bytes + n_bytes > self._max_bytes:
                raise _overloaded()
            n_reserved += n_bytes
            self._n_bytes += n_bytes

        try:
            yield reserve
        finally:
            self._n_bytes -= n_reserved

    async def run_inline(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that is usually over before a thread would begin: in the event loop, while its tick has time."""
        if self._inline_seconds > MAX_INLINE_PER_TICK:
            return await self.run_in_thread(work, *args, **kwargs)
        self._schedule_tick()
        started = self._now()
        try:
            return work(*args, **kwargs)
        finally:
            self._inline_seconds += self._now() - started

    async def run_in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that would block the event loop for too long. Raises Overloaded where the queue is too slow."""
        now = self._now()
        if self._thread_queue and now - self._thread_queue[0] > MAX_THREAD_QUEUE_DELAY:
            raise _overloaded()
        self._thread_queue.append(now)
        try:
            await self._turns.acquire()
        finally:
            self._thread_queue.remove(now)
        try:
            return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=self._threads)
        finally:
            self._turns.release()


def _overloaded() -> Overloaded:
    return Overloaded("the service has more work than it can do at the moment: send it again after a while")
