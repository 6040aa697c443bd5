"""Where keys are set, only who shows one is answered."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.request_context import is_probe, request_context_of
from service.errors import Unauthorized

_SCHEME = b"bearer"


class Authentication:
    """Answer 401 to requests without a key; probes, metrics and the page's own files are open."""

    def __init__(self, app: ASGIApp, keys: Iterable[str], open_paths: Iterable[str]) -> None:
        """Wrap an application; `open_paths` need no key."""
        self.app = app
        # Digests have one length, so that comparing them tells nothing of the keys, not even that.
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and not self._is_open(request_context_of(scope).path) and not self._has_key(scope):
            message = "send one of the service's keys in the header `Authorization: Bearer KEY`"
            raise Unauthorized(message)
        await self.app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return is_probe(path) or path in self._open

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, key = request_context_of(scope).headers.get(b"authorization", b"").partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        # A sum, not any(): the time taken does not depend on which key it is.
        n_equal = sum(hmac.compare_digest(digest, known) for known in self._digests)
        return scheme.lower() == _SCHEME and n_equal > 0
