"""Picture files in, what was read in them out: in their order, in this process or several at once.

However many files there are, only as many are in memory as are being worked on. Out of scope: finding them (`files`),
and how readings are shown (`cli`).
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

# Files handed out ahead for each process, so that none has to wait for the next.
_AHEAD = 4


class WorkerLost(DigitsError):
    """A process that read pictures was ended from outside."""


@dataclass(frozen=True)
class Reading:
    """What was read in one file, or the error that says why nothing was; `novelty` is None also where none is known."""

    file: Path
    digit: int | None = None
    confidence: float | None = None
    verdict: str | None = None
    novelty: float | None = None
    probabilities: tuple[float, ...] | None = None
    error: str | None = None


def read(
    files: Iterable[Path], model: Path, max_pixels: int, workers: int, formats: tuple[str, ...] = FORMATS
) -> Generator[Reading]:
    """Yield the reading of each file in these formats, by so many processes, which only the main thread may start.

    Raises ArtifactError when the model cannot be used, and WorkerLost.
    """
    if workers > 1:
        yield from _read_by_many(files, model, max_pixels, workers, formats)
        return
    # As in the service: as fast for one picture, and the same to the last digit.
    with threadpool_limits(1, user_api="blas"):
        classifier = Classifier.load(model, max_pixels, formats=formats)
        for file in files:
            yield _read(classifier, file)


def unreadable(file: Path, error: OSError) -> Reading:
    """Return what is to be said of a file that the system does not let be read."""
    return Reading(file, error=error.strerror or str(error))


def _read(classifier: Classifier, file: Path) -> Reading:
    try:
        prediction = classifier.predict_picture(file.read_bytes())
    except OSError as error:
        return unreadable(file, error)
    except PictureError as error:
        return Reading(file, error=str(error))
    return Reading(
        file,
        prediction.digit,
        prediction.confidence,
        prediction.verdict,
        prediction.novelty,
        tuple(prediction.probabilities.tolist()),
    )


def _read_by_many(
    files: Iterable[Path], model: Path, max_pixels: int, workers: int, formats: tuple[str, ...]
) -> Generator[Reading]:
    # New processes: forks would inherit the threads of BLAS in whatever state they are.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin)
    futures = (pool.submit(_read_in_worker, model, max_pixels, formats, file) for file in files)
    try:
        with _interrupts_held():
            waiting = deque(islice(futures, workers * _AHEAD))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(islice(futures, 1))
    except BaseException as error:
        # Nobody waits any more for what they are reading.
        for process in active_children():
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            message = "a process that read pictures was ended, perhaps for lack of memory: try fewer --workers"
            raise WorkerLost(message) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C, which a terminal sends to all of them: this one ends the others.

    It hears afterwards of one that came meanwhile.
    """
    if sys.platform == "win32":
        yield
        return
    before = pthread_sigmask(SIG_BLOCK, {SIGINT})
    try:
        yield
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def _read_in_worker(model: Path, max_pixels: int, formats: tuple[str, ...], file: Path) -> Reading:
    return _read(_load(model, max_pixels, formats), file)


@cache
def _load(model: Path, max_pixels: int, formats: tuple[str, ...]) -> Classifier:
    """Return the classifier of this process."""
    # Every process has a processor for itself; BLAS threads of each would fight for the same ones.
    threadpool_limits(1, user_api="blas")
    return Classifier.load(model, max_pixels, formats=formats)


def _begin() -> None:
    Thread(target=_end_with, args=(parent_process(),), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """End this process when the one that started it is killed: the pool would wait for work for ever."""
    parent.join()
    os._exit(1)
