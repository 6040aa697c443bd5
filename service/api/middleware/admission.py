"""Admission control and load shedding in front of the routes.

Enters: HTTP requests. Leaves: admitted requests; the others are shed with Overloaded (503 and `Retry-After`). Every
chunk of a body is charged to the in-flight byte budget. Liveness, readiness and metrics paths bypass both. Out of
scope: the queue and the budget themselves (`api.admission`), and the size and timeout of one body (`body_limits`).
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.admission import Work
from service.api.bodies import MAX_INLINE_BYTES
from service.api.request_context import RequestContext, is_probe, request_context_of
from service.api.state import State


class Admission:
    """ASGI middleware that sheds load. `many_paths` are those of `Work.MANY`.

    While the service drains, it adds `Connection: close` to every response, so that clients reconnect elsewhere.
    """

    def __init__(self, app: ASGIApp, many_paths: Collection[str] = ()) -> None:
        """Wrap `app`."""
        self.app = app
        self.many_paths = many_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection. Raises Overloaded."""
        if scope["type"] != "http" or is_probe(request_context_of(scope).path):
            await self.app(scope, receive, send)
            return
        state: State = scope["app"].state.digits
        await state.admission.admit(self._kind_of(request_context_of(scope)))
        with state.admission.reserve_bytes() as reserve:

            async def receive_within_budget() -> Message:
                message = await receive()
                reserve(len(message.get("body", b"")))
                return message

            async def send_closing_while_draining(message: Message) -> None:
                if message["type"] == "http.response.start" and not state.ready:
                    MutableHeaders(scope=message)["Connection"] = "close"
                await send(message)

            await self.app(scope, receive_within_budget, send_closing_while_draining)

    def _kind_of(self, request: RequestContext) -> Work:
        """Return the kind of work that the request head promises. A body of unknown length counts as large."""
        if request.path in self.many_paths:
            return Work.MANY
        is_large = request.content_length > MAX_INLINE_BYTES or b"transfer-encoding" in request.headers
        return Work.LARGE if is_large else Work.SMALL
