"""Picture files in, a FileResult for each out, in their order: predicted in this process or in a pool of processes.

Memory does not grow with the number of files: only a few per process are read ahead. Out of scope: finding the files
(`files`), and printing the results (`predict`).
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
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
from service.errors import DigitsError, PictureError
from service.types import FORMATS

if sys.platform != "win32":  # pragma: no branch
    from signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask

# Files submitted ahead per process, so that no process is idle.
_PREFETCH = 4


class WorkerLost(DigitsError):
    """A worker process ended unexpectedly, for example for lack of memory."""


@dataclass(frozen=True)
class FileResult:
    """The prediction for one file, or its `error`, in which case all else is None.

    `novelty` is the out-of-distribution (OOD) score, 0 to 1; None also when the model has no OOD detector.
    """

    file: Path
    digit: int | None = None
    confidence: float | None = None
    verdict: str | None = None
    novelty: float | None = None
    probabilities: tuple[float, ...] | None = None
    error: str | None = None


def predict_files(
    files: Iterable[Path], model: Path, max_pixels: int, workers: int, formats: tuple[str, ...] = FORMATS
) -> Generator[FileResult]:
    """Yield the result of each file, predicted by this many processes. Only pictures in `formats` are accepted.

    With more than one worker, call it from the main thread. Raises ArtifactError when the model cannot be loaded, and
    WorkerLost.
    """
    if workers > 1:
        yield from _predict_in_pool(files, model, max_pixels, workers, formats)
        return
    # One BLAS thread, as in the service: equally fast for one picture, and the same rounding.
    with threadpool_limits(1, user_api="blas"):
        classifier = Classifier.load(model, max_pixels, formats=formats)
        for file in files:
            yield _predict_file(classifier, file)


def unreadable_file(file: Path, error: OSError) -> FileResult:
    """Return the result of a file that the operating system could not read."""
    return FileResult(file, error=error.strerror or str(error))


def _predict_file(classifier: Classifier, file: Path) -> FileResult:
    try:
        prediction = classifier.predict_picture(file.read_bytes())
    except OSError as error:
        return unreadable_file(file, error)
    except PictureError as error:
        return FileResult(file, error=str(error))
    return FileResult(
        file,
        prediction.digit,
        prediction.confidence,
        prediction.verdict,
        prediction.novelty,
        tuple(prediction.probabilities.tolist()),
    )


def _predict_in_pool(
    files: Iterable[Path], model: Path, max_pixels: int, workers: int, formats: tuple[str, ...]
) -> Generator[FileResult]:
    # Spawned, not forked: a fork would inherit the BLAS threads in an undefined state.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_parent_watcher)
    futures = (pool.submit(_predict_in_worker, model, max_pixels, formats, file) for file in files)
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


def _predict_in_worker(model: Path, max_pixels: int, formats: tuple[str, ...], file: Path) -> FileResult:
    return _predict_file(_classifier(model, max_pixels, formats), file)


@cache
def _classifier(model: Path, max_pixels: int, formats: tuple[str, ...]) -> Classifier:
    """Return the classifier of this worker process, loaded once."""
    # There is one worker per processor; more BLAS threads would compete for the same processors.
    threadpool_limits(1, user_api="blas")
    return Classifier.load(model, max_pixels, formats=formats)


def _start_parent_watcher() -> None:
    Thread(target=_exit_with, args=(parent_process(),), daemon=True).start()


def _exit_with(parent: BaseProcess) -> None:
    """Exit when the parent process has been killed: the pool's worker would wait for work for ever."""
    parent.join()
    os._exit(1)
