"""Fixtures of the commands on picture files: pictures, and a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.app import create_app
from service.settings import Settings
from tests import servers
from tests.pictures import draw, encode


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """Return a PNG file with a 7."""
    path = tmp_path / "seven.png"
    path.write_bytes(encode(draw(7)))
    return path


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Return a JPEG file with a 3."""
    path = tmp_path / "three.jpg"
    path.write_bytes(encode(draw(3), "JPEG"))
    return path


@pytest.fixture
def unanswerable(tmp_path: Path) -> list[Path]:
    """Return a text file, a blank picture, and a missing file."""
    text, blank, missing = (tmp_path / name for name in ("notes.txt", "blank.png", "none.png"))
    text.write_text("seven")
    blank.write_bytes(encode(draw(ink=255)))
    return [text, blank, missing]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 65 pictures: one blank, one truncated, and enough for a process pool and a progress bar."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "more").mkdir()
    for i in range(65):
        path = folder / ("more" if i % 3 else "") / f"{i:02}.png"
        path.write_bytes(encode(draw(i % 10, size=(60, 60), width=0.06 + i / 1000)))
    (folder / "06.png").write_bytes(encode(draw(ink=255)))
    (folder / "more" / "08.png").write_bytes(encode(draw(8))[:-20])
    return folder


@pytest.fixture(scope="module")
def address(tiny_model: Path) -> Iterator[str]:
    """Return the URL of a service with the tiny model."""
    with servers.in_thread(create_app(Settings(model=tiny_model))) as address:
        yield address


@pytest.fixture
def tiny_model_is_set(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set DIGITS_MODEL to the model of the test service."""
    monkeypatch.setenv("DIGITS_MODEL", str(tiny_model))
