"""How much a process has in hand, and whether it should take more: by how long work has waited, and by memory.

Leaves: Overloaded. Who comes too often gets that soon, so that whoever is accepted is answered in time; after Nichols
and Jacobson 2012, "Controlling Queue Delay", a queue is too long when what leaves it has waited too long.
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

# So many requests are let in in one round of the event loop, before it looks again who is there. A probe, or who has
# just connected, waits for a round: so these are short, and some requests are refused in each, when the line is slow.
AT_A_TIME = 4
AT_A_TIME_WHEN_SLOW = 2
REFUSED_AT_A_TIME = 8
# Seconds of one round that the event loop may spend on small pictures; more of them go to threads.
MAX_BUSY = 0.01
# Seconds that a request may wait to be let in.
PATIENCE = 0.1
# Seconds that the next in line for a thread may have waited; there what takes long waits for what takes long.
MAX_WAIT = 1.0


class Load:
    """What one process does at the moment.

    `max_bytes` is what the bodies of all requests may have together, `n_threads` how many may do what takes long;
    `now` returns seconds.
    """

    def __init__(self, max_bytes: int, n_threads: int, now: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._n_bytes = 0
        self._line: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._n_let_in = 0
        self._is_awaited = False
        self._busy = 0.0
        self._waiting: deque[float] = deque()
        self._turns = CapacityLimiter(n_threads)
        self._threads = CapacityLimiter(n_threads)

    async def let_in(self) -> None:
        """Wait until the event loop has time for one more request. Raises Overloaded where that takes too long."""
        if self._line or self._n_let_in >= AT_A_TIME:
            # Its result is no error: that would hold on to this call, and this call to the future, until garbage is
            # collected, for which everybody waits.
            turn = asyncio.get_running_loop().create_future()
            self._line.append((self._now(), turn))
            self._await_round()
            if not await turn:
                raise _overloaded()
        else:
            self._n_let_in += 1
            self._await_round()

    def _await_round(self) -> None:
        if not self._is_awaited:
            self._is_awaited = True
            asyncio.get_running_loop().call_soon(self._begin_round)

    def _begin_round(self) -> None:
        self._is_awaited = False
        self._n_let_in = 0
        self._busy = 0.0
        now = self._now()
        for _ in range(REFUSED_AT_A_TIME):
            if not self._line or now - self._line[0][0] <= PATIENCE:
                break
            _, turn = self._line.popleft()
            if not turn.done():
                turn.set_result(False)
        # In a line that is slow the last come first: else all would wait as long as is just allowed, and many longer.
        is_slow = bool(self._line) and now - self._line[0][0] > PATIENCE / 2
        most = AT_A_TIME_WHEN_SLOW if is_slow else AT_A_TIME
        while self._line and self._n_let_in < most and now - self._line[-1][0] <= PATIENCE:
            _, turn = self._line.pop() if is_slow else self._line.popleft()
            if not turn.done():
                turn.set_result(True)
                self._n_let_in += 1
        if self._n_let_in or self._line:
            self._await_round()

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

    async def at_once(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that is usually over before a thread would begin: in the event loop, while its round has time."""
        if self._busy > MAX_BUSY:
            return await self.in_thread(work, *args, **kwargs)
        self._await_round()
        started = self._now()
        try:
            return work(*args, **kwargs)
        finally:
            self._busy += self._now() - started

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


def _overloaded() -> Overloaded:
    return Overloaded("the service has more work than it can do at the moment: send it again after a while")
