"""Tests of service.api.admission."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from service.api.admission import (
    ADMISSIONS_PER_TICK,
    ADMISSIONS_PER_TICK_WHEN_SLOW,
    MAX_INLINE_PER_TICK,
    MAX_QUEUE_DELAY,
    MAX_THREAD_QUEUE_DELAY,
    MIN_QUEUE_TO_SHED,
    REJECTIONS_PER_TICK,
    SHEDDING_SECONDS,
    AdmissionControl,
    Work,
)
from service.errors import Overloaded

N_THREADS = 2


class Clock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still until it is advanced."""
    return Clock()


class Simulation:
    """Requests that are admitted or rejected. Each advances the clock by the cost of its outcome."""

    def __init__(self, clock: Clock, admitted: float, rejected: float = 0) -> None:
        self.admission = AdmissionControl(1, N_THREADS, clock)
        self.clock = clock
        self.costs = {"admitted": admitted, "rejected": rejected}
        self.outcomes: dict[int, tuple[str, float]] = {}

    async def request(self, number: int) -> None:
        """Ask for admission, and record the outcome and the waiting time."""
        started = self.clock.seconds
        try:
            await self.admission.admit(Work.SMALL)
            outcome = "admitted"
        except Overloaded:
            outcome = "rejected"
        self.outcomes[number] = (outcome, self.clock.seconds - started)
        self.clock.seconds += self.costs[outcome]

    def waits(self, outcome: str) -> list[float]:
        """Return the waiting times in seconds of requests with this outcome."""
        return [seconds for found, seconds in self.outcomes.values() if found == outcome]

    def run(self, n: int) -> None:
        """Send n requests at the same time, and wait for all outcomes."""

        async def main() -> None:
            async with anyio.create_task_group() as group:
                for number in range(n):
                    group.start_soon(self.request, number)

        anyio.run(main)


def test_few_are_admitted_in_one_tick(clock: Clock) -> None:
    """ADMISSIONS_PER_TICK requests are admitted without waiting, in every tick."""

    async def main() -> int:
        admission = AdmissionControl(1, N_THREADS, clock)
        n_immediate = 0
        for _ in range(3):
            for _ in range(ADMISSIONS_PER_TICK):
                with suppress(StopIteration):
                    admission.admit(Work.SMALL).send(None)
                    continue
                n_immediate += 1
            await asyncio.sleep(0)
        return n_immediate

    assert 3 * ADMISSIONS_PER_TICK == asyncio.run(main())


def test_slow_queue_is_lifo(clock: Clock) -> None:
    """Adaptive LIFO: the newest requests are admitted, ADMISSIONS_PER_TICK_WHEN_SLOW per tick."""
    simulation = Simulation(clock, admitted=0.001)

    async def main() -> list[tuple[int, str]]:
        tasks = [asyncio.ensure_future(simulation.request(number)) for number in range(100)]
        await asyncio.sleep(0)
        clock.seconds += 0.6 * MAX_QUEUE_DELAY
        before = set(simulation.outcomes)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        outcomes = [(number, outcome) for number, (outcome, _) in simulation.outcomes.items() if number not in before]
        for task in tasks:
            task.cancel()
        return outcomes

    assert [(99 - i, "admitted") for i in range(ADMISSIONS_PER_TICK_WHEN_SLOW)] == asyncio.run(main())


def test_fast_queue_is_fifo(clock: Clock) -> None:
    """A burst that is done within MAX_QUEUE_DELAY is admitted in order, without rejections."""
    n = 50
    simulation = Simulation(clock, admitted=MAX_QUEUE_DELAY / 2 / n)
    simulation.run(n)
    waits = simulation.waits("admitted")

    assert n == len(waits)
    assert sorted(waits) == waits


def test_load_shedding_bounds_the_delay_of_admitted_requests(clock: Clock) -> None:
    """Of ten times too many requests most are rejected. What is admitted from a long queue has not waited too long."""
    n = 1000
    simulation = Simulation(clock, admitted=10 * MAX_QUEUE_DELAY / n, rejected=MAX_QUEUE_DELAY / n)
    simulation.run(n)

    assert n == len(simulation.outcomes)
    assert n / 2 < len(simulation.waits("rejected"))
    assert n / 20 < len(simulation.waits("admitted"))
    from_long_queue = simulation.waits("admitted")[:-MIN_QUEUE_TO_SHED]
    assert max(from_long_queue) <= MAX_QUEUE_DELAY + ADMISSIONS_PER_TICK * simulation.costs["admitted"]


def test_overload_does_not_block_the_event_loop(clock: Clock) -> None:
    """Other tasks run between batches of bounded size, even if rejected requests retry at once."""
    n_done: list[int] = []

    async def main() -> None:
        simulation = Simulation(clock, admitted=0.001, rejected=0.001)

        async def retry(number: int) -> None:
            for attempt in range(20):
                await simulation.request(1000 * attempt + number)

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(retry, number)
            await anyio.lowlevel.checkpoint()
            while len(simulation.outcomes) < 3000:
                n_done.append(len(simulation.outcomes))
                await anyio.lowlevel.checkpoint()

    anyio.run(main)

    # An admitted request continues in the next tick, and retries in the one after.
    assert max(np.diff(n_done[1:])) <= 2 * (ADMISSIONS_PER_TICK + REJECTIONS_PER_TICK)


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0, None), (2 * MAX_QUEUE_DELAY, Overloaded)], ids=["admitted", "rejected"]
)
def test_cancelled_request_is_skipped(clock: Clock, seconds: float, outcome: type[Overloaded] | None) -> None:
    """The request behind it is admitted, or rejected."""

    async def main() -> BaseException | None:
        admission = AdmissionControl(1, N_THREADS, clock)
        n = ADMISSIONS_PER_TICK + 2 + MIN_QUEUE_TO_SHED
        tasks = [asyncio.ensure_future(admission.admit(Work.SMALL)) for _ in range(n)]
        cancelled, behind = tasks[ADMISSIONS_PER_TICK : ADMISSIONS_PER_TICK + 2]
        await asyncio.sleep(0)
        cancelled.cancel()
        clock.seconds += seconds
        await asyncio.wait([behind], timeout=10)
        for task in tasks:
            task.cancel()
        return behind.exception()

    assert outcome == (type(found) if (found := asyncio.run(main())) else None)


def test_few_requests_are_no_overload(clock: Clock) -> None:
    """A process that was stalled finds requests that have waited for long: a few of them are admitted, in order."""
    simulation = Simulation(clock, admitted=5 * MAX_QUEUE_DELAY)
    simulation.run(ADMISSIONS_PER_TICK + MIN_QUEUE_TO_SHED)

    assert [] == simulation.waits("rejected")
    assert sorted(simulation.outcomes) == list(simulation.outcomes)


def test_after_a_rejection_a_few_that_wait_too_long_are_rejected(clock: Clock) -> None:
    """The last of a long queue too, until no request has been rejected for SHEDDING_SECONDS."""
    outcomes: list[str] = []

    async def main() -> None:
        simulation = Simulation(clock, admitted=0)

        async def wait_too_long(numbers: range) -> None:
            tasks = [asyncio.ensure_future(simulation.request(number)) for number in numbers]
            await asyncio.sleep(0)
            clock.seconds += 2 * MAX_QUEUE_DELAY
            await asyncio.gather(*tasks)
            outcomes.append(" ".join(sorted({simulation.outcomes[number][0] for number in numbers})))

        few = ADMISSIONS_PER_TICK + MIN_QUEUE_TO_SHED
        await wait_too_long(range(few))
        await wait_too_long(range(1000, 1000 + 2 * few))
        await wait_too_long(range(2000, 2000 + few))
        clock.seconds += SHEDDING_SECONDS
        await wait_too_long(range(3000, 3000 + few))

    asyncio.run(main())

    assert ["admitted", "admitted rejected", "admitted rejected", "admitted"] == outcomes


def test_rejections_create_no_reference_cycles() -> None:
    """Garbage collection would block the event loop under load."""
    clock = Clock()
    simulation = Simulation(clock, admitted=MAX_QUEUE_DELAY)

    async def main() -> int:
        gc.collect()
        gc.disable()
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(simulation.request, number)
        await anyio.lowlevel.checkpoint()
        return gc.collect()

    try:
        n_collected = anyio.run(main)
    finally:
        gc.enable()

    assert 50 < len(simulation.waits("rejected"))
    assert n_collected < 50


def test_in_flight_byte_budget() -> None:
    """Bytes count until the context ends, with or without an exception."""
    admission = AdmissionControl(100, N_THREADS)

    def fail(n_bytes: int) -> None:
        with admission.reserve_bytes() as reserve:
            reserve(n_bytes)
            raise KeyError

    with admission.reserve_bytes() as first:
        first(60)
        with admission.reserve_bytes() as second:
            second(30)
            with pytest.raises(Overloaded):
                second(30)
        with pytest.raises(KeyError):
            fail(40)
        first(40)
    with admission.reserve_bytes() as third:
        third(100)


def test_slow_thread_queue_rejects_requests(clock: Clock) -> None:
    """While the request at its head has waited too long, also those that ask to be admitted.

    Only of its kind: others have threads of their own. When the queue moves again, requests are admitted.
    """
    resume = threading.Event()
    outcomes: list[str] = []

    async def run(admission: AdmissionControl, work: Any, kind: Work = Work.LARGE) -> None:
        try:
            await admission.admit(kind)
            outcomes.append(await admission.run_in_thread(kind, work))
        except Overloaded:
            outcomes.append("rejected")

    def wait() -> str:
        resume.wait(30)
        return "done"

    async def main() -> None:
        admission = AdmissionControl(1, N_THREADS, clock)
        async with anyio.create_task_group() as group:
            for _ in range(N_THREADS + 1):
                group.start_soon(run, admission, wait)
            for _ in range(N_THREADS + 1):
                await anyio.wait_all_tasks_blocked()
            clock.seconds += MAX_THREAD_QUEUE_DELAY + 0.1
            await run(admission, wait)
            with pytest.raises(Overloaded):
                await admission.run_in_thread(Work.LARGE, wait)
            await run(admission, lambda: "small", Work.SMALL)
            await run(admission, lambda: "many", Work.MANY)
            resume.set()
        await run(admission, lambda: "admitted")

    anyio.run(main)

    assert ["rejected", "small", "many", *["done"] * (N_THREADS + 1), "admitted"] == outcomes


def test_large_requests_are_admitted_beside_a_flood_of_small_ones(clock: Clock) -> None:
    """A few of each kind in each tick, however long the queue of the others is."""
    kinds = [Work.SMALL] * 100 + [Work.LARGE] * 5 + [Work.MANY] * 5
    outcomes: list[Work] = []

    async def main() -> None:
        admission = AdmissionControl(1, N_THREADS, clock)

        async def ask(kind: Work) -> None:
            await admission.admit(kind)
            outcomes.append(kind)

        await asyncio.gather(*map(ask, kinds))

    asyncio.run(main())
    first = outcomes[: 6 * (ADMISSIONS_PER_TICK + 2)]

    assert [5, 5] == [first.count(kind) for kind in (Work.LARGE, Work.MANY)]


def test_thread_returns_results_and_exceptions() -> None:
    """An exception releases the thread, too."""

    def divide(a: int, *, b: int) -> float:
        return a / b

    async def main() -> float:
        admission = AdmissionControl(1, N_THREADS)
        for _ in range(2 * N_THREADS):
            with pytest.raises(ZeroDivisionError):
                await admission.run_in_thread(Work.LARGE, divide, 1, b=0)
        return await admission.run_in_thread(Work.LARGE, divide, 1, b=4)

    assert 0.25 == anyio.run(main)


def test_small_work_runs_inline_within_the_budget_of_the_tick(clock: Clock) -> None:
    """Beyond MAX_INLINE_PER_TICK it runs in a thread. The next tick has a new budget."""

    def work(seconds: float) -> int:
        clock.seconds += seconds
        return threading.get_ident()

    async def main() -> list[bool]:
        admission = AdmissionControl(1, N_THREADS, clock)
        seconds = (MAX_INLINE_PER_TICK / 2, MAX_INLINE_PER_TICK, 0)
        in_one_tick = [await admission.run_inline(work, spent) for spent in seconds]
        await anyio.lowlevel.checkpoint()
        after_it = await admission.run_inline(work, 0)
        return [ident == threading.get_ident() for ident in (*in_one_tick, after_it)]

    assert [True, True, False, True] == anyio.run(main)


def test_failed_inline_work_counts(clock: Clock) -> None:
    """Its exception is raised, and its seconds are charged to the tick."""

    def fail() -> None:
        clock.seconds += 2 * MAX_INLINE_PER_TICK
        raise KeyError

    async def main() -> bool:
        admission = AdmissionControl(1, N_THREADS, clock)
        with pytest.raises(KeyError):
            await admission.run_inline(fail)
        return await admission.run_inline(threading.get_ident) == threading.get_ident()

    assert not anyio.run(main)
