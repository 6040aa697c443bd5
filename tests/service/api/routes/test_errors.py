"""Tests of service.api.routes.errors."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from service.api import error_pages
from service.app import create_app
from service.settings import Settings
from tests.service.api.problems import problem


def test_each_code_has_a_page(tiny_client: TestClient) -> None:
    """It is text, which a browser shows and caches revalidate."""
    for code, page in error_pages.read_pages().items():
        response = tiny_client.get(f"/errors/{code}")

        assert (200, page.body) == (response.status_code, response.content)
        assert "text/plain; charset=utf-8" == response.headers["content-type"]
        assert "nosniff" == response.headers["x-content-type-options"]
        assert "etag" in response.headers


def test_unknown_code_is_not_found(tiny_client: TestClient) -> None:
    """The detail lists the codes."""
    response = tiny_client.get("/errors/no-paper")

    assert (404, "not-found") == problem(response)
    assert "no error 'no-paper': the codes are unreadable-image, invalid-json," in response.json()["detail"]


def test_type_can_be_followed_under_a_root_path(tiny_model: Path) -> None:
    """The reference has the prefix, so that a browser or client resolves it against the URL of the request."""
    with TestClient(create_app(Settings(model=tiny_model)), root_path="/digits") as client:
        reference = client.get("/digits/nowhere").json()["type"]
        response = client.get(reference)

    assert "/digits/errors/not-found" == reference
    assert response.text.startswith("not-found\n")
