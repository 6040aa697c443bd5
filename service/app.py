"""Assembles the FastAPI application from settings: routes, middleware, error handlers, lifespan.

Enters: Settings. Leaves: an ASGI application. Importing this module has no effects. Out of scope: the server process
(`server.run`).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware
from threadpoolctl import threadpool_limits

from service import __version__
from service.api import error_pages, openapi, problems
from service.api.admission import AdmissionControl
from service.api.metrics import Metrics
from service.api.middleware.admission import Admission
from service.api.middleware.authentication import Authentication
from service.api.middleware.body_limits import BodyLimits
from service.api.middleware.lingering import LingeringClose
from service.api.middleware.telemetry import Telemetry
from service.api.reports import Report
from service.api.request_context import REQUEST_ID_HEADER, is_probe, route_path_of
from service.api.routes import docs, health, page, predict, read
from service.api.routes import errors as errors_routes
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
from service.reader import Reader
from service.settings import Settings, read_settings

_log = logging.getLogger(__name__)

# Request headers that pages of allowed origins may send. Widgets for uploads add the last two unasked.
_CORS_HEADERS = (
    "Authorization",
    "Content-Type",
    "If-None-Match",
    "traceparent",
    REQUEST_ID_HEADER,
    "Cache-Control",
    "X-Requested-With",
)
_KEY = HTTPBearer(scheme_name="key", auto_error=False, description="one of the service's API keys")
_DESCRIPTION = (
    "POST a picture of a handwritten digit, get the digit and calibrated softmax probabilities. "
    "Or get every digit in a picture, in lines. "
    "All weights and all activations are available."
)


def create_app(settings: Settings, model: Artifact | None = None) -> FastAPI:
    """Return the application. Its lifespan loads the model file of the settings unless `model` is given.

    Raises SettingsError for invalid API keys. Starting the application raises ArtifactError for an invalid model file.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        memory.configure_malloc()
        # Requests run in parallel already: BLAS threads on top of that would oversubscribe the CPUs.
        with threadpool_limits(1, user_api="blas"):
            loaded = model or artifact.load(settings.model)
            classifier = Classifier(loaded, settings.max_pixels, metrics, settings.formats)
            metrics.set_model(classifier.model)
            report = Report(settings.model, classifier.model.version)
            metrics.set_reference(report.reference())
            # More threads for a kind of work than CPUs add no throughput, but each holds a decoded picture in memory.
            admission = AdmissionControl(settings.max_bytes_in_hand, cpu.share(settings.workers))
            state = State(
                classifier,
                Reader(classifier),
                Weights(classifier.model),
                report,
                metrics,
                admission,
                settings.max_batch,
            )
            app.state.digits = state
            _log.info("serving %r, version %s", classifier.model.network, classifier.model.version)
            async with memory.trimmed_periodically():
                with draining(state.drain, settings.drain_seconds):
                    yield
                state.drain()
                admission.close()

    app = FastAPI(
        title="Digit classifier",
        description=_DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        # FastAPI's pages load scripts from elsewhere. Ours, and the document, are in `routes.docs`.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=[dict(tag) for tag in openapi.TAGS],
        generate_unique_id_function=openapi.operation_id,
        # FastAPI's log records of invalid requests could contain pictures; `middleware.telemetry` logs problem codes.
        telemetry={"logs": False, "exclude": lambda scope: is_probe(route_path_of(scope))},
    )
    app.state.metrics = metrics
    keys = settings.keys()
    # Only documents the key in OpenAPI; `middleware.authentication` checks it.
    auth_dependencies = [Security(_KEY)] if keys else []
    auth_responses = openapi.problem_responses("unauthorized") if keys else {}
    auth_responses_v2 = v2.UNAUTHORIZED if keys else {}
    for router in (predict.router, read.router):
        app.include_router(router, dependencies=auth_dependencies, responses=auth_responses)
    app.include_router(v2.router, dependencies=auth_dependencies, responses=auth_responses_v2)
    app.include_router(model_routes.router, dependencies=auth_dependencies, responses=auth_responses)
    for open_router in (health.router, v2.probes, metrics_routes.router):
        app.include_router(open_router)

    page_files = page.read_files()
    app.include_router(page.make_router(page_files))
    pages_on_errors = error_pages.read_pages()
    app.include_router(errors_routes.make_router(pages_on_errors))
    openapi.complete(app, (problems.Problem, InferenceRequest))
    app.include_router(docs.make_router(app.openapi))
    # A browser loads the page and the documentation, which then ask for a key.
    open_paths = {*page_files, *docs.PATHS, *(f"{problems.PAGES_PATH}{code}" for code in pages_on_errors)}
    problems.install_exception_handlers(app)
    # The middleware added last is the outermost.
    app.add_middleware(
        BodyLimits,
        max_bytes=settings.max_bytes,
        timeout=settings.body_seconds,
        max_bytes_by_path=dict.fromkeys((predict.BATCH_PATH, read.BATCH_PATH), settings.max_batch_bytes),
    )
    app.add_middleware(Admission, many_paths=(predict.BATCH_PATH, read.PATH, read.BATCH_PATH))
    if keys:
        app.add_middleware(Authentication, keys=keys, open_paths=open_paths)
    app.add_middleware(Telemetry, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=[*_CORS_HEADERS, *settings.cors_headers],
            expose_headers=["ETag", "Retry-After", REQUEST_ID_HEADER],
        )
    # Outside of the metrics and of all budgets, which end with the response.
    app.add_middleware(LingeringClose)
    return app


def from_environment() -> FastAPI:
    """Return the application with settings from the environment: the factory of worker processes.

    A worker that replaces another may find its file of keys gone. It then logs one line and exits with status 1.
    """
    try:
        return create_app(read_settings())
    except SettingsError as error:
        _log.critical("%s", error)
        raise SystemExit(1) from error
