"""Tests of service.api.routes.health."""

from __future__ import annotations

from fastapi.testclient import TestClient

from service.app import create_app
from service.model import artifact
from service.settings import Settings, bundled_model


def test_ready_service(client: TestClient) -> None:
    """All probes are ok, and /health has the model."""
    health = client.get("/health")

    assert 200 == health.status_code
    assert "ok" == health.json()["status"]
    assert {"name": "mnist-mlp", "version": artifact.load(bundled_model()).version} == health.json()["model"]
    assert 0 <= health.json()["uptime_seconds"]
    assert {"status": "ok"} == client.get("/livez").json()
    assert {"status": "ok"} == client.get("/readyz").json()


def test_not_ready_before_the_model_is_loaded() -> None:
    """Liveness is 200, readiness is 503."""
    client = TestClient(create_app(Settings()))

    assert (503, "unavailable") == (client.get("/health").status_code, client.get("/health").json()["status"])
    assert 503 == client.get("/readyz").status_code
    assert 200 == client.get("/livez").status_code


def test_not_ready_after_shutdown() -> None:
    """Readiness is 503 when the lifespan has ended."""
    app = create_app(Settings())
    with TestClient(app):
        pass
    client = TestClient(app)

    assert 503 == client.get("/health").status_code
    assert 503 == client.get("/readyz").status_code


def test_probes_support_head(tiny_client: TestClient) -> None:
    """Many monitoring systems send HEAD."""
    assert [200, 200, 200] == [tiny_client.head(path).status_code for path in ("/health", "/livez", "/readyz")]
