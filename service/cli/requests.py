"""Picture files in, a FileResult for each out, in their order: answered by a service over HTTP.

Out of scope: finding the files (`files`), and printing the results (`command`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import islice
from pathlib import Path

from pydantic import BaseModel

from service.cli.batch import FileResult, unreadable_file
from service.client import DigitClient, ProblemError
from service.errors import SettingsError

_API_KEY = "DIGITS_API_KEY"
# Errors with these statuses concern one picture. Errors with any other status would repeat for every picture, and end
# the command.
_PICTURE_ERRORS = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}

Ask = Callable[[DigitClient, Path], BaseModel]
"""Requests the answer on one file."""


def request_answers(
    files: Iterable[Path], ask: Ask, url: str, api_key: str | None, concurrency: int
) -> Generator[FileResult]:
    """Yield the result of each file as the service answers it, in this many concurrent requests.

    One request per file, since the rounding of a batch depends on its size: it is one matrix product. Raises
    ClientError for an error that would repeat for every file.
    """
    with DigitClient(url, api_key=api_key) as client, ThreadPoolExecutor(concurrency) as pool:
        futures = (pool.submit(_request_answer, client, ask, file) for file in files)
        pending = deque(islice(futures, concurrency * 2))
        try:
            while pending:
                yield pending.popleft().result()
                pending.extend(islice(futures, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _request_answer(client: DigitClient, ask: Ask, file: Path) -> FileResult:
    try:
        answer = ask(client, file)
    except OSError as error:
        return unreadable_file(file, error)
    except ProblemError as error:
        if error.status not in _PICTURE_ERRORS:
            raise
        return FileResult(file, error=error.problem.detail)
    return FileResult(file, answer.model_dump(mode="json", exclude_unset=True))


def read_api_key(file: Path | None) -> str | None:
    """Return the API key in a file, or without one that of the environment. Raises SettingsError."""
    if file is None:
        return os.environ.get(_API_KEY) or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        message = f"--api-key-file {file} cannot be read: {error}"
        raise SettingsError(message) from error
