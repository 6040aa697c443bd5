"""Answers as JSON responses. Out of scope: error responses (`problems`), and cacheable ones (`representations`)."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.responses import Response


def json_response(model: BaseModel) -> Response:
    """Return a response with the fields of a model that were set."""
    # Serialised here, since FastAPI would validate the model a second time.
    return Response(model.model_dump_json(exclude_unset=True), media_type="application/json")
