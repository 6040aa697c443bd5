"""GET /health, /livez and /readyz: whether the service is alive, and whether it answers; HEAD for the status alone."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api.schemas import ModelName
from service.api.state import State

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """How the service is."""

    status: Literal["ok", "unavailable"]
    model: ModelName | None = Field(description="null while none is loaded")
    uptime_seconds: float = Field(ge=0)


class Probe(BaseModel):
    """The answer to one question."""

    status: Literal["ok", "unavailable"]


_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE


def _state(request: Request) -> State | None:
    """Return the shared state, None before it is made; probes are asked before there is a model, too."""
    return getattr(request.app.state, "digits", None)


def is_ready(request: Request) -> bool:
    """Say whether requests are answered."""
    state = _state(request)
    return state is not None and state.ready


@router.head("/health", include_in_schema=False)
@router.get("/health", responses={_UNAVAILABLE.value: {"model": Health, "description": "No model, or shutting down"}})
async def health(request: Request, response: Response) -> Health:
    """Tell how the service is: 200 when it answers, 503 while no model is loaded or it shuts down."""
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
@router.get("/livez")
async def livez() -> Probe:
    """Tell that the process lives; whoever gets no answer should restart it."""
    return Probe(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={_UNAVAILABLE.value: {"model": Probe, "description": "Send requests elsewhere"}})
async def readyz(request: Request, response: Response) -> Probe:
    """Tell whether requests should be sent here."""
    if is_ready(request):
        return Probe(status="ok")
    response.status_code = _UNAVAILABLE
    return Probe(status="unavailable")
