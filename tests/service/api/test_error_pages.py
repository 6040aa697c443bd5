"""Tests of service.api.error_pages and of docs/errors.md."""

from __future__ import annotations

from service.api import error_pages, problems

PAGES = error_pages.read_pages()


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """The headings of docs/errors.md are the codes that the service answers."""
    assert set(problems.STATUSES) == set(PAGES)


def test_pages_begin_with_the_code_and_its_status() -> None:
    """Each says which status it has, how to fix the request, and whether to retry it."""
    for code, page in PAGES.items():
        text = page.body.decode()

        assert text.startswith(f"{code}\n\nStatus {problems.STATUSES[code]:d}"), code
        assert "\nFix: " in text, code
        assert "Retry: " in text, code
        assert "##" not in text, code
