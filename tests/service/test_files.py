"""Tests of service.files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from service.decoding import FORMATS
from service.files import SUFFIXES, FilesError, find


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
    return [path.relative_to(folder).as_posix() for path in find(str(folder / pattern) for pattern in patterns)]


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

    assert [Path("deep/b.png"), Path("deep/er/c.tiff")] == find(["deep"])


@pytest.mark.parametrize(
    ("name", "said"), [("empty", "no file in this folder ends in .apng, .bmp,"), ("*.gif", "no file matches")]
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
    known = {suffix: form for suffix, form in Image.registered_extensions().items() if form in {*FORMATS, "MPO"}}

    assert set() == SUFFIXES - set(known)
    assert {*FORMATS, "MPO"} == {known[suffix] for suffix in SUFFIXES}
