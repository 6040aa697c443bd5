"""Pictures of numbers are evaluated by their table, in `training.numbers` and `digits-train evaluate --numbers`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.classifier import Classifier
from service.errors import PictureError
from service.images.components import Box
from service.model.verdict import ReadingVerdict, Verdict
from service.reader import ReadDigit, Reader, Reading, ReadLine
from service.settings import bundled_model
from tests.pictures import encode
from training import numbers
from training.cli import main
from training.mnist import Digits
from training.numbers import NumbersError, edit_distance, pictures_of_pairs, read_numbers, read_rows
from training.synthetic_digits import synthesize


class Echo(Reader):
    """A reader that knows the answers: it reads each file as the text in `texts` for its content."""

    def __init__(self, texts: dict[bytes, str]) -> None:
        self._texts = texts

    def read_pictures(self, pictures: Sequence[bytes], length: int | None = None) -> list[Reading | PictureError]:
        """Return a clear reading of one box for each digit, or the error where there is no text."""
        assert length is None
        return [_reading(self._texts[one]) if one in self._texts else PictureError("broken") for one in pictures]


def _reading(text: str) -> Reading:
    classifier = Classifier.load(bundled_model())
    (prediction,) = classifier.predict_pixels(synthesize(1, np.random.default_rng(0), classes=[7]).images)
    lines = tuple(
        ReadLine(tuple(ReadDigit(prediction, Box(2, 2, 20, 12)) for _ in line), 0.9, Box(2, 2, 20, 12), ())
        for line in text.split("\n")
        if line
    )
    verdict = ReadingVerdict.CLEAR if lines else ReadingVerdict.NOT_DIGITS
    return Reading(lines, 0.9, verdict, (40, 60))


@pytest.fixture(scope="module")
def sevens() -> dict[str, str]:
    """Return the true texts of pictures that are all read as sevens, by file."""
    return {"a/1.png": "77", "a/2.png": "7\n77", "b/1.png": "777", "printed/1.png": "7"}


@pytest.fixture
def folder(tmp_path: Path, sevens: dict[str, str]) -> Path:
    """Return a folder with a table and its pictures, each of another grey."""
    lines = []
    for shade, (name, text) in enumerate(sevens.items()):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(np.full((40, 60), 200 + shade, np.uint8)))
        lines.append(f"{name}\t{text.replace(chr(10), ' / ')}\tphoto row\n")
    (tmp_path / "truth.tsv").write_text("".join(lines), encoding="utf-8")
    return tmp_path


@pytest.fixture
def echo(folder: Path) -> Echo:
    """Return a reader that reads all pictures as sevens, and cannot read the last one."""
    read = {"a/1.png": "77", "a/2.png": "777", "b/1.png": "77"}
    return Echo({(folder / name).read_bytes(): text for name, text in read.items()})


def test_figures_are_averaged_over_folders(echo: Echo, folder: Path) -> None:
    """The digits count by edit distance, line breaks do not, and print is shown but not counted."""
    found = read_numbers(echo, folder)

    assert [True, False, False, False] == [result.is_right for result in found.results]
    assert pytest.approx([1, 1, 2 / 3, 0]) == [result.digits_right for result in found.results]
    assert pytest.approx((1 + 2 / 3) / 2) == found.digits_right
    assert pytest.approx((1 / 2 + 0) / 2) == found.pictures_right
    assert (3, 2, 3) == (found.n_counted, found.clear.wrong, found.clear.n)
    assert ["a", "b", "printed"] == list(found.by_folder())
    assert ["2.png", "1.png", "1.png"] == [result.path.name for result in found.misread]


def test_scattered_digits_are_not_counted(folder: Path, echo: Echo) -> None:
    """Digits that are in no line have no order in which they could be right."""
    table = folder / "truth.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("photo row", "photo scattered"), encoding="utf-8")

    found = read_numbers(echo, folder)

    assert (0, 0.0, 0.0) == (found.n_counted, found.digits_right, found.pictures_right)


@pytest.mark.parametrize(
    ("one", "other", "distance"), [("", "", 0), ("12", "", 2), ("", "3", 1), ("123", "13", 1), ("2024", "2042", 2)]
)
def test_edit_distance(one: str, other: str, distance: int) -> None:
    """Insertions, deletions and replacements count one each."""
    assert distance == edit_distance(one, other)


@pytest.mark.parametrize(
    ("table", "said"),
    [(None, "cannot be read"), ("", "no pictures"), ("1.png\t12\n", "not a file"), ("1.png\t1a\tphoto\n", "'1.png 1a")],
)
def test_table_that_does_not_fit(tmp_path: Path, table: str | None, said: str) -> None:
    """A folder without a table, an empty one, and a line without digits or a kind are named."""
    if table is not None:
        (tmp_path / "truth.tsv").write_text(table, encoding="utf-8")

    with pytest.raises(NumbersError, match=said):
        read_numbers(Echo({}), tmp_path)


def test_missing_picture_is_named(folder: Path, echo: Echo) -> None:
    """A picture that is listed has to be there."""
    (folder / "a" / "1.png").unlink()

    with pytest.raises(NumbersError, match=r"a/1\.png"):
        read_numbers(echo, folder)


def test_sheet_shows_boxes(echo: Echo, folder: Path) -> None:
    """Each picture has a tile, with red boxes where it was read."""
    tiles = numbers.sheet(read_numbers(echo, folder).misread)

    red = (np.asarray(tiles) == (255, 0, 0)).all(axis=2)
    width = tiles.width // 3
    assert [True, True, False] == [bool(red[:, n * width : (n + 1) * width].any()) for n in range(3)]


def test_command_prints_figures_and_writes_the_sheet(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], echo: Echo
) -> None:
    """The command reads with the model and shows what was wrong."""
    monkeypatch.setattr("training.cli.Reader", lambda _: echo)
    sheet = tmp_path / "sheet.png"

    assert 0 == main(["evaluate", "--numbers", str(folder), "--sheet", str(sheet)])

    printed = capsys.readouterr().out
    assert "a                                1 of 2 right" in printed
    assert "3 pictures, averaged over folders: 83.33% of the digits right, 25.00% of the pictures" in printed
    assert "clear: 3 of 3, 2 of them wrong" in printed
    with Image.open(sheet) as image:
        assert "PNG" == image.format


def test_command_writes_no_sheet_where_all_is_right(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sevens: dict[str, str]
) -> None:
    """There is nothing to show."""
    echo = Echo({(folder / name).read_bytes(): text for name, text in sevens.items()})
    monkeypatch.setattr("training.cli.Reader", lambda _: echo)

    assert 0 == main(["evaluate", "--numbers", str(folder), "--sheet", str(tmp_path / "sheet.png")])
    assert not (tmp_path / "sheet.png").exists()


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Return the bundled model."""
    return Classifier.load(bundled_model())


@pytest.fixture(scope="module")
def reader(classifier: Classifier) -> Reader:
    """Return a reader with the bundled model and unlimited time: what is read depends on no machine."""
    return Reader(classifier, now=lambda: 0.0)


@pytest.mark.slow
def test_rows_of_digits_that_are_right_alone(reader: Reader) -> None:
    """Rows that stand apart are read right. Digits that are misread alone are not used."""
    drawn = synthesize(30, np.random.default_rng(1), classes=[3, 7])
    labels = np.where(np.arange(30) < 10, 5, drawn.labels)

    errors = read_rows(reader, Digits(drawn.images, labels), 4, seed=1)

    assert ["apart", "near", "touching"] == list(errors)
    assert {4} == {error.n for error in errors.values()}
    assert errors["apart"].wrong <= 1


def test_no_rows_without_usable_digits(reader: Reader) -> None:
    """Where all digits are misread alone, no row can be judged."""
    drawn = synthesize(2, np.random.default_rng(1), classes=[7])

    assert {} == read_rows(reader, Digits(drawn.images, np.array([1, 1])), 4, seed=1)


def test_pairs_are_not_read_as_one_digit(classifier: Classifier) -> None:
    """Pictures of pairs lie and stand, and none of them is clear."""
    drawn = synthesize(20, np.random.default_rng(1), classes=[3, 7])
    pictures = pictures_of_pairs(drawn, 12, np.random.default_rng(2))

    verdicts = [classifier.predict_picture(picture).verdict for picture in pictures]

    assert Verdict.CLEAR not in verdicts
    assert 8 <= verdicts.count(Verdict.SEVERAL_DIGITS)


@pytest.mark.slow
def test_real_pictures_of_numbers(reader: Reader, numbers_directory: Path) -> None:
    """95 % of the digits are right and 80 % of the pictures; 60 % are clear, and of these 97 % are right."""
    found = read_numbers(reader, numbers_directory)

    assert found.digits_right >= 0.95
    assert found.pictures_right >= 0.8
    assert found.clear.n >= 0.6 * found.n_counted
    assert found.clear.wrong <= 0.03 * found.clear.n
