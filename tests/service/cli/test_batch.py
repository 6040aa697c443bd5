"""Tests of service.cli.batch."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service.classifier import Classifier
from service.cli import answers
from service.cli.batch import FileResult, WorkerLost, answer_files, unreadable_file
from service.errors import ArtifactError
from service.settings import Settings
from tests.pictures import draw, encode


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Return PNG pictures of ten digits, 200 x 200 pixels each."""
    paths = [tmp_path / f"{digit:02}.png" for digit in range(10)]
    for digit, path in enumerate(paths):
        path.write_bytes(encode(draw(digit)))
    return paths


@pytest.fixture
def unanswerable(tmp_path: Path) -> list[Path]:
    """Return a blank picture, one with more than 40,000 pixels, a JPEG, a text, a folder, and a missing file."""
    contents = {
        "blank.png": encode(draw(ink=255)),
        "large.png": encode(draw(size=(201, 200))),
        "seven.jpg": encode(draw(), "JPEG"),
        "text.png": b"text",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [*(tmp_path / name for name in contents), tmp_path, tmp_path / "none.png"]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a named pipe without a writer, which blocks its readers."""
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_match_the_classifier(
    pictures: list[Path], unanswerable: list[Path], tiny_model: Path, workers: int
) -> None:
    """Results are in the order of the files and equal those of the classifier; a file with an error has no answer.

    The limits on pixels and formats hold in every process.
    """
    classifier = Classifier.load(tiny_model)
    settings = Settings(model=tiny_model, max_pixels=40_000, formats=("PNG",))
    results = list(answer_files([*pictures, *unanswerable], answers.predict, settings, workers))
    errors = [result.error or "" for result in results[10:]]

    assert [*pictures, *unanswerable] == [result.file for result in results]
    assert [answers.predict(classifier, file.read_bytes()) for file in pictures] == [
        result.answer for result in results[:10]
    ]
    assert [None] * 10 == [result.error for result in results[:10]]
    assert [None] * 6 == [result.answer for result in results[10:]]
    assert all(errors)
    assert errors[1].startswith("the picture has 201 x 200")
    assert errors[2].startswith("JPEG pictures are not accepted here")
    assert ["Is a directory", "No such file or directory"] == errors[4:]


@pytest.mark.slow
def test_unusable_model_is_one_error(pictures: list[Path], tmp_path: Path) -> None:
    """An error of the workers is raised, not reported for each file."""
    with pytest.raises(ArtifactError, match="cannot be read"):
        list(answer_files(pictures, answers.predict, Settings(model=tmp_path / "none.safetensors"), 2))


def test_files_are_consumed_lazily(pictures: list[Path], tiny_model: Path) -> None:
    """Without a pool, no file is read ahead."""
    indices = itertools.count()
    files = (pictures[0] for _ in indices)
    with closing(answer_files(files, answers.predict, Settings(model=tiny_model), 1)) as results:
        next(results)
        next(results)

    assert 2 == next(indices)


@pytest.mark.slow
def test_pool_is_lazy_and_ends_with_the_generator(pipe: Path, pictures: list[Path], tiny_model: Path) -> None:
    """Of an endless iterable few files are submitted ahead; closing terminates processes that are still reading."""
    indices = itertools.count()
    files = (pictures[0] if i < 2 else pipe for i in indices)
    with closing(answer_files(files, answers.predict, Settings(model=tiny_model), 2)) as results:
        next(results)
        next(results)
        running = multiprocessing.active_children()

    assert 9 == next(indices)
    assert 2 == len(running)
    assert [] == multiprocessing.active_children()


@pytest.fixture
def killed_workers(pipe: Path) -> Iterator[None]:
    """Kill every worker process as soon as one opens the pipe."""

    def kill() -> None:
        with pipe.open("wb"):  # blocks until there is a reader
            for process in multiprocessing.active_children():
                process.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join()


@pytest.mark.slow
@pytest.mark.usefixtures("killed_workers")
def test_killed_worker_raises_worker_lost(pipe: Path, tiny_model: Path) -> None:
    """The message suggests fewer workers, since the system may be short of memory."""
    with pytest.raises(WorkerLost, match="try fewer --workers"):
        list(answer_files([pipe], answers.predict, Settings(model=tiny_model), 2))


def test_os_error_without_strerror_is_reported_by_its_message() -> None:
    """Not every OSError has a strerror."""
    assert FileResult(Path("a.png"), error="odd") == unreadable_file(Path("a.png"), OSError("odd"))
