"""Tests of service.api.routes.health."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.model import artifact
from service.settings import Settings, bundled_model


def test_a_service_with_a_model_is_well(client: TestClient) -> None:
    """All three probes say ok, and /health names the model."""
    health = client.get("/health")

    assert 200 == health.status_code
    assert "ok" == health.json()["status"]
    assert {"name": "mnist-mlp", "version": artifact.load(bundled_model()).version} == health.json()["model"]
    assert 0 <= health.json()["uptime_seconds"]
    assert {"status": "ok"} == client.get("/livez").json()
    assert {"status": "ok"} == client.get("/readyz").json()


def test_before_the_model_is_loaded_the_service_is_not_ready() -> None:
    """Without its lifespan the application lives, but sends requests elsewhere."""
    client = TestClient(create_app(Settings()))

    assert (503, "unavailable") == (client.get("/health").status_code, client.get("/health").json()["status"])
    assert 503 == client.get("/readyz").status_code
    assert 200 == client.get("/livez").status_code


def test_after_shutdown_began_the_service_is_not_ready() -> None:
    """When the lifespan has ended, the probes say so."""
    app = create_app(Settings())
    with TestClient(app):
        pass
    client = TestClient(app)

    assert 503 == client.get("/health").status_code
    assert 503 == client.get("/readyz").status_code


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz"])
def test_monitors_may_ask_for_the_status_alone(tiny_client: TestClient, path: str) -> None:
    """Many ask with HEAD."""
    assert 200 == tiny_client.head(path).status_code
