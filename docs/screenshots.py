"""The pictures of the page in the README, as a browser shows it.

    python -m docs.screenshots

Needs Chromium. Serves the bundled model on a free port and writes docs/page-desktop.png and docs/page-phone.png.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from service.app import create_app
from service.settings import Settings
from tests.pad import write_number
from tests.servers import in_thread

_FOLDER = Path(__file__).parent
_DESKTOP = ViewportSize(width=1440, height=900)
_PHONE = ViewportSize(width=360, height=740)
_NUMBER = "42"
# Milliseconds after which nothing moves any more.
_SETTLED = 2000


def _open(browser: Browser, address: str, size: ViewportSize, *, dark: bool, scale: float) -> Page:
    """Return the page with a number drawn and read."""
    context = browser.new_context(viewport=size, device_scale_factor=scale, color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.goto(address)
    page.locator("#snippets pre").first.wait_for()
    page.locator("#samples img").last.wait_for()
    page.get_by_role("button", name="Clear").click()
    write_number(page, _NUMBER)
    page.locator("#numbers-list button").first.wait_for()
    _scroll(page, "#network")
    page.locator("#graph .answer-node").wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(_SETTLED)
    return page


def _scroll(page: Page, selector: str) -> None:
    """Bring an element to the top of what is seen, below the masthead."""
    page.locator(selector).evaluate("(element) => element.scrollIntoView({ behavior: 'instant' })")


def _save(page: Page, name: str) -> None:
    """Write what is seen as a PNG of all its colours."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = _FOLDER / name
    # With fewer colours, orange is left out, of which there is little, or the background turns green.
    shot.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def main() -> None:
    """Take both."""
    with in_thread(create_app(Settings())) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        desktop = _open(browser, address, _DESKTOP, dark=False, scale=1.5)
        _scroll(desktop, "#shapes")
        desktop.locator("#graph .answer-node").click()
        desktop.wait_for_timeout(_SETTLED)
        _save(desktop, "page-desktop.png")
        phone = _open(browser, address, _PHONE, dark=True, scale=2)
        _scroll(phone, "#graph")
        phone.wait_for_timeout(_SETTLED)
        _save(phone, "page-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
