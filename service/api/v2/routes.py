"""/v2: the Open Inference Protocol, version 2, over REST, for the same model as /predict.

Enters: inference requests with digits in MNIST form as numbers, or encoded pictures as BYTES. Leaves: inference
responses; extensions are `classification` and `binary_tensor_data`. Out of scope: errors, which are `{"error": ...}`
(`api.problems`), and other models: one is served.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.api import bodies
from service.api.admission import Work
from service.api.openapi import ANYWHERE, PICTURE, Responses, answer_example, error_responses
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


def _error_responses(*codes: str) -> Responses:
    return error_responses(codes, lambda _, detail: {"error": detail}, {"application/json": {}}, model=Refusal)


UNAUTHORIZED = _error_responses("unauthorized")
_MODEL_CODES = ("not-found", *ANYWHERE)
router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
# Probes need no API key.
probes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])


async def _served_model(shared: Shared, name: str, version: str | None = None) -> State:
    """Return the shared state if the path names the served model. Raises NoSuchModel."""
    model = shared.classifier.model
    if name != model.metadata.name or version not in {None, model.version}:
        requested = name if version is None else f"{name}, version {version}"
        message = f"there is no model {requested}: served is {model.metadata.name}, version {model.version}"
        raise NoSuchModel(message)
    return shared


Served = Annotated[State, Depends(_served_model)]
_MODEL = "/models/{name}"
_VERSION = "/models/{name}/versions/{version}"


_NOT_READY = {"description": "Not ready: route requests elsewhere"}
# Inference on so few inputs takes less time than the hop to a thread.
_MAX_INLINE_INPUTS = 4
_INFERENCE: dict[str, Any] = {
    "response_model": InferenceResponse,
    "responses": {
        200: {
            "description": "The response; octet-stream if outputs are requested as binary tensor data",
            "content": {"application/json": {"example": examples.INFERENCE}, "application/octet-stream": {}},
        },
        **_error_responses("not-found", *PICTURE),
    },
    "openapi_extra": {"requestBody": examples.INFERENCE_BODY},
}


@router.post(f"{_MODEL}/infer", **_INFERENCE)
@router.post(f"{_VERSION}/infer", **_INFERENCE)
async def infer(request: Request, served: Served) -> Response:
    """Classify digits: numbers in MNIST form, or encoded pictures as BYTES."""
    json_length = request.headers.get(inference.JSON_LENGTH_HEADER)
    body = await request.body()
    if len(body) > bodies.MAX_INLINE_BYTES:
        return await served.admission.run_in_thread(
            Work.LARGE, lambda: _answer(served, *inference.read(body, json_length))
        )
    inference_request, inputs = inference.read(body, json_length)
    if not isinstance(inputs, list) and len(inputs) <= _MAX_INLINE_INPUTS:
        return _answer(served, inference_request, inputs)
    return await served.admission.run_in_thread(Work.LARGE, _answer, served, inference_request, inputs)


@probes.get("/health/live", responses=answer_example(examples.LIVE))
async def live() -> Live:
    """Liveness probe."""
    return Live(live=True)


@probes.get("/health/ready", responses=answer_example(examples.READY) | {503: _NOT_READY | {"model": Ready}})
async def ready(request: Request, response: Response) -> Ready:
    """Readiness probe: 200 if requests should be routed here, else 503."""
    is_ready = health.is_ready(request)
    if not is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready(live=True, ready=is_ready)


@router.get("", responses=answer_example(examples.SERVER) | _error_responses(*ANYWHERE))
async def server(request: Request) -> ServerFacts:
    """Return name, version and extensions of the server."""
    return ServerFacts(
        name="digits", version=request.app.version, extensions=[inference.CLASSIFICATION, "binary_tensor_data"]
    )


_METADATA: Responses = answer_example(examples.MODEL) | _error_responses(*_MODEL_CODES)


@router.get(_MODEL, responses=_METADATA)
@router.get(_VERSION, responses=_METADATA)
async def model(served: Served) -> ModelFacts:
    """Return inputs and outputs of the model."""
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


_MODEL_ERRORS = _error_responses(*_MODEL_CODES)
# Not ready, or overloaded: unlike that of the server, this probe may need a key, and is shed.
_READINESS: Responses = (
    answer_example(examples.MODEL_READY) | _MODEL_ERRORS | {503: _MODEL_ERRORS[503] | {"model": ModelReady | Refusal}}
)


@router.get(f"{_MODEL}/ready", responses=_READINESS)
@router.get(f"{_VERSION}/ready", responses=_READINESS)
async def model_ready(served: Served, response: Response) -> ModelReady:
    """Readiness probe of the model: ready whenever the server is."""
    if not served.ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return ModelReady(name=served.classifier.model.metadata.name, ready=served.ready)


def _answer(served: State, inference_request: InferenceRequest, inputs: FloatArray | list[bytes]) -> Response:
    classifier = served.classifier
    if isinstance(inputs, list):
        bodies.check_batch_size(inputs, served.max_pictures)
        predictions = []
        for outcome in classifier.predict_pictures(inputs):
            if isinstance(outcome, PictureError):
                raise outcome
            predictions.append(outcome)
    else:
        predictions = classifier.predict_inputs(inputs)
    return inference.respond(inference_request, predictions, classifier.model)
