"""`digits predict`: many picture files, read here or by a service, shown as text, JSON or CSV in their order."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from service.client import Answer, DigitClient, Problem, batches
from service.errors import SettingsError
from service.files import find
from service.readings import Reading, read, unreadable
from service.settings import Settings

_API_KEY = "DIGITS_API_KEY"
# From so many pictures on, other processes are worth starting and progress is worth showing.
_MANY = 50

_COLUMNS = ("file", "digit", "confidence", "verdict", "novelty", "error")


def predict(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show what is read in each file and return the exit status: 1 when there is one in which nothing could be."""
    files = find(arguments.files)
    if arguments.url is None:
        workers = arguments.workers or ((os.cpu_count() or 1) if len(files) >= _MANY else 1)
        readings = read(files, settings.model, settings.max_pixels, min(workers, len(files)))
    else:
        readings = _ask(files, arguments.url, _api_key(arguments.api_key_file))
    # The name of a file need not be text in the encoding of the output.
    cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    status = 0
    try:
        show = _show_json if arguments.json else _table() if arguments.csv else _show_text
        with closing(readings), _bar(len(files)) as bar:
            for reading in bar.track(readings, total=len(files)):
                show(reading)
                status = 1 if reading.error is not None else status
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` does; nor is what is still in the buffer to be complained of at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _ask(files: Iterable[Path], url: str, api_key: str | None) -> Generator[Reading]:
    """Yield what the service reads in each file."""
    with DigitClient(url, api_key=api_key) as client:
        for batch in batches(map(_opened, files), lambda opened: len(opened[1]) if isinstance(opened[1], bytes) else 0):
            outcomes = iter(client.predict_batch(content for _, content in batch if isinstance(content, bytes)))
            for file, content in batch:
                yield _reading(file, next(outcomes)) if isinstance(content, bytes) else unreadable(file, content)


def _opened(file: Path) -> tuple[Path, bytes | OSError]:
    try:
        return file, file.read_bytes()
    except OSError as error:
        return file, error


def _reading(file: Path, outcome: Answer | Problem) -> Reading:
    if isinstance(outcome, Problem):
        return Reading(file, error=outcome.detail)
    return Reading(file, outcome.digit, outcome.confidence, outcome.verdict, outcome.novelty, outcome.probabilities)


def _api_key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(_API_KEY) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        message = f"--api-key-file {file} cannot be read: {error}"
        raise SettingsError(message) from error


def _bar(total: int) -> Progress:
    """Return a progress bar, unless there are few files or the readings themselves appear on the terminal."""
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        redirect_stdout=False,  # else the readings would go where the bar is
        disable=total < _MANY or not sys.stderr.isatty() or sys.stdout.isatty(),
    )


def _show_text(reading: Reading) -> None:
    if reading.error is not None:
        print(f"digits: {reading.file}: {reading.error}", file=sys.stderr)
    else:
        print(f"{reading.file}: {reading.digit} ({reading.confidence:.1%}, {reading.verdict})")


def _show_json(reading: Reading) -> None:
    if reading.error is not None:
        print(json.dumps({"file": str(reading.file), "error": reading.error}))
        return
    answer = {
        "file": str(reading.file),
        "digit": reading.digit,
        "confidence": reading.confidence,
        "verdict": reading.verdict,
        "novelty": reading.novelty,
        "probabilities": reading.probabilities,
    }
    print(json.dumps(answer))


def _table() -> Callable[[Reading], None]:
    """Begin a table in CSV and return what adds a row."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    return lambda reading: writer.writerow([getattr(reading, column) for column in _COLUMNS])
