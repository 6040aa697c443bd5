"""Tests of training.pictures and of `digits-train evaluate --pictures`."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from service.classifier import Classifier
from tests.pictures import draw, encode
from training import pictures
from training.cli import main
from training.pictures import PicturesError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two sources, one of them with a mislabelled, a blank and a damaged picture."""
    good, bad = tmp_path / "pictures" / "photos" / "good", tmp_path / "pictures" / "bad"
    good.mkdir(parents=True)
    bad.mkdir()
    for digit in range(10):
        (good / f"{digit}_a.png").write_bytes(encode(draw(digit)))
    (good / "alpha_1.png").write_bytes(encode(draw(8)))
    (good / "77_1.png").write_bytes(encode(draw(7)))
    (bad / "3_right.jpg").write_bytes(encode(draw(3), "JPEG"))
    (bad / "9_is_a_four.png").write_bytes(encode(draw(4)))
    (bad / "5_blank.png").write_bytes(encode(draw(5, ink=255)))
    (bad / "2_damaged.png").write_bytes(encode(draw(2))[:60])
    return tmp_path / "pictures"


def test_errors_are_counted_by_folder(classifier: Classifier, folder: Path) -> None:
    """Every folder has its error, unanswered pictures are misread, and files without a digit's label do not count."""
    readings = pictures.read(classifier, folder)
    errors = readings.errors()

    assert {"photos/good": (0, 10), "bad": (3, 4)} == {name: (error.wrong, error.n) for name, error in errors.items()}
    assert pytest.approx((0 + 3 / 4) / 2) == readings.macro_average
    assert ["2_damaged.png", "5_blank.png", "9_is_a_four.png"] == [reading.path.name for reading in readings.misread]
    assert [None, None, 4] == [reading.digit for reading in readings.misread]
    assert "blank" in readings.misread[1].said


def test_the_sheet_shows_picture_and_input_side_by_side(classifier: Classifier, folder: Path) -> None:
    """The misread 4 stands dark on light beside the same light on black; what cannot be opened is left grey."""
    misread = pictures.read(classifier, folder).misread
    sheet = pictures.sheet(misread)
    width = sheet.width // 6
    damaged, four = sheet.crop((0, 0, 112, 112)), sheet.crop((2 * width, 0, 2 * width + 224, 112)).convert("L")

    assert 144 == sheet.height
    assert ((192, 192), (192, 192), (192, 192)) == damaged.getextrema()
    assert 255 == four.getpixel((5, 5))
    assert 0 == four.getpixel((112 + 5, 5))
    assert 0 == four.crop((0, 0, 112, 112)).getextrema()[0]
    assert 255 == four.crop((112, 0, 224, 112)).getextrema()[1]


def test_a_sheet_of_many_has_rows(classifier: Classifier, folder: Path) -> None:
    """Six pictures stand in a row."""
    readings = [reading for source in pictures.read(classifier, folder).sources.values() for reading in source]

    assert 3 * 144 == pictures.sheet(readings).height


def test_a_folder_without_labelled_pictures_is_an_error(classifier: Classifier, tmp_path: Path) -> None:
    """The message names the folder and how names have to begin."""
    (tmp_path / "kitchen.jpg").write_bytes(encode(draw(7), "JPEG"))

    with pytest.raises(PicturesError, match=r"7_kitchen\.jpg") as raised:
        pictures.read(classifier, tmp_path)

    assert str(tmp_path) in str(raised.value)


def test_the_command_prints_errors_and_writes_the_sheet(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each folder, the macro average and the sheet's path are printed, and the sheet is a PNG."""
    sheet = tmp_path / "sheet.png"

    assert 0 == main(["evaluate", "--pictures", str(folder), "--sheet", str(sheet)])
    printed = capsys.readouterr().out
    assert "75.00% (3 of 4;" in printed
    assert "macro average over 2 folders: 37.50% misread" in printed
    assert f"3 misread pictures, beside what the network saw, are in {sheet}" in printed
    with Image.open(sheet) as image:
        assert "PNG" == image.format


def test_no_sheet_is_written_when_nothing_is_misread(folder: Path, tmp_path: Path) -> None:
    """There is nothing to look at then."""
    sheet = tmp_path / "sheet.png"

    assert 0 == main(["evaluate", "--pictures", str(folder / "photos"), "--sheet", str(sheet)])
    assert not sheet.exists()


@pytest.mark.parametrize("wrong", ["pictures", "sheet"])
def test_what_cannot_be_read_or_written_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    """A folder without pictures, and a sheet that cannot be written, end with status 1 and one line."""
    empty = tmp_path / "empty"
    empty.mkdir()
    where = {"pictures": folder, "sheet": tmp_path / "sheet.png"} | {wrong: empty}

    assert 1 == main(["evaluate", "--pictures", str(where["pictures"]), "--sheet", str(where["sheet"])])
    complaint = capsys.readouterr().err
    assert complaint.startswith("digits-train: ")
    assert 1 == complaint.count("\n")
    assert str(empty) in complaint
