"""Tests of service.api.middleware.authentication, and of CORS."""

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
def protected_client(tiny_model: Path) -> Iterator[TestClient]:
    """Return a client of a service with two API keys."""
    settings = Settings(model=tiny_model, api_keys=KEYS)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize(("scheme", "key"), [("Bearer", KEYS[0]), ("bearer", KEYS[1])])
def test_each_key_is_valid(protected_client: TestClient, scheme: str, key: str) -> None:
    """Several keys at a time allow rotation. The scheme is case-insensitive."""
    response = protected_client.get("/model", headers={"authorization": f"{scheme} {key}"})

    assert 200 == response.status_code


@pytest.mark.parametrize(
    ("path", "header"),
    [
        *(
            ("/model", header)
            for header in (None, "", "Bearer", "Bearer first", "Bearer first-key2", "Basic first-key")
        ),
        *((path, None) for path in ("/predict", "/read", "/read/batch", "/nowhere", "/errors/", "/v2x")),
    ],
)
def test_request_without_a_valid_key_is_unauthorized(
    protected_client: TestClient, path: str, header: str | None
) -> None:
    """No key, a wrong key or another scheme: 401 with instructions, on every path."""
    response = protected_client.get(path, headers={} if header is None else {"authorization": header})

    assert 401 == response.status_code
    assert "unauthorized" == response.json()["code"]
    assert "Authorization: Bearer" in response.json()["detail"]
    assert "Bearer" == response.headers["www-authenticate"]


def test_v2_has_its_own_error_format(protected_client: TestClient) -> None:
    """The Open Inference Protocol requires `error`."""
    response = protected_client.get("/v2/models/tiny")

    assert 401 == response.status_code
    assert ["error"] == list(response.json())


def test_probes_and_metrics_need_no_key(protected_client: TestClient) -> None:
    """Kubernetes and Prometheus send no keys."""
    paths = ("/health", "/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready")

    assert [200] * 6 == [protected_client.get(path).status_code for path in paths]


def test_pages_need_no_key(protected_client: TestClient) -> None:
    """A browser loads the page, and the API to try out, which then ask for a key. `type` of a 401 can be followed."""
    paths = (
        "/",
        "/page/js/main.js",
        "/docs",
        "/docs/swagger-ui.css",
        "/openapi.json",
        "/redoc",
        "/errors/unauthorized",
    )

    assert [200] * 7 == [protected_client.get(path).status_code for path in paths]


def test_open_paths_under_a_root_path(tiny_model: Path) -> None:
    """Probes need no key behind a proxy's prefix, either."""
    settings = Settings(model=tiny_model, api_keys=KEYS)
    with TestClient(create_app(settings), root_path="/digits") as client:
        statuses = [client.get(path).status_code for path in ("/readyz", "/model")]

    assert [200, 401] == statuses


def test_openapi_document_has_the_key(protected_client: TestClient) -> None:
    """The security scheme lets generated clients send the key."""
    document = protected_client.get("/openapi.json").json()
    (scheme,) = document["components"]["securitySchemes"].items()

    assert ("key", "http", "bearer") == (scheme[0], scheme[1]["type"], scheme[1]["scheme"])
    for path in ("/predict", "/read", "/read/batch"):
        assert [{"key": []}] == document["paths"][path]["post"]["security"]
    assert {"application/problem+json"} == set(document["paths"]["/predict"]["post"]["responses"]["401"]["content"])
    assert {"application/json"} == set(document["paths"]["/v2"]["get"]["responses"]["401"]["content"])
    for probe in ("/readyz", "/v2/health/ready"):
        assert "security" not in document["paths"][probe]["get"]
        assert {"200", "503"} == set(document["paths"][probe]["get"]["responses"])


# --- CORS

ORIGIN = "https://forms.example.org"


def get_from(client: TestClient, origin: str, **more: Any) -> Any:
    """Return the response to a request from a page of this origin."""
    return client.get("/livez", headers={"origin": origin, **more})


def test_no_origin_is_allowed_by_default(tiny_client: TestClient) -> None:
    """Browsers hide the response from pages of other origins."""
    assert "access-control-allow-origin" not in get_from(tiny_client, ORIGIN).headers


def test_allowed_origin(tiny_model: Path) -> None:
    """The response allows the origin and exposes headers, but no credentials. Preflight requests work."""
    with TestClient(create_app(Settings(model=tiny_model, cors_origins=(ORIGIN,)))) as client:
        allowed, other = get_from(client, ORIGIN), get_from(client, "https://example.net")
        preflight_headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
        preflight = client.options(
            "/predict", headers=preflight_headers | {"access-control-request-headers": "authorization"}
        )

    assert ORIGIN == allowed.headers["access-control-allow-origin"]
    assert "ETag, Retry-After, X-Request-ID" == allowed.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in allowed.headers
    assert "access-control-allow-origin" not in other.headers
    assert 200 == preflight.status_code
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


@pytest.mark.parametrize(
    ("setting", "header", "expected"),
    [
        ((), "cache-control, x-requested-with", 200),
        ((), "x-trace-id", 400),
        (("X-Trace-Id",), "x-trace-id, cache-control", 200),
        (("*",), "x-anything", 200),
    ],
    ids=["of upload widgets", "unknown", "set", "all"],
)
def test_request_headers_of_pages(setting: tuple[str, ...], header: str, expected: int) -> None:
    """A preflight request succeeds for the usual headers and those of the setting, and fails for others."""
    app = create_app(Settings(cors_origins=(ORIGIN,), cors_headers=setting))
    preflight = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": header}

    assert expected == TestClient(app).options("/predict", headers=preflight).status_code


def test_errors_have_cors_headers(tiny_model: Path) -> None:
    """A page can read the reason."""
    with TestClient(create_app(Settings(model=tiny_model, cors_origins=("*",), api_keys=KEYS))) as client:
        response = client.post("/predict", headers={"origin": ORIGIN})

    assert 401 == response.status_code
    assert "*" == response.headers["access-control-allow-origin"]
