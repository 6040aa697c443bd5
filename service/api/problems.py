"""Domain error -> RFC 9457 problem. The only table of status codes.

Every error of every route leaves as `application/problem+json` with a stable `code` and the request's id; those under
/v2 as `{"error": ...}`.
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
_NO_TYPE = "about:blank"

# An error is looked up along its class's ancestors, so one line serves a family.
_TABLE: Mapping[type[errors.DigitsError], tuple[HTTPStatus, str]] = MappingProxyType(
    {
        errors.UnreadablePicture: (HTTPStatus.BAD_REQUEST, "unreadable-image"),
        errors.UnsupportedFormat: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
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
        errors.InvalidPixels: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        errors.NotAcceptable: (HTTPStatus.NOT_ACCEPTABLE, "not-acceptable"),
        errors.NoSuchModel: (HTTPStatus.NOT_FOUND, "not-found"),
        errors.NoSuchReport: (HTTPStatus.NOT_FOUND, "not-found"),
        errors.NoSuchLayer: (HTTPStatus.NOT_FOUND, "not-found"),
        errors.NotAPicture: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
    }
)
_HEADERS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: MappingProxyType({"WWW-Authenticate": "Bearer"}),
        HTTPStatus.SERVICE_UNAVAILABLE: MappingProxyType({"Retry-After": "1"}),
        # The rest of the body is not waited for.
        HTTPStatus.REQUEST_TIMEOUT: MappingProxyType({"Connection": "close"}),
    }
)
_INTERNAL = (HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error")


class Problem(BaseModel):
    """What went wrong (RFC 9457), and what to do about it."""

    type: str = Field(description="always about:blank: `code` tells the problems apart")
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what is wrong with this request, and what to do")
    code: str = Field(description="stable name of the problem, for programs")
    request_id: str = Field(description="to quote when asking for help; also in the logs")


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can answer these problems, for OpenAPI."""
    schema = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
    return {status.value: {"description": status.phrase, "content": {MEDIA_TYPE: schema}} for status in statuses}


def describe(scope: Scope, error: Exception) -> Problem:
    """Return the problem that an error is for the client whose request this ASGI scope is, and note it."""
    for ancestor in type(error).__mro__:
        if ancestor in _TABLE:
            return _problem(scope, *_TABLE[ancestor], str(error))
    _log.error("request %s failed", request_context_of(scope).request_id, exc_info=error)
    return _problem(scope, *_INTERNAL, "the service has a defect; its log tells more under this request_id")


def of_error(scope: Scope, error: Exception) -> Response:
    """Return the response to a request that ended in an error."""
    return _response(scope, describe(scope, error))


def _problem(scope: Scope, status: HTTPStatus, code: str, detail: str) -> Problem:
    record = request_context_of(scope)
    record.codes.append(code)
    return Problem(
        type=_NO_TYPE, title=status.phrase, status=status, detail=detail, code=code, request_id=record.request_id
    )


def _response(scope: Scope, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    headers = {**(headers or {}), **_HEADERS.get(problem.status, {})}
    if f"{request_context_of(scope).path}/".startswith("/v2/"):
        # As the Open Inference Protocol has it.
        return JSONResponse({"error": problem.detail}, problem.status, headers)
    return Response(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make the application answer every error with a problem."""

    async def on_domain_error(request: Request, error: errors.DigitsError) -> Response:
        return of_error(request.scope, error)

    async def on_validation_error(request: Request, error: RequestValidationError) -> Response:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        places = ("/".join(str(part) for part in problem["loc"]) + ": " + problem["msg"] for problem in error.errors())
        return _response(request.scope, _problem(request.scope, status, "invalid-request", "; ".join(places)))

    async def on_http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "-")
        detail = f"{request.method} {request.url.path}: {status.description or status.phrase}"
        return _response(request.scope, _problem(request.scope, status, code, detail), error.headers)

    handlers: dict[type[Exception], Any] = {
        errors.DigitsError: on_domain_error,
        RequestValidationError: on_validation_error,
        HTTPException: on_http_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
