"""GET /model, its weights and their pictures, its report: the network, open to look into. HEAD tells size and ETag."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api import problems
from service.api.representation import Representation
from service.api.representations import quality, respond
from service.api.state import Shared
from service.api.weights import MEDIA_TYPES, Weights
from service.errors import NotAcceptable
from service.model import weight_images

router = APIRouter(prefix="/model", tags=["model"])

Form = Literal["json", "npz", "safetensors"]
LayerIndex = Annotated[int, Path(description="number of the layer, from 0")]
FormQuery = Annotated[Form | None, Query(alias="format", description="wins over the header `Accept`")]

_WEIGHTS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The weights. Strong ETag; `If-None-Match` is answered with 304.",
        "content": {media_type: {} for media_type in MEDIA_TYPES.values()},
    },
    304: {"description": "The copy that the client has is the current one"},
}

_REPORT_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "What was measured", "content": {"application/json": {}}}
}
_FIGURE_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "One drawing of the report", "content": {"image/png": {}}}
}
_IMAGE_RESPONSES: dict[int | str, dict[str, Any]] = _WEIGHTS_RESPONSES | {
    200: {"description": "The incoming weights of units as pictures", "content": {"image/png": {}}}
}


class LayerFacts(BaseModel):
    """The shape of one layer."""

    n_in: int
    n_out: int
    activation: str


class Window(BaseModel):
    """Which units are drawn."""

    rows: int = Field(4, ge=1, le=16)
    columns: int = Field(4, ge=1, le=16)
    first: int = Field(0, ge=0, description="number of the first unit")


class Model(BaseModel):
    """What is served, how it came about, and what was measured on it."""

    name: str
    version: str = Field(description="first 12 hex digits of the SHA-256 of its file")
    classes: list[int]
    layers: list[LayerFacts]
    head: str = Field(description="softmax, or logistic: one unit, the probability of the second class")
    n_parameters: int
    temperature: float
    ambiguous_below: float = Field(description="answers with less confidence have the verdict `ambiguous`")
    novel_from: float | None = Field(description="answers with this novelty or more have the verdict `not_a_digit`")
    training: dict[str, Any] = Field(description="recipe, seed, settings, checksums of the data, versions")
    figures: dict[str, float]
    report: bool = Field(description="whether /model/report tells more of what was measured")


@router.head("", include_in_schema=False)
@router.get("")
async def model(shared: Shared) -> Model:
    """Tell which model answers."""
    served = shared.classifier.model
    network, metadata = served.network, served.metadata
    return Model(
        name=metadata.name,
        version=served.version,
        classes=list(network.classes),
        layers=[
            LayerFacts(n_in=layer.n_in, n_out=layer.n_out, activation=layer.activation) for layer in network.layers
        ],
        head=network.head,
        n_parameters=network.n_parameters,
        temperature=metadata.calibration.temperature,
        ambiguous_below=metadata.calibration.ambiguous_below,
        novel_from=metadata.calibration.novel_from,
        training=metadata.training.model_dump(),
        figures=metadata.figures,
        report=shared.report.exists(),
    )


@router.head("/weights", include_in_schema=False)
@router.get(
    "/weights",
    response_class=Response,
    responses=_WEIGHTS_RESPONSES | problems.documented(HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def weights(request: Request, shared: Shared, form: FormQuery = None) -> Response:
    """Return all weights and biases.

    In JSON, `layers[i].weights` is scikit-learn's `coefs_[i]`, rows for inputs and columns for units, and
    `layers[i].biases` is `intercepts_[i]`, as the shortest decimals that give back the same float32.
    """
    return await shared.admission.run_in_thread(_represent, request, shared.weights, form, None)


@router.head("/weights/{index}", include_in_schema=False)
@router.get(
    "/weights/{index}",
    response_class=Response,
    responses=_WEIGHTS_RESPONSES
    | problems.documented(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def layer_weights(request: Request, shared: Shared, index: LayerIndex, form: FormQuery = None) -> Response:
    """Return the weights and biases of one layer."""
    return await shared.admission.run_in_thread(_represent, request, shared.weights, form, index)


@router.head("/weights/{index}/image", include_in_schema=False)
@router.get(
    "/weights/{index}/image",
    response_class=Response,
    responses=_IMAGE_RESPONSES | problems.documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def weights_image(
    shared: Shared,
    request: Request,
    index: LayerIndex,
    window: Annotated[Window, Query()],
) -> Response:
    """Draw what the first layer's units look for: the columns of `coefs_[0]` as 28x28 pictures, on one grey scale."""
    layer = shared.weights.layer(index)
    body = await shared.admission.run_in_thread(weight_images.draw, layer, window.rows, window.columns, window.first)
    return respond(request, Representation(body, "image/png"))


@router.get("/report", response_class=Response, responses=_REPORT_RESPONSE | problems.documented(HTTPStatus.NOT_FOUND))
async def report(request: Request, shared: Shared) -> Response:
    """Return everything that was measured on the model, where its report lies beside its file."""
    return respond(request, shared.report.facts())


@router.get(
    "/report/{name}.png",
    response_class=Response,
    responses=_FIGURE_RESPONSE | problems.documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def report_figure(request: Request, shared: Shared, name: str) -> Response:
    """Return a drawing of the report, such as `misread`: the digits that were misread."""
    return respond(request, shared.report.figure(name))


def _represent(request: Request, made: Weights, form: Form | None, index: int | None) -> Response:
    return respond(request, made.get(form or _negotiated(request.headers.get("accept", "*/*")), index))


def _negotiated(accept: str) -> Form:
    """Return the form that the header Accept asks for; JSON where it leaves the choice."""
    forms: tuple[Form, ...] = ("json", "npz", "safetensors")
    best = max(forms, key=lambda form: quality(MEDIA_TYPES[form], accept))
    if quality(MEDIA_TYPES[best], accept) == 0:
        message = f"the weights come as {', '.join(MEDIA_TYPES.values())}, none of which `Accept: {accept}` allows"
        raise NotAcceptable(message)
    return best
