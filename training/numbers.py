"""Evaluates the reader on pictures of numbers in folders, and on rows of MNIST's digits.

Enters: a reader, and digits or a folder with `truth.tsv`, which has a line for each picture: its file, its text with
" / " between lines, and its kind, separated by tabs. Leaves: which pictures were read right, how many digits by edit
distance, and a contact sheet of those that were misread. Out of scope: training on pictures.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from service.errors import PictureError
from service.images.decoding import decode
from service.model.verdict import ReadingVerdict
from service.reader import Reader, Reading
from service.settings import MAX_PIXELS
from training.errors import TrainingError
from training.evaluation import Error
from training.mnist import Digits
from training.rows import GAPS, make_row
from training.sheets import contact_sheet

TRUTH = "truth.tsv"
_BETWEEN_LINES = " / "
# Kinds of pictures that have no lines to be read in, and folders of print, are shown and not counted in the averages.
_UNCOUNTED_KIND = "scattered"
_UNCOUNTED_FOLDER = "printed"
# Digits of a row for evaluation.
_ROW_LENGTH = 5
# The range of gaps between the digits of a pair, in pixels of MNIST's digits, which are 20 high.
_PAIR_GAPS = (1, 60)
# Side of a picture on the sheet, in pixels, its columns, and the most characters of a line of a caption.
_TILE_SIDE = 320
_COLUMNS = 3
_CAPTION_LENGTH = 50


class NumbersError(TrainingError):
    """A folder has no table of pictures of numbers, or the table does not fit it."""


@dataclass(frozen=True, eq=False)
class ReadNumber:
    """The result for one picture: its true text, its kind, and the reading, or the error where there is none."""

    path: Path
    truth: str
    kind: str
    outcome: Reading | PictureError

    @property
    def text(self) -> str:
        """What was read, empty where nothing was."""
        return "" if isinstance(self.outcome, PictureError) else self.outcome.text

    @property
    def is_right(self) -> bool:
        """Whether all digits and all lines are right."""
        return self.text == self.truth

    @property
    def is_clear(self) -> bool:
        """Whether the verdict is `clear`."""
        return isinstance(self.outcome, Reading) and self.outcome.verdict is ReadingVerdict.CLEAR

    @property
    def is_counted(self) -> bool:
        """Whether the picture counts in the averages: handwriting in lines."""
        return _UNCOUNTED_KIND not in self.kind and not self.path.parent.name.startswith(_UNCOUNTED_FOLDER)

    @property
    def digits_right(self) -> float:
        """The share of the digits that are right, 0..1: 1 less the edit distance over their number."""
        digits = self.truth.replace("\n", "")
        return max(0.0, 1 - edit_distance(digits, self.text.replace("\n", "")) / len(digits))


@dataclass(frozen=True, eq=False)
class Numbers:
    """The results for all pictures of a folder."""

    results: list[ReadNumber]

    def by_folder(self) -> dict[str, list[ReadNumber]]:
        """Return the results by the name of their folder."""
        return _by_folder(self.results)

    @property
    def digits_right(self) -> float:
        """The share of digits right, averaged over the pictures of a folder, then over folders, 0..1."""
        return self._averaged(lambda result: result.digits_right)

    @property
    def pictures_right(self) -> float:
        """The share of pictures right as a whole, averaged in the same way, 0..1."""
        return self._averaged(lambda result: result.is_right)

    @property
    def clear(self) -> Error:
        """The pictures with the verdict `clear`, and those of them that are wrong."""
        clear = [result for result in self._counted if result.is_clear]
        return Error(sum(not result.is_right for result in clear), len(clear))

    @property
    def n_counted(self) -> int:
        """The number of pictures in the averages."""
        return len(self._counted)

    @property
    def misread(self) -> list[ReadNumber]:
        """The results that are wrong, also those that are not counted."""
        return [result for result in self.results if not result.is_right]

    @property
    def _counted(self) -> list[ReadNumber]:
        return [result for result in self.results if result.is_counted]

    def _averaged(self, measure: Callable[[ReadNumber], float]) -> float:
        means = [np.mean([measure(result) for result in folder]) for folder in _by_folder(self._counted).values()]
        return float(np.mean(means)) if means else 0.0


def _by_folder(results: Sequence[ReadNumber]) -> dict[str, list[ReadNumber]]:
    folders: dict[str, list[ReadNumber]] = defaultdict(list)
    for result in results:
        folders[result.path.parent.name].append(result)
    return dict(folders)


def edit_distance(one: str, other: str) -> int:
    """Return how many characters have to be inserted, deleted or replaced (Levenshtein 1966)."""
    distances = list(range(len(other) + 1))
    for n_deleted, left in enumerate(one, 1):
        diagonal, distances[0] = distances[0], n_deleted
        for column, right in enumerate(other, 1):
            diagonal, distances[column] = (
                distances[column],
                min(distances[column] + 1, distances[column - 1] + 1, diagonal + (left != right)),
            )
    return distances[-1]


def read_numbers(reader: Reader, directory: Path) -> Numbers:
    """Read all pictures that a folder's table lists. Raises NumbersError when there is none, or a file is missing."""
    table = directory / TRUTH
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row]
    except OSError as error:
        message = f"{table} cannot be read: it lists each picture, its text and its kind, separated by tabs"
        raise NumbersError(message) from error
    results = []
    for row in rows:
        if len(row) != 3 or not row[1].replace(_BETWEEN_LINES, "").isdecimal():
            message = f"{table}: {' '.join(row)!r} has not a file, digits and a kind, separated by tabs"
            raise NumbersError(message)
        path = directory / row[0]
        try:
            data = path.read_bytes()
        except OSError as error:
            message = f"{table} lists {row[0]}, which cannot be read"
            raise NumbersError(message) from error
        (outcome,) = reader.read_pictures([data])
        results.append(ReadNumber(path, row[1].replace(_BETWEEN_LINES, "\n"), row[2], outcome))
    if not results:
        message = f"{table} lists no pictures"
        raise NumbersError(message)
    return Numbers(results)


def read_rows(reader: Reader, digits: Digits, n_rows: int, seed: int) -> dict[str, Error]:
    """Return the error on rows of five of these digits for each kind of gap, of `n_rows` rows each.

    Only digits that are right when sent alone are used, so that what is measured is the partition. Where there are
    none, there are no errors.
    """
    usable = digits[right_alone(reader, digits)]
    errors: dict[str, Error] = {}
    if not len(usable):
        return errors
    for kind, gaps in GAPS.items():
        rng = np.random.default_rng((seed, 3))
        n_wrong = 0
        for _ in range(n_rows):
            row = make_row(usable[rng.integers(len(usable), size=_ROW_LENGTH)], gaps, rng)
            (outcome,) = reader.read_pictures([row.png()])
            n_wrong += isinstance(outcome, PictureError) or outcome.text != row.text
        errors[kind] = Error(n_wrong, n_rows)
    return errors


def pictures_of_pairs(digits: Digits, n: int, rng: np.random.Generator) -> list[bytes]:
    """Return n pictures of two of these digits, as PNG: side by side or stacked, touching to three heights apart."""
    pictures = []
    for _ in range(n):
        pair, is_stacked = digits[rng.integers(len(digits), size=2)], bool(rng.random() < 1 / 2)
        if is_stacked:
            pair = Digits(pair.images.transpose(0, 2, 1), pair.labels)
        gap = round(float(np.exp(rng.uniform(*np.log(_PAIR_GAPS)))))
        row = make_row(pair, (gap, gap + 1), rng)
        if is_stacked:
            row = replace(row, ink=row.ink.transpose(0, 2, 1))
        pictures.append(row.png())
    return pictures


def right_alone(reader: Reader, digits: Digits) -> npt.NDArray[np.intp]:
    """Return the indices of the digits that are read right in a row of their own."""
    rng = np.random.default_rng(0)
    rows = (make_row(digits[number : number + 1], (0, 1), rng) for number in range(len(digits)))
    outcomes = (reader.read_pictures([row.png()])[0] for row in rows)
    labels = digits.labels.tolist()
    return np.flatnonzero(
        [
            not isinstance(one, PictureError) and one.text == str(label)
            for one, label in zip(outcomes, labels, strict=True)
        ]
    )


def sheet(results: Sequence[ReadNumber]) -> Image.Image:
    """Return an RGB contact sheet: each picture with the boxes of its digits, above its path, text and reading."""
    return contact_sheet(
        [(_with_boxes(result), _caption(result)) for result in results], 2 * (_TILE_SIDE,), _COLUMNS, 3
    )


def _caption(result: ReadNumber) -> list[str]:
    read = str(result.outcome) if isinstance(result.outcome, PictureError) else result.text or "no digits"
    lines = (f"{result.path.parent.name}/{result.path.name}", result.truth, read)
    return [line.replace("\n", _BETWEEN_LINES)[:_CAPTION_LENGTH] for line in lines]


def _with_boxes(result: ReadNumber) -> Image.Image:
    """Return a picture in a square, with a box around each digit and the digit beside it."""
    square = Image.new("RGB", (_TILE_SIDE, _TILE_SIDE), "silver")
    if isinstance(result.outcome, PictureError):
        return square
    pixels = decode(result.path.read_bytes(), MAX_PIXELS, side=_TILE_SIDE).pixels
    image = ImageOps.contain(Image.fromarray(pixels).convert("RGB"), (_TILE_SIDE, _TILE_SIDE))
    canvas = ImageDraw.Draw(image)
    scale = image.width / result.outcome.size[1]
    for line in result.outcome.lines:
        for digit in line.digits:
            top, left, bottom, right = (scale * side for side in digit.box)
            canvas.rectangle((left, top, right, bottom), outline="red")
            canvas.text((left + 1, max(0, top - 11)), str(digit.prediction.digit), fill="red")
    square.paste(image, (0, 0))
    return square
