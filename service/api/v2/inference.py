"""The body of an inference request -> digits for the classifier; its predictions -> the body of the response."""

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
# As many as MNIST has for testing. What is found on the way to their answers takes some twenty times their bytes.
_MOST_DIGITS = 10_000


def read(body: bytes, json_length: str | None) -> tuple[InferenceRequest, FloatArray | list[bytes]]:
    """Return what is asked, and of what: digits in MNIST form (n, 784), 0..1, or encoded pictures.

    Raises InvalidBody, InvalidJson and TooManyPictures.
    """
    content, behind = tensors.split_body(body, json_length)
    try:
        asked = InferenceRequest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        message = f"{'/'.join(map(str, first['loc']))}: {first['msg']}"
        raise InvalidBody(message) from error
    (given,) = asked.inputs
    size = given.parameters.get("binary_data_size")
    if size is not None and size != len(behind):
        message = f"input {given.name!r} has a binary_data_size of {size}, but {len(behind)} bytes are behind the JSON"
        raise InvalidBody(message)
    tensor = tensors.read_tensor(
        given.name, given.datatype, given.shape, data=given.data, raw=None if size is None else behind
    )
    if isinstance(tensor.values, np.ndarray):
        return asked, _inputs(tensor)
    if tensor.shape[1:] not in ((), (1,)):
        message = f"input {given.name!r} has the shape {given.shape}: send [n] or [n, 1]"
        raise InvalidBody(message)
    return asked, [bodies.from_base64(text.decode()) for text in tensor.values] if size is None else tensor.values


def _inputs(given: Tensor) -> FloatArray:
    if given.shape[1:] not in ((PIXELS,), (IMAGE_SIDE, IMAGE_SIDE)):
        message = f"input {given.name!r} has the shape {list(given.shape)}: send [n, 784] or [n, 28, 28]"
        raise InvalidBody(message)
    if given.shape[0] > _MOST_DIGITS:
        message = f"input {given.name!r} has {given.shape[0]:,} digits: send at most {_MOST_DIGITS:,} at once"
        raise TooManyPictures(message)
    values = np.asarray(given.values)
    full_ink = 1 if values.dtype.kind == "f" else 255
    # Written so that what is not a number is found, too. Bytes have no other values.
    if values.dtype != np.uint8 and not np.all((values >= 0) & (values <= full_ink)):
        message = f"input {given.name!r} must be from 0, background, to {full_ink}, ink, as {given.datatype}"
        raise InvalidBody(message)
    return values.reshape(-1, PIXELS).astype(np.float32) / np.float32(full_ink)


def respond(asked: InferenceRequest, predictions: Sequence[Prediction], model: Artifact) -> Response:
    """Return the tensors that are asked for, as JSON or as bytes behind it. Raises InvalidBody."""
    described, behind = [], b""
    for tensor, binary in _outputs(asked, predictions, model.network.classes):
        output = OutputTensor(name=tensor.name, datatype=tensor.datatype, shape=list(tensor.shape))
        if binary:
            raw = tensors.raw_values(tensor)
            behind += raw
            output.parameters = {"binary_data_size": len(raw)}
        else:
            output.data = tensors.json_values(tensor)
        described.append(output)
    answer = InferenceResponse(
        model_name=model.metadata.name, model_version=model.version, id=asked.id, outputs=described
    )
    content = answer.model_dump_json(exclude_none=True).encode()
    if not behind:
        return Response(content, media_type="application/json")
    headers = {JSON_LENGTH_HEADER: str(len(content))}
    return Response(content + behind, headers=headers, media_type="application/octet-stream")


def _outputs(
    asked: InferenceRequest, predictions: Sequence[Prediction], classes: tuple[int, ...]
) -> list[tuple[Tensor, bool]]:
    """Return the tensors asked for, each with whether it is wanted as bytes."""
    labels = np.array([prediction.digit for prediction in predictions], np.int64)
    shares = np.array([prediction.probabilities for prediction in predictions], np.float32).reshape(-1, len(classes))
    known = {
        LABELS: Tensor(LABELS, "INT64", labels.shape, labels),
        PROBABILITIES: Tensor(PROBABILITIES, "FP32", shares.shape, shares),
    }
    all_binary = bool(asked.parameters.get("binary_data_output"))
    if not asked.outputs:
        return [(tensor, all_binary) for tensor in known.values()]
    found = []
    for requested in asked.outputs:
        if requested.name not in known:
            message = f"there is no output {requested.name!r}: ask for {' or '.join(known)}"
            raise InvalidBody(message)
        tensor = known[requested.name]
        n_best = requested.parameters.get(CLASSIFICATION)
        if n_best is not None:
            if tensor.name != PROBABILITIES or isinstance(n_best, bool) or not isinstance(n_best, int) or n_best < 1:
                message = f"{CLASSIFICATION} is for {PROBABILITIES}, and a whole number from 1 on"
                raise InvalidBody(message)
            tensor = _ranked(shares, n_best, classes)
        found.append((tensor, bool(requested.parameters.get("binary_data", all_binary))))
    return found


def _ranked(shares: FloatArray, n_best: int, classes: tuple[int, ...]) -> Tensor:
    """Return the n best of each row as `value:index:label`, BYTES (n, n_best)."""
    best = (-shares).argsort(axis=1, kind="stable")[:, :n_best]
    values = [f"{shares[row, i]:.6f}:{i}:{classes[i]}".encode() for row, ranked in enumerate(best) for i in ranked]
    return Tensor(PROBABILITIES, BYTES, best.shape, values)
