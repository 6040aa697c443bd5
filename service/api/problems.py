"""Domain error -> RFC 9457 problem details. Contains the only table of status codes.

Enters: an exception and the ASGI scope of its request. Leaves: a response `application/problem+json` with a stable
`code` and the request id; under /v2 `{"error": ...}`, as the Open Inference Protocol requires. Out of scope: the tree
of domain errors (`errors`), the pages to which `type` refers (`error_pages`), and OpenAPI (`openapi`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from service import errors
from service.api.request_context import request_context_of

_log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PAGES_PATH = "/errors/"
"""Path of the pages on problems, which the code follows."""

# Looked up along the MRO of the error's class, so that a new subclass inherits the entry of its family.
_STATUS_AND_CODE: Mapping[type[errors.DigitsError], tuple[HTTPStatus, str]] = MappingProxyType(
    {
        errors.UnreadablePicture: (HTTPStatus.BAD_REQUEST, "unreadable-image"),
        errors.UnsupportedFormat: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
        errors.EmptyPicture: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        errors.PictureTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "image-too-large"),
        errors.BodyTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "image-too-large"),
        errors.BodyTooSlow: (HTTPStatus.REQUEST_TIMEOUT, "request-timeout"),
        errors.BodyCompressed: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
        errors.TooManyPictures: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many-pictures"),
        errors.Unauthorized: (HTTPStatus.UNAUTHORIZED, "unauthorized"),
        errors.Overloaded: (HTTPStatus.SERVICE_UNAVAILABLE, "overloaded"),
        errors.NoInk: (HTTPStatus.UNPROCESSABLE_ENTITY, "no-ink"),
        errors.InvalidJson: (HTTPStatus.BAD_REQUEST, "invalid-json"),
        errors.InvalidBody: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        errors.UnknownParameter: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        errors.InvalidPixels: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        errors.NotAcceptable: (HTTPStatus.NOT_ACCEPTABLE, "not-acceptable"),
        errors.NoSuchModel: (HTTPStatus.NOT_FOUND, "not-found"),
        errors.NoSuchErrorPage: (HTTPStatus.NOT_FOUND, "not-found"),
        errors.NoSuchReport: (HTTPStatus.NOT_FOUND, "not-found"),
        errors.NoSuchLayer: (HTTPStatus.NOT_FOUND, "not-found"),
        errors.NoSuchWeights: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        errors.NotAPicture: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    }
)
_INTERNAL = (HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error")
_WRONG_METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed")

STATUSES: Mapping[str, HTTPStatus] = MappingProxyType(
    {code: status for status, code in (*_STATUS_AND_CODE.values(), _WRONG_METHOD, _INTERNAL)}
)
"""The status of each code that the service answers."""

_HEADERS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: MappingProxyType({"WWW-Authenticate": "Bearer"}),
        HTTPStatus.SERVICE_UNAVAILABLE: MappingProxyType({"Retry-After": "1"}),
        # The rest of the body stays unread, so the connection cannot be reused.
        HTTPStatus.REQUEST_TIMEOUT: MappingProxyType({"Connection": "close"}),
    }
)


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(
        description="where the service explains this `code`: a reference relative to it, such as /errors/no-ink",
        json_schema_extra={"format": "uri-reference"},
    )
    title: str = Field(description="reason phrase of the status")
    status: int
    detail: str = Field(description="what is wrong with this request and how to fix it")
    code: str = Field(description="stable, machine-readable name of the problem")
    request_id: str = Field(description="request id, also in the service's log")


def to_problem(scope: Scope, error: Exception) -> Problem:
    """Return the problem for an error, and append its code to the context of the request.

    An error that is not in the table is a defect: it is logged with its traceback, and the problem hides its message.
    """
    for ancestor in type(error).__mro__:
        if ancestor in _STATUS_AND_CODE:
            return _problem(scope, *_STATUS_AND_CODE[ancestor], str(error))
    _log.error("request %s failed", request_context_of(scope).request_id, exc_info=error)
    return _problem(scope, *_INTERNAL, "internal error: the service's log has the details under this request_id")


def to_response(scope: Scope, error: Exception) -> Response:
    """Return the response to a request that failed with `error`."""
    return _response(scope, to_problem(scope, error))


def _problem(scope: Scope, status: HTTPStatus, code: str, detail: str) -> Problem:
    context = request_context_of(scope)
    context.problem_codes.append(code)
    return Problem(
        type=_type(scope, code),
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=context.request_id,
    )


def _type(scope: Scope, code: str) -> str:
    """Return the reference of the page on this code, with the path prefix that a proxy strips."""
    # A status that Starlette or FastAPI may answer in a later release has no page.
    return f"{scope.get('root_path', '')}{PAGES_PATH}{code}" if code in STATUSES else "about:blank"


def _response(scope: Scope, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    headers = {**(headers or {}), **_HEADERS.get(problem.status, {})}
    if f"{request_context_of(scope).path}/".startswith("/v2/"):
        return JSONResponse({"error": problem.detail}, problem.status, headers)
    return Response(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)


def install_exception_handlers(app: FastAPI) -> None:
    """Register exception handlers that answer every error with a problem."""

    async def on_domain_error(request: Request, error: errors.DigitsError) -> Response:
        return to_response(request.scope, error)

    async def on_validation_error(request: Request, error: RequestValidationError) -> Response:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        places = ("/".join(str(part) for part in problem["loc"]) + ": " + problem["msg"] for problem in error.errors())
        return _response(request.scope, _problem(request.scope, status, "invalid-request", "; ".join(places)))

    async def on_http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "-")
        reason = status.description or status.phrase
        if status is HTTPStatus.METHOD_NOT_ALLOWED and error.headers is not None:
            # Starlette joins a set, whose order differs from process to process.
            reason = f"use {' or '.join(sorted(error.headers['Allow'].split(', ')))}"
        detail = f"{request.method} {request.url.path}: {reason}"
        return _response(request.scope, _problem(request.scope, status, code, detail), error.headers)

    handlers: dict[type[Exception], Any] = {
        errors.DigitsError: on_domain_error,
        RequestValidationError: on_validation_error,
        HTTPException: on_http_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
