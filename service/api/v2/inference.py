"""Inference request -> inputs of the classifier; predictions -> inference response.

Enters: the body of a request. Leaves: float32 inputs (n, 784), 0..1, or encoded pictures; and the response of their
predictions. Out of scope: the binary codec (`v2.tensors`) and routing (`v2.routes`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import ValidationError
from starlette.responses import Response

from service.api import bodies
from service.api.v2 import tensors
from service.api.v2.schemas import LABELS, PROBABILITIES, InferenceRequest, InferenceResponse, OutputTensor
from service.api.v2.tensors import BYTES, Tensor
from service.classifier import Prediction
from service.errors import InvalidBody, TooManyPictures
from service.model.artifact import Artifact
from service.types import IMAGE_SIDE, PIXELS, FloatArray

JSON_LENGTH_HEADER = "Inference-Header-Content-Length"
CLASSIFICATION = "classification"
# The shapes of one digit: flat, and with its channel nowhere, first as in PyTorch, or last as in TensorFlow.
_DIGIT_SHAPES = ((PIXELS,), (IMAGE_SIDE, IMAGE_SIDE), (1, IMAGE_SIDE, IMAGE_SIDE), (IMAGE_SIDE, IMAGE_SIDE, 1))
# The size of the MNIST test set. Activations take about twenty times the memory of the inputs.
_MAX_DIGITS = 10_000


def read(body: bytes, json_length: str | None) -> tuple[InferenceRequest, FloatArray | list[bytes]]:
    """Return the request and its inputs: float32 (n, 784), 0 = background to 1 = ink, or encoded pictures.

    `json_length` is the header JSON_LENGTH_HEADER, or None. Raises InvalidBody, InvalidJson and TooManyPictures.
    """
    content, binary = tensors.split_body(body, json_length)
    try:
        inference_request = InferenceRequest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        message = f"{'/'.join(map(str, first['loc']))}: {first['msg']}"
        raise InvalidBody(message) from error
    (input_tensor,) = inference_request.inputs
    size = input_tensor.parameters.get("binary_data_size")
    if size is not None and size != len(binary):
        message = (
            f"input {input_tensor.name!r} has a binary_data_size of {size}, but {len(binary)} bytes come after the JSON"
        )
        raise InvalidBody(message)
    tensor = tensors.read_tensor(
        input_tensor.name,
        input_tensor.datatype,
        input_tensor.shape,
        data=input_tensor.data,
        raw=None if size is None else binary,
    )
    if isinstance(tensor.values, np.ndarray):
        return inference_request, _to_inputs(tensor)
    if tensor.shape[1:] not in ((), (1,)):
        message = f"input {tensor.name!r} has the shape {list(tensor.shape)}: send [n] or [n, 1]"
        raise InvalidBody(message)
    if size is None:
        return inference_request, [bodies.decode_base64(text.decode()) for text in tensor.values]
    return inference_request, tensor.values


def _to_inputs(tensor: Tensor) -> FloatArray:
    if tensor.shape[1:] not in _DIGIT_SHAPES:
        shapes = ", ".join(f"[n, {', '.join(map(str, shape))}]" for shape in _DIGIT_SHAPES)
        message = f"input {tensor.name!r} has the shape {list(tensor.shape)}: send {shapes}"
        raise InvalidBody(message)
    if tensor.shape[0] > _MAX_DIGITS:
        message = f"input {tensor.name!r} has {tensor.shape[0]:,} digits: send at most {_MAX_DIGITS:,} per request"
        raise TooManyPictures(message)
    values = np.asarray(tensor.values)
    full_ink = 1 if values.dtype.kind == "f" else 255
    # `not all` also catches NaN. Every uint8 is in range.
    if values.dtype != np.uint8 and not np.all((values >= 0) & (values <= full_ink)):
        message = f"input {tensor.name!r} must be from 0 (background) to {full_ink} (ink), as {tensor.datatype}"
        raise InvalidBody(message)
    return values.reshape(-1, PIXELS).astype(np.float32) / np.float32(full_ink)


def respond(inference_request: InferenceRequest, predictions: Sequence[Prediction], model: Artifact) -> Response:
    """Return the requested output tensors, in JSON or as binary tensor data after it. Raises InvalidBody."""
    outputs, binary = [], b""
    for tensor, is_binary in _requested_outputs(inference_request, predictions, model.network.classes):
        output = OutputTensor(name=tensor.name, datatype=tensor.datatype, shape=list(tensor.shape))
        if is_binary:
            raw = tensors.raw_values(tensor)
            binary += raw
            output.parameters = {"binary_data_size": len(raw)}
        else:
            output.data = tensors.json_values(tensor)
        outputs.append(output)
    inference_response = InferenceResponse(
        model_name=model.metadata.name, model_version=model.version, id=inference_request.id, outputs=outputs
    )
    content = inference_response.model_dump_json(exclude_none=True).encode()
    if not binary:
        return Response(content, media_type="application/json")
    headers = {JSON_LENGTH_HEADER: str(len(content))}
    return Response(content + binary, headers=headers, media_type="application/octet-stream")


def _requested_outputs(
    inference_request: InferenceRequest, predictions: Sequence[Prediction], classes: tuple[int, ...]
) -> list[tuple[Tensor, bool]]:
    """Return the requested tensors, each with whether it is sent as binary tensor data."""
    labels = np.array([prediction.digit for prediction in predictions], np.int64)
    probabilities = np.array([prediction.probabilities for prediction in predictions], np.float32)
    probabilities = probabilities.reshape(-1, len(classes))
    available = {
        LABELS: Tensor(LABELS, "INT64", labels.shape, labels),
        PROBABILITIES: Tensor(PROBABILITIES, "FP32", probabilities.shape, probabilities),
    }
    all_binary = bool(inference_request.parameters.get("binary_data_output"))
    if not inference_request.outputs:
        return [(tensor, all_binary) for tensor in available.values()]
    outputs = []
    for requested in inference_request.outputs:
        if requested.name not in available:
            message = f"there is no output {requested.name!r}: request {' or '.join(available)}"
            raise InvalidBody(message)
        tensor = available[requested.name]
        k = requested.parameters.get(CLASSIFICATION)
        if k is not None:
            if tensor.name != PROBABILITIES or isinstance(k, bool) or not isinstance(k, int) or k < 1:
                message = f"{CLASSIFICATION} applies to {PROBABILITIES} only, and is an integer from 1 on"
                raise InvalidBody(message)
            tensor = _top_k(probabilities, k, classes)
        outputs.append((tensor, bool(requested.parameters.get("binary_data", all_binary))))
    return outputs


def _top_k(probabilities: FloatArray, k: int, classes: tuple[int, ...]) -> Tensor:
    """Return the k most probable classes of each row as `value:index:label`, BYTES (n, k)."""
    ranking = (-probabilities).argsort(axis=1, kind="stable")[:, :k]
    values = [
        f"{probabilities[row, i]:.6f}:{i}:{classes[i]}".encode() for row, ranked in enumerate(ranking) for i in ranked
    ]
    return Tensor(PROBABILITIES, BYTES, ranking.shape, values)
