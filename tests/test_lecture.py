"""What docs/lecture.md shows is run, as the one program that it is, and prints what stands below it."""

from __future__ import annotations

import io
import os
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parent.parent
_DOCUMENT = _ROOT / "docs" / "lecture.md"
_TEXT = _DOCUMENT.read_text()
_SNIPPET = re.compile(
    r"^(?P<mnist><!-- needs MNIST -->\n)?```python\n(?P<code>.*?)^```$(\n\n```text\n(?P<printed>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_SNIPPETS = list(_SNIPPET.finditer(_TEXT))


@pytest.fixture(scope="module")
def data() -> Path | None:
    """Return the folder with MNIST, if there is one, before the environment is hidden from the tests."""
    return Path(os.environ["DIGITS_DATA"]).absolute() if os.environ.get("DIGITS_DATA") else None


def test_every_snippet_prints_what_is_shown(
    data: Path | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """From top to bottom, each block does what the document says; those that load MNIST where it is to be found."""
    folder = tmp_path / "docs" / "lecture"
    folder.mkdir(parents=True)
    shutil.copy(_ROOT / "docs" / "seven.jpg", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_DATA", str(data))
    names: dict[str, Any] = {}
    for snippet in _SNIPPETS:
        line = _TEXT.count("\n", 0, snippet.start("code"))
        with subtests.test(f"line {line + 1}"), redirect_stdout(io.StringIO()) as printed:
            if snippet["mnist"] and data is None:
                pytest.skip("DIGITS_DATA names no folder with the MNIST files")
            # Empty lines before it, so that a traceback names the line of the document.
            exec(compile("\n" * line + snippet["code"], _DOCUMENT, "exec"), names)  # noqa: S102

            assert (snippet["printed"] or "") == printed.getvalue()

    for drawn in folder.iterdir():
        shown = np.asarray(Image.open(_DOCUMENT.with_suffix("") / drawn.name), np.float64)
        assert np.abs(shown - np.asarray(Image.open(drawn), np.float64)).max() < 3


def test_there_are_snippets_of_both_kinds() -> None:
    """Every block of Python is found, and some need MNIST, some not: else the test above would run less."""
    assert _TEXT.count("```python") == len(_SNIPPETS)
    assert _TEXT.count("<!-- needs MNIST -->") == sum(snippet["mnist"] is not None for snippet in _SNIPPETS)
    assert {True, False} == {snippet["mnist"] is None for snippet in _SNIPPETS}


def test_links_lead_somewhere() -> None:
    """Each file that is linked or shown exists, and each heading."""
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", _TEXT) if not target.startswith("https://")]
    headings = re.findall(r"^## (.*)$", _TEXT, re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert len(headings) <= sum(target.startswith("#") for target in targets)
    assert [] == [target for target in targets if target.startswith("#") and target not in anchors]
    assert [] == [target for target in targets if target[0] != "#" and not (_DOCUMENT.parent / target).exists()]


def test_pictures_are_small() -> None:
    """Each is below 60 kB, and shown."""
    pictures = list(_DOCUMENT.with_suffix("").iterdir())

    assert len(pictures) > 0
    assert [] == [picture.name for picture in pictures if picture.stat().st_size > 60_000]
    assert [] == [picture.name for picture in pictures if f"](lecture/{picture.name})" not in _TEXT]
