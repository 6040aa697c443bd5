"""Example request body and examples of answers of /v2 in the OpenAPI document.

The body is valid and is answered with a 7.
"""

from __future__ import annotations

from typing import Any

from service import __version__
from service.api.examples import MODEL_NAME
from service.api.examples import PIXELS as SEVEN
from service.api.examples import PROBABILITIES as SEVEN_PROBABILITIES
from service.api.v2.schemas import LABELS, PROBABILITIES, InferenceRequest
from service.types import PIXELS

INFERENCE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": f"#/components/schemas/{InferenceRequest.__name__}"},
            "example": {
                "inputs": [
                    {
                        "name": "image",
                        "datatype": "UINT8",
                        "shape": [1, PIXELS],
                        "data": [value for row in SEVEN for value in row],
                    }
                ]
            },
        },
        # The same JSON, followed by binary tensor data.
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}

INFERENCE: dict[str, Any] = {
    "model_name": MODEL_NAME["name"],
    "model_version": MODEL_NAME["version"],
    "outputs": [
        {"name": LABELS, "datatype": "INT64", "shape": [1], "data": [7]},
        {"name": PROBABILITIES, "datatype": "FP32", "shape": [1, 10], "data": SEVEN_PROBABILITIES},
    ],
}
SERVER: dict[str, Any] = {
    "name": "digits",
    "version": __version__,
    "extensions": ["classification", "binary_tensor_data"],
}
MODEL: dict[str, Any] = {
    "name": MODEL_NAME["name"],
    "versions": [MODEL_NAME["version"]],
    "platform": "sklearn_safetensors",
    "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, PIXELS]}],
    "outputs": [
        {"name": LABELS, "datatype": "INT64", "shape": [-1]},
        {"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, 10]},
    ],
}
MODEL_READY: dict[str, Any] = {"name": MODEL_NAME["name"], "ready": True}
LIVE: dict[str, Any] = {"live": True}
READY: dict[str, Any] = {"live": True, "ready": True}
