"""A representation -> a response: ETag, 304, gzip; and what a client prefers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi import Request
from starlette.responses import Response

from service.api.representation import Representation

# So that a copy is used only after asking whether it is still the current one.
_CACHE_CONTROL = "public, max-age=0, must-revalidate"
# These have been compressed already.
_COMPACT = frozenset({"image/png", "image/jpeg"})


def respond(
    request: Request, representation: Representation, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return a representation to a client: gzipped if it takes that, or 304 if it has it."""
    accepted = request.headers.get("accept-encoding", "")
    gzipped = representation.media_type not in _COMPACT and quality("gzip", accepted) > 0
    etag = representation.etag(gzipped=gzipped)
    headers = {**headers, "ETag": etag, "Cache-Control": _CACHE_CONTROL, "Vary": "Accept, Accept-Encoding"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    body = representation.gzipped if gzipped else representation.body
    return Response(body, media_type=representation.media_type, headers=headers)


def quality(wanted: str, header: str) -> float:
    """Return the weight, 0 to 1, that an Accept or Accept-Encoding header gives a value (RFC 9110, 12.4.2)."""
    weight_of = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            weight_of[name] = float(weights[0]) if weights else 1.0
        except ValueError:
            weight_of[name] = 0.0
    family = wanted.partition("/")[0] + "/*"
    for name in (wanted, family, "*/*", "*"):
        if name in weight_of:
            return weight_of[name]
    return 0.0
