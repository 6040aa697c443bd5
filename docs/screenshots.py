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
from tests.servers import in_thread

_FOLDER = Path(__file__).parent
_DESKTOP = ViewportSize(width=1440, height=900)
_PHONE = ViewportSize(width=360, height=740)
_COLOURS = 256
# Milliseconds after which nothing moves any more.
_SETTLED = 2000


def _open(browser: Browser, address: str, size: ViewportSize, *, dark: bool) -> Page:
    """Return the page with its example read."""
    context = browser.new_context(viewport=size, device_scale_factor=2, color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.goto(address)
    page.locator("#snippets pre").first.wait_for()
    page.locator("#samples img").last.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(_SETTLED)
    return page


def _save(page: Page, name: str) -> None:
    """Write what is seen as a PNG of few colours, a third of the size."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    path = _FOLDER / name
    shot.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def main() -> None:
    """Take both."""
    with in_thread(create_app(Settings())) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        _save(_open(browser, address, _DESKTOP, dark=False), "page-desktop.png")
        phone = _open(browser, address, _PHONE, dark=True)
        phone.locator(".duel").evaluate("(duel) => scrollTo(0, duel.offsetTop - 24)")
        phone.wait_for_timeout(_SETTLED)
        _save(phone, "page-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
