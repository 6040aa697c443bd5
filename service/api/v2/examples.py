"""Example request body of /v2 in the OpenAPI document. It is valid and is answered with a 7."""

from __future__ import annotations

from typing import Any

from service.api.examples import PIXELS as SEVEN
from service.api.v2.schemas import InferenceRequest
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
