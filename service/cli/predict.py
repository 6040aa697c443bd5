"""`digits predict`: picture files in, predictions as text, JSON or CSV out, in the order of the files.

The files are predicted in this process, in a pool of processes, or by a service over HTTP. Out of scope: parsing the
command line (`main`), and finding the files (`files`).
"""

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
from service.cli.batch import FileResult, predict_files, unreadable_file
from service.cli.files import find_files
from service.client import DigitClient, ProblemError
from service.errors import PictureError, SettingsError
from service.images.steps import draw
from service.process import cpu
from service.settings import Settings

_API_KEY = "DIGITS_API_KEY"
# From this number of files on, a process pool pays off and a progress bar is shown.
_MANY_FILES = 50
# Maximum number of skipped files that are named for each reason.
_MAX_SKIPPED_NAMES = 10

# Errors with these statuses concern one picture. Errors with any other status would repeat for every picture, and end
# the command.
_PICTURE_ERRORS = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}

_COLUMNS = ("file", "digit", "confidence", "verdict", "novelty", "error")


def predict(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the result of each file and return the exit status: 0, or 1 if any file has an error."""
    found = find_files(arguments.files)
    files = found.files
    workers = arguments.workers or (cpu.count() if len(files) >= _MANY_FILES else 1)
    if arguments.url is None:
        results = predict_files(files, settings.model, settings.max_pixels, min(workers, len(files)), settings.formats)
        if arguments.steps is not None:
            _write_steps(
                Classifier.load(settings.model, settings.max_pixels, formats=settings.formats), files, arguments.steps
            )
    else:
        results = _predict_by_service(files, arguments.url, _api_key(arguments.api_key_file), workers)
    # A file name need not be encodable in the encoding of stdout.
    cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    status = 0
    try:
        print_result = _print_json if arguments.json else _csv_printer() if arguments.csv else _print_text
        with closing(results), _progress_bar(len(files)) as bar:
            for result in bar.track(results, total=len(files)):
                print_result(result)
                status = 1 if result.error is not None else status
        sys.stdout.flush()
        _print_skipped(found.skipped)
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does. Redirect stdout, so that the flush at exit raises no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _write_steps(classifier: Classifier, files: Iterable[Path], directory: Path) -> None:
    """Write a picture of each processing step of each file as NAME_VIEW_NUMBER_STEP.png. Invalid files are skipped."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in files:
        try:
            picture, seen = classifier.preprocess(file.read_bytes())
        except (OSError, PictureError):
            continue  # The result of the file has the error.
        for view, normalized in enumerate((seen, *seen.others), 1):
            for number, (step, pixels) in enumerate(draw(picture.pixels, normalized).items(), 1):
                Image.fromarray(pixels).save(directory / f"{file.stem}_{view}_{number}_{step}.png")


def _predict_by_service(
    files: Iterable[Path], url: str, api_key: str | None, concurrency: int
) -> Generator[FileResult]:
    """Yield the result of each file as the service predicts it, in this many concurrent requests.

    One request per file, since the rounding of a batch depends on its size: it is one matrix product.
    """
    with DigitClient(url, api_key=api_key) as client, ThreadPoolExecutor(concurrency) as pool:
        futures = (pool.submit(_request_prediction, client, file) for file in files)
        pending = deque(islice(futures, concurrency * 2))
        try:
            while pending:
                yield pending.popleft().result()
                pending.extend(islice(futures, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _request_prediction(client: DigitClient, file: Path) -> FileResult:
    try:
        answer = client.predict(file)
    except OSError as error:
        return unreadable_file(file, error)
    except ProblemError as error:
        if error.status not in _PICTURE_ERRORS:
            raise
        return FileResult(file, error=error.problem.detail)
    return FileResult(file, answer.digit, answer.confidence, answer.verdict, answer.novelty, answer.probabilities)


def _api_key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(_API_KEY) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        message = f"--api-key-file {file} cannot be read: {error}"
        raise SettingsError(message) from error


def _progress_bar(total: int) -> Progress:
    """Return a progress bar on stderr, disabled for few files, and when the results go to the terminal themselves."""
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        redirect_stdout=False,  # rich would redirect the results to stderr
        disable=total < _MANY_FILES or not sys.stderr.isatty() or sys.stdout.isatty(),
    )


def _print_text(result: FileResult) -> None:
    if result.error is not None:
        print(f"digits: {result.file}: {result.error}", file=sys.stderr)
    else:
        print(f"{result.file}: {result.digit} ({result.confidence:.1%}, {result.verdict})")


def _print_json(result: FileResult) -> None:
    if result.error is not None:
        print(json.dumps({"file": str(result.file), "error": result.error}))
        return
    answer = {
        "file": str(result.file),
        "digit": result.digit,
        "confidence": result.confidence,
        "verdict": result.verdict,
        "novelty": result.novelty,
        "probabilities": result.probabilities,
    }
    print(json.dumps(answer))


def _print_skipped(skipped: Mapping[str, Sequence[Path]]) -> None:
    for reason, files in skipped.items():
        more = f" and {len(files) - _MAX_SKIPPED_NAMES} more" if len(files) > _MAX_SKIPPED_NAMES else ""
        names = ", ".join(str(file) for file in files[:_MAX_SKIPPED_NAMES])
        print(f"digits: {len(files)} skipped, {reason}: {names}{more}", file=sys.stderr)


def _csv_printer() -> Callable[[FileResult], None]:
    """Print the header of a CSV table and return a function that prints a row."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    return lambda result: writer.writerow([getattr(result, column) for column in _COLUMNS])
