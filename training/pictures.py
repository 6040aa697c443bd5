"""Labelled pictures in folders: read through the service's classifier, counted and shown where misread.

The label is the file name up to the first `_`: a digit, or letters for what is no digit. Files with neither are left
out and listed. They are for measuring; nothing learns from them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from service.classifier import Classifier
from service.cli.files import SUFFIXES
from service.errors import PictureError
from service.images.decoding import decode
from service.model.calibration import Verdict
from service.settings import MAX_PIXELS
from service.types import IMAGE_SIDE, FloatArray
from training.errors import TrainingError
from training.evaluation import Error

# Pixels of a side at which the sheet shows a picture and, beside it, what the network saw; and of the line below.
_SHOWN = 112
_CAPTION = 16
_COLUMNS = 6
_NO_PICTURE = "the name is not that of a picture"
_NO_LABEL = "the name begins neither with a digit that the model knows and `_`, nor with letters alone and `_`"


class PicturesError(TrainingError):
    """A folder holds no labelled pictures; the message says what was looked for."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One picture and what came of it: the answer, or what was wrong; and the input that the network saw.

    `label` and `digit` are None for no digit.
    """

    path: Path
    label: int | None
    digit: int | None
    said: str
    input: FloatArray
    clear: bool = False

    @property
    def right(self) -> bool:
        """Whether a digit got its label as the answer, and what is no digit got no clear one."""
        return not self.clear if self.label is None else self.digit == self.label


@dataclass(frozen=True, eq=False)
class Readings:
    """The readings of every source, by the name of its folder: of digits, and of what is none.

    `left_out` has the files that were not read, by the reason.
    """

    sources: dict[str, list[Reading]]
    foreign: dict[str, list[Reading]]
    left_out: dict[str, list[Path]] = field(default_factory=dict)

    def errors(self) -> dict[str, Error]:
        """Return the error of every source."""
        return {name: _error(readings) for name, readings in self.sources.items()}

    def taken_for_digits(self) -> dict[str, Error]:
        """Return, for every source of what is no digit, how often the answer was a clear digit."""
        return {name: _error(readings) for name, readings in self.foreign.items()}

    @property
    def macro_average(self) -> float:
        """The mean of the sources' errors, 0..1, each counting the same however many pictures it has."""
        return float(np.mean([error.rate for error in self.errors().values()]))

    @property
    def misread(self) -> list[Reading]:
        """The readings that are not right, source by source."""
        return [reading for readings in self.sources.values() for reading in readings if not reading.right]


def read(classifier: Classifier, directory: Path) -> Readings:
    """Ask the classifier about all pictures below a folder whose label is one of its classes, or letters.

    A digit that cannot be answered, or is said to be none, counts as misread. Raises PicturesError when there is no
    digit.
    """
    classes = classifier.model.network.classes
    sources: dict[str, list[Reading]] = {}
    foreign: dict[str, list[Reading]] = {}
    left_out: dict[str, list[Path]] = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        label, parted, _ = path.name.partition("_")
        name = str(path.parent.relative_to(directory))
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("._"):
            left_out.setdefault(_NO_PICTURE, []).append(path)
        elif parted and label.isdecimal() and int(label) in classes:
            sources.setdefault(name, []).append(_read(classifier, path, int(label)))
        elif parted and label.isalpha():
            foreign.setdefault(name, []).append(_read(classifier, path, None))
        else:
            left_out.setdefault(_NO_LABEL, []).append(path)
    if not sources:
        message = f"{directory} holds no pictures whose names begin with a digit and `_`, as in 7_kitchen.jpg"
        raise PicturesError(message)
    return Readings(sources, foreign, left_out)


def _error(readings: list[Reading]) -> Error:
    return Error(sum(not reading.right for reading in readings), len(readings))


def _read(classifier: Classifier, path: Path, label: int | None) -> Reading:
    try:
        prediction = classifier.predict_picture(path.read_bytes())
    except PictureError as error:
        return Reading(path, label, None, str(error), np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.float32))
    if prediction.verdict is Verdict.NOT_A_DIGIT:
        return Reading(path, label, None, f"no digit ({prediction.novelty:.0%})", prediction.input)
    said = f"{prediction.digit} ({prediction.confidence:.0%})"
    clear = prediction.verdict is Verdict.CLEAR
    return Reading(path, label, prediction.digit, said, prediction.input, clear)


def sheet(readings: list[Reading]) -> Image.Image:
    """Draw each picture beside the 28x28 that the network saw, with its source, its label and what was answered."""
    width, height = 2 * _SHOWN + 8, _SHOWN + 2 * _CAPTION
    n_rows = -(-len(readings) // _COLUMNS)
    drawing = Image.new("RGB", (_COLUMNS * width, max(1, n_rows) * height), "white")
    pen = ImageDraw.Draw(drawing)
    for i, reading in enumerate(readings):
        left, top = i % _COLUMNS * width, i // _COLUMNS * height
        drawing.paste(_as_sent(reading.path), (left, top))
        seen = Image.fromarray(np.round(255 * reading.input).astype(np.uint8))
        drawing.paste(seen.resize((_SHOWN, _SHOWN), Image.Resampling.NEAREST), (left + _SHOWN, top))
        pen.text((left + 2, top + _SHOWN), f"{reading.path.parent.name}/{reading.path.name}"[-36:], fill="black")
        pen.text((left + 2, top + _SHOWN + _CAPTION), f"{reading.label}, read {reading.said}"[:36], fill="black")
    return drawing


def _as_sent(path: Path) -> Image.Image:
    """Return a picture as a person sees it, in a square, on grey where it is transparent."""
    square = Image.new("RGB", (_SHOWN, _SHOWN), "silver")
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as opened:
            image = ImageOps.contain(ImageOps.exif_transpose(opened).convert("RGBA"), (_SHOWN, _SHOWN))
    except OSError:
        try:
            # Of HEIC Pillow knows nothing.
            image = ImageOps.contain(Image.fromarray(decode(data, MAX_PIXELS).pixels), (_SHOWN, _SHOWN))
        except PictureError:
            return square  # The caption says what is wrong with it.
    image = image.convert("RGBA")
    square.paste(image, ((_SHOWN - image.width) // 2, (_SHOWN - image.height) // 2), image)
    return square
