"""Size limit and slow-client (Slowloris) timeout of each request body.

Enters: HTTP requests. Leaves: the same requests, whose `receive` stops at the limits: BodyTooLarge (413), BodyTooSlow
(408) or BodyCompressed (415). Out of scope: the in-flight byte budget of all bodies together (`admission`), and the
timeout of request heads (`server.slow_clients`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.request_context import request_context_of
from service.errors import BodyCompressed, BodyTooLarge, BodyTooSlow

# Minimum transfer rate, that of a poor mobile connection. A body at this rate never times out.
MIN_BYTES_PER_SECOND = 8 * 1024
_IDENTITY = b"identity"
_COMPRESSED = "the body is compressed (Content-Encoding): send it uncompressed"


class BodyLimits:
    """ASGI middleware that bounds the size and the duration of request bodies.

    A declared Content-Length over the limit is refused before the body is read, a chunked body as soon as it exceeds
    the limit. Compressed bodies are refused, since their decompressed size is unknown (decompression bombs). The
    timeout is `timeout` seconds, and one second more for each MIN_BYTES_PER_SECOND received.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, timeout: float, max_bytes_by_path: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """Wrap `app`. `max_bytes_by_path` overrides `max_bytes` for single paths."""
        self.app = app
        self.max_bytes = max_bytes
        self.timeout = timeout
        self.max_bytes_by_path = max_bytes_by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection. Raises BodyTooLarge, BodyTooSlow and BodyCompressed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = request_context_of(scope)
        max_bytes = self.max_bytes_by_path.get(request.path, self.max_bytes)
        encoding = request.headers.get(b"content-encoding", _IDENTITY).strip().lower()
        if request.content_length > max_bytes:
            raise _too_large(max_bytes)
        n_received = 0
        is_complete = False
        started = asyncio.get_running_loop().time()

        async def receive_limited() -> Message:
            nonlocal n_received, is_complete
            if is_complete:
                return await receive()  # The next message is the disconnect, which has no timeout.
            if encoding != _IDENTITY:
                raise BodyCompressed(_COMPRESSED)
            try:
                async with asyncio.timeout_at(started + self.timeout + n_received / MIN_BYTES_PER_SECOND):
                    message = await receive()
            except TimeoutError as error:
                raise _too_slow(n_received) from error
            n_received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if n_received > max_bytes:
                raise _too_large(max_bytes)
            return message

        await self.app(scope, receive_limited, send)


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request body exceeds the limit of {max_bytes:,} bytes: send less per request")


def _too_slow(n_received: int) -> BodyTooSlow:
    return BodyTooSlow(f"the request body timed out after {n_received:,} bytes: send it again over a faster connection")
