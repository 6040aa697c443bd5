"""GET /metrics: what Prometheus scrapes."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.api.metrics import Metrics

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
)
async def metrics(request: Request) -> Response:
    """Return requests, answers, refusals and times as counted so far, of all workers."""
    counted: Metrics = request.app.state.metrics
    accept = request.headers.get("accept", "")
    # Waiting for a thread takes long where there is much to do. Of several workers files have to be read.
    body, content_type = await to_thread.run_sync(counted.page, accept) if counted.is_shared else counted.page(accept)
    return Response(body, headers={"Content-Type": content_type})
