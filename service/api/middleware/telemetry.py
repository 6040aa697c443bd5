"""Every request leaves a line in the log and its trace in the metrics, and its id in the response.

Whatever is refused or goes wrong further in ends here, as a problem: what lies within only raises.
"""

from __future__ import annotations

import logging
from time import perf_counter
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import problems
from service.api.metrics import Metrics
from service.api.request_context import RAW_REQUEST_ID_HEADER, RequestContext, is_probe, open_request_context

_log = logging.getLogger(__name__)

# Anybody may invent methods and paths; each label is a series that is kept for ever.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
# As nginx logs a client that went away before its answer.
_CLIENT_CLOSED = 499


class Telemetry:
    """Open the record of a request, and count and log it when it is over."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an application."""
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        record = open_request_context(scope)
        status = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (RAW_REQUEST_ID_HEADER, record.request_id.encode())]
            await send(message)

        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # there is nobody to answer
        except Exception as error:
            response = problems.of_error(scope, error)
            if status is not None:
                raise
            await response(scope, receive, send_with_id)
        finally:
            self.metrics.in_flight.dec()
            self._note(scope, record, status or _CLIENT_CLOSED, perf_counter() - started)

    def _note(self, scope: Scope, record: RequestContext, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        route = getattr(scope.get("route"), "path", _OTHER)
        self.metrics.requested(method, route, status, seconds, record.codes)
        # Probes would bury the rest.
        level = logging.DEBUG if is_probe(record.path) else logging.INFO
        if _log.isEnabledFor(level):
            facts = {
                "request_id": record.request_id,
                "method": method,
                "path": quote(record.path),
                "status": status,
                "milliseconds": round(1000 * seconds, 3),
                "client": (scope.get("client") or [None])[0],
            }
            if record.codes:
                facts["codes"] = record.codes
            _log.log(level, "%s %s %d", method, facts["path"], status, extra={"facts": facts})
