"""Tests of service.api.problems."""

from __future__ import annotations

import inspect
import logging

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from service import errors
from service.api import problems
from service.api.metrics import Metrics
from service.api.middleware.telemetry import Telemetry
from service.errors import DigitsError

_RAISED = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, DigitsError)
    and not error.__subclasses__()
    and error not in {errors.SettingsError, errors.ArtifactError}
]


def make_client(error: Exception) -> TestClient:
    """Return a client of an application whose only route raises the error."""
    app = FastAPI()
    problems.install_exception_handlers(app)
    app.add_middleware(Telemetry, metrics=Metrics())

    @app.get("/")
    async def fail() -> None:
        raise error

    return TestClient(app, raise_server_exceptions=False)


def test_domain_errors_are_client_errors() -> None:
    """Each has a status from 400 to 499, or 503 for load shedding. Its message is the detail of the problem."""
    for error in _RAISED:
        response = make_client(error("do this")).get("/")

        assert 400 <= response.status_code < 500 or (errors.Overloaded, 503) == (error, response.status_code), error
        assert "do this" == response.json()["detail"]


def test_subclass_inherits_the_status_of_its_base() -> None:
    """An error that is not in the table has the status and code of its nearest ancestor."""

    class Blurred(errors.UnreadablePicture):
        pass

    response = make_client(Blurred("hold still")).get("/")

    assert 400 == response.status_code
    assert "unreadable-image" == response.json()["code"]


@pytest.mark.parametrize(
    ("error", "root_path", "expected"),
    [
        (errors.NoInk("draw"), "", "/errors/no-ink"),
        (errors.NoInk("draw"), "/digits", "/digits/errors/no-ink"),
        (HTTPException(418), "", "about:blank"),
    ],
    ids=["no prefix", "path prefix", "status without a page"],
)
def test_type_refers_to_the_page_on_the_code(error: Exception, root_path: str, expected: str) -> None:
    """It is relative to the service's origin, with the path prefix that a proxy strips."""
    client = make_client(error)
    client.app.root_path = root_path  # type: ignore[attr-defined] # the type is that of any ASGI application

    assert expected == client.get("/").json()["type"]


@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), DigitsError("secret")], ids=["other exception", "not in the table"]
)
def test_internal_error_hides_its_message(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The response is 500 with the request id. The log has that id and the traceback."""
    with caplog.at_level(logging.ERROR, logger="service.api.problems"):
        response = make_client(error).get("/", headers={"X-Request-ID": "abc-1"})

    assert 500 == response.status_code
    assert "application/problem+json" == response.headers["content-type"]
    assert "internal-error" == response.json()["code"]
    assert "abc-1" == response.json()["request_id"] == response.headers["x-request-id"]
    assert "secret" not in response.text
    assert ["request abc-1 failed"] == [record.getMessage() for record in caplog.records]
    assert caplog.records[0].exc_info is not None
