"""Admission control and load shedding: which requests a process takes, so that it answers those it takes in time.

Enters: requests that ask to be admitted, bytes of bodies, work. Leaves: their turn, or Overloaded. A queue is too long
when what leaves it has waited too long, after Nichols and Jacobson 2012, "Controlling Queue Delay": that holds on every
machine, where a length of the queue would have to be guessed. Each kind of work has queues and threads of its own
(bulkheads; Nygard 2018, "Release It!"), so that a flood of one kind leaves the others their share. Out of scope: HTTP
(`api.middleware.admission`).
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import ParamSpec, TypeVar

from anyio import CapacityLimiter

from service.errors import Overloaded
from service.process import cpu

P = ParamSpec("P")
T = TypeVar("T")

# A tick is one round of the event loop. Probes and new connections wait for its end, so it must be short: it admits few
# requests, fewer when the queue is slow, and rejects few.
ADMISSIONS_PER_TICK = 4
ADMISSIONS_PER_TICK_WHEN_SLOW = 2
REJECTIONS_PER_TICK = 8
# Of the larger kinds fewer: receiving one body takes the event loop as long as many small requests.
LARGE_ADMISSIONS_PER_TICK = 1
# Seconds of one tick that the event loop may spend on small pictures; further ones go to threads.
MAX_INLINE_PER_TICK = 0.01
# Seconds that a request may wait to be admitted, where more than the following wait: a machine that is busy with other
# things may stall the process for longer, and a few requests that waited meanwhile are no overload. For some seconds
# after a rejection it is one, and a few that wait too long are rejected too.
MAX_QUEUE_DELAY = 0.1
MIN_QUEUE_TO_SHED = 16
SHEDDING_SECONDS = 1.0
# Seconds that the request at the head of the queue for a thread may have waited. It is longer, since pictures that take
# long wait there for pictures that take long.
MAX_THREAD_QUEUE_DELAY = 1.0


class Work(Enum):
    """A kind of work, by what it costs."""

    SMALL = "small pictures and pixels, and what has no body"
    LARGE = "larger pictures"
    MANY = "pictures with many digits, and many pictures"


@dataclass(eq=False)
class _Lane:
    """The queues and threads of one kind of work.

    `queue` has the requests that wait to be admitted, with the time at which they came. `n_admitted` are those of this
    tick, and `shed_at` is the time of the last rejection. `thread_queue` has the times at which work began to wait for
    one of the `turns`, of which there are as many as `threads`.
    """

    per_tick: int
    per_tick_when_slow: int
    turns: CapacityLimiter
    threads: ThreadPoolExecutor
    queue: deque[tuple[float, asyncio.Future[bool]]] = field(default_factory=deque)
    n_admitted: int = 0
    shed_at: float = -math.inf
    thread_queue: deque[float] = field(default_factory=deque)

    def check_thread_queue(self, now: float) -> None:
        """Raise Overloaded while the head of the queue for a thread has waited too long."""
        if self.thread_queue and now - self.thread_queue[0] > MAX_THREAD_QUEUE_DELAY:
            raise _overloaded()


class AdmissionControl:
    """The work that one process has in flight.

    `max_bytes` is the in-flight byte budget of all request bodies together. `n_threads` is how many requests of each
    kind of work are done in threads at a time. `now` returns seconds.
    """

    def __init__(self, max_bytes: int, n_threads: int, now: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._n_bytes = 0
        small = _Lane(
            ADMISSIONS_PER_TICK,
            ADMISSIONS_PER_TICK_WHEN_SLOW,
            CapacityLimiter(n_threads),
            ThreadPoolExecutor(n_threads, "small"),
        )
        # Their threads yield to the event loop, which all requests and probes need.
        large, many = (
            _Lane(
                LARGE_ADMISSIONS_PER_TICK,
                LARGE_ADMISSIONS_PER_TICK,
                CapacityLimiter(n_threads),
                ThreadPoolExecutor(n_threads, name, cpu.lower_priority_of_thread),
            )
            for name in ("large", "many")
        )
        self._lanes = {Work.SMALL: small, Work.LARGE: large, Work.MANY: many}
        self._is_tick_scheduled = False
        self._inline_seconds = 0.0

    async def admit(self, work: Work) -> None:
        """Wait until the event loop has time for the request.

        Raises Overloaded when the queue of its kind is long and slow, or no thread will soon be free for it.
        """
        lane = self._lanes[work]
        lane.check_thread_queue(self._now())
        if lane.queue or lane.n_admitted >= lane.per_tick:
            # The future's result is a flag and no exception: that would make a reference cycle with this call, and
            # collecting the garbage of thousands of rejections stops everybody.
            admitted = asyncio.get_running_loop().create_future()
            lane.queue.append((self._now(), admitted))
            self._schedule_tick()
            if not await admitted:
                raise _overloaded()
        else:
            lane.n_admitted += 1
            self._schedule_tick()

    def _schedule_tick(self) -> None:
        if not self._is_tick_scheduled:
            self._is_tick_scheduled = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        self._is_tick_scheduled = False
        self._inline_seconds = 0.0
        now = self._now()
        for lane in self._lanes.values():
            lane.n_admitted = 0
            _serve_queue(lane, now)
        if any(lane.n_admitted or lane.queue for lane in self._lanes.values()):
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
        """Do small work, usually over before a thread would begin: in the event loop, while its tick has time."""
        if self._inline_seconds > MAX_INLINE_PER_TICK:
            return await self.run_in_thread(Work.SMALL, work, *args, **kwargs)
        self._schedule_tick()
        started = self._now()
        try:
            return work(*args, **kwargs)
        finally:
            self._inline_seconds += self._now() - started

    async def run_in_thread(self, kind: Work, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that would block the event loop for too long. Raises Overloaded where the queue is too slow."""
        lane, now = self._lanes[kind], self._now()
        lane.check_thread_queue(now)
        lane.thread_queue.append(now)
        try:
            await lane.turns.acquire()
        finally:
            lane.thread_queue.remove(now)
        try:
            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(
                lane.threads, lambda: context.run(work, *args, **kwargs)
            )
        finally:
            lane.turns.release()

    def close(self) -> None:
        """End the threads, when they have done what they are doing."""
        for lane in self._lanes.values():
            lane.threads.shutdown(wait=False, cancel_futures=True)


def _serve_queue(lane: _Lane, now: float) -> None:
    """Reject the oldest requests while the queue is long and slow, then admit as many as one tick may."""
    queue = lane.queue
    longest = 0 if now - lane.shed_at < SHEDDING_SECONDS else MIN_QUEUE_TO_SHED
    for _ in range(REJECTIONS_PER_TICK):
        if len(queue) <= longest or now - queue[0][0] <= MAX_QUEUE_DELAY:
            break
        _, admitted = queue.popleft()
        lane.shed_at = now
        if not admitted.done():
            admitted.set_result(False)
    # Adaptive LIFO: in a long and slow queue the newest request is served first. In order, all would wait almost as
    # long as is allowed, and many longer.
    is_slow = len(queue) > longest and now - queue[0][0] > MAX_QUEUE_DELAY / 2
    limit = lane.per_tick_when_slow if is_slow else lane.per_tick
    while queue and lane.n_admitted < limit:
        if len(queue) > longest and now - queue[-1][0] > MAX_QUEUE_DELAY:
            break
        _, admitted = queue.pop() if is_slow else queue.popleft()
        if not admitted.done():
            admitted.set_result(True)
            lane.n_admitted += 1


def _overloaded() -> Overloaded:
    return Overloaded("the service has more work than it can do at the moment: send it again after a while")
