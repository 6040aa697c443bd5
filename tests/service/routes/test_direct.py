"""Tests of service.routes.direct."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Query, Request, Response
from fastapi.testclient import TestClient

from service.routes.direct import DirectRoute


async def add(request: Request, a: str, b: Annotated[int, Query(ge=1)] = 10) -> Response:
    """Add two numbers."""
    if a == "0":
        raise HTTPException(418)
    return Response(f"{int(a) + b} {request.method}")


@pytest.fixture
def client() -> TestClient:
    """Return a client of an application that adds, with a prefix."""
    router = APIRouter(route_class=DirectRoute)
    router.post("/add/{a}")(add)
    app = FastAPI()
    app.include_router(router, prefix="/sums")
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


def test_the_document_names_all_parameters(client: TestClient) -> None:
    """They are those of the handler's signature, as with any other route."""
    operation = client.get("/openapi.json").json()["paths"]["/sums/add/{a}"]["post"]

    assert [("a", "path"), ("b", "query")] == [(one["name"], one["in"]) for one in operation["parameters"]]
