"""Tests of service.api.middleware.authentication, and of the origins that may ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

KEYS = ("first-key", "c2Vjb25k+/==")


@pytest.fixture(scope="module")
def guarded(tiny_model: Path) -> Iterator[TestClient]:
    """Return a client of a service with two keys."""
    settings = Settings(model=tiny_model, api_keys=KEYS)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
@pytest.mark.parametrize("key", KEYS)
def test_each_key_opens(guarded: TestClient, scheme: str, key: str) -> None:
    """Several keys hold at once, so that they can be changed one after the other."""
    response = guarded.get("/model", headers={"authorization": f"{scheme} {key}"})

    assert 200 == response.status_code


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer first", "Bearer first-key2", "Basic first-key"])
@pytest.mark.parametrize("path", ["/model", "/predict", "/nowhere", "/docs", "/v2x"])
def test_nothing_opens_without(guarded: TestClient, header: str | None, path: str) -> None:
    """A request with no key, half a key or another scheme is refused, with the way to do better."""
    response = guarded.get(path, headers={} if header is None else {"authorization": header})

    assert 401 == response.status_code
    assert "unauthorized" == response.json()["code"]
    assert "Authorization: Bearer" in response.json()["detail"]
    assert "Bearer" == response.headers["www-authenticate"]


def test_v2_refuses_in_its_own_form(guarded: TestClient) -> None:
    """Under /v2 the refusal is an `error`, as clients of the protocol expect."""
    response = guarded.get("/v2/models/tiny")

    assert 401 == response.status_code
    assert ["error"] == list(response.json())


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"])
def test_probes_and_metrics_need_no_key(guarded: TestClient, path: str) -> None:
    """Kubernetes and Prometheus carry no keys."""
    assert 200 == guarded.get(path).status_code


def test_the_page_needs_no_key(guarded: TestClient) -> None:
    """A browser can open the page, which then can ask for a key."""
    assert [200, 200] == [guarded.get(path).status_code for path in ("/", "/page/js/main.js")]


def test_behind_a_prefix_probes_are_open_still(tiny_model: Path) -> None:
    """What is open is so under the path at which a proxy shows the service."""
    settings = Settings(model=tiny_model, api_keys=KEYS)
    with TestClient(create_app(settings), root_path="/digits") as client:
        statuses = [client.get(path).status_code for path in ("/readyz", "/model")]

    assert [200, 401] == statuses


def test_the_api_page_tells_of_the_key(guarded: TestClient) -> None:
    """OpenAPI names the scheme, so that tools made from it send the key."""
    document = guarded.get("/openapi.json", headers={"authorization": "Bearer first-key"}).json()

    assert {"key": {"type": "http", "scheme": "bearer"}} == document["components"]["securitySchemes"]
    assert [{"key": []}] == document["paths"]["/predict"]["post"]["security"]
    assert {"application/problem+json"} == set(document["paths"]["/predict"]["post"]["responses"]["401"]["content"])
    assert {"application/json"} == set(document["paths"]["/v2"]["get"]["responses"]["401"]["content"])
    for probe in ("/readyz", "/v2/health/ready"):
        assert "security" not in document["paths"][probe]["get"]
        assert {"200", "503"} == set(document["paths"][probe]["get"]["responses"])


# --- Other origins

ORIGIN = "https://forms.example.org"


def asked_from(client: TestClient, origin: str, **more: Any) -> Any:
    """Return the response to a page of another origin."""
    return client.get("/livez", headers={"origin": origin, **more})


def test_without_the_setting_no_origin_is_allowed(tiny_client: TestClient) -> None:
    """A browser shows the answer to no page from elsewhere."""
    assert "access-control-allow-origin" not in asked_from(tiny_client, ORIGIN).headers


def test_an_allowed_origin_sees_the_answer_and_its_headers(tiny_model: Path) -> None:
    """The origin is named, the headers that callers need are shown, and cookies are never asked for."""
    with TestClient(create_app(Settings(model=tiny_model, cors_origins=(ORIGIN,)))) as client:
        allowed, other = asked_from(client, ORIGIN), asked_from(client, "https://example.net")
        asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
        preflight = client.options("/predict", headers=asked | {"access-control-request-headers": "authorization"})

    assert ORIGIN == allowed.headers["access-control-allow-origin"]
    assert "ETag, Retry-After, X-Request-ID" == allowed.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in allowed.headers
    assert "access-control-allow-origin" not in other.headers
    assert 200 == preflight.status_code
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


def test_errors_can_be_read_from_another_origin(tiny_model: Path) -> None:
    """A page sees why its request was refused, and need not guess."""
    with TestClient(create_app(Settings(model=tiny_model, cors_origins=("*",), api_keys=KEYS))) as client:
        response = client.post("/predict", headers={"origin": ORIGIN})

    assert 401 == response.status_code
    assert "*" == response.headers["access-control-allow-origin"]
