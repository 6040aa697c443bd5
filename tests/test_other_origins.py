"""CORS in a real browser: a page of another origin sends a request to the service."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from service.app import create_app
from service.settings import Settings
from tests import servers
from tests.pictures import draw, encode

pytestmark = pytest.mark.slow

FETCH = """async ([address, base64]) => {
  const picture = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  try {
    const response = await fetch(`${address}/predict`, {
      method: "POST", body: picture, headers: {"Content-Type": "image/png", "X-Request-ID": "page-1"},
    })
    return [(await response.json()).digit, response.headers.get("X-Request-ID")]
  } catch (error) {
    return error.name
  }
}"""


@pytest.mark.parametrize(("allowed", "expected"), [(True, [4, "page-1"]), (False, "TypeError")])
def test_fetch_works_from_allowed_origins_only(browser: Browser, *, allowed: bool, expected: Any) -> None:
    """JavaScript's fetch gets body and headers from an allowed origin, and fails from any other."""
    with (
        servers.in_thread(create_app(Settings())) as elsewhere,
        servers.in_thread(create_app(Settings(cors_origins=(elsewhere,) if allowed else ()))) as service,
    ):
        # At the first request FastAPI builds its routes and silences a warning of pydantic meanwhile. That is not safe
        # where two applications do it in two threads.
        for address in (elsewhere, service):
            assert httpx.get(f"{address}/none").status_code == HTTPStatus.NOT_FOUND
        page = browser.new_page()
        page.goto(f"{elsewhere}/livez")

        assert expected == page.evaluate(FETCH, [service, base64.b64encode(encode(draw(4))).decode()])
