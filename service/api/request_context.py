"""What is noted of one request while it is answered: its id, its path, and the problems met on the way.

`middleware.telemetry` opens a record before anything else happens and makes a line of the log and metrics of it at the
end; whatever needs the id, or has something to note, finds the record in the ASGI scope.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Scope

REQUEST_ID_HEADER = "X-Request-ID"
# As ASGI has it.
RAW_REQUEST_ID_HEADER = REQUEST_ID_HEADER.lower().encode()
_KEY = "digits.record"
# What a caller may call its request: nothing that could forge a line of a log.
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")
# W3C Trace Context: version, trace id, parent id, flags. A trace id of zeros is none.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
# What is asked every few seconds, by machines that carry no key.
_PROBES = frozenset({"/health", "/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


@dataclass(eq=False)
class RequestContext:
    """One request: `path` is what the routes see, without the prefix of a proxy; `codes` names its problems.

    `headers` are as ASGI has them, names in small letters; the first of each name, as Starlette takes them.
    """

    request_id: str
    path: str
    headers: Mapping[bytes, bytes]
    codes: list[str] = field(default_factory=list)


def path_of(scope: Scope) -> str:
    """Return the path of a request as the routes see it."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else path


def is_probe(path: str) -> bool:
    """Say whether who asks for this path only asks how the service is."""
    return path in _PROBES


def open_request_context(scope: Scope) -> RequestContext:
    """Put a new record into a scope and return it."""
    headers = dict(reversed(scope["headers"]))
    record = RequestContext(_choose_id(headers), path_of(scope), headers)
    scope[_KEY] = record
    return record


def request_context_of(scope: Scope) -> RequestContext:
    """Return the record that was put into a scope."""
    record: RequestContext = scope[_KEY]
    return record


def _choose_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the caller's id where it is acceptable, else that of its trace, else a new one."""
    sent = headers.get(RAW_REQUEST_ID_HEADER, b"")
    if _ACCEPTABLE.fullmatch(sent):
        return sent.decode()
    trace = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return trace[1].decode() if trace else secrets.token_hex(8)
