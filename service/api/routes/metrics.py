"""GET /metrics: the Prometheus scrape endpoint. Out of scope: the metrics themselves (`api.metrics`)."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api import examples
from service.api.metrics import Metrics
from service.api.openapi import problem_responses

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"example": examples.METRICS}, "application/openmetrics-text": {}}},
        **problem_responses("internal-error"),
    },
)
async def metrics(request: Request) -> Response:
    """Return the metrics of all workers in the Prometheus text format or in OpenMetrics."""
    registry: Metrics = request.app.state.metrics
    accept = request.headers.get("accept", "")
    # A thread only if files have to be read: under load, waiting for a thread would delay the scrape.
    if registry.is_multiprocess:
        body, content_type = await to_thread.run_sync(registry.render, accept)
    else:
        body, content_type = registry.render(accept)
    return Response(body, headers={"Content-Type": content_type})
