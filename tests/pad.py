"""Draws digits on the pad of the page with the pointer, as a person does."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.pictures import STROKES

# What one digit leaves free on each side, as a share of the pad's side.
MARGIN = 0.22


def write(page: Page, digit: int, area: tuple[float, float, float, float] | None = None) -> None:
    """Draw a digit on the pad with the pointer, into an area (left, top, right, bottom) in shares of the pad."""
    left, top, right, bottom = area or (MARGIN, MARGIN, 1 - MARGIN, 1 - MARGIN)
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for stroke in STROKES[digit]:
        points = [
            (
                box["x"] + box["width"] * (left + (right - left) * x),
                box["y"] + box["height"] * (top + (bottom - top) * y),
            )
            for x, y in stroke
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for x, y in points[1:]:
            page.mouse.move(x, y, steps=2)
        page.mouse.up()


def write_number(page: Page, text: str) -> None:
    """Draw several digits beside each other with a thin pen."""
    page.locator("#width").fill("5")
    for i, digit in enumerate(text):
        write(page, int(digit), ((i + 0.2) / len(text), 0.3, (i + 0.8) / len(text), 0.7))
