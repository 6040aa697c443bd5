"""What /v2 takes and gives, as the Open Inference Protocol writes it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

LABELS, PROBABILITIES = "predict", "predict_proba"

Parameters = dict[str, bool | int | float | str]
# Made anew, since a default that is there is copied deeply for each request.
NoParameters = Annotated[Parameters, Field(default_factory=dict, json_schema_extra={"default": {}})]


class Refusal(BaseModel):
    """Why there is no answer."""

    error: str


class TensorFacts(BaseModel):
    """What a tensor looks like; -1 is any number."""

    name: str
    datatype: str
    shape: list[int]


class ServerFacts(BaseModel):
    """Which server this is."""

    name: str
    version: str
    extensions: list[str]


class ModelFacts(BaseModel):
    """Which model this is, and what it takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class Live(BaseModel):
    """Whether the server lives."""

    live: bool


class Ready(BaseModel):
    """Whether the server answers."""

    live: bool
    ready: bool


class ModelReady(BaseModel):
    """Whether a model answers."""

    name: str
    ready: bool


class InputTensor(BaseModel):
    """One tensor in; its data are here, or behind the JSON, as `parameters.binary_data_size` bytes."""

    name: str = Field(description="any name")
    datatype: str = Field(description="FP32 or FP64 from 0 to 1, UINT8, INT32 or INT64 from 0 to 255, or BYTES")
    # The product of very many large numbers would take minutes.
    shape: list[int] = Field(max_length=8, description="[n, 784] or [n, 28, 28]; of BYTES [n] or [n, 1]")
    parameters: NoParameters
    data: list[Any] | None = Field(None, description="flat or nested; of BYTES base64 of encoded pictures")


class RequestedTensor(BaseModel):
    """One tensor out."""

    name: str = Field(description=f"{LABELS} or {PROBABILITIES}")
    parameters: Annotated[
        NoParameters, Field(description="classification: the n best as value:index:label; binary_data")
    ]


class InferenceRequest(BaseModel):
    """What is asked."""

    id: str | None = Field(None, max_length=1024, description="comes back in the answer")
    parameters: Annotated[NoParameters, Field(description="binary_data_output: all outputs as bytes behind the JSON")]
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedTensor] | None = Field(
        None, max_length=8, description="which outputs; default, or when empty: all"
    )


class OutputTensor(BaseModel):
    """One tensor of the answer."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: list[Any] | None = None


class InferenceResponse(BaseModel):
    """What is answered."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
