"""GET /: the page on which a digit is drawn, and the files that it needs, all of them in `service/web`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api.representation import Representation
from service.api.representations import respond

_FOLDER = Path(__file__).parents[2] / "web"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_HEADERS = MappingProxyType(
    {
        # All that the page needs comes from here, and nothing within it is written as code or style.
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)


def read() -> dict[str, Representation]:
    """Return the files of the page by their paths."""
    found = {}
    for file in sorted(_FOLDER.rglob("*.*")):
        name = file.relative_to(_FOLDER).as_posix()
        path = "/" if name == "index.html" else f"/page/{name}"
        found[path] = Representation(file.read_bytes(), _MEDIA_TYPES[file.suffix])
    return found


def make_router(files: Mapping[str, Representation]) -> APIRouter:
    """Return the routes to these files, and to nothing else."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    @router.get("/page/{name:path}")
    async def page(request: Request, name: str | None = None) -> Response:
        path = "/" if name is None else f"/page/{name}"
        if path not in files:
            raise HTTPException(404)
        return respond(request, files[path], _HEADERS)

    return router
