"""RequestContext: the request id, path, headers and problem codes of one request, stored in its ASGI scope.

Enters: an ASGI scope. Leaves: its RequestContext. `middleware.telemetry` opens it before any other layer and turns it
into a log line and metrics at the end. Inner layers read the request id from it and append problem codes to it. Out of
scope: the log line and the metrics.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Scope

REQUEST_ID_HEADER = "X-Request-ID"
# ASGI header names are lower-case bytes.
RAW_REQUEST_ID_HEADER = REQUEST_ID_HEADER.lower().encode()
_SCOPE_KEY = "digits.request_context"
# Request ids of clients are restricted to characters that cannot forge a log line.
_VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")
# W3C Trace Context: version, trace id, parent id, flags. An all-zero trace id is invalid.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
# Liveness, readiness and metrics: polled by monitoring without a key, never shed, logged at debug level.
_PROBES = frozenset({"/health", "/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


@dataclass(eq=False)
class RequestContext:
    """One request.

    `path` is the path that routes match, without the proxy's path prefix. `headers` has lower-case names and the first
    value of each name, as Starlette does. `problem_codes` are the codes of the problems that the request ran into.
    """

    request_id: str
    path: str
    headers: Mapping[bytes, bytes]
    problem_codes: list[str] = field(default_factory=list)

    @property
    def content_length(self) -> int:
        """The declared length of the body in bytes; 0 where none, or no number, is declared."""
        declared = self.headers.get(b"content-length", b"")
        return int(declared) if declared.isdigit() else 0


def route_path_of(scope: Scope) -> str:
    """Return the path that routes match: the request path without the root path."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else path


def is_probe(path: str) -> bool:
    """Return whether this is a liveness, readiness or metrics path."""
    return path in _PROBES


def open_request_context(scope: Scope) -> RequestContext:
    """Create the context of a request, store it in the scope and return it."""
    # Reversed, so that the first value of a repeated header overwrites the later ones.
    headers = dict(reversed(scope["headers"]))
    context = RequestContext(_choose_id(headers), route_path_of(scope), headers)
    scope[_SCOPE_KEY] = context
    return context


def request_context_of(scope: Scope) -> RequestContext:
    """Return the context that `open_request_context` stored in the scope."""
    context: RequestContext = scope[_SCOPE_KEY]
    return context


def _choose_id(headers: Mapping[bytes, bytes]) -> str:
    """Return a valid X-Request-ID of the client, else the trace id of `traceparent`, else a random id."""
    client_id = headers.get(RAW_REQUEST_ID_HEADER, b"")
    if _VALID_REQUEST_ID.fullmatch(client_id):
        return client_id.decode()
    trace = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return trace[1].decode() if trace else secrets.token_hex(8)
