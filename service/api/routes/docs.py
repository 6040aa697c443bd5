"""GET /docs: the API to try out, in Swagger UI, without anything from elsewhere. GET /openapi.json: the document.

Enters: a path. Leaves: a Representation with security headers. The files are our page in `service/swagger`, and Swagger
UI as it is published in `service/swagger/vendor`. They are read when first requested: few processes are asked for them,
and Swagger UI has 2 MB. Out of scope: what the document contains (`api.openapi`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from service.api.representations import Representation, respond

_FOLDER = Path(__file__).parents[2] / "swagger"
_FILES = MappingProxyType(
    {
        "/docs": ("index.html", "text/html"),
        "/docs/start.js": ("start.js", "text/javascript"),
        "/docs/swagger-ui-bundle.js": ("vendor/swagger-ui-bundle.js", "text/javascript"),
        "/docs/swagger-ui.css": ("vendor/swagger-ui.css", "text/css"),
    }
)
PATHS = (*_FILES, "/redoc", "/openapi.json")
"""All paths that a browser needs to show the API."""

# A process has one. More are allowed for servers that route several to it.
_MAX_ROOT_PATHS = 8
_SECURITY_HEADERS = MappingProxyType(
    {
        # Swagger UI sets style attributes from its script, which this allows, and its CSS has icons as data: URLs. It
        # shows pictures in answers from blob: URLs.
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)


@cache
def _representation(name: str, media_type: str) -> Representation:
    return Representation((_FOLDER / name).read_bytes(), media_type)


def make_router(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """Return a router that serves the files, and the document that `openapi` returns."""
    router = APIRouter(include_in_schema=False)

    # FastAPI's own route generates and serialises the document in the event loop, the latter for each request.
    @lru_cache(maxsize=_MAX_ROOT_PATHS)
    def document(root_path: str) -> Representation:
        servers = {"servers": [{"url": root_path}]} if root_path else {}
        content = json.dumps({**openapi(), **servers}, ensure_ascii=False, separators=(",", ":"))
        return Representation(content.encode(), "application/json")

    # Handlers are not `async`: FastAPI runs them in a thread, since making and compressing a file takes a while.
    @router.api_route("/openapi.json", methods=["GET", "HEAD"])
    def openapi_document(request: Request) -> Response:
        return respond(request, document(request.scope.get("root_path", "")))

    for path, file in _FILES.items():
        _add_file(router, path, *file)

    @router.get("/redoc")
    async def redoc() -> Response:
        # FastAPI's page there loads its scripts from elsewhere.
        return RedirectResponse("docs")

    return router


def _add_file(router: APIRouter, path: str, name: str, media_type: str) -> None:
    @router.api_route(path, methods=["GET", "HEAD"])
    def file(request: Request) -> Response:
        return respond(request, _representation(name, media_type), _SECURITY_HEADERS)
