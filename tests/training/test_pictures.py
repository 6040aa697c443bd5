"""Pictures in folders are evaluated by their labels, in `training.pictures` and `digits-train evaluate --pictures`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.classifier import Classifier
from service.images.decoding import decode
from service.images.pipeline import normalize
from service.model import artifact
from service.model.network import Layer, Network
from tests.conftest import make_metadata
from tests.pictures import draw, encode, heic
from training import pictures
from training.cli import main
from training.evaluation import Error
from training.pictures import PicturesError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a nearest-neighbour network for the digits as this module draws them."""
    drawn = np.stack([normalize(decode(encode(draw(digit)), 10**6).pixels).pixels.ravel() for digit in range(10)])
    # The nearest of ten points: |x - d|^2 is smallest where x @ d - |d|^2 / 2 is largest.
    network = Network((Layer(drawn.T.copy(), -(drawn**2).sum(axis=1) / 2, "softmax"),), tuple(range(10)))
    path = tmp_path_factory.mktemp("models") / "drawn.safetensors"
    artifact.save(path, network, make_metadata(network))
    return path


@pytest.fixture
def classifier(model: Path) -> Classifier:
    """Return a classifier with this network."""
    return Classifier.load(model)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two subfolders, one of them with a mislabelled, a blank and a damaged picture."""
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
    """Every folder has its error. A rejected picture is an error, and one without a label is skipped."""
    readings = pictures.read(classifier, folder)
    errors = readings.errors()

    assert {"photos/good": (0, 10), "bad": (3, 4)} == {name: (error.wrong, error.n) for name, error in errors.items()}
    assert pytest.approx((0 + 3 / 4) / 2) == readings.macro_average
    assert ["2_damaged.png", "5_blank.png", "9_is_a_four.png"] == [reading.path.name for reading in readings.misread]
    assert [None, None, 4] == [reading.digit for reading in readings.misread]
    assert "blank" in readings.misread[1].caption


def test_skipped_files_are_listed(classifier: Classifier, folder: Path) -> None:
    """Files that are no pictures, macOS metadata, and pictures without a label are skipped, by reason."""
    for name in ("notes_1.txt", "._7_1.png", "kitchen.png", "a1_x.png"):
        (folder / "bad" / name).touch()

    skipped = pictures.read(classifier, folder).skipped

    assert [["._7_1.png", "notes_1.txt"], ["77_1.png", "a1_x.png", "kitchen.png"]] == sorted(
        sorted(path.name for path in paths) for paths in skipped.values()
    )


def test_sheet_shows_a_heic(classifier: Classifier, tmp_path: Path) -> None:
    """A HEIC picture is decoded as the service does, for Pillow cannot."""
    (tmp_path / "3_a.heic").write_bytes(heic(draw(7)))
    sheet = pictures.sheet(pictures.read(classifier, tmp_path).misread).convert("L")

    assert (0, 255) == (np.asarray(sheet)[:112, :112].min(), np.asarray(sheet)[5, 5])


def test_sheet_shows_picture_and_input_side_by_side(classifier: Classifier, folder: Path) -> None:
    """A picture is beside the network's input. A picture that cannot be decoded is grey."""
    misread = pictures.read(classifier, folder).misread
    sheet = pictures.sheet(misread)
    width = sheet.width // 6
    damaged, four = sheet.crop((0, 0, 112, 112)), sheet.crop((2 * width, 0, 2 * width + 224, 112)).convert("L")

    assert 144 == sheet.height
    assert ((192, 192), (192, 192), (192, 192)) == damaged.getextrema()
    assert 255 == four.getpixel((5, 5))
    assert 0 == four.getpixel((112 + 5, 5))
    assert 0 == four.crop((0, 0, 112, 112)).getextrema()[0]
    assert 250 < np.asarray(four)[:, 112:].max()


def test_sheet_has_six_pictures_in_a_row(classifier: Classifier, folder: Path) -> None:
    """Thirteen pictures need three rows."""
    readings = [reading for source in pictures.read(classifier, folder).digits.values() for reading in source]

    assert 3 * 144 == pictures.sheet(readings).height


def test_folder_without_labelled_pictures_is_an_error(classifier: Classifier, tmp_path: Path) -> None:
    """The error has the folder and an example of a label."""
    (tmp_path / "kitchen.jpg").write_bytes(encode(draw(7), "JPEG"))

    with pytest.raises(PicturesError, match=r"7_kitchen\.jpg") as raised:
        pictures.read(classifier, tmp_path)

    assert str(tmp_path) in str(raised.value)


def test_command_prints_errors_and_writes_the_sheet(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each folder's error, the macro average and the sheet's path are printed. The sheet is a PNG."""
    sheet = tmp_path / "sheet.png"

    assert 0 == main(["evaluate", "--model", str(model), "--pictures", str(folder), "--sheet", str(sheet)])
    printed = capsys.readouterr().out
    assert "75.00% (3 of 4;" in printed
    assert "macro average over 2 folders: 37.50% misread" in printed
    assert f"3 misread pictures, beside the network's input, are in {sheet}" in printed
    assert "1 skipped, the name begins neither" in printed
    with Image.open(sheet) as image:
        assert "PNG" == image.format


def test_no_sheet_is_written_when_nothing_is_misread(model: Path, folder: Path, tmp_path: Path) -> None:
    """Without a misclassified picture there is no sheet."""
    sheet = tmp_path / "sheet.png"

    assert 0 == main(["evaluate", "--model", str(model), "--pictures", str(folder / "photos"), "--sheet", str(sheet)])
    assert not sheet.exists()


@pytest.mark.parametrize("wrong", ["pictures", "sheet"])
def test_errors_of_the_command_are_one_line(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    """A folder without pictures, or a sheet that cannot be written, ends with status 1 and one line."""
    empty = tmp_path / "empty"
    empty.mkdir()
    command = ["evaluate", "--model", str(model), "--pictures"]
    where = {"pictures": folder, "sheet": tmp_path / "sheet.png"} | {wrong: empty}

    assert 1 == main([*command, str(where["pictures"]), "--sheet", str(where["sheet"])])
    complaint = capsys.readouterr().err
    assert complaint.startswith("digits-train: ")
    assert 1 == complaint.count("\n")
    assert str(empty) in complaint


ALWAYS: dict[str, dict[str, float | None]] = {
    "clear": {"ambiguous_below": 0.0, "novel_from": None},
    "ambiguous": {"ambiguous_below": 1.0, "novel_from": None},
    "not_a_digit": {"ambiguous_below": 0.0, "novel_from": 0.0},
}


def always(verdict: str, watchful_model: Path) -> Classifier:
    """Return a classifier whose verdict is always this one."""
    model = artifact.load(watchful_model)
    calibration = model.metadata.calibration.model_copy(update=ALWAYS[verdict])
    return Classifier(replace(model, metadata=model.metadata.model_copy(update={"calibration": calibration})))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Return a folder with two digits, pictures without a digit, one of them blank, and files without a label."""
    directory = tmp_path / "mixed"
    for name, content in {
        "digits/4_a.png": encode(draw(4)),
        "digits/7_a.png": encode(draw(7)),
        "digits/K_among_digits.png": encode(draw(1)),
        "letters/A_1.png": encode(draw(4)),
        "letters/scribble_2.png": encode(draw(8)),
        "letters/blank_3.png": encode(draw(5, ink=255)),
        "letters/12_x.png": encode(draw(1)),
        "letters/_x.png": encode(draw(1)),
        "letters/A1_x.png": encode(draw(1)),
        "letters/readme.txt": b"no label",
        "letters/deep/er_/Q_1.png": encode(draw(0)),
    }.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


@pytest.mark.parametrize(("verdict", "taken"), [("clear", True), ("ambiguous", False), ("not_a_digit", False)])
def test_negatives_are_counted_separately(watchful_model: Path, mixed: Path, verdict: str, taken: bool) -> None:  # noqa: FBT001
    """A label of letters means no digit. Then `clear` is an error, and abstention or rejection is correct."""
    readings = pictures.read(always(verdict, watchful_model), mixed)

    assert {
        "digits": Error(int(taken), 1),
        # Of three the blank one gets no answer at all.
        "letters": Error(2 * taken, 3),
        "letters/deep/er_": Error(int(taken), 1),
    } == readings.false_accepts()
    assert ["A_1.png", "blank_3.png", "scribble_2.png"] == [one.path.name for one in readings.negatives["letters"]]
    assert {None} == {one.label for source in readings.negatives.values() for one in source}
    assert ["4_a.png", "7_a.png"] == [one.path.name for one in readings.digits["digits"]]
    assert ["digits"] == list(readings.errors())


def test_negatives_are_neither_averaged_nor_on_the_sheet(watchful_model: Path, mixed: Path) -> None:
    """Macro average and sheet are of digits only."""
    readings = pictures.read(always("clear", watchful_model), mixed)

    assert readings.errors()["digits"].rate == readings.macro_average
    assert all(one.path.parent.name == "digits" and one.label is not None for one in readings.misread)


def test_digit_with_the_verdict_not_a_digit_is_an_error(watchful_model: Path, mixed: Path) -> None:
    """There is no predicted digit, and the caption has the OOD score."""
    classifier = always("not_a_digit", watchful_model)
    prediction = classifier.predict_picture(encode(draw(4)))

    four, seven = pictures.read(classifier, mixed).misread

    assert (4, None, False) == (four.label, four.digit, four.correct)
    assert f"no digit ({prediction.novelty:.0%})" == four.caption
    np.testing.assert_array_equal(prediction.input, four.input)
    assert (7, None) == (seven.label, seven.digit)


def test_ambiguous_digit_may_be_correct(watchful_model: Path, mixed: Path) -> None:
    """For a digit the prediction counts, ambiguous or not."""
    classifier = always("ambiguous", watchful_model)
    answer = classifier.predict_picture(encode(draw(4))).digit
    (mixed / "digits" / "4_a.png").rename(mixed / "digits" / f"{answer}_b.png")

    readings = {one.path.name: one for one in pictures.read(classifier, mixed).digits["digits"]}

    assert (answer, True, False) == (
        readings[f"{answer}_b.png"].digit,
        readings[f"{answer}_b.png"].correct,
        readings[f"{answer}_b.png"].clear,
    )


def test_folder_without_digits_is_an_error(watchful_model: Path, mixed: Path) -> None:
    """Without a picture of a digit there is no error rate."""
    with pytest.raises(PicturesError, match="letters has no pictures whose names begin with a digit and `_`"):
        pictures.read(always("clear", watchful_model), mixed / "letters")


def test_digits_of_other_classes_are_skipped(watchful_model: Path, mixed: Path) -> None:
    """A model of some classes is evaluated on these classes only."""
    classifier = always("clear", watchful_model)
    network = classifier.model.network
    last = replace(
        network.layers[-1], weights=network.layers[-1].weights[:, 4:6], biases=network.layers[-1].biases[4:6]
    )
    some = Classifier(
        replace(classifier.model, network=replace(network, layers=(*network.layers[:-1], last), classes=(4, 5)))
    )

    readings = pictures.read(some, mixed)

    assert [4] == [one.label for one in readings.digits["digits"]]
