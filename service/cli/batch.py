"""Picture files in, a FileResult for each out, in their order: answered in this process or in a pool of processes.

Memory does not grow with the number of files: only a few per process are read ahead. Out of scope: finding the files
(`files`), what an answer is (`answers`), and printing the results (`command`).
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGINT
from threading import Thread

from threadpoolctl import threadpool_limits

from service.classifier import Classifier
from service.cli.answers import JsonObject
from service.errors import DigitsError, PictureError
from service.settings import Settings

if sys.platform != "win32":  # pragma: no branch
    from signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask

# Files submitted ahead per process, so that no process is idle.
_PREFETCH = 4


class WorkerLost(DigitsError):
    """A worker process ended unexpectedly, for example for lack of memory."""


@dataclass(frozen=True)
class FileResult:
    """The answer on one file, or its `error`; the other is None."""

    file: Path
    answer: JsonObject | None = None
    error: str | None = None


Answerer = Callable[[Classifier, bytes], JsonObject]
"""Returns the answer on an encoded picture, or raises PictureError."""


def answer_files(files: Iterable[Path], answer: Answerer, settings: Settings, workers: int) -> Generator[FileResult]:
    """Yield the result of each file, answered by this many processes. The settings name the model and the limits.

    With more than one worker, `answer` has to be picklable, and the caller in the main thread. Raises ArtifactError
    when the model cannot be loaded, and WorkerLost.
    """
    if workers > 1:
        yield from _answer_in_pool(files, answer, settings, workers)
        return
    # One BLAS thread, as in the service: equally fast for one picture, and the same rounding.
    with threadpool_limits(1, user_api="blas"):
        classifier = _load(settings)
        for file in files:
            yield _answer_file(classifier, answer, file)


def unreadable_file(file: Path, error: OSError) -> FileResult:
    """Return the result of a file that the operating system could not read."""
    return FileResult(file, error=error.strerror or str(error))


def _answer_file(classifier: Classifier, answer: Answerer, file: Path) -> FileResult:
    try:
        return FileResult(file, answer(classifier, file.read_bytes()))
    except OSError as error:
        return unreadable_file(file, error)
    except PictureError as error:
        return FileResult(file, error=str(error))


def _load(settings: Settings) -> Classifier:
    return Classifier.load(settings.model, settings.max_pixels, formats=settings.formats)


def _answer_in_pool(files: Iterable[Path], answer: Answerer, settings: Settings, workers: int) -> Generator[FileResult]:
    # Spawned, not forked: a fork would inherit the BLAS threads in an undefined state.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_parent_watcher)
    futures = (pool.submit(_answer_in_worker, settings, answer, file) for file in files)
    try:
        with _sigint_blocked():
            pending = deque(islice(futures, workers * _PREFETCH))
        while pending:
            yield pending.popleft().result()
            pending.extend(islice(futures, 1))
    except BaseException as error:
        # Nobody will collect the results any more.
        for process in active_children():
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            message = "a worker process ended, perhaps for lack of memory: try fewer --workers"
            raise WorkerLost(message) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT while worker processes are started, which inherit the signal mask.

    A terminal sends Ctrl-C to the whole process group. Only this process handles it, and terminates the workers. A
    SIGINT that arrives in the block is delivered at its end.
    """
    if sys.platform == "win32":
        yield
        return
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def _answer_in_worker(settings: Settings, answer: Answerer, file: Path) -> FileResult:
    return _answer_file(_classifier(settings), answer, file)


@cache
def _classifier(settings: Settings) -> Classifier:
    """Return the classifier of this worker process, loaded once."""
    # There is one worker per processor; more BLAS threads would compete for the same processors.
    threadpool_limits(1, user_api="blas")
    return _load(settings)


def _start_parent_watcher() -> None:
    Thread(target=_exit_with, args=(parent_process(),), daemon=True).start()


def _exit_with(parent: BaseProcess) -> None:
    """Exit when the parent process has been killed: the pool's worker would wait for work for ever."""
    parent.join()
    os._exit(1)
