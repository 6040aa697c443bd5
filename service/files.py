"""Names of files, folders and globs in, the picture files that they stand for out. What is in them is not looked at."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from service.errors import DigitsError

# What files in the formats of `decoding` are called.
SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    }
)


class FilesError(DigitsError):
    """A name stands for no picture; the message says what was looked for."""


def find(names: Iterable[str]) -> list[Path]:
    """Return the files, in the order of the names and sorted within each.

    A folder stands for every file in it, at any depth, with the suffix of a picture; a glob for every file that it
    matches, where `**` is any depth; any other name for itself, be there such a file or not. Raises FilesError when a
    folder cannot be read, or a folder or glob has nothing.
    """
    return [file for name in names for file in _find(name)]


def _find(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        files = _in_folder(path)
        lacking = f"no file in this folder ends in {', '.join(sorted(SUFFIXES))}"
    elif glob.has_magic(name) and not path.exists():
        matches = glob.iglob(name, recursive=True)  # noqa: PTH207 - Path.glob knows no absolute patterns
        files = [match for match in map(Path, matches) if not match.is_dir()]
        lacking = "no file matches"
    else:
        return [path]
    if not files:
        message = f"{name}: {lacking}"
        raise FilesError(message)
    return sorted(files)


def _in_folder(folder: Path) -> list[Path]:
    return [
        Path(directory, name)
        for directory, _, names in os.walk(folder, onerror=_refuse)
        for name in names
        if os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a hundred thousand of them
    ]


def _refuse(error: OSError) -> None:
    message = f"{error.filename}: {error.strerror}"
    raise FilesError(message) from error
