"""Problems in responses, for tests."""

from __future__ import annotations

from typing import Any


def problem(response: Any) -> tuple[int, str]:
    """Check the fields of a problem, and return its status and code."""
    body = response.json()

    assert "application/problem+json" == response.headers["content-type"]
    assert {"type", "title", "status", "detail", "code", "request_id"} == set(body)
    assert f"/errors/{body['code']}" == body["type"]
    assert response.status_code == body["status"]
    assert response.headers["x-request-id"] == body["request_id"]
    return response.status_code, body["code"]
