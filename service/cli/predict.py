"""`digits predict`: the digit in each picture file. Out of scope: what it shares with `digits read` (`command`)."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path

from PIL import Image

from service.classifier import Classifier
from service.cli import answers
from service.cli.answers import JsonObject
from service.cli.command import Command, run
from service.cli.files import FilesError, find_files
from service.client import DigitClient
from service.errors import PictureError
from service.images.steps import draw
from service.settings import Settings

_COLUMNS = ("digit", "confidence", "verdict", "novelty")


def predict(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the digit in each file and return the exit status: 0, or 1 if any file has an error."""
    found = find_files(arguments.files)
    if arguments.steps is not None:
        if arguments.files == ["-"]:
            message = "--steps names its pictures after the file, and reads it twice: give it a file instead of -"
            raise FilesError(message)
        classifier = Classifier.load(settings.model, settings.max_pixels, formats=settings.formats)
        _write_steps(classifier, found.files, arguments.steps)
    command = Command(
        answer=answers.predict,
        ask=DigitClient.predict,
        describe=_describe,
        fields=(*_COLUMNS, "probabilities"),
        columns={name: itemgetter(name) for name in _COLUMNS},
    )
    return run(command, settings, arguments, found)


def _describe(answer: JsonObject) -> str:
    return f"{answer['digit']} ({answer['confidence']:.1%}, {answer['verdict']})"


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
