"""GET /docs: the API to try out, in Swagger UI, without anything from elsewhere.

Enters: a path. Leaves: a Representation with security headers. The files are our page in `service/swagger`, and Swagger
UI as it is published in `service/swagger/vendor`. They are read when first requested: few processes are asked for them,
and Swagger UI has 2 MB. Out of scope: the document that it shows (`api.openapi`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType

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


router = APIRouter(include_in_schema=False)


def _add_file(path: str, name: str, media_type: str) -> None:
    # Not `async`: FastAPI runs it in a thread, since compressing Swagger UI for the first time takes 50 ms.
    @router.api_route(path, methods=["GET", "HEAD"])
    def file(request: Request) -> Response:
        return respond(request, _representation(name, media_type), _SECURITY_HEADERS)


for _path, _file in _FILES.items():
    _add_file(_path, *_file)


@router.get("/redoc")
async def redoc() -> Response:
    """Redirect from where FastAPI serves ReDoc, which loads scripts from elsewhere."""
    return RedirectResponse("docs")
