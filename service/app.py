"""create_app(settings): the application, put together. Importing this does nothing."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from threadpoolctl import threadpool_limits

from service import problems
from service.classifier import Classifier
from service.middleware.limits import Limits
from service.middleware.telemetry import Telemetry
from service.routes import health, model, predict
from service.routes.state import State
from service.settings import Settings
from service.weights import Weights

_log = logging.getLogger(__name__)

_DESCRIPTION = (
    "POST a picture of a handwritten digit, get the digit and calibrated softmax probabilities. "
    "Every weight and every activation can be seen."
)


def release() -> str:
    """Return the version of this package, of the checkout where it is not installed."""
    try:
        return version("digits-service")
    except PackageNotFoundError:
        return "checkout"


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its model is loaded when it starts.

    Starting it raises ArtifactError when the model cannot be served.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # One process answers many requests at once; BLAS threads of each would fight for the same processors.
        with threadpool_limits(1, user_api="blas"):
            classifier = Classifier.load(settings.model, settings.max_pixels)
            state = State(classifier, Weights(classifier.model))
            app.state.digits = state
            _log.info("serving %r, version %s", classifier.model.network, classifier.model.version)
            yield
            state.ready = False

    app = FastAPI(title="Digit classifier", description=_DESCRIPTION, version=release(), lifespan=lifespan)
    for family in (predict, model, health):
        app.include_router(family.router)

    @app.get("/", include_in_schema=False)
    async def page() -> RedirectResponse:
        return RedirectResponse("docs")

    problems.install(app)
    # The last one added is the first to see a request.
    app.add_middleware(Limits, max_bytes=settings.max_bytes)
    app.add_middleware(Telemetry)
    return app
