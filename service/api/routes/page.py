"""GET / and /page/...: the static files of the web page, read from `service/web` when the application is created.

Enters: a path. Leaves: a Representation with security headers. Files are held in memory, hence no path traversal, no
disk access per request, and ETags that depend on the content alone. Out of scope: the page's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.api.representations import Representation, respond

_FOLDER = Path(__file__).parents[2] / "web"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_SECURITY_HEADERS = MappingProxyType(
    {
        # Only resources of this origin, and neither inline scripts nor inline styles.
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)


def read_files() -> dict[str, Representation]:
    """Return the static files by URL path: index.html as `/`, the others below `/page/`."""
    files = {}
    for file in sorted(_FOLDER.rglob("*.*")):
        name = file.relative_to(_FOLDER).as_posix()
        path = "/" if name == "index.html" else f"/page/{name}"
        files[path] = Representation(file.read_bytes(), _MEDIA_TYPES[file.suffix])
    return files


def make_router(files: Mapping[str, Representation]) -> APIRouter:
    """Return a router that serves these files by path, and 404 for any other path below `/page/`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    @router.get("/page/{name:path}")
    async def page(request: Request, name: str | None = None) -> Response:
        path = "/" if name is None else f"/page/{name}"
        if path not in files:
            raise HTTPException(404)
        return respond(request, files[path], _SECURITY_HEADERS)

    return router
