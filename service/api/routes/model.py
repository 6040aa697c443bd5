"""GET /model: metadata, weights, weight images and the evaluation report of the served model.

Enters: a request for a resource. Leaves: JSON, or a cacheable Representation; HEAD returns its size and ETag. Out of
scope: serialising weights (`api.weights`), drawing them (`model.weight_images`) and reading reports (`api.reports`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api import examples
from service.api.admission import Work
from service.api.openapi import ANYWHERE, Responses, answer_example, problem_responses
from service.api.parameters import spelt
from service.api.representations import Representation, quality, respond
from service.api.state import Shared
from service.api.weights import MEDIA_TYPES, Weights
from service.errors import NotAcceptable
from service.model import weight_images

router = APIRouter(prefix="/model", tags=["model"])

FileFormat = Literal["json", "npz", "safetensors"]
LayerIndex = Annotated[int, Path(description="index of the layer, from 0")]
FormatQuery = Annotated[
    FileFormat | None, Query(alias="format", description="file format; overrides the header `Accept`")
]
# At most some hundred indices: who wants more of them wants the layer.
_INDICES = {"pattern": "^[0-9]{1,6}(,[0-9]{1,6})*$", "max_length": 1000}
Units = Annotated[str | None, Query(description="only these units (columns), with commas", **_INDICES)]
Inputs = Annotated[str | None, Query(description="only from these inputs (rows), with commas", **_INDICES)]


def _cacheable(description: str, content: dict[str, Any], *codes: str) -> Responses:
    return {
        200: {
            "description": f"{description}, with a strong ETag for conditional requests (`If-None-Match`)",
            "content": content,
        },
        304: {"description": "Not modified: the client's copy is current"},
        **problem_responses(*codes, *ANYWHERE),
    }


def _weights_content(example: dict[str, Any]) -> dict[str, Any]:
    return {name: {"example": example} if name == MEDIA_TYPES["json"] else {} for name in MEDIA_TYPES.values()}


_PNG: dict[str, Any] = {"image/png": {}}


class LayerFacts(BaseModel):
    """Shape and activation function of one layer."""

    n_in: int
    n_out: int
    activation: str


class Window(BaseModel):
    """Which hidden units are drawn: a grid of rows x columns units."""

    rows: int = Field(4, ge=1, le=16)
    columns: int = Field(4, ge=1, le=16)
    first: int = Field(0, ge=0, description="index of the first unit")


class Model(BaseModel):
    """Metadata of the served model: architecture, calibration, training and evaluation."""

    name: str
    version: str = Field(description="first 12 hex digits of the SHA-256 of its file")
    classes: list[int]
    layers: list[LayerFacts]
    head: str = Field(
        description="output activation: softmax, or logistic (one unit, the probability of the second class)"
    )
    n_parameters: int
    temperature: float = Field(
        description="temperature of the temperature scaling: probabilities are softmax(logits / temperature)"
    )
    ambiguous_below: float = Field(description="abstention threshold: below this confidence the verdict is `ambiguous`")
    novel_from: float | None = Field(
        description="threshold of the out-of-distribution (OOD) score: from here on the verdict is `not_a_digit`"
    )
    training: dict[str, Any] = Field(
        description="recipe, seed, hyperparameters, checksums of the data sets, versions of libraries"
    )
    figures: dict[str, float] = Field(description="evaluation metrics stored in the model file")
    report: bool = Field(description="whether /model/report has an evaluation report on this model")


@router.head("", include_in_schema=False)
@router.get("", responses=answer_example(examples.MODEL) | problem_responses(*ANYWHERE))
async def model(shared: Shared) -> Model:
    """Return the metadata of the served model."""
    artifact = shared.classifier.model
    network, metadata = artifact.network, artifact.metadata
    return Model(
        name=metadata.name,
        version=artifact.version,
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


@router.head("/weights", dependencies=[spelt("format")], include_in_schema=False)
@router.get(
    "/weights",
    dependencies=[spelt("format")],
    response_class=Response,
    responses=_cacheable("The weights", _weights_content(examples.WEIGHTS), "not-acceptable", "invalid-request"),
)
async def weights(request: Request, shared: Shared, file_format: FormatQuery = None) -> Response:
    """Return all weights and biases.

    In JSON, `layers[i].weights` has a row for each input and a column for each unit, like scikit-learn's `coefs_[i]`,
    and `layers[i].biases` is like `intercepts_[i]`. Numbers are the shortest decimals that round-trip to the same
    float32.
    """
    return await shared.admission.run_in_thread(
        Work.SMALL, _respond_with_weights, request, shared.weights, file_format, None
    )


@router.head("/weights/{index}", dependencies=[spelt("format", "units", "inputs")], include_in_schema=False)
@router.get(
    "/weights/{index}",
    dependencies=[spelt("format", "units", "inputs")],
    response_class=Response,
    responses=_cacheable(
        "The weights of the layer", _weights_content(examples.LAYER), "not-found", "not-acceptable", "invalid-request"
    ),
)
async def layer_weights(  # noqa: PLR0913, PLR0917 - one parameter for each of the request
    request: Request,
    shared: Shared,
    index: LayerIndex,
    file_format: FormatQuery = None,
    units: Units = None,
    inputs: Inputs = None,
) -> Response:
    """Return the weights and biases of one layer, or of some of its units, or from some of its inputs."""
    if units is not None or inputs is not None:
        # A few columns or rows take less time than a hop to a thread.
        chosen = file_format or _negotiate(request.headers.get("accept", "*/*"))
        return respond(request, shared.weights.part(chosen, index, _indices(units), _indices(inputs)))
    return await shared.admission.run_in_thread(
        Work.SMALL, _respond_with_weights, request, shared.weights, file_format, index
    )


@router.head("/weights/{index}/image", dependencies=[spelt("rows", "columns", "first")], include_in_schema=False)
@router.get(
    "/weights/{index}/image",
    dependencies=[spelt("rows", "columns", "first")],
    response_class=Response,
    responses=_cacheable("The incoming weights of hidden units as images", _PNG, "not-found", "invalid-request"),
)
async def weights_image(
    shared: Shared,
    request: Request,
    index: LayerIndex,
    window: Annotated[Window, Query()],
) -> Response:
    """Draw the incoming weights of first-layer units: columns of `coefs_[0]` as 28x28 images on a common grey scale."""
    layer = shared.weights.layer(index)
    body = await shared.admission.run_in_thread(
        Work.SMALL, weight_images.draw, layer, window.rows, window.columns, window.first
    )
    return respond(request, Representation(body, "image/png"))


@router.get(
    "/report",
    response_class=Response,
    responses=_cacheable("The evaluation report", {"application/json": {"example": examples.REPORT}}, "not-found"),
)
async def report(request: Request, shared: Shared) -> Response:
    """Return the evaluation report on the served model. 404 if there is none beside the model file."""
    return respond(request, shared.report.document())


@router.get(
    "/report/{name}.png",
    response_class=Response,
    responses=_cacheable("One figure of the report", _PNG, "not-found"),
)
async def report_figure(request: Request, shared: Shared, name: str) -> Response:
    """Return a figure of the report as PNG, such as `misread`: the misclassified digits."""
    return respond(request, shared.report.figure(name))


def _respond_with_weights(
    request: Request, weights: Weights, file_format: FileFormat | None, index: int | None
) -> Response:
    return respond(request, weights.get(file_format or _negotiate(request.headers.get("accept", "*/*")), index))


def _indices(text: str | None) -> list[int] | None:
    return None if text is None else [int(index) for index in text.split(",")]


def _negotiate(accept: str) -> FileFormat:
    """Return the format with the highest quality in `Accept`; JSON in case of a tie. Raises NotAcceptable."""
    formats: tuple[FileFormat, ...] = ("json", "npz", "safetensors")
    best = max(formats, key=lambda file_format: quality(MEDIA_TYPES[file_format], accept))
    if quality(MEDIA_TYPES[best], accept) == 0:
        message = (
            f"the weights are available as {', '.join(MEDIA_TYPES.values())}, none of which `Accept: {accept}` allows"
        )
        raise NotAcceptable(message)
    return best
