"""Evaluates a model on labelled pictures in folders.

Enters: a classifier and a folder. The label of a picture is its file name up to the first `_`: a digit, or letters for
a picture without a digit. Leaves: errors by folder, and a contact sheet of the misclassified pictures. Files without a
label are skipped and listed. Out of scope: training on pictures.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from service.classifier import Classifier
from service.cli.files import SUFFIXES
from service.errors import PictureError
from service.images.decoding import decode
from service.model.verdict import Verdict
from service.settings import MAX_PIXELS
from service.types import IMAGE_SIDE, FloatArray
from training.errors import TrainingError
from training.evaluation import Error
from training.sheets import contact_sheet

# Side of a picture, and of the network's input beside it, in pixels; columns of the sheet; and the most characters of a
# line of a caption.
_TILE_SIDE = 112
_COLUMNS = 6
_CAPTION_LENGTH = 36
_NO_PICTURE = "the suffix is not that of a picture"
_NO_LABEL = "the name begins neither with a class of the model and `_`, nor with letters and `_`"


class PicturesError(TrainingError):
    """A folder has no labelled pictures."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The result for one picture.

    `label` is None for a picture without a digit, `digit` is None where the model predicted none. `caption` has the
    answer, or the reason why there is none. `input` is the network's input float32 (28, 28), 0..1.
    """

    path: Path
    label: int | None
    digit: int | None
    caption: str
    input: FloatArray
    clear: bool = False

    @property
    def correct(self) -> bool:
        """Whether a digit was predicted as its label, or a picture without a digit did not get the verdict `clear`."""
        return not self.clear if self.label is None else self.digit == self.label


@dataclass(frozen=True, eq=False)
class Readings:
    """The readings by folder: `digits`, and `negatives` without a digit. `skipped` has the skipped files by reason."""

    digits: dict[str, list[Reading]]
    negatives: dict[str, list[Reading]]
    skipped: dict[str, list[Path]] = field(default_factory=dict)

    def errors(self) -> dict[str, Error]:
        """Return the error on digits for every folder."""
        return {name: _error(readings) for name, readings in self.digits.items()}

    def false_accepts(self) -> dict[str, Error]:
        """Return for every folder how often a picture without a digit got the verdict `clear`."""
        return {name: _error(readings) for name, readings in self.negatives.items()}

    @property
    def macro_average(self) -> float:
        """The unweighted mean of the folders' errors on digits, 0..1."""
        return float(np.mean([error.rate for error in self.errors().values()]))

    @property
    def misread(self) -> list[Reading]:
        """The misclassified digits, by folder."""
        return [reading for readings in self.digits.values() for reading in readings if not reading.correct]


def read(classifier: Classifier, directory: Path) -> Readings:
    """Classify all labelled pictures below a folder.

    A rejected picture of a digit, or one with the verdict `not_a_digit`, is an error. Raises PicturesError when there
    is no picture of a digit.
    """
    classes = classifier.model.network.classes
    digits: dict[str, list[Reading]] = {}
    negatives: dict[str, list[Reading]] = {}
    skipped: dict[str, list[Path]] = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        label, separator, _ = path.name.partition("_")
        name = str(path.parent.relative_to(directory))
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("._"):
            skipped.setdefault(_NO_PICTURE, []).append(path)
        elif separator and label.isdecimal() and int(label) in classes:
            digits.setdefault(name, []).append(_read(classifier, path, int(label)))
        elif separator and label.isalpha():
            negatives.setdefault(name, []).append(_read(classifier, path, None))
        else:
            skipped.setdefault(_NO_LABEL, []).append(path)
    if not digits:
        message = f"{directory} has no pictures whose names begin with a digit and `_`, as in 7_kitchen.jpg"
        raise PicturesError(message)
    return Readings(digits, negatives, skipped)


def _error(readings: list[Reading]) -> Error:
    return Error(sum(not reading.correct for reading in readings), len(readings))


def _read(classifier: Classifier, path: Path, label: int | None) -> Reading:
    try:
        prediction = classifier.predict_picture(path.read_bytes())
    except PictureError as error:
        return Reading(path, label, None, str(error), np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.float32))
    if prediction.verdict is Verdict.NOT_A_DIGIT:
        return Reading(path, label, None, f"no digit ({prediction.novelty:.0%})", prediction.input)
    caption = f"{prediction.digit} ({prediction.confidence:.0%})"
    clear = prediction.verdict is Verdict.CLEAR
    return Reading(path, label, prediction.digit, caption, prediction.input, clear)


def sheet(readings: list[Reading]) -> Image.Image:
    """Return an RGB contact sheet: each picture beside the network's input, above its path, label and answer."""
    return contact_sheet([(_tile(one), _caption(one)) for one in readings], (2 * _TILE_SIDE, _TILE_SIDE), _COLUMNS, 2)


def _caption(reading: Reading) -> tuple[str, str]:
    path, answer = f"{reading.path.parent.name}/{reading.path.name}", f"{reading.label}, read {reading.caption}"
    return path[-_CAPTION_LENGTH:], answer[:_CAPTION_LENGTH]


def _tile(reading: Reading) -> Image.Image:
    """Return a picture, and the network's input to its right."""
    tile = Image.new("RGB", (2 * _TILE_SIDE, _TILE_SIDE))
    tile.paste(_thumbnail(reading.path), (0, 0))
    network_input = Image.fromarray(np.round(255 * reading.input).astype(np.uint8))
    tile.paste(network_input.resize((_TILE_SIDE, _TILE_SIDE), Image.Resampling.NEAREST), (_TILE_SIDE, 0))
    return tile


def _thumbnail(path: Path) -> Image.Image:
    """Return a picture in its orientation, in a square, on grey where it is transparent or cannot be decoded."""
    square = Image.new("RGB", (_TILE_SIDE, _TILE_SIDE), "silver")
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as opened:
            image = ImageOps.contain(ImageOps.exif_transpose(opened).convert("RGBA"), (_TILE_SIDE, _TILE_SIDE))
    except OSError:
        try:
            # Pillow cannot decode HEIC.
            image = ImageOps.contain(Image.fromarray(decode(data, MAX_PIXELS).pixels), (_TILE_SIDE, _TILE_SIDE))
        except PictureError:
            return square
    image = image.convert("RGBA")
    square.paste(image, ((_TILE_SIDE - image.width) // 2, (_TILE_SIDE - image.height) // 2), image)
    return square
