"""Example request bodies, and examples of answers, in the OpenAPI document. Those of /v2 are in `v2.examples`.

Each body is valid. Those of /predict are answered with a 7, that of /read with two lines of sevens. The answers are the
bundled model's, with fewer decimals.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from service.api.bodies import FILE_FIELD, ImageBody, PixelsBody
from service.types import IMAGE_SIDE

_GREY_LEVELS = " .:-=+*#%@"
_SEVEN = """
                            .
                            .
                            .
                            .
                            .
                            .
                            .
           ...::--===.      .
     .++**##%%%@@@@@@+      .
     *@@@@@@@@@@@@@@@+      .
     +@@@@@%%%##*%@@%:      .
     .==--::... .#@@+       .
                -@@%:       .
               .#@@+        .
               -@@%:        .
               *@@*         .
              -@@%:         .
              *@@*          .
             :%@%:          .
             *@@*           .
            :%@@-           .
            *@@*            .
           :%@@-            .
           *@@#.            .
          :%@@-             .
          +@@#.             .
          =@@-              .
                            .
"""
# Editors strip trailing blanks, hence the dot at the end of each row. 0 = background to 255 = ink.
PIXELS = [[255 * _GREY_LEVELS.index(level) // 9 for level in row[:-1]] for row in _SEVEN.split("\n")[1:-1]]


def _png_base64(pixels: list[list[int]]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


_PICTURE = {"schema": {"type": "string", "format": "binary"}}


def _form(field: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [FILE_FIELD], "properties": {FILE_FIELD: field}}


PREDICT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        # First, since /docs offers the first one: it can be sent as it is.
        "application/json": {
            "schema": {"anyOf": [ImageBody.model_json_schema(), PixelsBody.model_json_schema()]},
            "examples": {
                "image": {"summary": "a picture in base64", "value": {"image": _png_base64(PIXELS)}},
                "pixels": {"summary": "28x28 pixels in MNIST form", "value": {"pixels": PIXELS}},
            },
        },
        "multipart/form-data": {"schema": _form({"type": "string", "format": "binary", "description": "the picture"})},
        "image/*": _PICTURE,
        "application/octet-stream": _PICTURE,
    },
}

# Two sevens, and one below them.
_SEVENS = [*([*row, *row] for row in PIXELS), *([*row, *IMAGE_SIDE * [0]] for row in PIXELS)]

READ_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        **PREDICT_BODY["content"],
        "application/json": {
            "schema": ImageBody.model_json_schema(),
            "examples": {"image": {"summary": "a picture in base64", "value": {"image": _png_base64(_SEVENS)}}},
        },
    },
}

BATCH_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _form({"type": "array", "items": _PICTURE["schema"], "description": "the pictures"})
        }
    },
}

# --- Answers

MODEL_NAME = {"name": "mnist-mlp", "version": "dc1b3f0da667"}
PROBABILITIES = [0.0, 5.5e-06, 0.0, 4e-06, 0.0, 0.0, 0.0, 0.99999, 0.0, 1e-07]
_CLASSES = list(range(10))

ANSWER: dict[str, Any] = {
    "digit": 7,
    "confidence": 0.99999,
    "probabilities": PROBABILITIES,
    "classes": _CLASSES,
    "verdict": "clear",
    "novelty": 8.7e-06,
    "model": MODEL_NAME,
}


def _read_seven(*box: int) -> dict[str, Any]:
    kept = {name: ANSWER[name] for name in ("digit", "confidence", "probabilities", "verdict", "novelty")}
    return {**kept, "box": list(box)}


READING: dict[str, Any] = {
    "text": "77\n7",
    "confidence": 0.9977,
    "verdict": "clear",
    "lines": [
        {
            "text": "77",
            "confidence": 0.9985,
            "box": [7, 5, 27, 50],
            "digits": [_read_seven(7, 5, 27, 22), _read_seven(7, 33, 27, 50)],
        },
        {"text": "7", "confidence": 0.9991, "box": [35, 5, 55, 22], "digits": [_read_seven(35, 5, 55, 22)]},
    ],
    "picture_size": [56, 56],
    "classes": _CLASSES,
    "model": MODEL_NAME,
}

MODEL: dict[str, Any] = {
    **MODEL_NAME,
    "classes": _CLASSES,
    "layers": [
        {"n_in": 784, "n_out": 684, "activation": "relu"},
        {"n_in": 684, "n_out": 488, "activation": "relu"},
        {"n_in": 488, "n_out": 10, "activation": "softmax"},
    ],
    "head": "softmax",
    "n_parameters": 876110,
    "temperature": 1.1492,
    "ambiguous_below": 0.7669,
    "novel_from": 0.7942,
    "training": {"recipe": "record", "seed": 1, "libraries": {"scikit-learn": "1.9.1"}},
    "figures": {"training_accuracy": 0.998767, "validation_accuracy": 0.9958, "test_accuracy": 0.9951},
    "report": True,
}

LAYER: dict[str, Any] = {
    "index": 0,
    "activation": "softmax",
    "n_in": 3,
    "n_out": 2,
    "weights": [[0.5, -0.25], [0.125, 1.0], [0.0, 0.75]],
    "biases": [0.1, -0.1],
}
"""A layer with fewer inputs and units than any real one."""

WEIGHTS: dict[str, Any] = {"model": MODEL_NAME, "layers": [LAYER]}
REPORT: dict[str, Any] = {"model": MODEL_NAME, "test": {"wrong": 49, "n": 10000, "error": 0.0049}}
HEALTH: dict[str, Any] = {"status": "ok", "model": MODEL_NAME, "uptime_seconds": 3600.5}
PROBE: dict[str, Any] = {"status": "ok"}
METRICS = 'digits_http_requests_total{method="POST",route="/predict",status="200"} 12.0\n'
ERROR_PAGE = "no-ink\n\nStatus 422. The picture can be decoded, but it is blank. [...]\n"
