"""Writing files whole: nobody sees half of one, and what cannot be written is said in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from training.errors import TrainingError


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a file beside the path, then put it there in one step, making folders as needed.

    Raises TrainingError when that fails; a file that was there before is then still whole.
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
