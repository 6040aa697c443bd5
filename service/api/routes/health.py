"""Liveness and readiness probes: GET /livez, /readyz, and /health with details. HEAD returns the status alone.

Enters: a probe. Leaves: 200, or 503 before the model is loaded and while the service drains. Out of scope: /v2/health
(`v2.routes`).
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api import examples
from service.api.openapi import answer_example
from service.api.schemas import ModelName
from service.api.state import State

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """Readiness of the service, its model and its uptime."""

    status: Literal["ok", "unavailable"]
    model: ModelName | None = Field(description="null before the model is loaded")
    uptime_seconds: float = Field(ge=0)


class Probe(BaseModel):
    """Result of a liveness or readiness probe."""

    status: Literal["ok", "unavailable"]


_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE


def _state(request: Request) -> State | None:
    """Return the shared state, or None before the lifespan has created it: probes arrive before the model is loaded."""
    return getattr(request.app.state, "digits", None)


def is_ready(request: Request) -> bool:
    """Return whether the service is ready for requests."""
    state = _state(request)
    return state is not None and state.ready


@router.head("/health", include_in_schema=False)
@router.get(
    "/health",
    responses={
        **answer_example(examples.HEALTH),
        _UNAVAILABLE.value: {"model": Health, "description": "No model is loaded, or the service is shutting down"},
    },
)
async def health(request: Request, response: Response) -> Health:
    """Report readiness with details: 200 if ready, 503 before the model is loaded or during shutdown."""
    state = _state(request)
    if state is None:
        response.status_code = _UNAVAILABLE
        return Health(status="unavailable", model=None, uptime_seconds=0)
    if not state.ready:
        response.status_code = _UNAVAILABLE
    model = state.classifier.model
    return Health(
        status="ok" if state.ready else "unavailable",
        model=ModelName(name=model.metadata.name, version=model.version),
        uptime_seconds=round(time.monotonic() - state.started, 3),
    )


@router.head("/livez", include_in_schema=False)
@router.get("/livez", responses=answer_example(examples.PROBE))
async def livez() -> Probe:
    """Liveness probe: 200 as long as the process responds. An orchestrator restarts it otherwise."""
    return Probe(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    responses={
        **answer_example(examples.PROBE),
        _UNAVAILABLE.value: {"model": Probe, "description": "Not ready: route requests elsewhere"},
    },
)
async def readyz(request: Request, response: Response) -> Probe:
    """Readiness probe: 200 if requests should be routed here, else 503."""
    if is_ready(request):
        return Probe(status="ok")
    response.status_code = _UNAVAILABLE
    return Probe(status="unavailable")
