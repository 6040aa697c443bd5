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
    REJECTIONS_PER_TICK,
    AdmissionControl,
)
from service.errors import Overloaded

N_THREADS = 2


class Clock:
    """Seconds that pass when told so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


class Door:
    """Requests that are let in or refused; rounds of the event loop take as long as each is said to cost."""

    def __init__(self, clock: Clock, admit: float, refused: float = 0) -> None:
        self.admission = AdmissionControl(1, N_THREADS, clock)
        self.clock = clock
        self.costs = {"admitted": admit, "rejected": refused}
        self.outcomes: dict[int, tuple[str, float]] = {}

    async def ask(self, number: int) -> None:
        """Come to the door, and note what became of it, and after how many seconds."""
        came = self.clock.seconds
        try:
            await self.admission.admit()
            outcome = "admitted"
        except Overloaded:
            outcome = "rejected"
        self.outcomes[number] = (outcome, self.clock.seconds - came)
        self.clock.seconds += self.costs[outcome]

    def waits(self, outcome: str) -> list[float]:
        """Return the seconds after which requests had this outcome."""
        return [seconds for found, seconds in self.outcomes.values() if found == outcome]

    def come(self, n: int) -> None:
        """Let so many come at once, and wait until there is nobody left."""

        async def main() -> None:
            async with anyio.create_task_group() as group:
                for number in range(n):
                    group.start_soon(self.ask, number)

        anyio.run(main)


def test_few_are_admitted_in_one_tick(clock: Clock) -> None:
    """Nobody waits for a round while there are no more than one has room for, in one round after the other."""

    async def main() -> int:
        admission = AdmissionControl(1, N_THREADS, clock)
        n_at_once = 0
        for _ in range(3):
            for _ in range(ADMISSIONS_PER_TICK):
                with suppress(StopIteration):
                    admission.admit().send(None)
                    continue
                n_at_once += 1
            await asyncio.sleep(0)
        return n_at_once

    assert 3 * ADMISSIONS_PER_TICK == asyncio.run(main())


def test_in_a_line_that_is_slow_the_last_come_first(clock: Clock) -> None:
    """Few of them a round, and the first are left to be refused."""
    door = Door(clock, admit=0.001)

    async def main() -> list[tuple[int, str]]:
        tasks = [asyncio.ensure_future(door.ask(number)) for number in range(100)]
        await asyncio.sleep(0)
        clock.seconds += 0.6 * MAX_QUEUE_DELAY
        before = set(door.outcomes)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        found = [(number, outcome) for number, (outcome, _) in door.outcomes.items() if number not in before]
        for task in tasks:
            task.cancel()
        return found

    assert [(99 - i, "admitted") for i in range(ADMISSIONS_PER_TICK_WHEN_SLOW)] == asyncio.run(main())


def test_many_wait_in_their_order_while_that_is_soon(clock: Clock) -> None:
    """A burst that is done within the time that one may wait is answered, all of it."""
    n = 50
    door = Door(clock, admit=MAX_QUEUE_DELAY / 2 / n)
    door.come(n)
    waits = door.waits("admitted")

    assert n == len(waits)
    assert sorted(waits) == waits


def test_too_many_are_refused_and_the_others_do_not_wait(clock: Clock) -> None:
    """Of ten times as many as can be done in time most are sent away; none that is let in waited longer than it may."""
    n = 1000
    door = Door(clock, admit=10 * MAX_QUEUE_DELAY / n, refused=MAX_QUEUE_DELAY / n)
    door.come(n)

    assert n == len(door.outcomes)
    assert n / 2 < len(door.waits("rejected"))
    assert n / 20 < len(door.waits("admitted"))
    assert max(door.waits("admitted")) <= MAX_QUEUE_DELAY + ADMISSIONS_PER_TICK * door.costs["admitted"]


def test_a_crowd_does_not_keep_others_from_the_event_loop(clock: Clock) -> None:
    """Between any two things that it does there are no more than so many of the crowd, who come again when refused."""
    done: list[int] = []

    async def main() -> None:
        door = Door(clock, admit=0.001, refused=0.001)

        async def insist(number: int) -> None:
            for again in range(20):
                await door.ask(1000 * again + number)

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(insist, number)
            await anyio.lowlevel.checkpoint()
            while len(door.outcomes) < 3000:
                done.append(len(door.outcomes))
                await anyio.lowlevel.checkpoint()

    anyio.run(main)

    # Who is let in goes on in the next round, and comes again in the one after.
    assert max(np.diff(done[1:])) <= 2 * (ADMISSIONS_PER_TICK + REJECTIONS_PER_TICK)


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0, None), (2 * MAX_QUEUE_DELAY, Overloaded)], ids=["admitted", "rejected"]
)
def test_who_gave_up_is_passed_over(clock: Clock, seconds: float, outcome: type[Overloaded] | None) -> None:
    """Who waits behind a request that was cancelled is let in, or refused, in its place."""

    async def main() -> BaseException | None:
        admission = AdmissionControl(1, N_THREADS, clock)
        *_, gave_up, behind = [asyncio.ensure_future(admission.admit()) for _ in range(ADMISSIONS_PER_TICK + 2)]
        await asyncio.sleep(0)
        gave_up.cancel()
        clock.seconds += seconds
        await asyncio.wait([behind], timeout=10)
        return behind.exception()

    assert outcome == (type(found) if (found := asyncio.run(main())) else None)


def test_refusals_leave_no_garbage() -> None:
    """What would have to be collected would make everybody wait while there is much to do."""
    clock = Clock()
    door = Door(clock, admit=MAX_QUEUE_DELAY)

    async def main() -> int:
        gc.collect()
        gc.disable()
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(door.ask, number)
        await anyio.lowlevel.checkpoint()
        return gc.collect()

    try:
        n_collected = anyio.run(main)
    finally:
        gc.enable()

    assert 50 < len(door.waits("rejected"))
    assert n_collected < 50


def test_bodies_together_have_a_limit() -> None:
    """What is held counts until it is let go, however the request ended."""
    admission = AdmissionControl(100, N_THREADS)

    def fail(n_bytes: int) -> None:
        with admission.reserve_bytes() as hold:
            hold(n_bytes)
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


def test_a_line_that_stands_still_takes_nobody_more(clock: Clock) -> None:
    """Whoever comes is refused when the next in line has waited too long, and let in when the line moves again."""
    go_on = threading.Event()
    outcomes: list[str] = []

    async def ask(admission: AdmissionControl, work: Any) -> None:
        try:
            outcomes.append(await admission.run_in_thread(work))
        except Overloaded:
            outcomes.append("rejected")

    def wait() -> str:
        go_on.wait(30)
        return "done"

    async def main() -> None:
        admission = AdmissionControl(1, N_THREADS, clock)
        async with anyio.create_task_group() as group:
            for _ in range(N_THREADS + 1):
                group.start_soon(ask, admission, wait)
            await anyio.wait_all_tasks_blocked()
            clock.seconds += MAX_THREAD_QUEUE_DELAY + 0.1
            await ask(admission, wait)
            go_on.set()
        await ask(admission, lambda: "admitted")

    anyio.run(main)

    assert ["rejected", *["done"] * (N_THREADS + 1), "admitted"] == outcomes


def test_work_in_a_thread_keeps_its_arguments_and_errors() -> None:
    """What it returns comes back, what it raises too, and its turn is given back."""

    def divide(a: int, *, b: int) -> float:
        return a / b

    async def main() -> float:
        admission = AdmissionControl(1, N_THREADS)
        for _ in range(2 * N_THREADS):
            with pytest.raises(ZeroDivisionError):
                await admission.run_in_thread(divide, 1, b=0)
        return await admission.run_in_thread(divide, 1, b=4)

    assert 0.25 == anyio.run(main)


def test_event_loop_does_small_work_while_its_round_has_time(clock: Clock) -> None:
    """What comes when a round has been busy for too long is done by a thread; in the next round that is forgotten."""

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


def test_small_work_that_fails_took_its_time(clock: Clock) -> None:
    """Its error is the caller's, and the seconds until then count."""

    def fail() -> None:
        clock.seconds += 2 * MAX_INLINE_PER_TICK
        raise KeyError

    async def main() -> bool:
        admission = AdmissionControl(1, N_THREADS, clock)
        with pytest.raises(KeyError):
            await admission.run_inline(fail)
        return await admission.run_inline(threading.get_ident) == threading.get_ident()

    assert not anyio.run(main)
