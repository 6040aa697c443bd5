"""The page at /docs in a real browser: nothing comes from elsewhere, and operations can be tried out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from service.app import create_app
from service.settings import Settings
from tests import servers
from tests.pictures import draw, encode

KEY = "a-key"
PREFIX = "/digits"
# Long enough for a machine that is busy with other tests.
PATIENCE = 30_000


def behind_a_proxy(app: ASGIApp) -> ASGIApp:
    """Return the application as behind a proxy that strips the path prefix and says so, as uvicorn passes it on."""

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith(f"{PREFIX}/")
            scope = {**scope, "root_path": PREFIX}
        await app(scope, receive, send)

    return proxied


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Return the addresses of a service without API keys, and of one with a key behind a path prefix."""
    protected = behind_a_proxy(create_app(Settings(api_keys=(KEY,))))
    with servers.in_thread(create_app(Settings())) as open_address, servers.in_thread(protected) as address:
        yield {"open": open_address, "protected": f"{address}{PREFIX}"}


@contextmanager
def visit(browser: Browser, address: str) -> Iterator[Page]:
    """Open /docs; at the end the browser has blocked nothing, and has asked for nothing from elsewhere."""
    expect.set_options(timeout=PATIENCE)
    page = browser.new_page(viewport={"width": 1200, "height": 1400})
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/docs")
    yield page

    assert [] == [error for error in errors if "status of 401" not in error]
    assert [] == [url for url in asked if not url.startswith((f"{address}/", "data:", f"blob:{address[:17]}"))]
    page.close()


def open_operation(page: Page, name: str) -> Locator:
    """Unfold an operation, and press "Try it out"."""
    operation = page.locator(f"[id$='-{name}']")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def execute(operation: Locator, status: int) -> Locator:
    """Press "Execute", wait for the status, and return the response."""
    operation.get_by_role("button", name="Execute").click()
    response = operation.locator(".live-responses-table")
    expect(response.locator("tr.response td.response-col_status")).to_contain_text(str(status))
    return response


def test_example_can_be_sent_as_it_is(browser: Browser, addresses: dict[str, str]) -> None:
    """Without a key there is no "Authorize", and the example of /predict is answered with a 7."""
    with visit(browser, addresses["open"]) as page:
        response = execute(open_operation(page, "predict"), 200)

        expect(response.locator(".response-col_description code").first).to_contain_text('"digit": 7')
        expect(page.locator(".btn.authorize")).to_have_count(0)


def test_file_can_be_chosen(browser: Browser, addresses: dict[str, str], tmp_path: Path) -> None:
    """As a form it is answered, too."""
    (tmp_path / "four.png").write_bytes(encode(draw(4)))
    with visit(browser, addresses["open"]) as page:
        operation = open_operation(page, "predict")
        operation.locator(".opblock-section-request-body select.content-type").select_option("multipart/form-data")
        operation.locator("input[type=file]").set_input_files(tmp_path / "four.png")
        response = execute(operation, 200)

        expect(response.locator(".response-col_description code").first).to_contain_text('"digit": 4')


def test_key_is_taken_by_authorize(browser: Browser, addresses: dict[str, str]) -> None:
    """Under a path prefix the page loads without a key, operations do not, and pictures in answers are shown."""
    with visit(browser, addresses["protected"]) as page:
        operation = open_operation(page, "weights_image")
        operation.locator("tr[data-param-name=index] input").fill("0")
        execute(operation, 401)
        page.locator(".btn.authorize").click()
        page.locator(".auth-container input").fill(KEY)
        page.locator(".auth-btn-wrapper .authorize").click()
        page.locator(".btn-done").click()
        picture = execute(operation, 200).locator("img")
        expect(picture).to_be_visible()
        width = picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth }")

        assert width > 100
