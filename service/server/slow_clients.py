"""Connections that come to nothing are closed: what uvicorn leaves to a proxy, and there may be none.

Enters: bytes of a socket. Leaves: requests, as uvicorn makes them. Closed is a connection on which no head of a request
is complete in time, or no answer fetched, and one whose head is too large. Out of scope: how fast a body comes, which
is up to `middleware.limits`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from service.server.http_protocol import Protocol

# What nginx allows a head, and Apache with all its lines.
MOST_HEAD_BYTES = 64 * 1024


class Connection(Protocol):
    """A connection of uvicorn that does not wait for ever."""

    # A head is a packet or two: time for some of them to be lost and sent again.
    head_seconds: float = 20
    # An answer goes on its way a MiB or so at a time: to fetch that over a poor mobile line takes as long.
    fetch_seconds: float = 60

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._n_head_bytes = 0
        self._n_unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the head of the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless these are too many bytes without a head or a body in them."""
        self._n_head_bytes += len(data)
        super().data_received(data)
        if self._n_head_bytes > MOST_HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._n_head_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._n_head_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Begin to wait for the answer to be fetched, and for the head of the next request if none came already."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._wait()

    def pause_writing(self) -> None:
        """Begin to wait for a part of an answer to be fetched."""
        super().pause_writing()
        self._wait()

    def resume_writing(self) -> None:
        """Go on with an answer."""
        super().resume_writing()
        if not self.cycle.response_complete:
            self._stop_waiting()

    def _wait(self) -> None:
        self._stop_waiting()
        self._n_unsent = self.transport.get_write_buffer_size()
        seconds = self.fetch_seconds if self._n_unsent else self.head_seconds
        self._timer = self.loop.call_later(seconds, self._look)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self.transport.get_write_buffer_size() < self._n_unsent:
            self._wait()  # Who reads slowly is not idle.
        else:
            # To close it would wait for what is unsent.
            self.transport.abort()
