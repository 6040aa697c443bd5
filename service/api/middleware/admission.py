"""Requests are let in only as far as the process can answer them in time and hold them in memory."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.request_context import is_probe, request_context_of
from service.api.state import State


class Admission:
    """Answer 503 soon when there is too much to do; probes and metrics are always let in.

    While the service drains, every response closes its connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or is_probe(request_context_of(scope).path):
            await self.app(scope, receive, send)
            return
        state: State = scope["app"].state.digits
        await state.admission.admit()
        with state.admission.reserve_bytes() as hold:

            async def held_receive() -> Message:
                message = await receive()
                hold(len(message.get("body", b"")))
                return message

            async def closing_send(message: Message) -> None:
                if message["type"] == "http.response.start" and not state.ready:
                    MutableHeaders(scope=message)["Connection"] = "close"
                await send(message)

            await self.app(scope, held_receive, closing_send)
