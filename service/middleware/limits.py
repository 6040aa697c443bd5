"""No request body is read beyond its limit, whether it says its length or not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import problems
from service.errors import BodyTooLarge
from service.record import record_of


class Limits:
    """Answer 413 to a body that is too large: at once where its length is declared, else when it gets there."""

    def __init__(self, app: ASGIApp, max_bytes: int, at_paths: Mapping[str, int] = MappingProxyType({})) -> None:
        """Wrap an application; some paths may have a limit of their own."""
        self.app = app
        self.max_bytes = max_bytes
        self.at_paths = at_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.at_paths.get(record_of(scope).path, self.max_bytes)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await problems.of_error(scope, _too_large(limit))(scope, receive, send)
            return
        n_received = 0

        async def limited_receive() -> Message:
            nonlocal n_received
            message = await receive()
            n_received += len(message.get("body", b""))
            if n_received > limit:
                raise _too_large(limit)
            return message

        await self.app(scope, limited_receive, send)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request has more than the {limit:,} bytes that are allowed: send less at once")
