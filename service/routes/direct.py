"""A route of FastAPI that calls its handler at once where a request has no query."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class DirectRoute(APIRoute):
    """A route whose handler takes the request, parts of the path as they are, and what has defaults from the query.

    FastAPI resolves parameters for every request, and keeps stacks for what these leave to be closed, which takes
    longer than decoding a tiny picture. Without a query there is nothing to resolve. The document at /openapi.json,
    validation of queries and handling of errors are FastAPI's. Dependencies would not be called then, so that nothing
    may depend on them: keys are up to `middleware.access`.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["query_string"] or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        response: Response = await self.endpoint(Request(scope, receive, send), **scope["path_params"])
        await response(scope, receive, send)
