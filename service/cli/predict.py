"""`digits predict`: many picture files, read here or by a service, shown as text, JSON or CSV in their order."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import cast

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from service.classifier import Classifier
from service.cli.batch import Reading, read, unreadable
from service.cli.files import find
from service.client import DigitClient, ProblemError
from service.errors import PictureError, SettingsError
from service.images.steps import draw
from service.process import cpu
from service.settings import Settings

_API_KEY = "DIGITS_API_KEY"
# From so many pictures on, other processes are worth starting and progress is worth showing.
_MANY = 50
# Of the files that are left out for one reason, so many are named.
_NAMED = 10

# Other refusals hold for every picture, and end the command.
_ABOUT_THE_PICTURE = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}

_COLUMNS = ("file", "digit", "confidence", "verdict", "novelty", "error")


def predict(settings: Settings, arguments: argparse.Namespace) -> int:
    """Show what is read in each file and return the exit status: 1 when there is one in which nothing could be."""
    found = find(arguments.files)
    files = found.files
    workers = arguments.workers or (cpu.count() if len(files) >= _MANY else 1)
    if arguments.url is None:
        readings = read(files, settings.model, settings.max_pixels, min(workers, len(files)), settings.formats)
        if arguments.steps is not None:
            _write_steps(
                Classifier.load(settings.model, settings.max_pixels, formats=settings.formats), files, arguments.steps
            )
    else:
        readings = _ask(files, arguments.url, _api_key(arguments.api_key_file), workers)
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
        _show_left_out(found.left_out)
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` does; nor is what is still in the buffer to be complained of at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _write_steps(classifier: Classifier, files: Iterable[Path], directory: Path) -> None:
    """Write a picture of each step, of each way to see each file that can be read: NAME_WAY_NUMBER_STEP.png."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in files:
        try:
            picture, seen = classifier.see(file.read_bytes())
        except (OSError, PictureError):
            continue  # The reading says what is wrong.
        for way, normalized in enumerate((seen, *seen.others), 1):
            for number, (step, pixels) in enumerate(draw(picture.pixels, normalized).items(), 1):
                Image.fromarray(pixels).save(directory / f"{file.stem}_{way}_{number}_{step}.png")


def _ask(files: Iterable[Path], url: str, api_key: str | None, at_once: int) -> Generator[Reading]:
    """Yield what the service reads in each file, one a request.

    Asked for many at once, it would compute them as one matrix product, whose last digits depend on all of them.
    """
    with DigitClient(url, api_key=api_key) as client, ThreadPoolExecutor(at_once) as pool:
        futures = (pool.submit(_ask_for, client, file) for file in files)
        waiting = deque(islice(futures, at_once * 2))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(islice(futures, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _ask_for(client: DigitClient, file: Path) -> Reading:
    try:
        answer = client.predict(file)
    except OSError as error:
        return unreadable(file, error)
    except ProblemError as error:
        if error.status not in _ABOUT_THE_PICTURE:
            raise
        return Reading(file, error=error.problem.detail)
    return Reading(file, answer.digit, answer.confidence, answer.verdict, answer.novelty, answer.probabilities)


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


def _show_left_out(left_out: Mapping[str, Sequence[Path]]) -> None:
    for reason, files in left_out.items():
        more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
        names = ", ".join(str(file) for file in files[:_NAMED])
        print(f"digits: {len(files)} left out, {reason}: {names}{more}", file=sys.stderr)


def _table() -> Callable[[Reading], None]:
    """Begin a table in CSV and return what adds a row."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    return lambda reading: writer.writerow([getattr(reading, column) for column in _COLUMNS])
