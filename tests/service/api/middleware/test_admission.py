"""Tests of service.api.middleware.admission."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.admission import Work
from service.api.bodies import MAX_INLINE_BYTES
from service.api.state import State
from service.app import create_app
from service.errors import Overloaded
from service.settings import Settings
from tests.pictures import draw, encode


@pytest.fixture
def client(tiny_model: Path) -> Iterator[TestClient]:
    """Return a client of a service with an in-flight byte budget of 10,000 bytes."""
    with TestClient(create_app(Settings(model=tiny_model, max_bytes_in_hand=10_000))) as client:
        yield client


def state_of(client: TestClient) -> State:
    """Return the shared state of the application."""
    state: State = client.app.state.digits  # type: ignore[attr-defined]
    return state


@pytest.fixture
def overloaded_client(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Return a client of a service that sheds every request."""
    monkeypatch.setattr("service.api.admission.ADMISSIONS_PER_TICK", 0)
    monkeypatch.setattr("service.api.admission.MIN_QUEUE_TO_SHED", 0)
    monkeypatch.setattr("service.api.admission.MAX_QUEUE_DELAY", -1)
    with TestClient(create_app(Settings(model=tiny_model))) as client:
        yield client


def test_shed_request_is_503(overloaded_client: TestClient) -> None:
    """With `Retry-After`."""
    response = overloaded_client.post("/predict", content=encode(draw(4)))

    assert (503, "overloaded") == (response.status_code, response.json()["code"])
    assert "1" == response.headers["retry-after"]


def test_probes_are_never_shed(overloaded_client: TestClient) -> None:
    """Liveness, readiness and metrics bypass admission control."""
    paths = ("/health", "/livez", "/readyz", "/metrics", "/v2/health/ready")

    assert [200] * 5 == [overloaded_client.get(path).status_code for path in paths]


def test_shed_requests_are_counted(overloaded_client: TestClient) -> None:
    """In the metrics, by code."""
    overloaded_client.post("/predict", content=b"x")

    assert 'digits_refusals_total{code="overloaded"} 1.0' in overloaded_client.get("/metrics").text


def test_in_flight_byte_budget(client: TestClient) -> None:
    """A body beyond the budget is shed, and its bytes are returned to the budget."""
    for _ in range(3):
        response = client.post("/predict", content=bytes(10_001))
        assert (503, "overloaded") == (response.status_code, response.json()["code"])
    assert 200 == client.post("/predict", content=encode(draw(4))).status_code


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/predict", b"x", Work.SMALL),
        ("/predict", bytes(MAX_INLINE_BYTES + 1), Work.LARGE),
        ("/predict", iter([b"of unknown length"]), Work.LARGE),
        ("/predict/batch", b"x", Work.MANY),
        ("/read", b"x", Work.MANY),
        ("/read/batch", b"x", Work.MANY),
        ("/model/weights", None, Work.SMALL),
    ],
    ids=["small", "large", "chunked", "batch", "number", "numbers", "no body"],
)
def test_kind_of_work(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, body: Any, expected: Work
) -> None:
    """By path and declared length, before anything of the body is read."""
    kinds: list[Work] = []

    async def admit(kind: Work) -> None:
        kinds.append(kind)
        message = "after this"
        raise Overloaded(message)

    monkeypatch.setattr(state_of(client).admission, "admit", admit)
    client.request("GET" if body is None else "POST", path, content=body)

    assert [expected] == kinds


def test_draining_service_closes_connections(client: TestClient) -> None:
    """Requests are answered with `Connection: close`, and readiness is 503."""
    before = client.post("/predict", content=encode(draw(4)))
    state_of(client).drain()
    after = client.post("/predict", content=encode(draw(4)))

    assert 503 == client.get("/readyz").status_code
    assert (200, 200) == (before.status_code, after.status_code)
    assert "connection" not in before.headers
    assert "close" == after.headers["connection"]
