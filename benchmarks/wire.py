"""A minimal HTTP/1.1 client for benchmarks: requests as bytes in, status, head and latency of the responses out.

Out of scope: redirects, chunked responses, TLS.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """A response: its status, 0 for a connection error; its head; the seconds from the request to its last byte."""

    status: int
    head: bytes
    seconds: float


def post(path: str, body: bytes, content_type: str = "application/octet-stream") -> bytes:
    """Return a POST request."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def percentile(seconds: Iterable[float], share: float) -> float:
    """Return this percentile, a share of 0 to 1, of latencies; 0 if there are none."""
    found = sorted(seconds)
    return found[min(int(share * len(found)), len(found) - 1)] if found else 0.0


class Connection:
    """A persistent connection, opened by the first request and reopened after an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return the response once its body is complete."""
        started = time.perf_counter()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            # No drain: an error response may arrive before the request is sent completely.
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
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
