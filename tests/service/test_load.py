"""Tests of service.load."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from service import processors
from service.errors import Overloaded
from service.load import CROWD, MAX_LAG, MAX_WAIT, Load


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


@pytest.mark.parametrize(
    ("n_requests", "behind", "refused"),
    [(CROWD, 2 * MAX_LAG, 0), (CROWD + 3, MAX_LAG / 2, 0), (CROWD + 3, 2 * MAX_LAG, 3)],
    ids=["few", "in time", "a crowd"],
)
def test_a_crowd_that_keeps_the_loop_behind_is_refused(
    clock: Clock, n_requests: int, behind: float, refused: int
) -> None:
    """What the loop does between two ticks is what whoever comes has to wait for; with the next tick all is well."""

    async def ask() -> tuple[int, int]:
        load = Load(1, clock)
        async with load.measured():
            await anyio.sleep(0.05)
            clock.seconds += behind + 0.0101
            before = n_refused(load, n_requests)
            await anyio.sleep(0.05)
            return before, n_refused(load, CROWD)

    assert (refused, 0) == anyio.run(ask)


def n_refused(load: Load, n_requests: int) -> int:
    """Return how many of so many requests are refused."""
    n = 0
    for _ in range(n_requests):
        try:
            load.check()
        except Overloaded:
            n += 1
    return n


def test_a_blocked_loop_is_noticed() -> None:
    """By the real clock: a task that blocks is seen by the one after it, and forgotten when the loop goes on."""

    async def lags() -> tuple[float, float]:
        load = Load(1)
        async with load.measured():
            await anyio.sleep(0.03)
            time.sleep(0.2)  # noqa: ASYNC251 - blocks, as too much work does
            blocked = load.lag
            await anyio.sleep(0.05)
            return blocked, load.lag

    blocked, afterwards = anyio.run(lags)

    assert blocked > 0.15
    assert afterwards < blocked


def test_a_loop_that_is_not_measured_is_not_behind() -> None:
    """Before the start and after the end nobody is refused for it."""

    async def lags() -> tuple[float, float]:
        load = Load(1)
        before = load.lag
        async with load.measured():
            pass
        return before, load.lag

    assert (0, 0) == anyio.run(lags)


def test_bodies_together_have_a_limit() -> None:
    """What is held counts until it is let go, however the request ended."""
    load = Load(100)

    def fail(n_bytes: int) -> None:
        with load.holding() as hold:
            hold(n_bytes)
            raise KeyError

    with load.holding() as first:
        first(60)
        with load.holding() as second:
            second(30)
            with pytest.raises(Overloaded):
                second(30)
        with pytest.raises(KeyError):
            fail(40)
        first(40)
    with load.holding() as third:
        third(100)


def test_a_line_that_stands_still_takes_nobody_more(clock: Clock) -> None:
    """Whoever comes is refused when the next in line has waited too long, and let in when the line moves again."""
    n_threads = processors.count()
    go_on = threading.Event()
    outcomes: list[str] = []

    async def ask(load: Load, work: Any) -> None:
        try:
            outcomes.append(await load.in_thread(work))
        except Overloaded:
            outcomes.append("refused")

    def wait() -> str:
        go_on.wait(30)
        return "done"

    async def main() -> None:
        load = Load(1, clock)
        async with anyio.create_task_group() as group:
            for _ in range(n_threads + 1):
                group.start_soon(ask, load, wait)
            await anyio.wait_all_tasks_blocked()
            clock.seconds += MAX_WAIT + 0.1
            await ask(load, wait)
            go_on.set()
        await ask(load, lambda: "let in")

    anyio.run(main)

    assert ["refused", *["done"] * (n_threads + 1), "let in"] == outcomes


def test_work_in_a_thread_keeps_its_arguments_and_errors() -> None:
    """What it returns comes back, what it raises too, and its turn is given back."""

    def divide(a: int, *, b: int) -> float:
        return a / b

    async def main() -> float:
        load = Load(1)
        for _ in range(2 * processors.count()):
            with pytest.raises(ZeroDivisionError):
                await load.in_thread(divide, 1, b=0)
        return await load.in_thread(divide, 1, b=4)

    assert 0.25 == anyio.run(main)
