"""HTTP as benchmarks speak it: a connection that sends one request after the other and tells how long each took."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """What came back: the status, 0 where the connection broke off; the head, and the seconds until all was there."""

    status: int
    head: bytes
    seconds: float


def post(path: str, body: bytes, content_type: str = "application/octet-stream") -> bytes:
    """Return a request with a body."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str) -> bytes:
    """Return a request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def percentile(seconds: Iterable[float], share: float) -> float:
    """Return the seconds that this share of them does not exceed, 0 of none."""
    found = sorted(seconds)
    return found[min(int(share * len(found)), len(found) - 1)] if found else 0.0


class Connection:
    """One connection, opened when it is needed, and anew after it broke off."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for all of its answer."""
        started = time.perf_counter()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            # Not waiting for it to be sent: a refusal may come before.
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = None if request.startswith(b"HEAD ") else _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return Answer(0, b"", time.perf_counter() - started)
        if b"connection: close" in head.lower():
            self.close()
        return Answer(int(head[9:12]), head, time.perf_counter() - started)

    def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
