"""Tests of service.middleware.telemetry."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient


def test_every_response_has_an_id_of_its_own(tiny_client: TestClient) -> None:
    """A request without an id gets a new one."""
    first, second = (tiny_client.get("/livez").headers["x-request-id"] for _ in range(2))

    assert first != second


def test_the_caller_s_id_is_kept(tiny_client: TestClient) -> None:
    """An id that the caller sends comes back in the header and in the problem."""
    response = tiny_client.get("/nowhere", headers={"X-Request-ID": "trace-7:a"})

    assert "trace-7:a" == response.headers["x-request-id"]
    assert "trace-7:a" == response.json()["request_id"]


@pytest.mark.parametrize("identity", ["", "a b", 'x"y', "{}", "é", "a" * 129])
def test_an_id_that_could_forge_a_log_is_replaced(tiny_client: TestClient, identity: str) -> None:
    """An empty or overlong id, or one with unusual characters, is not taken over."""
    response = tiny_client.get("/livez", headers=[(b"X-Request-ID", identity.encode())])

    assert 16 == len(response.headers["x-request-id"])
