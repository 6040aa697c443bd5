"""Files are written whole or not at all, and what is in the way is told in one line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from training.errors import TrainingError
from training.files import write_file


def new(file: BinaryIO) -> None:
    """Write a file."""
    file.write(b"new")


@pytest.mark.parametrize("place", ["file", "new/file", "new/folder/file"])
def test_file_is_written_where_it_belongs(tmp_path: Path, place: str) -> None:
    """Folders are made as needed, and nothing is left beside the file."""
    path = tmp_path / place

    write_file(path, new)

    assert b"new" == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A reader of the old file goes on reading it whole, and finds it there while the new one is written."""
    path = tmp_path / "file"
    path.write_bytes(b"the old one")
    seen = []

    def write(file: BinaryIO) -> None:
        new(file)
        file.flush()
        seen.append(path.read_bytes())

    with path.open("rb") as reader:
        start = reader.read(4)
        write_file(path, write)

        assert b"the old one" == start + reader.read()
    assert [b"the old one"] == seen
    assert b"new" == path.read_bytes()


def device_full(file: BinaryIO) -> None:
    """Write half of a file, until there is no more room."""
    file.write(b"ne")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(file: BinaryIO) -> None:
    """Write half of a file, until Ctrl-C is pressed."""
    file.write(b"ne")
    raise KeyboardInterrupt


def defective(file: BinaryIO) -> None:
    """Write half of a file, until a defect shows."""
    file.write(b"ne")
    message = "a defect"
    raise ValueError(message)


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (device_full, TrainingError, "cannot be written: No space left on device"),
        (interrupted, KeyboardInterrupt, "^$"),
        (defective, ValueError, "a defect"),
    ],
)
def test_former_file_stays_whole(
    tmp_path: Path, write: Callable[[BinaryIO], None], error: type[BaseException], message: str
) -> None:
    """Whatever stops the writing, the file before is still there, and nothing half-written beside it."""
    path = tmp_path / "file"
    path.write_bytes(b"the old one")

    with pytest.raises(error, match=message):
        write_file(path, write)

    assert b"the old one" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    """A path that leads through a file cannot be written."""
    blocker = tmp_path / "blocker"
    blocker.write_bytes(b"in the way")
    path = blocker / "file"

    with pytest.raises(TrainingError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        write_file(path, new)

    assert b"in the way" == blocker.read_bytes()


def test_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    """Where the file cannot take its name, what was written is removed."""
    path = tmp_path / "file"
    (path / "inside").mkdir(parents=True)

    with pytest.raises(TrainingError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        write_file(path, new)

    assert [path] == list(tmp_path.iterdir())
