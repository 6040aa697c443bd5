"""Example request bodies of /predict and /read in the OpenAPI document.

Each one is valid. Those of /predict are answered with a 7, that of /read with two lines of sevens.
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
        "multipart/form-data": {"schema": _form({"type": "string", "format": "binary", "description": "the picture"})},
        "application/json": {
            "schema": {"anyOf": [ImageBody.model_json_schema(), PixelsBody.model_json_schema()]},
            "examples": {
                "image": {"summary": "a picture in base64", "value": {"image": _png_base64(PIXELS)}},
                "pixels": {"summary": "28x28 pixels in MNIST form", "value": {"pixels": PIXELS}},
            },
        },
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
