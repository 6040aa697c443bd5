"""A body that is sent again and again: its bytes, what they are, its gzip form and its tags.

Out of scope: which of its forms a client gets (`routes.representations`).
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, eq=False)
class Representation:
    """What is sent, as it is and gzipped."""

    body: bytes
    media_type: str

    @cached_property
    def gzipped(self) -> bytes:
        """The body in gzip form, the same bytes whenever it is made."""
        return gzip.compress(self.body, compresslevel=6, mtime=0)

    def etag(self, *, gzipped: bool) -> str:
        """Return the strong ETag of the plain or the gzipped form."""
        return f'"{self._digest}-gzip"' if gzipped else f'"{self._digest}"'

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:32]
