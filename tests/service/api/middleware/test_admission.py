"""Tests of service.api.middleware.admission."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.api.state import State
from service.app import create_app
from service.settings import Settings
from tests.pictures import draw, encode


@pytest.fixture
def client(tiny_model: Path) -> Iterator[TestClient]:
    """Return a client of a service that holds no more than 10,000 bytes of bodies."""
    with TestClient(create_app(Settings(model=tiny_model, max_bytes_in_hand=10_000))) as client:
        yield client


def state_of(client: TestClient) -> State:
    """Return what the handlers share."""
    state: State = client.app.state.digits  # type: ignore[attr-defined]
    return state


@pytest.fixture
def busy(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Return a client of a service in which whoever waits has waited too long."""
    monkeypatch.setattr("service.api.admission.ADMISSIONS_PER_TICK", 0)
    monkeypatch.setattr("service.api.admission.MAX_QUEUE_DELAY", -1)
    return client


def test_who_comes_too_often_is_sent_away(busy: TestClient) -> None:
    """503, with the time after which to come again."""
    response = busy.post("/predict", content=encode(draw(4)))

    assert (503, "overloaded") == (response.status_code, response.json()["code"])
    assert "1" == response.headers["retry-after"]


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics", "/v2/health/ready"])
def test_probes_are_always_let_in(busy: TestClient, path: str) -> None:
    """Whoever watches the service sees it also when there is much to do."""
    assert 200 == busy.get(path).status_code


def test_refusals_are_counted(busy: TestClient) -> None:
    """Metrics tell how many were sent away."""
    busy.post("/predict", content=b"x")

    assert 'digits_refusals_total{code="overloaded"} 1.0' in busy.get("/metrics").text


def test_more_than_can_be_held_is_refused(client: TestClient) -> None:
    """Bodies are refused where memory for all of them ends, and nothing of them stays."""
    for _ in range(3):
        response = client.post("/predict", content=bytes(10_001))
        assert (503, "overloaded") == (response.status_code, response.json()["code"])
    assert 200 == client.post("/predict", content=encode(draw(4))).status_code


def test_a_service_that_drains_closes_connections(client: TestClient) -> None:
    """Whoever asks is answered, and told to open the next connection elsewhere; probes see it first."""
    before = client.post("/predict", content=encode(draw(4)))
    state_of(client).drain()
    after = client.post("/predict", content=encode(draw(4)))

    assert 503 == client.get("/readyz").status_code
    assert (200, 200) == (before.status_code, after.status_code)
    assert "connection" not in before.headers
    assert "close" == after.headers["connection"]
