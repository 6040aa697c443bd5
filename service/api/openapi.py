"""The OpenAPI document: tags, operation ids, and the responses of routes that can end in problems, with examples.

Enters: codes of problems. Leaves: values for FastAPI's own arguments, and the document. Out of scope: examples of
requests and answers (`examples`, `v2.examples`), and what each code means (docs/errors.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api import problems
from service.api.problems import Problem

Responses = dict[int | str, dict[str, Any]]

TAGS = (
    {"name": "predict", "description": "One digit in a picture: POST a picture, get the digit and its probabilities."},
    {"name": "read", "description": "Every digit in a picture, in lines, with a box and probabilities for each."},
    {"name": "model", "description": "The served network: metadata, all weights and biases, and its evaluation."},
    {
        "name": "Open Inference Protocol",
        "description": 'The same model for clients of KServe, Triton and MLServer. Errors are `{"error": ...}`.',
        "externalDocs": {
            "description": "The protocol",
            "url": "https://github.com/kserve/open-inference-protocol",
        },
    },
    {"name": "health", "description": "Liveness, readiness and metrics, for orchestrators and Prometheus. No key."},
    {"name": "errors", "description": "What each `code` of a problem means and how to fix it, as text. No key."},
)

_EXAMPLE_DETAILS: Mapping[str, str] = MappingProxyType(
    {
        "unreadable-image": "the picture is truncated or corrupt: a part of it does not fit its checksum",
        "invalid-json": "the body is not JSON: EOF while parsing a value at line 1 column 10",
        "unauthorized": "send one of the service's API keys in the header `Authorization: Bearer KEY`",
        "not-found": "there is no layer 9: the network's are numbered 0 to 2",
        "method-not-allowed": "GET /predict: use POST",
        "not-acceptable": (
            "the weights are available as application/json, application/x-npz, application/vnd.safetensors, none of "
            "which `Accept: text/html` allows"
        ),
        "request-timeout": "the request body timed out after 8,192 bytes: send it again over a faster connection",
        "image-too-large": "the request body exceeds the limit of 20,971,520 bytes: send less per request",
        "too-many-pictures": "the request has 65 pictures: send at most 64 per request",
        "unsupported-media-type": (
            "this is not a picture in an accepted format: send PNG, JPEG, HEIC, AVIF, WebP, GIF, BMP or TIFF"
        ),
        "invalid-request": "there is no query parameter 'topk': write 'top_k'",
        "no-ink": "the picture is blank: no ink stands out from its paper",
        "overloaded": "the service has more work than it can do at the moment: send it again after a while",
        "internal-error": "internal error: the service's log has the details under this request_id",
    }
)
_HEADERS: Mapping[HTTPStatus, Mapping[str, Any]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: {
            "headers": {"WWW-Authenticate": {"description": "scheme of the key", "schema": {"type": "string"}}}
        },
        HTTPStatus.SERVICE_UNAVAILABLE: {
            "headers": {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
        },
    }
)

ANYWHERE = ("overloaded", "internal-error")
"""Codes in which a request to any route can end, but for probes and metrics, which are never shed."""

BATCH = (
    "request-timeout",
    "image-too-large",
    "too-many-pictures",
    "unsupported-media-type",
    "invalid-request",
    *ANYWHERE,
)
"""Codes of a route that takes a form with many pictures, of which an unreadable one fails no other."""

PICTURE = ("unreadable-image", "invalid-json", *BATCH, "no-ink")
"""Codes of a route that takes one picture."""


def problem_responses(*codes: str) -> Responses:
    """Return the OpenAPI `responses` of a route that can end in problems with these codes, with an example of each."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return error_responses(codes, lambda code, _: example_problem(code), {problems.MEDIA_TYPE: {"schema": schema}})


def error_responses(
    codes: Collection[str], example: Callable[[str, str], Any], content: Mapping[str, Mapping[str, Any]], **more: Any
) -> Responses:
    """Return the OpenAPI `responses` of errors with these codes, one for each status.

    `example` makes an example of a code and its detail. It is added to each media type of `content`, as `more` is to
    each response.
    """
    examples: dict[HTTPStatus, dict[str, Any]] = {}
    for code in codes:
        value = example(code, _EXAMPLE_DETAILS[code])
        examples.setdefault(problems.STATUSES[code], {})[code] = {"value": value}
    return {
        status.value: {
            "description": status.phrase,
            "content": {media_type: {**rest, "examples": of_status} for media_type, rest in content.items()},
            **_HEADERS.get(status, {}),
            **more,
        }
        for status, of_status in examples.items()
    }


def example_problem(code: str) -> dict[str, Any]:
    """Return an example of the problem with this code."""
    status = problems.STATUSES[code]
    problem = Problem(
        type=f"{problems.PAGES_PATH}{code}",
        title=status.phrase,
        status=status,
        detail=_EXAMPLE_DETAILS[code],
        code=code,
        request_id="5f57a02fa125e2dc",
    )
    return problem.model_dump()


def answer_example(example: Any, media_type: str = "application/json") -> Responses:
    """Return the OpenAPI `responses` with an example of a successful answer."""
    return {HTTPStatus.OK.value: {"content": {media_type: {"example": example}}}}


def operation_id(route: APIRoute) -> str:
    """Return the name of the handler, after which generated clients name their method."""
    prefix = "v2_" if f"{route.path_format}/".startswith("/v2/") else ""
    suffix = "_version" if "{version}" in route.path_format else ""
    return f"{prefix}{route.name}{suffix}"


def complete(app: FastAPI, models: Iterable[type[BaseModel]]) -> None:
    """Complete the document that FastAPI generates for `app`, when it is first asked for. It takes half a second.

    It gets the schemas of `models`: of bodies that handlers parse and serialise themselves, unknown to FastAPI. It
    loses the 422 that FastAPI adds to every route with a parameter, also where each string is a valid value.
    """
    generate = app.openapi
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    lock = threading.Lock()
    document: dict[str, Any] | None = None

    def openapi() -> dict[str, Any]:
        nonlocal document
        with lock:
            if document is None:
                document = _completed(generate(), schemas["$defs"])
            return document

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    unused = {"HTTPValidationError", "ValidationError"}
    known = document["components"]["schemas"] | schemas
    document["components"]["schemas"] = {name: schema for name, schema in known.items() if name not in unused}
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]
    return document
