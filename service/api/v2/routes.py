"""/v2: the Open Inference Protocol, version 2, over REST, on the same model as /predict.

Takes digits in MNIST form as numbers, or encoded pictures as BYTES, with the extensions `classification` and
`binary_tensor_data`. Its errors are `{"error": ...}` (see `problems`).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.api import bodies
from service.api.routes import health
from service.api.state import Shared, State
from service.api.v2 import examples, inference
from service.api.v2.schemas import (
    LABELS,
    PROBABILITIES,
    InferenceRequest,
    InferenceResponse,
    Live,
    ModelFacts,
    ModelReady,
    Ready,
    Refusal,
    ServerFacts,
    TensorFacts,
)
from service.errors import NoSuchModel, PictureError
from service.types import PIXELS, FloatArray

Responses = dict[int | str, dict[str, Any]]


def _refusals(*statuses: HTTPStatus) -> Responses:
    return {status.value: {"model": Refusal} for status in statuses}


UNAUTHORIZED = _refusals(HTTPStatus.UNAUTHORIZED)
_NOT_SERVED = _refusals(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
# They need no key.
probes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])


async def _served(shared: Shared, name: str, version: str | None = None) -> State:
    """Return the shared state where a path names the model that is served."""
    model = shared.classifier.model
    if name != model.metadata.name or version not in {None, model.version}:
        asked = name if version is None else f"{name}, version {version}"
        message = f"there is no model {asked}: served is {model.metadata.name}, version {model.version}"
        raise NoSuchModel(message)
    return shared


Served = Annotated[State, Depends(_served)]
_MODEL = "/models/{name}"
_VERSION = "/models/{name}/versions/{version}"


# Digits as numbers that are answered sooner than a thread begins.
_FEW = 4
_INFERENCE: dict[str, Any] = {
    "response_model": InferenceResponse,
    "responses": {
        200: {
            "description": "The answer; as bytes where tensors behind the JSON are asked for",
            "content": {"application/octet-stream": {}},
        },
        **_NOT_SERVED,
        **_refusals(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ),
    },
    "openapi_extra": {"requestBody": examples.INFERENCE_BODY},
}


@router.post(f"{_MODEL}/infer", **_INFERENCE)
@router.post(f"{_VERSION}/infer", **_INFERENCE)
async def infer(request: Request, served: Served) -> Response:
    """Read digits: numbers in MNIST form, or encoded pictures."""
    json_length = request.headers.get(inference.JSON_LENGTH_HEADER)
    body = await request.body()
    if len(body) > bodies.LARGE:
        return await served.admission.run_in_thread(lambda: _answer(served, *inference.read(body, json_length)))
    asked, given = inference.read(body, json_length)
    if not isinstance(given, list) and len(given) <= _FEW:
        # Waiting for a thread would take longer than the answer.
        return _answer(served, asked, given)
    return await served.admission.run_in_thread(_answer, served, asked, given)


@probes.get("/health/live")
async def live() -> Live:
    """Tell that the server lives."""
    return Live(live=True)


@probes.get("/health/ready", responses={503: {"model": Ready, "description": "Send requests elsewhere"}})
async def ready(request: Request, response: Response) -> Ready:
    """Tell whether requests should be sent here."""
    is_ready = health.is_ready(request)
    if not is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready(live=True, ready=is_ready)


@router.get("")
async def server(request: Request) -> ServerFacts:
    """Tell which server this is."""
    return ServerFacts(
        name="digits", version=request.app.version, extensions=[inference.CLASSIFICATION, "binary_tensor_data"]
    )


@router.get(_MODEL, responses=_NOT_SERVED)
@router.get(_VERSION, responses=_NOT_SERVED)
async def model(served: Served) -> ModelFacts:
    """Tell what the model takes and gives."""
    artifact = served.classifier.model
    return ModelFacts(
        name=artifact.metadata.name,
        versions=[artifact.version],
        platform="sklearn_safetensors",
        inputs=[TensorFacts(name="image", datatype="FP32", shape=[-1, PIXELS])],
        outputs=[
            TensorFacts(name=LABELS, datatype="INT64", shape=[-1]),
            TensorFacts(name=PROBABILITIES, datatype="FP32", shape=[-1, len(artifact.network.classes)]),
        ],
    )


_READINESS: Responses = _NOT_SERVED | {503: {"model": ModelReady, "description": "Send requests elsewhere"}}


@router.get(f"{_MODEL}/ready", responses=_READINESS)
@router.get(f"{_VERSION}/ready", responses=_READINESS)
async def model_ready(served: Served, response: Response) -> ModelReady:
    """Tell whether the model answers; it does whenever the server is ready."""
    if not served.ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return ModelReady(name=served.classifier.model.metadata.name, ready=served.ready)


def _answer(served: State, asked: InferenceRequest, given: FloatArray | list[bytes]) -> Response:
    classifier = served.classifier
    if isinstance(given, list):
        bodies.check_number(given, served.max_pictures)
        predictions = []
        for one in classifier.predict_pictures(given):
            if isinstance(one, PictureError):
                raise one
            predictions.append(one)
    else:
        predictions = classifier.predict_inputs(given)
    return inference.respond(asked, predictions, classifier.model)
