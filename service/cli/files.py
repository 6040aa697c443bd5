"""Names of files, folders and globs in; the picture files that they match, and the files that are skipped, out.

The suffix decides what is a picture file. Out of scope: the content of the files.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import DigitsError

# Suffixes of the formats that `service.images.decoding` decodes.
SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".heic", ".heif", ".hif", ".avif"),
    }
)
_WRONG_SUFFIX = "the suffix is not that of a picture"
_MACOS_METADATA = "metadata files of macOS"


_STDIN = "-"
# Read like any other file, by this process.
_STDIN_FILE = Path("/dev/stdin")


class FilesError(DigitsError):
    """A name matches no picture file. The message has the name and the reason."""


@dataclass(frozen=True)
class FoundFiles:
    """The picture files, and the other files of the same folders and globs by the reason why they are skipped."""

    files: list[Path] = field(default_factory=list)
    skipped: dict[str, list[Path]] = field(default_factory=dict)


def find_files(names: Iterable[str]) -> FoundFiles:
    """Return the files that the names match: in the order of the names, and sorted for each folder and glob.

    `-` alone is standard input. A folder matches every file in it, at any depth, with the suffix of a picture. A glob
    matches files of any suffix; `**` is any depth. Any other name is a file, whether it exists or not. Folders and
    globs do not match the metadata files that macOS adds to archives and foreign disks. Raises FilesError when a folder
    cannot be read, or when a folder or glob matches nothing.
    """
    found = FoundFiles()
    names = list(names)
    if _STDIN in names:
        if names != [_STDIN]:
            message = "- is standard input, which cannot be read beside files: write ./- for a file of this name"
            raise FilesError(message)
        return FoundFiles([_STDIN_FILE])
    for name in names:
        path = Path(name)
        if path.is_dir():
            no_match = f"no file in this folder ends in {', '.join(sorted(SUFFIXES))}"
            _add_matches(found, name, _files_in(path), no_match, SUFFIXES)
        elif glob.has_magic(name) and not path.exists():
            matches = map(Path, glob.iglob(name, recursive=True))  # noqa: PTH207 - Path.glob rejects absolute patterns
            _add_matches(found, name, (match for match in matches if not match.is_dir()), "no file matches", None)
        else:
            found.files.append(path)
    return found


def _add_matches(
    found: FoundFiles, name: str, candidates: Iterable[Path], no_match: str, suffixes: frozenset[str] | None
) -> None:
    files = []
    for path in sorted(candidates):
        if path.name.startswith("._") or "__MACOSX" in path.parts:
            found.skipped.setdefault(_MACOS_METADATA, []).append(path)
        elif suffixes is not None and path.suffix.lower() not in suffixes:
            found.skipped.setdefault(_WRONG_SUFFIX, []).append(path)
        else:
            files.append(path)
    if not files:
        message = f"{name}: {no_match}"
        raise FilesError(message)
    found.files.extend(files)


def _files_in(folder: Path) -> list[Path]:
    return [Path(directory, name) for directory, _, names in os.walk(folder, onerror=_raise_error) for name in names]


def _raise_error(error: OSError) -> None:
    message = f"{error.filename}: {error.strerror}"
    raise FilesError(message) from error
