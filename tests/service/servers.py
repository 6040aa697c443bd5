"""Services for tests: an application behind a real server, and a stand-in that answers batches alone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from service.app import create_app
from service.classifier import Classifier
from service.errors import PictureError
from service.settings import Settings

HAS_BATCHES = "/predict/batch" in create_app(Settings()).openapi()["paths"]


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port, and give its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # so that whoever comes before the server is ready waits
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def stand_in(model: Path) -> ASGIApp:
    """Return an application that answers POST /predict/batch as the service promises to."""
    classifier = Classifier.load(model)

    def result(content: bytes) -> dict[str, Any]:
        try:
            prediction = classifier.predict_picture(content)
        except PictureError as error:
            return {"problem": make_problem(422, str(error), "no-ink")}
        answer = {
            "digit": prediction.digit,
            "confidence": prediction.confidence,
            "probabilities": prediction.probabilities.tolist(),
            "classes": prediction.classes,
            "verdict": prediction.verdict,
            "novelty": prediction.novelty,
            "model": {"name": classifier.model.metadata.name, "version": classifier.model.version},
        }
        return {"prediction": answer}

    async def batch(request: Request) -> JSONResponse:
        async with request.form() as form:
            contents = [await part.read() for part in form.getlist("file") if not isinstance(part, str)]
        return JSONResponse({"results": [result(content) for content in contents]})

    return Starlette(routes=[Route("/predict/batch", batch, methods=["POST"])])


def make_problem(status: int, detail: str = "send something else", code: str = "invalid-request") -> dict[str, Any]:
    """Return a problem as the service words it."""
    return {
        "type": "about:blank",
        "title": "A problem",
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "r1",
    }


def make_answer(digit: int = 7) -> dict[str, Any]:
    """Return an answer as the service gives it."""
    return {
        "digit": digit,
        "confidence": 0.9,
        "probabilities": [0.1, 0.9],
        "classes": [3, digit],
        "verdict": "clear",
        "novelty": None,
        "model": {"name": "tiny", "version": "3f9c0a1b2d4e"},
    }
