"""Tests of service.cli.batch."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

import pytest

from service.classifier import Classifier
from service.cli.batch import Reading, WorkerLost, read, unreadable
from service.errors import ArtifactError
from service.settings import MAX_PIXELS
from tests.pictures import draw, encode


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return pictures of ten digits, a blank one, what is no picture, a folder, and nothing."""
    contents = [*(encode(draw(digit)) for digit in range(10)), encode(draw(ink=255)), b"text"]
    paths = [tmp_path / f"{i:02}.png" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return [*paths, tmp_path, tmp_path / "none.png"]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a file that is read for as long as nobody writes it."""
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_readings_are_what_the_classifier_says(files: list[Path], tiny_model: Path, workers: int) -> None:
    """In the order of the files and to the last digit; what cannot be read has its error and no more."""
    classifier = Classifier.load(tiny_model)
    readings = list(read(files, tiny_model, MAX_PIXELS, workers))
    predictions = [classifier.predict_picture(file.read_bytes()) for file in files[:10]]

    assert files == [reading.file for reading in readings]
    assert [
        (p.digit, p.confidence, p.verdict, p.novelty, tuple(p.probabilities.tolist()), None) for p in predictions
    ] == [astuple(reading)[1:] for reading in readings[:10]]
    assert [(None,) * 5] * 4 == [astuple(reading)[1:-1] for reading in readings[10:]]
    assert "Is a directory" == readings[12].error
    assert "No such file or directory" == readings[13].error


@pytest.mark.parametrize("workers", [1, 2])
def test_the_limit_on_pixels_holds(files: list[Path], tiny_model: Path, workers: int) -> None:
    """Whichever process looks."""
    (reading,) = read(files[:1], tiny_model, 1000, workers)

    assert (reading.error or "").startswith("the picture has 200 x 200")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_cannot_be_used_is_told(files: list[Path], tmp_path: Path, workers: int) -> None:
    """As one error, not as one of each file."""
    with pytest.raises(ArtifactError, match="cannot be read"):
        list(read(files, tmp_path / "none.safetensors", MAX_PIXELS, workers))


@pytest.mark.parametrize(("workers", "expected"), [(1, 2), (2, 9)])
def test_files_are_taken_as_they_are_needed(files: list[Path], tiny_model: Path, workers: int, expected: int) -> None:
    """Of any number of files only a few are asked for ahead of the readings."""
    endless = iter(range(1_000_000))
    with closing(read((files[0] for _ in endless), tiny_model, MAX_PIXELS, workers)) as readings:
        next(readings)
        next(readings)

    assert expected == next(endless)


def test_whoever_stops_leaves_no_process(pipe: Path, files: list[Path], tiny_model: Path) -> None:
    """Even one that would read for ever."""
    with closing(read([files[0], pipe, pipe], tiny_model, MAX_PIXELS, 2)) as readings:
        next(readings)
        running = multiprocessing.active_children()

    assert 2 == len(running)
    assert [] == multiprocessing.active_children()


@pytest.fixture
def lost_process(pipe: Path) -> Iterator[threading.Thread]:
    """Lose every process as soon as one reads the pipe."""

    def kill() -> None:
        with pipe.open("wb"):  # waits for a reader
            for process in multiprocessing.active_children():
                process.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    yield thread
    thread.join()


@pytest.mark.usefixtures("lost_process")
def test_a_process_that_is_lost_is_told(pipe: Path, tiny_model: Path) -> None:
    """As when the system is short of memory: what to do, and no traceback of the pool."""
    with pytest.raises(WorkerLost, match="try fewer --workers"):
        list(read([pipe], tiny_model, MAX_PIXELS, 2))


def test_an_error_without_words_is_told_in_others() -> None:
    """Not every error of the system has a text of its own."""
    assert Reading(Path("a.png"), error="odd") == unreadable(Path("a.png"), OSError("odd"))
