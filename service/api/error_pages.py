"""docs/errors.md -> one page of text for each code of a problem.

Enters: the document, in the installed package or in docs/ of a checkout. Leaves: Representations by code. Out of scope:
which codes there are (`api.problems`; a test compares them with the headings) and serving the pages (`routes.errors`).
"""

from __future__ import annotations

import re
from pathlib import Path

from service.api.representations import Representation

_PACKAGE = Path(__file__).resolve().parents[1]
_HEADING = re.compile(r"^## (\S+)$", re.MULTILINE)


def _document() -> Path:
    installed = _PACKAGE / "errors.md"
    return installed if installed.exists() else _PACKAGE.parent / "docs" / "errors.md"


def read_pages() -> dict[str, Representation]:
    """Return the section on each code, as text in UTF-8, in the order of the document. Raises OSError."""
    # Parts: what precedes the first heading, then heading and section by turns.
    _, *parts = _HEADING.split(_document().read_text("utf-8"))
    return {
        code: Representation(f"{code}\n\n{section.strip()}\n".encode(), "text/plain")
        for code, section in zip(parts[::2], parts[1::2], strict=True)
    }
