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
    """Return the signals that reach the handler of the server."""
    received: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = signal.signal(signal.SIGTERM, on_signal)
    yield received
    signal.signal(signal.SIGTERM, before)


def test_readiness_ends_before_the_server_stops(stopped: list[int]) -> None:
    """SIGTERM calls `begin`, later the previous handler. The context restores that handler."""
    stopped_at_begin: list[list[int]] = []
    is_stopped = anyio.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)
        is_stopped.set()

    async def main() -> None:
        signal.signal(signal.SIGTERM, on_signal)
        with draining(lambda: stopped_at_begin.append(stopped.copy()), 0.05):
            signal.raise_signal(signal.SIGTERM)
            with anyio.fail_after(30):
                await is_stopped.wait()
        signal.raise_signal(signal.SIGTERM)

    anyio.run(main)

    assert [[]] == stopped_at_begin
    assert [signal.SIGTERM] * 2 == stopped


def test_without_a_handler_nothing_changes() -> None:
    """SIGTERM still terminates the process."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with draining(lambda: None, 0):
            assert signal.SIG_DFL == signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_of_the_main_thread_nothing_changes(stopped: list[int]) -> None:
    """Only the main thread receives signals and can install handlers."""
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
