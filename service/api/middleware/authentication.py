"""API keys as bearer tokens (RFC 6750).

Enters: HTTP requests. Leaves: requests with a valid key; the others end with Unauthorized (401). Liveness, readiness
and metrics paths and the static files of the page are open. Out of scope: where keys come from (`settings`), and roles.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.request_context import is_probe, request_context_of
from service.errors import Unauthorized

_SCHEME = b"bearer"


class Authentication:
    """ASGI middleware that requires an API key."""

    def __init__(self, app: ASGIApp, keys: Iterable[str], open_paths: Iterable[str]) -> None:
        """Wrap `app`. Requests to `open_paths` need no key."""
        self.app = app
        # Digests have equal lengths: the time of a comparison leaks nothing about a key, not even its length.
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection. Raises Unauthorized."""
        if scope["type"] == "http" and not self._is_open(request_context_of(scope).path) and not self._has_key(scope):
            message = "send one of the service's API keys in the header `Authorization: Bearer KEY`"
            raise Unauthorized(message)
        await self.app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return is_probe(path) or path in self._open_paths

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, key = request_context_of(scope).headers.get(b"authorization", b"").partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        # sum() instead of any(): constant time, whichever key matches.
        n_matches = sum(hmac.compare_digest(digest, known) for known in self._digests)
        return scheme.lower() == _SCHEME and n_matches > 0
