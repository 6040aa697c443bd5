"""Tests of service.cli.files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from service.cli.files import SUFFIXES, FilesError, find
from service.types import FORMATS


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a folder with pictures at two depths, and what is none."""
    folder = tmp_path / "scans"
    for name in ("b.png", "a.JPG", "notes.txt", "png", "deep/er/c.tiff", "deep/b.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(folder: Path, *patterns: str) -> list[str]:
    """Return what is found under names within a folder, likewise."""
    found = find(str(folder / pattern) for pattern in patterns)
    return [path.relative_to(folder).as_posix() for path in found.files]


def left_out(folder: Path, *patterns: str) -> dict[str, list[str]]:
    """Return what is left out, by the reason, within a folder."""
    found = find(str(folder / pattern) for pattern in patterns)
    return {why: [path.relative_to(folder).as_posix() for path in paths] for why, paths in found.left_out.items()}


def test_files_stand_for_themselves(scans: Path) -> None:
    """In the order given, as often as given, be they pictures or there at all."""
    given = ["notes.txt", "b.png", "none.png", "b.png"]

    assert given == names(scans, *given)


def test_a_folder_stands_for_its_pictures(scans: Path) -> None:
    """At any depth and whatever the case of their suffix, sorted."""
    assert ["a.JPG", "b.png", "deep/b.png", "deep/er/c.tiff"] == names(scans, ".")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["b.png"]),
        ("**/*.png", ["b.png", "deep/b.png"]),
        ("deep/**", ["deep/b.png", "deep/er/c.tiff"]),
        ("[an]*", ["a.JPG", "notes.txt"]),
        ("deep/?.png", ["deep/b.png"]),
    ],
)
def test_a_glob_stands_for_the_files_it_matches(scans: Path, pattern: str, expected: list[str]) -> None:
    """All of them, sorted, but no folders."""
    assert expected == names(scans, pattern)


def test_what_a_folder_has_besides_is_named(scans: Path) -> None:
    """Files that are no pictures by their names, sorted; a file that is named itself is never left out."""
    assert {"the suffix is not that of a picture": ["notes.txt", "png"]} == left_out(scans, ".")
    assert {} == left_out(scans, "notes.txt", "deep", "*.png")


@pytest.mark.parametrize("pattern", [".", "**/*.png"])
def test_what_a_mac_adds_is_no_picture(scans: Path, pattern: str) -> None:
    """Beside each file on a foreign disk, and in each archive, there is another one of the same suffix."""
    (scans / "._b.png").touch()
    (scans / "__MACOSX" / "deep").mkdir(parents=True)
    (scans / "__MACOSX" / "deep" / "b.png").touch()
    # A glob does not see the one with a dot.
    hidden = ["._b.png"] if pattern == "." else []

    assert [*hidden, "__MACOSX/deep/b.png"] == left_out(scans, pattern)["macOS made it beside the picture"]
    assert not [name for name in names(scans, pattern) if "MACOSX" in name or "._" in name]


def test_a_file_may_be_called_like_a_glob(scans: Path) -> None:
    """What exists is what is meant."""
    (scans / "scan[1].png").touch()
    (scans / "scan1.png").touch()

    assert ["scan[1].png"] == names(scans, "scan[1].png")


def test_names_keep_their_order(scans: Path) -> None:
    """Only within a folder or glob files are sorted."""
    assert ["deep/b.png", "deep/er/c.tiff", "b.png", "a.JPG"] == names(scans, "deep", "*.png", "a.JPG")


def test_names_are_as_given(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found below a relative name is relative."""
    monkeypatch.chdir(scans)

    assert [Path("deep/b.png"), Path("deep/er/c.tiff")] == find(["deep"]).files


@pytest.mark.parametrize(
    ("name", "said"), [("empty", "no file in this folder ends in .apng, .avif,"), ("*.gif", "no file matches")]
)
def test_finding_nothing_is_told(scans: Path, name: str, said: str) -> None:
    """The error names the folder or glob."""
    (scans / "empty").mkdir()
    with pytest.raises(FilesError) as caught:
        names(scans, "b.png", name)

    assert str(caught.value).startswith(f"{scans / name}: {said}")


def test_a_folder_that_cannot_be_read_is_told(scans: Path) -> None:
    """Rather than left out: a path that has grown too long is one that nobody may list."""
    # Below the limit for the system as a whole, and above it with the name of the folder in front.
    below = scans
    descriptor = os.open(scans, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=descriptor)
        deeper = os.open("x" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
        below = below / ("x" * 250)
    os.close(descriptor)

    with pytest.raises(FilesError, match="File name too long"):
        find([str(scans)])


def test_suffixes_are_those_of_the_formats_that_are_read() -> None:
    """A suffix stands for an accepted format, and each format has one."""
    forms = {form.upper(): form for form in FORMATS} | {"MPO": "JPEG"}
    # Pillow knows no HEIC, nor that some cameras call it HIF.
    known = {suffix: forms.get(form) for suffix, form in Image.registered_extensions().items()} | dict.fromkeys(
        (".heic", ".heif", ".hif"), "HEIC"
    )

    assert {*FORMATS} == {known.get(suffix) for suffix in SUFFIXES}
