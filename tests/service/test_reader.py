"""Every digit of a picture is read, in lines, with its box, a confidence and a verdict."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from PIL import Image

import service.reader
from service.classifier import Classifier, Prediction, Stage
from service.errors import NoInk, UnsupportedFormat
from service.images import pages
from service.images.components import Box
from service.images.pages import READING_SIDE, Candidate
from service.model.artifact import Artifact
from service.model.calibration import ReadingCalibration
from service.model.network import Layer, Network
from service.model.verdict import ReadingVerdict
from service.reader import MAX_DIGITS, NO_SUCH_LENGTH, TOO_MANY, TOO_MUCH, Reader, Reading
from service.types import ByteArray
from tests.conftest import make_metadata, make_network
from tests.pictures import draw, encode
from tests.writing import Writing, closeness

FOUR = Writing(("4732",))
TWO_LINES = Writing(("4732", "58"))
TOUCHING = Writing(("473258",), pitch=0.6, pen=0.1)
MANY = Writing(("7" * 27,) * 10, height=28, pitch=1.1)


def endless() -> float:
    """Return a time that never passes: readings depend on no machine."""
    return 0.0


def stopping_after(n_calls: int) -> Callable[[], float]:
    """Return a clock that is beyond every deadline after it was asked so often."""
    calls = itertools.count()
    return lambda: 0.0 if next(calls) < n_calls else 1e6


@pytest.fixture(scope="module")
def reader(classifier: Classifier) -> Reader:
    """Return a reader with the bundled model and unlimited time."""
    return Reader(classifier, endless)


def read(reader: Reader, pixels: ByteArray, length: int | None = None) -> Reading:
    """Return the reading of a picture."""
    return reader.read_picture(encode(pixels), length)


def boxes_of(reading: Reading) -> list[list[Box]]:
    """Return the boxes of the digits of each line."""
    return [[digit.box for digit in line.digits] for line in reading.lines]


def on_paper(writing: Writing, size: tuple[int, int], place: tuple[int, int]) -> ByteArray:
    """Return a large white picture with a writing at (top, left)."""
    paper = np.full(size, 255, np.uint8)
    paper[place[0] : place[0] + writing.size[0], place[1] : place[1] + writing.size[1]] = writing.pixels
    return paper


# --- Texts and boxes


@pytest.mark.parametrize(
    "writing",
    [
        Writing(("7",), height=100),
        FOUR,
        TWO_LINES,
        Writing(("58", "4732")),
        Writing(("473  258", "258  732")),
        Writing(("4732", "7325"), rise=0.15),
        TOUCHING,
    ],
    ids=["one digit", "row", "two lines", "short line first", "columns", "rising", "touching"],
)
def test_digits_are_read_in_lines(reader: Reader, writing: Writing) -> None:
    """Lines go from top to bottom, digits from left to right, each with the box of its ink."""
    reading = read(reader, writing.pixels)

    assert [line.replace(" ", "") for line in writing.lines] == reading.text.splitlines()
    assert writing.size == reading.size
    tolerance = 2 if writing.pitch > 0.7 else 9
    for number, line in enumerate(reading.lines):
        expected = writing.boxes(number)
        boxes = [digit.box for digit in line.digits]
        assert tolerance >= max(map(closeness, expected, boxes))
        assert 1 >= closeness(reduce(Box.union, boxes), line.box)


def test_reading_has_the_predictions_of_its_digits(reader: Reader) -> None:
    """Each digit has the network's prediction; the confidence of all is the product of those of the lines."""
    reading = read(reader, TWO_LINES.pixels)

    assert "4732" == "".join(str(digit.prediction.digit) for digit in reading.lines[0].digits)
    assert "58" == reading.lines[1].text
    for line in reading.lines:
        assert 0 < line.confidence < 1
        for digit in line.digits:
            assert digit.prediction.input.shape == (28, 28)
            assert digit.prediction.confidence > 0.5
    assert pytest.approx(reading.lines[0].confidence * reading.lines[1].confidence) == reading.confidence
    assert (None, False) == (reading.reason, reading.is_truncated)


def test_clear_reading(reader: Reader) -> None:
    """Clear drawings of distinct digits are accepted."""
    assert ReadingVerdict.CLEAR is read(reader, FOUR.pixels).verdict


@pytest.mark.parametrize("kind", ["light on dark", "coloured", "grey"])
def test_ink_and_paper_of_any_colour(reader: Reader, kind: str) -> None:
    """The same digits are read at the same places."""
    coverage = 1 - TWO_LINES.pixels[:, :, None] / 255
    paper, ink = {
        "light on dark": ((20, 20, 20), (240, 240, 240)),
        "coloured": ((250, 245, 200), (30, 40, 190)),
        "grey": ((200, 200, 200), (110, 110, 110)),
    }[kind]
    pixels = (np.array(paper) + (np.array(ink) - np.array(paper)) * coverage).astype(np.uint8)

    reading = read(reader, pixels)

    assert "4732\n58" == reading.text
    for number, boxes in enumerate(boxes_of(reading)):
        assert 3 >= max(map(closeness, TWO_LINES.boxes(number), boxes))


@pytest.mark.parametrize(
    "n_quarters", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_turned_pages_are_read(reader: Reader, n_quarters: int) -> None:
    """A page that lies on its side or on its head is read, with boxes in the picture as it was sent."""
    reading = read(reader, np.ascontiguousarray(np.rot90(FOUR.pixels, n_quarters)))

    assert "4732" == reading.text
    alone = np.zeros(FOUR.size, np.uint8)
    alone[FOUR.box(0, 0).slices] = 1
    turned = np.rot90(alone, n_quarters)
    rows, columns = (np.flatnonzero(turned.any(axis=axis)) for axis in (1, 0))
    assert 2 >= closeness(Box(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1), reading.lines[0].digits[0].box)
    assert turned.shape == reading.size


def test_touching_digits_need_no_other_page(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits that only cuts can part are no reason to turn the page: lying on their side, some look like an 8."""
    looked_at = []

    def find_candidates(pixels: ByteArray) -> Iterator[Candidate]:
        for candidate in pages.find_candidates(pixels):
            looked_at.append(candidate)
            yield candidate

    monkeypatch.setattr("service.reader.find_candidates", find_candidates)

    assert ("473258", 1) == (read(reader, TOUCHING.pixels).text, len(looked_at))


@pytest.mark.parametrize(("orientation", "n_quarters"), [(3, 2), (6, 1), (8, 3)])
def test_boxes_are_those_in_the_upright_picture(reader: Reader, orientation: int, n_quarters: int) -> None:
    """A photo that is stored on its side is read as it is shown, and so are its size and its boxes."""
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(np.rot90(FOUR.pixels, n_quarters))

    reading = reader.read_picture(encode(stored, "JPEG", quality=95, exif=exif))

    assert ("4732", FOUR.size) == (reading.text, reading.size)
    assert 3 >= max(map(closeness, FOUR.boxes(0), boxes_of(reading)[0]))


def test_boxes_are_in_pixels_of_the_file(reader: Reader) -> None:
    """Large pictures are reduced for reading, but boxes are in pixels of the file, within the picture."""
    side = 2 * READING_SIDE
    writing = Writing(("4732",), height=240)

    reading = read(reader, on_paper(writing, (side // 2, side), (300, 900)))

    assert ("4732", (side // 2, side)) == (reading.text, reading.size)
    for box, expected in zip(boxes_of(reading)[0], writing.boxes(0), strict=True):
        moved = Box(expected.top + 300, expected.left + 900, expected.bottom + 300, expected.right + 900)
        assert 8 >= closeness(moved, box)


def test_small_digit_on_a_large_sheet(reader: Reader) -> None:
    """One digit of a hundredth of the area is a line, at its place."""
    reading = read(reader, on_paper(Writing(("7",)), (900, 1000), (300, 600)))

    assert "7" == reading.text
    ((box,),) = boxes_of(reading)
    expected = Writing(("7",)).box(0, 0)
    assert 4 >= closeness(box, Box(*(a + b for a, b in zip(expected, (300, 600) * 2, strict=True))))


def test_page_without_lines_may_still_have_a_digit(reader: Reader) -> None:
    """A digit that is smaller than what is read in lines is found as one alone is, and its box is in the picture."""
    reading = read(reader, on_paper(Writing(("7",), height=26), (2400, 2400), (1500, 1300)))

    assert "7" == reading.text
    assert () == reading.lines[0].alternatives
    ((box,),) = boxes_of(reading)
    expected = Writing(("7",), height=26).box(0, 0)
    assert 16 >= closeness(box, Box(*(a + b for a, b in zip(expected, (1500, 1300) * 2, strict=True))))


# --- Length


def test_right_length_changes_nothing(reader: Reader) -> None:
    """Digits that touch are cut into as many as there are."""
    reading = read(reader, TOUCHING.pixels, 6)

    assert (TOUCHING.lines[0], None) == (reading.text, reading.reason)


def test_length_counts_the_digits_of_all_lines(reader: Reader) -> None:
    """The right number changes nothing."""
    assert read(reader, TWO_LINES.pixels).text == read(reader, TWO_LINES.pixels, 6).text


@pytest.fixture(scope="module")
def three_of_four(reader: Reader) -> Reading:
    """Return the reading of four digits as three."""
    return read(reader, FOUR.pixels, 3)


def test_fewer_digits_than_there_are(three_of_four: Reading) -> None:
    """So many digits are read, and the confidence tells that another number is likelier."""
    assert (3, None) == (len(three_of_four.text), three_of_four.reason)
    assert ReadingVerdict.AMBIGUOUS is three_of_four.verdict
    assert three_of_four.confidence < 0.3


def test_more_digits_than_possible(reader: Reader) -> None:
    """What is there is read, with the reason."""
    reading = read(reader, FOUR.pixels, 9)

    assert ("4732", NO_SUCH_LENGTH) == (reading.text, reading.reason)
    assert (ReadingVerdict.AMBIGUOUS, False) == (reading.verdict, reading.is_truncated)


@pytest.mark.parametrize(
    ("length", "verdict", "reason"),
    [(1, ReadingVerdict.CLEAR, None), (2, ReadingVerdict.AMBIGUOUS, NO_SUCH_LENGTH)],
)
def test_length_of_a_page_without_lines(
    reader: Reader, length: int, verdict: ReadingVerdict, reason: str | None
) -> None:
    """A digit alone is one digit."""
    reading = read(reader, on_paper(Writing(("7",), height=26), (2400, 2400), (1500, 1300)), length)

    assert ("7", verdict, reason) == (reading.text, reading.verdict, reading.reason)


# --- Alternatives


def test_first_alternative_is_what_was_read(reader: Reader) -> None:
    """The others are partitions of another number of digits, by descending score, with digits where they differ."""
    reading = read(reader, TOUCHING.pixels)
    (line,) = reading.lines

    first, *others = line.alternatives

    assert (line.text, 1.0, line.box) == (first.digits, first.score, first.box)
    assert others
    assert [other.score for other in others] == sorted((other.score for other in others), reverse=True)
    for other in others:
        assert 0 <= other.score <= 1
        assert 0 <= other.box.top < other.box.bottom <= reading.size[0]
        assert 0 <= other.box.left < other.box.right <= reading.size[1]


def test_alternative_of_the_length_that_was_asked_for(three_of_four: Reading) -> None:
    """A likelier partition of another number of digits has no higher score than the one that was read."""
    (line,) = three_of_four.lines

    assert 1 == max(other.score for other in line.alternatives)
    assert any(other.score == 1 for other in line.alternatives[1:])


# --- No digits


def test_blank_picture_has_no_ink(reader: Reader) -> None:
    """It is the error of a picture of one digit."""
    with pytest.raises(NoInk):
        read(reader, np.full((300, 300), 255, np.uint8))


def test_pictures_are_read_one_by_one(reader: Reader) -> None:
    """Each has its reading or its error, in their order."""
    blank, row = encode(np.full((300, 300), 255, np.uint8)), encode(FOUR.pixels)

    first, second, third = reader.read_pictures([blank, row, b"no picture"], length=4)

    assert isinstance(first, NoInk)
    assert isinstance(second, Reading)
    assert "4732" == second.text
    assert isinstance(third, UnsupportedFormat)
    assert [] == reader.read_pictures([])


def test_object_is_not_digits(reader: Reader) -> None:
    """A filled form at the border has no lines and is no digit alone."""
    pixels = np.full((300, 300), 255, np.uint8)
    pixels[:120, 60:240] = 0

    reading = read(reader, pixels)

    assert ("", (), 0.0) == (reading.text, reading.lines, reading.confidence)
    assert (ReadingVerdict.NOT_DIGITS, None, (300, 300)) == (reading.verdict, reading.reason, reading.size)


def test_strange_ink_is_not_digits(bundled: Artifact) -> None:
    """Where every OOD score is high there are no digits, however sure the network is of the classes."""
    n_features = bundled.network.n_features
    weights, biases = np.zeros((n_features, 1), np.float32), np.full(1, 9, np.float32)
    strict = Network((Layer(weights, biases, "logistic"),), (0, 1))
    reader = Reader(Classifier(replace(bundled, detector=strict, segment_detector=strict)), endless)

    assert ReadingVerdict.NOT_DIGITS is read(reader, Writing(("7",)).pixels).verdict


# --- Limits


@pytest.fixture(scope="module")
def many(reader: Reader) -> Reading:
    """Return the reading of a page with more digits than are read."""
    return read(reader, MANY.pixels)


def test_at_most_256_digits(many: Reading) -> None:
    """The first ones are read, those of whole lines and the first of another, and the reason is given."""
    assert 9 * ["7" * 27] + ["7" * 13] == many.text.splitlines()
    assert MAX_DIGITS == sum(len(line.digits) for line in many.lines)
    assert (TOO_MANY, True, ReadingVerdict.AMBIGUOUS) == (many.reason, many.is_truncated, many.verdict)


def test_more_lines_than_are_read(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond the last digit are left out."""
    monkeypatch.setattr(service.reader, "MAX_DIGITS", 4)

    reading = read(reader, TWO_LINES.pixels)

    assert ("4732", TOO_MANY, True) == (reading.text, reading.reason, reading.is_truncated)


def test_more_digits_in_one_line_than_are_read(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first digits are read, not the best partition into as many."""
    monkeypatch.setattr(service.reader, "MAX_DIGITS", 3)

    reading = read(reader, FOUR.pixels)

    assert ("473", TOO_MANY, True) == (reading.text, reading.reason, reading.is_truncated)


def test_too_many_candidates(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been segmented is read, the first line at least."""
    monkeypatch.setattr(service.reader, "MAX_SEGMENTS", len("4732"))

    reading = read(reader, TWO_LINES.pixels)

    assert reading.text
    assert "4732\n58".startswith(reading.text)
    assert (TOO_MUCH, True, ReadingVerdict.AMBIGUOUS) == (reading.reason, reading.is_truncated, reading.verdict)


@pytest.mark.parametrize("n_calls", [1, 2, 3, 4])
def test_time_is_over(classifier: Classifier, n_calls: int) -> None:
    """Whenever the time is over, what was read so far is returned, one line at least, and whether it is all."""
    reading = read(Reader(classifier, stopping_after(n_calls)), TWO_LINES.pixels)

    assert reading.text in {"4732", "4732\n58"}
    assert (reading.text == "4732") == reading.is_truncated
    assert (TOO_MUCH if reading.is_truncated else None) == reading.reason
    assert ("4732" if n_calls == 1 else reading.text) == reading.text


@pytest.mark.slow
@pytest.mark.parametrize("n_calls", range(2, 16))
def test_time_is_over_between_pages(classifier: Classifier, n_calls: int) -> None:
    """Of the ways in which a picture may be read, those are left out for which no time is left."""
    sideways = np.ascontiguousarray(np.rot90(TWO_LINES.pixels))

    in_time, late = (read(Reader(classifier, now), sideways) for now in (endless, stopping_after(n_calls)))

    assert "4732\n58" == in_time.text
    assert late.lines
    assert late.text == in_time.text or late.verdict is not ReadingVerdict.CLEAR


def test_no_page_is_turned_when_the_time_is_over(classifier: Classifier) -> None:
    """Sideways writing is read as it is where no time is left for turning it."""
    sideways = np.ascontiguousarray(np.rot90(TWO_LINES.pixels))

    reading = read(Reader(classifier, stopping_after(1)), sideways)

    assert "4732\n58" != reading.text
    assert (ReadingVerdict.AMBIGUOUS, TOO_MUCH) == (reading.verdict, reading.reason)


def test_time_is_that_of_the_thread(classifier: Classifier) -> None:
    """By default a reader has a clock, and its time is not over before a row of four digits is read."""
    assert Reader(classifier).read_picture(encode(FOUR.pixels)).reason is None


# --- Models


def with_calibration(model: Artifact, **update: object) -> Classifier:
    """Return a classifier with a model of which fields of the calibration are replaced."""
    calibration = model.metadata.calibration.model_copy(update=update)
    return Classifier(replace(model, metadata=model.metadata.model_copy(update={"calibration": calibration})))


def test_model_without_calibration_of_readings(bundled: Artifact) -> None:
    """The probability of the line is its confidence, and the threshold is that of one digit."""
    plain = Reader(with_calibration(bundled, reading=None), endless)
    steep = ReadingCalibration(slope=0.5, offset=-3, ambiguous_below=0.0)
    other = Reader(with_calibration(bundled, reading=steep), endless)

    first, second = (read(one, FOUR.pixels) for one in (plain, other))

    assert "4732" == first.text == second.text
    assert 0 < second.confidence < first.confidence
    assert pytest.approx(steep.confidence(first.confidence)) == second.confidence
    strict = Reader(with_calibration(bundled, reading=None, ambiguous_below=1.0), endless)
    assert ReadingVerdict.AMBIGUOUS is read(strict, FOUR.pixels).verdict


def test_threshold_of_readings(bundled: Artifact) -> None:
    """A line below the threshold is ambiguous, and so is the reading."""
    for threshold, verdict in ((0.0, ReadingVerdict.CLEAR), (1.0, ReadingVerdict.AMBIGUOUS)):
        reading = ReadingCalibration(slope=1, offset=0, ambiguous_below=threshold)
        strict = with_calibration(bundled, reading=reading, ambiguous_below=0.0, novel_from=None)
        assert verdict is read(Reader(strict, endless), FOUR.pixels).verdict


def test_ambiguous_digit_makes_the_reading_ambiguous(bundled: Artifact) -> None:
    """Whatever the confidence of the line."""
    reading = ReadingCalibration(slope=1, offset=0, ambiguous_below=0.0)
    strict = with_calibration(bundled, reading=reading, ambiguous_below=1.0)

    assert ReadingVerdict.AMBIGUOUS is read(Reader(strict, endless), FOUR.pixels).verdict


def test_model_without_detector(bundled: Artifact) -> None:
    """Clear digits are read by their class probabilities alone."""
    metadata = bundled.metadata.model_copy(update={"novelty_activations": [], "segment_activations": []})
    model = replace(bundled, metadata=metadata, detector=None, segment_detector=None)

    reading = read(Reader(Classifier(model), endless), FOUR.pixels)

    assert "4732" == reading.text
    assert [None] * 4 == [digit.prediction.novelty for digit in reading.lines[0].digits]


@pytest.mark.parametrize("head", ["logistic", "softmax"])
def test_model_of_two_classes(head: str) -> None:
    """Its digits are its classes, not their indices, in the text and in the alternatives."""
    network = make_network(8, head=head, classes=(3, 8))
    model = Artifact(network, make_metadata(network), "")

    reading = read(Reader(Classifier(model), endless), FOUR.pixels)

    assert reading.text
    assert set(reading.text) <= {"3", "8", "\n"}
    assert {digit for line in reading.lines for one in line.alternatives for digit in one.digits} <= {"3", "8"}


class Counter:
    """An observer that counts the predictions of each request."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Return a context that measures nothing."""
        del stage
        return nullcontext()

    def answered(self, predictions: Sequence[Prediction]) -> None:
        """Count the predictions."""
        self.seen.append(len(predictions))


def test_every_digit_is_counted_once(bundled: Artifact) -> None:
    """The observer sees the predictions that are in the reading, not those of the candidates."""
    counter = Counter()

    read(Reader(Classifier(bundled, observer=counter), endless), TWO_LINES.pixels)

    assert [6] == counter.seen


def test_one_digit_is_read_as_it_is_predicted(classifier: Classifier, reader: Reader) -> None:
    """A picture of one digit has the same class both ways."""
    for digit in (2, 3, 4, 5, 7, 8):
        data = encode(draw(digit))
        assert str(classifier.predict_picture(data).digit) == reader.read_picture(data).text
