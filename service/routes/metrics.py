"""GET /metrics: what Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.metrics import Metrics

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
)
def metrics(request: Request) -> Response:
    """Return requests, answers, refusals and times as counted so far, of all workers."""
    counted: Metrics = request.app.state.metrics
    body, content_type = counted.page(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})
