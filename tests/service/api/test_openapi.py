"""Tests of service.api.openapi: what the OpenAPI document says about answers, problems and names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema_rs import validator_for

from service.api import problems
from service.app import create_app
from service.settings import Settings
from tests.pictures import draw, encode

DOCUMENT = create_app(Settings()).openapi()
PROTECTED = create_app(Settings(api_keys=("key",))).openapi()
PROBES = {"/health", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}
OPEN = PROBES | {"/metrics", "/errors/{code}"}
PICTURE = encode(draw(4))


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by path. Each path has one."""
    return {path: operation for path, methods in document["paths"].items() for operation in methods.values()}


def paths_with(status: str, document: dict[str, Any] = DOCUMENT) -> set[str]:
    """Return the paths that document this status."""
    return {path for path, operation in operations(document).items() if status in operation["responses"]}


def test_statuses_are_documented_where_they_occur() -> None:
    """401 where a key is asked for, 408 where a body is read, 503 but for what is never shed, 500 but for probes."""
    paths = set(operations(DOCUMENT))
    posts = {path for path, methods in DOCUMENT["paths"].items() if "post" in methods}

    assert set() == paths_with("401")
    assert paths - OPEN == paths_with("401", PROTECTED)
    assert posts == paths_with("408")
    assert paths - {"/metrics", "/livez", "/v2/health/live"} == paths_with("503")
    assert paths - PROBES == paths_with("500")


def test_operation_ids_are_readable_and_unique() -> None:
    """They are the names of handlers, after which generated clients name their methods."""
    ids = [operation["operationId"] for operation in operations(DOCUMENT).values()]

    assert len(set(ids)) == len(ids)
    assert {"predict", "predict_batch", "read", "read_batch", "layer_weights", "livez", "error"} < set(ids)
    assert {"v2_infer", "v2_infer_version", "v2_model_ready", "v2_server"} < set(ids)
    assert [] == [name for name in ids if not re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name)]


def test_tags_and_licence_are_described() -> None:
    """Each tag that an operation has comes with a description, in the order of the document."""
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}

    assert {tag for operation in operations(DOCUMENT).values() for tag in operation["tags"]} == described
    assert {"name": "MIT", "identifier": "MIT"} == DOCUMENT["info"]["license"]


def _bodies(document: dict[str, Any]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return schema and examples of each media type of each response, by a name for tests."""
    found = {}
    for path, operation in operations(document).items():
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                examples = content.get("examples", {})
                if "example" in content:
                    examples = {"example": {"value": content["example"]}}
                found[f"{path} {status} {media_type}"] = (content.get("schema", {}), examples)
    return found


def test_answers_and_problems_have_valid_examples() -> None:
    """Each JSON body but that of a failed probe has one. Examples fit their schema."""
    without = {f"{path} 503 application/json" for path in PROBES}
    for name, (schema, examples) in _bodies(PROTECTED).items():
        if "json" in name and name not in without:
            assert examples, name
        check = validator_for({**schema, "components": PROTECTED["components"]})
        for example in examples.values():
            assert [] == [error.message for error in check.iter_errors(example["value"])], name


def test_examples_of_problems_have_their_status() -> None:
    """An example is under the status that it contains, and named by its code."""
    for name, (_, examples) in _bodies(PROTECTED).items():
        _, status, media_type = name.rsplit(" ", 2)
        if media_type == problems.MEDIA_TYPE:
            for code, example in examples.items():
                value = example["value"]

                assert (code, f"/errors/{code}", int(status)) == (value["code"], value["type"], value["status"])
                assert problems.STATUSES[code].phrase == value["title"]


@pytest.mark.parametrize(
    ("path", "request_body", "code"),
    [
        ("/predict", {"content": b'{"image": '}, "invalid-json"),
        ("/predict", {"content": PICTURE[: len(PICTURE) // 2]}, "unreadable-image"),
        ("/predict", {"content": bytes(20 * 1024 * 1024 + 1)}, "image-too-large"),
        ("/predict", {"content": b"hello, there!"}, "unsupported-media-type"),
        ("/predict", {"content": PICTURE, "params": {"topk": 3}}, "invalid-request"),
        ("/predict", {"content": encode(draw(paper=200, ink=200))}, "no-ink"),
        ("/predict/batch", {"files": [("file", b"x")] * 65}, "too-many-pictures"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_examples_of_problems_are_what_is_answered(
    client: TestClient, path: str, request_body: dict[str, Any], code: str
) -> None:
    """The detail of an example is that of a real response."""
    responses = DOCUMENT["paths"][path]["post"]["responses"]
    example = responses[str(problems.STATUSES[code].value)]["content"][problems.MEDIA_TYPE]["examples"][code]["value"]

    assert example | {"request_id": ""} == client.post(path, **request_body).json() | {"request_id": ""}


def test_examples_of_answers_have_the_fields_of_real_ones(client: TestClient) -> None:
    """They are answers to the example requests: the same digits, and the same fields."""
    for path in ("/predict", "/read", "/v2/models/{name}/infer"):
        operation = DOCUMENT["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]
        request = body["example"] if "example" in body else body["examples"]["image"]["value"]
        shown = operation["responses"]["200"]["content"]["application/json"]["example"]
        real = client.post(path.replace("{name}", "mnist-mlp"), json=request).json()

        assert list(shown) == list(real), path
        for field in ("digit", "text", "verdict", "model", "model_version", "picture_size"):
            assert real.get(field) == shown.get(field), path


def test_only_routes_that_validate_document_422() -> None:
    """FastAPI adds a 422 to every route with a parameter, also where each string is a valid value."""
    assert "422" not in operations(DOCUMENT)["/errors/{code}"]["responses"]
    assert "422" in operations(DOCUMENT)["/model/weights/{index}"]["responses"]
    assert "ValidationError" not in json.dumps(DOCUMENT)


def test_statuses_have_their_headers(tiny_model: Path) -> None:
    """401 and 503 document the header that a client needs, and the response has it."""
    responses = PROTECTED["paths"]["/predict"]["post"]["responses"]
    client = TestClient(create_app(Settings(model=tiny_model, api_keys=("key",))))

    assert "Bearer" == client.post("/predict").headers["WWW-Authenticate"]
    assert ["WWW-Authenticate"] == list(responses["401"]["headers"])
    assert ["Retry-After"] == list(responses["503"]["headers"])
