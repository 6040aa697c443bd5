"""A route of FastAPI that calls its handler at once where a request has no query."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """A route whose handler takes the request, parts of the path as they are, and what has defaults from the query.

    FastAPI resolves parameters for every request, which takes as long as decoding a tiny picture. Without a query there
    is nothing to resolve. The document at /openapi.json, validation of queries and handling of errors are FastAPI's.
    Dependencies would not be called then, so that nothing may depend on them: keys are up to `middleware.access`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        resolving = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                return await resolving(request)
            response: Response = await self.endpoint(request, **request.path_params)
            return response

        return handle
