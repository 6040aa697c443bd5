"""No request body is read beyond its limit, whether it says its length or not, nor waited for longer than its time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.request_context import request_context_of
from service.errors import BodyCompressed, BodyTooLarge, BodyTooSlow

# What a poor mobile line still carries: who sends as fast may take as long as the whole body needs.
BYTES_PER_SECOND = 8 * 1024
_PLAIN = b"identity"
_COMPRESSED = "the body is compressed (Content-Encoding): send it as it is"


class BodyLimits:
    """Answer 413 to a body that is too large: at once where its length is declared, else when it gets there.

    Answer 415 to a compressed body, since its true size is not known before it is unpacked, and 408 to one that does
    not come in `seconds`, and another second for each BYTES_PER_SECOND that have come.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, seconds: float, at_paths: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """Wrap an application; some paths may have a limit of their own."""
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.at_paths = at_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.at_paths.get(request_context_of(scope).path, self.max_bytes)
        headers = request_context_of(scope).headers
        encoding = headers.get(b"content-encoding", _PLAIN).strip().lower()
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        n_received = 0
        is_complete = False
        started = asyncio.get_running_loop().time()

        async def limited_receive() -> Message:
            nonlocal n_received, is_complete
            if is_complete:
                return await receive()  # Whoever asks now waits for the client to leave.
            if encoding != _PLAIN:
                raise BodyCompressed(_COMPRESSED)
            try:
                async with asyncio.timeout_at(started + self.seconds + n_received / BYTES_PER_SECOND):
                    message = await receive()
            except TimeoutError as error:
                raise _too_slow(n_received) from error
            n_received += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if n_received > limit:
                raise _too_large(limit)
            return message

        await self.app(scope, limited_receive, send)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request has more than the {limit:,} bytes that are allowed: send less at once")


def _too_slow(n_received: int) -> BodyTooSlow:
    return BodyTooSlow(f"the body came too slowly, {n_received:,} bytes so far: send it again, over a better line")
