"""Request id, access log, metrics and error responses of every request.

Enters: HTTP requests. Leaves: the same requests with a RequestContext; responses with the header X-Request-ID. Every
exception of inner layers becomes a problem response here: inner layers only raise. When a request ends, it is counted
in the metrics and logged in one line. Out of scope: the mapping of errors to statuses (`problems`).
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

# Clients can invent methods and paths, and each label value is a time series kept for the life of the process. Unknown
# values share one label, which bounds the cardinality.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
# nginx's status for a client that disconnected before its response.
_CLIENT_CLOSED_REQUEST = 499


class Telemetry:
    """ASGI middleware that opens the RequestContext of a request, and counts and logs the request when it ends."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap `app`."""
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        context = open_request_context(scope)
        status = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (RAW_REQUEST_ID_HEADER, context.request_id.encode())]
            await send(message)

        self.metrics.in_flight.inc()
        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            pass  # no client is left to respond to
        except Exception as error:
            response = problems.to_response(scope, error)
            if status is not None:
                raise  # the head is already sent: the server has to abort the connection
            await response(scope, receive, send_with_id)
        finally:
            self.metrics.in_flight.dec()
            self._record(scope, context, status or _CLIENT_CLOSED_REQUEST, perf_counter() - started)

    def _record(self, scope: Scope, context: RequestContext, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        route = getattr(scope.get("route"), "path", _OTHER)
        self.metrics.count_request(method, route, status, seconds, context.problem_codes)
        # Probes arrive every few seconds and would drown the other lines.
        level = logging.DEBUG if is_probe(context.path) else logging.INFO
        if _log.isEnabledFor(level):
            facts = {
                "request_id": context.request_id,
                "method": method,
                "path": quote(context.path),
                "status": status,
                "milliseconds": round(1000 * seconds, 3),
                "client": (scope.get("client") or [None])[0],
            }
            if context.problem_codes:
                facts["codes"] = context.problem_codes
            _log.log(level, "%s %s %d", method, facts["path"], status, extra={"facts": facts})
