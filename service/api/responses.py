"""Answers as JSON responses. Out of scope: error responses (`problems`), and cacheable ones (`representations`)."""

from __future__ import annotations

import gzip

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from service.api.representations import quality

# Explanations have 100 kB, other answers less than one. Compressing those would cost more than sending them.
MIN_GZIP_BYTES = 8 * 1024
# The fastest: it halves an explanation, of random-looking decimals. The slowest saves 4 % more, in ten times the time.
_GZIP_LEVEL = 1


def json_response(request: Request, model: BaseModel) -> Response:
    """Return a response with the fields of a model that were set, in gzip form if it is long and the client accepts it.

    Not Starlette's GZipMiddleware, which compresses in the event loop: long answers are made in a thread.
    """
    # Serialised here, since FastAPI would validate the model a second time.
    body = model.model_dump_json(exclude_unset=True).encode()
    if len(body) < MIN_GZIP_BYTES:
        return Response(body, media_type="application/json")
    headers = {"Vary": "Accept-Encoding"}
    if quality("gzip", request.headers.get("accept-encoding", "")) > 0:
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
    return Response(body, media_type="application/json", headers=headers)
