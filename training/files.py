"""Atomic writing of files.

Enters: a path and a function that writes content. Leaves: the file, or a TrainingError. Out of scope: formats.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from training.errors import TrainingError


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically: `write` fills a temporary file, which then replaces the path. Creates folders.

    Raises TrainingError when that fails. An existing file is unchanged then.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                write(file)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise TrainingError(message) from error
