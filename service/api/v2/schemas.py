"""JSON schemas of requests and responses of the Open Inference Protocol V2.

An optional field or parameter that is null counts as absent. Out of scope: tensors' contents (`v2.tensors`) and which
inputs the model takes (`v2.inference`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

LABELS, PROBABILITIES = "predict", "predict_proba"

Parameters = dict[str, bool | int | float | str]
_NullableParameters = dict[str, bool | int | float | str | None] | None


def _without_nulls(value: object) -> object:
    """Return parameters without those that are null. Generated clients send null for every field that is not set."""
    if isinstance(value, dict):
        return {name: parameter for name, parameter in value.items() if parameter is not None}
    return {} if value is None else value


# A factory, since pydantic deep-copies a mutable default for each request.
NoParameters = Annotated[
    Parameters,
    BeforeValidator(_without_nulls, json_schema_input_type=_NullableParameters),
    Field(default_factory=dict, json_schema_extra={"default": {}}),
]


class Refusal(BaseModel):
    """Error response of the protocol."""

    error: str


class TensorFacts(BaseModel):
    """Metadata of a tensor. -1 in a shape is a variable size."""

    name: str
    datatype: str
    shape: list[int]


class ServerFacts(BaseModel):
    """Server metadata."""

    name: str
    version: str
    extensions: list[str]


class ModelFacts(BaseModel):
    """Model metadata: versions, inputs and outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class Live(BaseModel):
    """Liveness of the server."""

    live: bool


class Ready(BaseModel):
    """Readiness of the server."""

    live: bool
    ready: bool


class ModelReady(BaseModel):
    """Readiness of a model."""

    name: str
    ready: bool


class InputTensor(BaseModel):
    """Input tensor. Its values are in `data`, or in `parameters.binary_data_size` bytes after the JSON."""

    name: str = Field(description="any name")
    datatype: str = Field(description="FP32 or FP64 from 0 to 1, UINT8, INT32 or INT64 from 0 to 255, or BYTES")
    # Bounded, since the product of thousands of huge integers would take minutes.
    shape: list[int] = Field(
        max_length=8, description="[n, 784], [n, 28, 28], [n, 1, 28, 28] or [n, 28, 28, 1]; for BYTES [n] or [n, 1]"
    )
    parameters: NoParameters
    data: list[Any] | None = Field(None, description="flat or nested list; for BYTES base64 of encoded pictures")


class RequestedTensor(BaseModel):
    """Requested output tensor."""

    name: str = Field(description=f"{LABELS} or {PROBABILITIES}")
    parameters: Annotated[
        NoParameters,
        Field(
            description="classification: the n most probable classes as value:index:label; binary_data: return bytes"
        ),
    ]


class InferenceRequest(BaseModel):
    """Inference request."""

    id: str | None = Field(None, max_length=1024, description="request id, returned in the response")
    parameters: Annotated[
        NoParameters, Field(description="binary_data_output: return all outputs as bytes after the JSON")
    ]
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedTensor] | None = Field(
        None, max_length=8, description="requested outputs; null or empty: all"
    )


class OutputTensor(BaseModel):
    """Output tensor."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: list[Any] | None = None


class InferenceResponse(BaseModel):
    """Inference response."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
