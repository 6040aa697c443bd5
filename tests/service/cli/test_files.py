"""Tests of service.cli.files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from service.cli.files import SUFFIXES, FilesError, find_files
from service.types import FORMATS


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a folder with picture files at two depths, and with other files."""
    folder = tmp_path / "scans"
    for name in ("b.png", "a.JPG", "notes.txt", "png", "deep/er/c.tiff", "deep/b.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(folder: Path, *patterns: str) -> list[str]:
    """Return the files that patterns in a folder match, relative to it."""
    found = find_files(str(folder / pattern) for pattern in patterns)
    return [path.relative_to(folder).as_posix() for path in found.files]


def skipped(folder: Path, *patterns: str) -> dict[str, list[str]]:
    """Return the files that are skipped, relative to the folder, by their reason."""
    found = find_files(str(folder / pattern) for pattern in patterns)
    return {reason: [path.relative_to(folder).as_posix() for path in paths] for reason, paths in found.skipped.items()}


def test_file_names_are_returned_unchanged(scans: Path) -> None:
    """Their order and duplicates are kept, and neither suffix nor existence is checked."""
    given = ["notes.txt", "b.png", "none.png", "b.png"]

    assert given == names(scans, *given)


def test_folder_matches_its_pictures(scans: Path) -> None:
    """They are found at any depth, with suffixes in any case, and sorted."""
    assert ["a.JPG", "b.png", "deep/b.png", "deep/er/c.tiff"] == names(scans, ".")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["b.png"]),
        ("**/*.png", ["b.png", "deep/b.png"]),
        ("deep/**", ["deep/b.png", "deep/er/c.tiff"]),
        ("[an]*", ["a.JPG", "notes.txt"]),
    ],
)
def test_glob_matches_files(scans: Path, pattern: str, expected: list[str]) -> None:
    """Files of any suffix are returned, sorted, but no folders."""
    assert expected == names(scans, pattern)


def test_files_with_another_suffix_are_skipped(scans: Path) -> None:
    """They are listed by their reason, sorted. A file that is named itself is never skipped."""
    assert {"the suffix is not that of a picture": ["notes.txt", "png"]} == skipped(scans, ".")
    assert {} == skipped(scans, "notes.txt", "deep", "*.png")


@pytest.mark.parametrize("pattern", [".", "**/*.png"])
def test_metadata_files_of_macos_are_skipped(scans: Path, pattern: str) -> None:
    """On foreign disks (._NAME) and in archives (__MACOSX), macOS adds files with the suffix of a picture."""
    (scans / "._b.png").touch()
    (scans / "__MACOSX" / "deep").mkdir(parents=True)
    (scans / "__MACOSX" / "deep" / "b.png").touch()
    # A glob does not match hidden files.
    hidden = ["._b.png"] if pattern == "." else []

    assert [*hidden, "__MACOSX/deep/b.png"] == skipped(scans, pattern)["metadata files of macOS"]
    assert not [name for name in names(scans, pattern) if "MACOSX" in name or "._" in name]


def test_existing_file_takes_precedence_over_a_glob(scans: Path) -> None:
    """A file name may contain the special characters of globs."""
    (scans / "scan[1].png").touch()
    (scans / "scan1.png").touch()

    assert ["scan[1].png"] == names(scans, "scan[1].png")


def test_order_of_the_names_is_kept(scans: Path) -> None:
    """Files are sorted only within a folder or glob."""
    assert ["deep/b.png", "deep/er/c.tiff", "b.png", "a.JPG"] == names(scans, "deep", "*.png", "a.JPG")


def test_relative_names_return_relative_paths(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are not resolved."""
    monkeypatch.chdir(scans)

    assert [Path("deep/b.png"), Path("deep/er/c.tiff")] == find_files(["deep"]).files


@pytest.mark.parametrize(
    ("name", "reason"), [("empty", "no file in this folder ends in .apng, .avif,"), ("*.gif", "no file matches")]
)
def test_no_match_raises_files_error(scans: Path, name: str, reason: str) -> None:
    """The message has the folder or glob, and the reason."""
    (scans / "empty").mkdir()
    with pytest.raises(FilesError) as caught:
        names(scans, "b.png", name)

    assert str(caught.value).startswith(f"{scans / name}: {reason}")


def test_unreadable_folder_raises_files_error(scans: Path) -> None:
    """It is not skipped. The folder here is unreadable, also for root, since its path is too long."""
    # Relative names stay below the limit of the system; the absolute path exceeds it.
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
        find_files([str(scans)])


def test_suffixes_match_the_accepted_formats() -> None:
    """Each suffix is that of an accepted format, and each format has one."""
    forms = {form.upper(): form for form in FORMATS} | {"MPO": "JPEG"}
    # Pillow registers neither HEIC nor the suffix HIF of some cameras.
    known = {suffix: forms.get(form) for suffix, form in Image.registered_extensions().items()} | dict.fromkeys(
        (".heic", ".heif", ".hif"), "HEIC"
    )

    assert {*FORMATS} == {known.get(suffix) for suffix in SUFFIXES}


def test_dash_is_standard_input() -> None:
    """Beside files it is refused, since processes that read them have another one. `./-` is a file."""
    assert [Path("/dev/stdin")] == find_files(["-"]).files
    assert [Path("-")] == find_files(["./-"]).files
    with pytest.raises(FilesError, match="standard input"):
        find_files(["-", "a.png"])
