"""Tests of service.api.routes.direct."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service.api.routes.direct import DirectRoute, add_first
from service.app import create_app
from service.settings import Settings

router = APIRouter(prefix="/sums", tags=["sums"], route_class=DirectRoute)


@router.post("/add/{a}", responses={418: {"description": "It is nothing"}})
async def add(request: Request, a: str, b: Annotated[int, Query(ge=1)] = 10) -> Response:
    """Add two numbers."""
    if a == "0":
        raise HTTPException(418)
    return Response(f"{int(a) + b} {request.method}")


router.add_api_route("/plain", lambda: "plain", route_class_override=APIRoute)


@pytest.fixture
def called() -> list[str]:
    """Return where the dependency notes that it is called."""
    return []


@pytest.fixture
def app(called: list[str]) -> FastAPI:
    """Return an application that adds, with a dependency, and has other routes."""
    app = FastAPI()
    app.get("/other")(lambda: "other")
    add_first(app.router, router, [Depends(lambda: called.append("a dependency"))], {401: {"description": "A key"}})
    return app


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    """Return its client."""
    return TestClient(app)


@pytest.mark.parametrize(("path", "expected"), [("/sums/add/1", "11 POST"), ("/sums/add/1?b=2", "3 POST")])
def test_a_query_is_read_where_there_is_one(client: TestClient, path: str, expected: str) -> None:
    """Without it the defaults hold; parts of the path are there in either case."""
    assert expected == client.post(path).text


@pytest.mark.parametrize(
    ("path", "expected"), [("/sums/add/0", 418), ("/sums/add/0?b=2", 418), ("/sums/add/1?b=0", 422)]
)
def test_errors_are_fastapis(client: TestClient, path: str, expected: int) -> None:
    """Those of the handler and those of a query that does not fit."""
    assert expected == client.post(path).status_code


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    """As by any route: with those that are allowed."""
    response = client.request(method, "/sums/add/1")

    assert (405, "POST") == (response.status_code, response.headers["Allow"])


def test_dependencies_are_called_only_with_a_query(client: TestClient, called: list[str]) -> None:
    """That is what the document of the class warns of."""
    client.post("/sums/add/1")
    assert [] == called
    client.post("/sums/add/1?b=2")
    assert ["a dependency"] == called


def test_direct_routes_come_first(app: FastAPI, client: TestClient) -> None:
    """Before FastAPI's own pages and whatever was there already, which are found all the same; as in the service."""
    assert isinstance(app.routes[0], DirectRoute)
    assert "other" == client.get("/other").json()
    kinds = [isinstance(route, DirectRoute) for route in create_app(Settings()).routes]
    assert kinds[0]
    assert sorted(kinds, reverse=True) == kinds


def test_other_routes_are_left_to_be_included(client: TestClient) -> None:
    """They may be of a router that has direct ones."""
    assert 404 == client.get("/sums/plain").status_code


def test_the_document_is_as_with_any_other_route(client: TestClient) -> None:
    """Parameters are those of the handler's signature; tags and responses those of the route and those given."""
    operation = client.get("/openapi.json").json()["paths"]["/sums/add/{a}"]["post"]

    assert [("a", "path"), ("b", "query")] == [(one["name"], one["in"]) for one in operation["parameters"]]
    assert ["sums"] == operation["tags"]
    assert {"200", "401", "418", "422"} == set(operation["responses"])
