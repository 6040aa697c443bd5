"""Names of files, folders and globs in, the picture files that they stand for out, and the files that are left out.

What is in them is not looked at.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import DigitsError

# What files in the formats of `decoding` are called.
SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".heic", ".heif", ".hif", ".avif"),
    }
)
_NO_SUFFIX = "the suffix is not that of a picture"
_OF_A_MAC = "macOS made it beside the picture"


class FilesError(DigitsError):
    """A name stands for no picture; the message says what was looked for."""


@dataclass(frozen=True)
class Found:
    """The picture files, and those that a folder or glob has besides, by why they are left out."""

    files: list[Path] = field(default_factory=list)
    left_out: dict[str, list[Path]] = field(default_factory=dict)


def find(names: Iterable[str]) -> Found:
    """Return the files, in the order of the names and sorted within each.

    A folder stands for every file in it, at any depth, with the suffix of a picture; a glob for every file that it
    matches, where `**` is any depth; any other name for itself, be there such a file or not. Neither folders nor globs
    stand for what macOS adds to archives and foreign disks. Raises FilesError when a folder cannot be read, or a folder
    or glob has nothing.
    """
    found = Found()
    for name in names:
        path = Path(name)
        if path.is_dir():
            lacking = f"no file in this folder ends in {', '.join(sorted(SUFFIXES))}"
            _sort_into(found, name, _in_folder(path), lacking, SUFFIXES)
        elif glob.has_magic(name) and not path.exists():
            matches = map(Path, glob.iglob(name, recursive=True))  # noqa: PTH207 - Path.glob knows no absolute patterns
            _sort_into(found, name, (match for match in matches if not match.is_dir()), "no file matches", None)
        else:
            found.files.append(path)
    return found


def _sort_into(
    found: Found, name: str, candidates: Iterable[Path], lacking: str, suffixes: frozenset[str] | None
) -> None:
    files = []
    for path in sorted(candidates):
        if path.name.startswith("._") or "__MACOSX" in path.parts:
            found.left_out.setdefault(_OF_A_MAC, []).append(path)
        elif suffixes is not None and path.suffix.lower() not in suffixes:
            found.left_out.setdefault(_NO_SUFFIX, []).append(path)
        else:
            files.append(path)
    if not files:
        message = f"{name}: {lacking}"
        raise FilesError(message)
    found.files.extend(files)


def _in_folder(folder: Path) -> list[Path]:
    return [Path(directory, name) for directory, _, names in os.walk(folder, onerror=_refuse) for name in names]


def _refuse(error: OSError) -> None:
    message = f"{error.filename}: {error.strerror}"
    raise FilesError(message) from error
