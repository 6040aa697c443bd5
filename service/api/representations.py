"""Cacheable representations: bytes with a media type -> a response with ETag, conditional GET (304) and gzip.

Enters: the bytes of a resource, and a request. Leaves: a response by content negotiation (RFC 9110). Also parses
quality values of `Accept` and `Accept-Encoding`. Out of scope: where the bytes come from.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from types import MappingProxyType

from fastapi import Request
from starlette.responses import Response

# Caches revalidate a copy before each use.
_CACHE_CONTROL = "public, max-age=0, must-revalidate"
# Compressed formats, which gzip cannot shrink further.
_INCOMPRESSIBLE = frozenset({"image/png", "image/jpeg"})


@dataclass(frozen=True, eq=False)
class Representation:
    """A body with its media type. Its gzip form and its hash are computed once, when first needed."""

    body: bytes
    media_type: str

    @cached_property
    def gzipped(self) -> bytes:
        """The body in gzip form, without a timestamp: the same bytes in every process."""
        return gzip.compress(self.body, compresslevel=6, mtime=0)

    def etag(self, *, gzipped: bool) -> str:
        """Return the strong ETag of the plain or the gzip form, a hash of the body."""
        return f'"{self._digest}-gzip"' if gzipped else f'"{self._digest}"'

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:32]


def respond(
    request: Request, representation: Representation, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return the response: 304 if `If-None-Match` contains the ETag, gzip if the client accepts it, else plain."""
    accept_encoding = request.headers.get("accept-encoding", "")
    gzipped = representation.media_type not in _INCOMPRESSIBLE and quality("gzip", accept_encoding) > 0
    etag = representation.etag(gzipped=gzipped)
    headers = {**headers, "ETag": etag, "Cache-Control": _CACHE_CONTROL, "Vary": "Accept, Accept-Encoding"}
    client_etags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in client_etags or "*" in client_etags:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    body = representation.gzipped if gzipped else representation.body
    return Response(body, media_type=representation.media_type, headers=headers)


def quality(value: str, header: str) -> float:
    """Return the quality, 0 to 1, that an Accept or Accept-Encoding header gives `value` (RFC 9110, 12.4.2).

    0 means that the client does not accept it.
    """
    quality_of = {}
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        qualities = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            quality_of[name] = float(qualities[0]) if qualities else 1.0
        except ValueError:
            quality_of[name] = 0.0
    media_range = value.partition("/")[0] + "/*"
    # The most specific match counts.
    for name in (value, media_range, "*/*", "*"):
        if name in quality_of:
            return quality_of[name]
    return 0.0
