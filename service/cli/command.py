"""What the commands on picture files share: files in, results as text, JSON or CSV out, in the order of the files.

The files are answered in this process, in a pool of processes, or by a service over HTTP. Out of scope: parsing the
command line (`main`), finding the files (`files`), and what is asked about a file (`predict`, `read`).
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from service.cli.answers import JsonObject
from service.cli.batch import Answerer, FileResult, answer_files
from service.cli.files import FoundFiles
from service.cli.requests import Ask, read_api_key, request_answers
from service.process import cpu
from service.settings import Settings

# From this number of files on, a process pool pays off and a progress bar is shown.
_MANY_FILES = 50
# Maximum number of skipped files that are named for each reason.
_MAX_SKIPPED_NAMES = 10


@dataclass(frozen=True)
class Command:
    """What is asked about a file, and how the answer is printed.

    `answer` is sent to worker processes, so it has to be picklable. `ask` is used with --url. `describe` returns the
    text after the name of the file. `fields` are those of the JSON output, in their order; absent ones are left out.
    `columns` are those of the CSV output between `file` and `error`, each with a function of the answer.
    """

    answer: Answerer
    ask: Ask
    describe: Callable[[JsonObject], str]
    fields: tuple[str, ...]
    columns: Mapping[str, Callable[[JsonObject], object]]


def run(command: Command, settings: Settings, arguments: argparse.Namespace, found: FoundFiles) -> int:
    """Print the result of each file and return the exit status: 0, or 1 if any file has an error."""
    # A file name need not be encodable in the encoding of stdout.
    cast("io.TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")
    status = 0
    try:
        with closing(_results(command, settings, arguments, found.files)) as results:
            print_result = _printer(command, arguments)
            with _progress_bar(len(found.files)) as bar:
                for result in bar.track(results, total=len(found.files)):
                    print_result(result)
                    status = 1 if result.error is not None else status
        sys.stdout.flush()
        _print_skipped(found.skipped)
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does. Redirect stdout, so that the flush at exit raises no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _results(
    command: Command, settings: Settings, arguments: argparse.Namespace, files: Sequence[Path]
) -> Generator[FileResult]:
    workers = arguments.workers or (cpu.count() if len(files) >= _MANY_FILES else 1)
    if arguments.url is None:
        return answer_files(files, command.answer, settings, min(workers, len(files)))
    return request_answers(files, command.ask, arguments.url, read_api_key(arguments.api_key_file), workers)


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


def _printer(command: Command, arguments: argparse.Namespace) -> Callable[[FileResult], None]:
    """Return a function that prints a result. For CSV, print the header."""
    if arguments.json:
        return lambda result: _print_json(command, result)
    if arguments.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["file", *command.columns, "error"])
        return lambda result: writer.writerow([result.file, *_cells(command, result), result.error])
    return lambda result: _print_text(command, result)


def _print_text(command: Command, result: FileResult) -> None:
    if result.answer is None:
        print(f"digits: {result.file}: {result.error}", file=sys.stderr)
    else:
        print(f"{result.file}: {command.describe(result.answer)}")


def _print_json(command: Command, result: FileResult) -> None:
    if result.answer is None:
        fields = {"error": result.error}
    else:
        fields = {name: result.answer[name] for name in command.fields if name in result.answer}
    print(json.dumps({"file": str(result.file)} | fields))


def _cells(command: Command, result: FileResult) -> list[object]:
    return [None if result.answer is None else cell(result.answer) for cell in command.columns.values()]


def _print_skipped(skipped: Mapping[str, Sequence[Path]]) -> None:
    for reason, files in skipped.items():
        more = f" and {len(files) - _MAX_SKIPPED_NAMES} more" if len(files) > _MAX_SKIPPED_NAMES else ""
        names = ", ".join(str(file) for file in files[:_MAX_SKIPPED_NAMES])
        print(f"digits: {len(files)} skipped, {reason}: {names}{more}", file=sys.stderr)
