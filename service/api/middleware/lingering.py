"""Lingering close: the rest of a body is read and discarded after a response that did not need it.

Enters: HTTP requests. Leaves: the same requests; a response that ends before the body of its request is sent at once,
and the connection stays open while the body still arrives, within limits. Clients that write all of a body before they
read, such as urllib, would otherwise find the connection reset and never see the response. Out of scope: when a body is
refused (`body_limits`, `admission`, `authentication`, routing).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Enough for a photo or a short video over a mobile connection. What arrives is discarded, so it takes no memory.
DISCARD_SECONDS = 10.0
DISCARD_BYTES = 64 * 1024 * 1024


class LingeringClose:
    """ASGI middleware that ends a response only after the body of its request, or after the limits of discarding.

    The response has left before: its last message, with `more_body`, is followed by an empty one. A request that timed
    out is not read further.
    """

    def __init__(self, app: ASGIApp, max_seconds: float = DISCARD_SECONDS, max_bytes: int = DISCARD_BYTES) -> None:
        """Wrap `app`. At most `max_bytes` are discarded, in at most `max_seconds`."""
        self.app = app
        self.max_seconds = max_seconds
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        is_read = is_held = False

        async def receive_noting_the_end() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = is_read or not message.get("more_body", False)
            return message

        async def send_holding_the_end(message: Message) -> None:
            nonlocal is_read, is_held
            if message["type"] == "http.response.start":
                # It had its time.
                is_read = is_read or message["status"] == HTTPStatus.REQUEST_TIMEOUT
            elif not is_read and not message.get("more_body", False):
                is_held = True
                message = {**message, "more_body": True}
            await send(message)

        await self.app(scope, receive_noting_the_end, send_holding_the_end)
        if is_held:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.max_seconds):
                    n_discarded = 0
                    while not is_read and n_discarded < self.max_bytes:
                        n_discarded += len((await receive_noting_the_end()).get("body", b""))
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _has_body(scope: Scope) -> bool:
    return any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"])
