"""Tests of service.api.parameters."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api import problems
from service.api.metrics import Metrics
from service.api.middleware.telemetry import Telemetry
from service.api.parameters import spelt
from tests.pictures import draw, encode
from tests.service.api.problems import problem

PICTURE = encode(draw(4))


@pytest.mark.parametrize(
    ("path", "misspelt", "name"),
    [
        ("/predict", "topk", "top_k"),
        ("/predict", "top-k", "top_k"),
        ("/predict", "topK", "top_k"),
        ("/predict", "TOP_K", "top_k"),
        ("/predict", "top", "top_k"),
        ("/predict", "explian", "explain"),
        ("/predict", "explained", "explain"),
        ("/read", "lenght", "length"),
        ("/read", "Explain", "explain"),
        ("/read/batch", "lengths", "length"),
    ],
)
def test_misspelt_parameter_is_named(tiny_client: TestClient, path: str, misspelt: str, name: str) -> None:
    """The detail has what was sent and what to write."""
    response = tiny_client.post(path, content=PICTURE, params={misspelt: 3})

    assert (422, "invalid-request") == problem(response)
    assert f"there is no query parameter {misspelt!r}: write {name!r}" == response.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/model/weights?fromat=npz", "/model/weights/0?formats=npz", "/model/weights/0/image?row=2"]
)
def test_misspelt_parameter_of_the_weights(tiny_client: TestClient, method: str, path: str) -> None:
    """They are refused as well."""
    assert 422 == tiny_client.request(method, path).status_code


@pytest.mark.parametrize("name", ["utm_source", "api-version", "trace", "stop", "k", "_", "", "x" * 10_000])
def test_other_unknown_parameters_are_ignored(tiny_client: TestClient, name: str) -> None:
    """Gateways and trackers add them."""
    response = tiny_client.post("/predict", content=PICTURE, params={name: "1", "top_k": 2})

    assert 200 == response.status_code
    assert 2 == len(response.json()["top"])


def test_similar_names_of_ours_are_told_apart() -> None:
    """A parameter that is exactly one of the names is never taken for another."""
    app = FastAPI()
    problems.install_exception_handlers(app)
    app.add_middleware(Telemetry, metrics=Metrics())

    @app.get("/", dependencies=[spelt("row", "rows")])
    async def index() -> None:
        pass

    assert [200, 200, 422] == [TestClient(app).get(f"/?{name}").status_code for name in ("row", "rows", "Rows")]


def test_names_are_those_of_the_openapi_document(tiny_client: TestClient) -> None:
    """Each documented query parameter is missed when its last letter is, so none was forgotten."""
    document = tiny_client.get("/openapi.json").json()
    operations: list[tuple[str, str, dict[str, Any]]] = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    names = [
        (path, method, parameter["name"])
        for path, method, operation in operations
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and not path.startswith("/v2")  # the version there belongs into the path
    ]

    assert names
    for path, method, name in names:
        response = tiny_client.request(method, path.format(index=0, name="misread"), params={f"{name}_": 1})
        assert f"write {name!r}" in response.json().get("detail", ""), (method, path, name)
