"""create_app(settings): the application, put together. Importing this does nothing."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from pydantic.json_schema import models_json_schema
from starlette.middleware.cors import CORSMiddleware
from threadpoolctl import threadpool_limits

from service import __version__
from service.api import problems
from service.api.admission import AdmissionControl
from service.api.metrics import Metrics
from service.api.middleware.admission import Admission
from service.api.middleware.authentication import Authentication
from service.api.middleware.body_limits import BodyLimits
from service.api.middleware.telemetry import Telemetry
from service.api.reports import Report
from service.api.request_context import REQUEST_ID_HEADER, is_probe, path_of
from service.api.routes import health, page, predict
from service.api.routes import metrics as metrics_routes
from service.api.routes import model as model_routes
from service.api.state import State
from service.api.v2 import routes as v2
from service.api.v2.schemas import InferenceRequest
from service.api.weights import Weights
from service.classifier import Classifier
from service.errors import SettingsError
from service.model import artifact
from service.model.artifact import Artifact
from service.process import cpu, memory
from service.process.shutdown import draining
from service.settings import Settings, read_settings

_log = logging.getLogger(__name__)

_DESCRIPTION = (
    "POST a picture of a handwritten digit, get the digit and calibrated softmax probabilities. "
    "Every weight and every activation can be seen."
)


def create_app(settings: Settings, model: Artifact | None = None) -> FastAPI:
    """Return the application; its model is loaded when it starts, unless it is here already.

    Raises SettingsError when the file of keys cannot be used; starting the application raises ArtifactError when the
    model cannot be served.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        memory.configure_malloc()
        # One process answers many requests at once; BLAS threads of each would fight for the same processors.
        with threadpool_limits(1, user_api="blas"):
            loaded = model or artifact.load(settings.model)
            classifier = Classifier(loaded, settings.max_pixels, metrics, settings.formats)
            metrics.serves(classifier.model)
            # More threads than processors would only take turns, each with a decoded picture in memory.
            admission = AdmissionControl(settings.max_bytes_in_hand, cpu.share(settings.workers))
            state = State(
                classifier,
                Weights(classifier.model),
                Report(settings.model, classifier.model.version),
                admission,
                settings.max_batch,
            )
            app.state.digits = state
            _log.info("serving %r, version %s", classifier.model.network, classifier.model.version)
            async with memory.trimmed():
                with draining(state.drain, settings.drain_seconds):
                    yield
                state.drain()

    app = FastAPI(
        title="Digit classifier",
        description=_DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        openapi_tags=[{"name": name} for name in ("predict", "model", "Open Inference Protocol", "health")],
        # Its records of refused requests could hold pictures; ours tell what went wrong.
        telemetry={"logs": False, "exclude": lambda scope: is_probe(path_of(scope))},
    )
    app.state.metrics = metrics
    keys = settings.keys()
    # Middleware checks the key; this only documents it in OpenAPI.
    auth_dependencies = [Security(HTTPBearer(scheme_name="key", auto_error=False))] if keys else []
    auth_responses = problems.documented(HTTPStatus.UNAUTHORIZED) if keys else {}
    auth_responses_v2 = v2.UNAUTHORIZED if keys else {}
    app.include_router(predict.router, dependencies=auth_dependencies, responses=auth_responses)
    app.include_router(v2.router, dependencies=auth_dependencies, responses=auth_responses_v2)
    app.include_router(model_routes.router, dependencies=auth_dependencies, responses=auth_responses)
    for open_router in (health.router, v2.probes, metrics_routes.router):
        app.include_router(open_router)

    files = page.read()
    app.include_router(page.make_router(files))
    problems.install(app)
    _complete_document(app)
    # The last one added is the first to see a request.
    app.add_middleware(
        BodyLimits,
        max_bytes=settings.max_bytes,
        seconds=settings.body_seconds,
        at_paths={predict.BATCH: settings.max_batch_bytes},
    )
    app.add_middleware(Admission)
    if keys:
        app.add_middleware(Authentication, keys=keys, open_paths=files)
    app.add_middleware(Telemetry, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "traceparent", REQUEST_ID_HEADER],
            expose_headers=["ETag", "Retry-After", REQUEST_ID_HEADER],
        )
    return app


def _complete_document(app: FastAPI) -> None:
    """Add the schemas of what FastAPI does not read and write itself to the document at /openapi.json."""
    incomplete = app.openapi
    models = (problems.Problem, InferenceRequest)
    _, schemas = models_json_schema(
        [(one, "validation") for one in models], ref_template="#/components/schemas/{model}"
    )

    def openapi() -> dict[str, Any]:
        document = incomplete()
        document["components"]["schemas"] |= schemas["$defs"]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def from_environment() -> FastAPI:
    """Return the application with the settings of the environment: what each of several workers serves.

    A file of keys may be gone when a worker starts in place of another: then it ends with a line in the log.
    """
    try:
        return create_app(read_settings())
    except SettingsError as error:
        _log.critical("%s", error)
        raise SystemExit(1) from error
