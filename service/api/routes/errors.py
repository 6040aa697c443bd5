"""GET /errors/{code}: what a problem means and how to fix it. The `type` of a problem refers to it.

Enters: a code. Leaves: its page as text, or 404. Out of scope: the text (`api.error_pages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import PlainTextResponse, Response

from service.api import examples, problems
from service.api.openapi import ANYWHERE, problem_responses
from service.api.representations import Representation, respond
from service.errors import NoSuchErrorPage

_HEADERS = MappingProxyType({"X-Content-Type-Options": "nosniff"})


def make_router(pages: Mapping[str, Representation]) -> APIRouter:
    """Return a router that serves these pages by code."""
    router = APIRouter(tags=["errors"])

    @router.get(
        f"{problems.PAGES_PATH}{{code}}",
        response_class=PlainTextResponse,
        responses={
            200: {"description": "The page", "content": {"text/plain": {"example": examples.ERROR_PAGE}}},
            304: {"description": "Not modified: the client's copy is current"},
            **problem_responses("not-found", *ANYWHERE),
        },
    )
    async def error(request: Request, code: Annotated[str, Path(description="code of a problem")]) -> Response:
        """Return what a problem means and how to fix it, as text. The `type` of each problem refers to its page."""
        if code not in pages:
            message = f"there is no error {code!r}: the codes are {', '.join(pages)}"
            raise NoSuchErrorPage(message)
        return respond(request, pages[code], _HEADERS)

    return router
