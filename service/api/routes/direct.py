"""A route of FastAPI that calls its handler at once where a request has no query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class DirectRoute(APIRoute):
    """A route whose handler takes the request, parts of the path as they are, and what has defaults from the query.

    FastAPI resolves parameters for every request, and keeps stacks for what these leave to be closed, which takes
    longer than decoding a tiny picture. Without a query there is nothing to resolve. The document at /openapi.json,
    validation of queries and handling of errors are FastAPI's. Dependencies are not called then, so that nothing may
    depend on them: keys are up to `middleware.access`.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["query_string"] or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        response: Response = await self.endpoint(Request(scope, receive, send), **scope["path_params"])
        await response(scope, receive, send)


def add_first(
    own: APIRouter, router: APIRouter, dependencies: Sequence[Depends], responses: dict[int | str, dict[str, Any]]
) -> None:
    """Add the direct routes of a router to the application's own, before all others, with more for its document.

    Of a router that is included instead, FastAPI looks up every path twice, and behind those of its own pages.
    """
    for route in router.routes:
        if isinstance(route, DirectRoute):
            own.add_api_route(
                route.path,
                route.endpoint,
                methods=route.methods,
                tags=route.tags,
                dependencies=dependencies,
                response_model=route.response_model,
                responses={**responses, **route.responses},
                openapi_extra=route.openapi_extra,
                route_class_override=DirectRoute,
            )
    own.routes.sort(key=lambda route: not isinstance(route, DirectRoute))
