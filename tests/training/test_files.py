"""Files are written atomically, and errors are one line."""

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


@pytest.mark.parametrize("place", ["file", "new/folder/file"])
def test_file_is_written(tmp_path: Path, place: str) -> None:
    """Folders are created as needed, and no temporary file is left."""
    path = tmp_path / place

    write_file(path, new)

    assert b"new" == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_file_is_replaced_atomically(tmp_path: Path) -> None:
    """The old file is complete while the new one is written, also for a reader that has it open."""
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
    """Write half of a file, then raise the error of a full disk."""
    file.write(b"ne")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupted(file: BinaryIO) -> None:
    """Write half of a file, then raise KeyboardInterrupt."""
    file.write(b"ne")
    raise KeyboardInterrupt


def defective(file: BinaryIO) -> None:
    """Write half of a file, then raise another error."""
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
def test_failed_write_keeps_the_previous_file(
    tmp_path: Path, write: Callable[[BinaryIO], None], error: type[BaseException], message: str
) -> None:
    """After any error the previous file is unchanged, and no temporary file is left."""
    path = tmp_path / "file"
    path.write_bytes(b"the old one")

    with pytest.raises(error, match=message):
        write_file(path, write)

    assert b"the old one" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    """A path through a file cannot be written."""
    blocker = tmp_path / "blocker"
    blocker.write_bytes(b"in the way")
    path = blocker / "file"

    with pytest.raises(TrainingError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        write_file(path, new)

    assert b"in the way" == blocker.read_bytes()


def test_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    """The temporary file is removed when it cannot replace the path."""
    path = tmp_path / "file"
    (path / "inside").mkdir(parents=True)

    with pytest.raises(TrainingError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        write_file(path, new)

    assert [path] == list(tmp_path.iterdir())
