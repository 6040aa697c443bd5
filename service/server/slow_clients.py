"""Slow-client (Slowloris) timeouts, which uvicorn leaves to a reverse proxy.

Enters: bytes of a socket. Leaves: requests, as uvicorn parses them. A connection is aborted if the head of a request is
incomplete after `head_timeout`, if the client reads nothing of a response for `write_timeout`, or if a head is larger
than MAX_HEAD_BYTES. Depends on private parts of uvicorn: `tests/service/server/test_uvicorn.py` lists them. Out of
scope: the timeout of a body (`api.middleware.body_limits`), and of idle keep-alive connections (uvicorn).
"""

from __future__ import annotations

import asyncio
from typing import Any

from service.server.http_protocol import Protocol

# More than nginx's default buffers for a head (32 KiB).
MAX_HEAD_BYTES = 64 * 1024


class Connection(Protocol):
    """One HTTP/1.1 connection with timeouts, in seconds."""

    # A head fits into one or two packets: enough for several retransmissions.
    head_timeout: float = 20
    # The transport sends up to about 1 MiB at a time: enough for that over a poor mobile connection.
    write_timeout: float = 60

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._n_head_bytes = 0
        self._n_unsent_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes. Abort if too many arrived since the last complete head or part of a body."""
        self._n_head_bytes += len(data)
        super().data_received(data)
        if self._n_head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """Stop the timeout of the head, and start the request."""
        self._n_head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of a body."""
        self._n_head_bytes = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Start the timeout of sending the response and of the next head, unless a pipelined request follows."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._start_timer()

    def pause_writing(self) -> None:
        """Start the write timeout: the client does not read."""
        super().pause_writing()
        self._start_timer()

    def resume_writing(self) -> None:
        """Stop the write timeout."""
        super().resume_writing()
        if not self.cycle.response_complete:
            self._stop_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._n_unsent_bytes = self.transport.get_write_buffer_size()
        seconds = self.write_timeout if self._n_unsent_bytes else self.head_timeout
        self._timer = self.loop.call_later(seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _on_timeout(self) -> None:
        if self.transport.get_write_buffer_size() < self._n_unsent_bytes:
            self._start_timer()  # The client reads, if slowly.
        else:
            # Not `close`, which waits until all is sent.
            self.transport.abort()
