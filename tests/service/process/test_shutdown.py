"""Tests of service.process.shutdown."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import FrameType

import anyio
import pytest

from service.process.shutdown import draining


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """Return the signals that the server hears of."""
    heard: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, on_signal)
    yield heard
    signal.signal(signal.SIGTERM, before)


def test_the_server_hears_of_it_after_the_service(stopped: list[int]) -> None:
    """First the service is not ready, then the server stops; afterwards all is as it was."""
    told: list[list[int]] = []
    heard = anyio.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)
        heard.set()

    async def main() -> None:
        signal.signal(signal.SIGTERM, on_signal)
        with draining(lambda: told.append(stopped.copy()), 0.05):
            signal.raise_signal(signal.SIGTERM)
            with anyio.fail_after(30):
                await heard.wait()
        signal.raise_signal(signal.SIGTERM)

    anyio.run(main)

    assert [[]] == told
    assert [signal.SIGTERM] * 2 == stopped


def test_without_a_handler_nothing_changes() -> None:
    """Where a process ends on SIGTERM, it still does."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with draining(lambda: None, 0):
            assert signal.SIG_DFL == signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_of_the_main_thread_nothing_changes(stopped: list[int]) -> None:
    """Signals arrive in the main thread only, and only there can be listened for."""
    handler = signal.getsignal(signal.SIGTERM)
    seen = []

    def run() -> None:
        with draining(lambda: None, 0):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert [handler] == seen
    assert [] == stopped
