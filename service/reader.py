"""Reading: encoded pictures in, every digit of them out, in lines. The same network reads each digit.

A picture is over-segmented into candidate digits; only components that are surely one digit are not cut. All candidates
are classified in one batch, and for each line the best partition is searched, over the calibrated probabilities and the
OOD scores. Out of scope: where lines and cuts are (`service.images`), the search for a partition
(`service.model.partition`), one digit alone (`classifier`), and HTTP.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
import numpy.typing as npt

from service.classifier import Classifier, Prediction, result_or_error
from service.errors import PictureError
from service.images.components import Box
from service.images.cuts import Segment, cut, find_segments, find_whole, may_be_one
from service.images.decoding import Picture
from service.images.lines import Fragment
from service.images.pages import READING_SIDE, Candidate, Page, find_candidates
from service.model.partition import Lattice, Partition
from service.model.verdict import ReadingVerdict, Verdict
from service.types import PIXELS, FloatArray, Probabilities

# The most digits that are read in a picture, candidate digits of a page, and seconds.
MAX_DIGITS = 256
MAX_SEGMENTS = 2000
MAX_SECONDS = 1.0
# The weight of a digit in a partition, 0..1, so that fewer digits win where all else is equal; that of ink as high as
# the line that belongs to no segment; and that of a segment that is no digit, which is also the least of the others.
_DIGIT_WEIGHT = 0.95
_SKIP_WEIGHT = 0.05
_MIN_WEIGHT = 1e-4
# A fragment is surely one digit where its probability, times 1 less its OOD score, is above this. Then it is not cut.
_SURE = 0.95
# Alternatives have at most this many digits more or fewer than what is read.
_MAX_COUNT_DIFFERENCE = 2
# A candidate with a higher OOD score is no digit, whatever the alternatives.
_MAX_NOVELTY = 0.9
# The share of a page's ink that is read as digits, each with its probability, from which on no other page is looked at,
# and from which on only the other scale is. A page of the polarity that was not estimated, and a turned one, has to be
# better than the first page by these numbers.
_CREDIBLE = 0.93
_DOUBTFUL = 0.65
_BETTER_INVERTED = 0.05
_BETTER_TURNED = 0.08
# The share of the ink of the heaviest fragments, and their largest number, that is read without cuts, from which on the
# first page is read before others are looked at. The most pages that are read otherwise, besides the first.
_PROMISING = 0.7
_MAX_WHOLE = 64
_MAX_READ = 2

TOO_MUCH = "the picture has more to read than fits in the time allowed: send a part of it"
TOO_MANY = f"the picture has more than {MAX_DIGITS} digits: send a part of it"
NO_SUCH_LENGTH = "no reading of the picture has the number of digits that was asked for"


@dataclass(frozen=True, eq=False)
class ReadDigit:
    """One digit of a line: what the network says of it, and its box in pixels of the picture."""

    prediction: Prediction
    box: Box


@dataclass(frozen=True)
class Alternative:
    """A partition that was considered: the digits in a box where it differs from the best one, and its score.

    `score` is its probability over that of the best partition, 0..1; 1 for the best one itself.
    """

    box: Box
    digits: str
    score: float


@dataclass(frozen=True, eq=False)
class ReadLine:
    """One line: its digits from left to right, at least one, and the calibrated probability that all are right."""

    digits: tuple[ReadDigit, ...]
    confidence: float
    box: Box
    alternatives: tuple[Alternative, ...]

    @property
    def text(self) -> str:
        """The digits alone, without spaces."""
        return "".join(str(digit.prediction.digit) for digit in self.digits)


@dataclass(frozen=True, eq=False)
class Reading:
    """All lines of a picture, from top to bottom, and the calibrated probability that all of them are right.

    `size` is the (height, width) of the upright picture, to which all boxes refer. `reason` says why a reading is
    incomplete or doubtful beyond its digits, None where it is not. `is_truncated` is True where not all was read.
    """

    lines: tuple[ReadLine, ...]
    confidence: float
    verdict: ReadingVerdict
    size: tuple[int, int]
    reason: str | None = None
    is_truncated: bool = False

    @property
    def text(self) -> str:
        """The texts of the lines, joined by line feeds."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, eq=False)
class _Line:
    """A line of a page with all candidate digits, the partitions by number of digits, and the chosen one of these."""

    segments: list[Segment]
    lattice: Lattice
    partitions: list[Partition]
    chosen: Partition

    @property
    def classes(self) -> list[int]:
        """The class index of each digit."""
        return [int(self.lattice.probabilities[segment].argmax()) for segment in self.chosen.segments]

    @property
    def read_ink(self) -> float:
        """The ink of the digits, each weighted by the probability that it is right."""
        certainties = self.lattice.digit_weights / _DIGIT_WEIGHT * self.lattice.probabilities.max(axis=1)
        return sum(self.segments[s].ink * float(certainties[s]) for s in self.chosen.segments)

    def alternatives(self) -> Iterator[tuple[list[Box], list[int], float]]:
        """Yield the chosen partition, then those with up to two digits more or fewer, the likeliest first.

        Each as the boxes of the digits in which it differs from the chosen one, these digits as class indices, and its
        probability over that of the chosen one, 0..1.
        """
        chosen = set(self.chosen.segments)
        yield [self.segments[s].box for s in self.chosen.segments], self.classes, 1.0
        for other in sorted(self.partitions, key=lambda one: -one.score):
            own = set(other.segments)
            if own != chosen and abs(len(own) - len(chosen)) <= _MAX_COUNT_DIFFERENCE and own:
                differing = own ^ chosen
                classes = [int(self.lattice.probabilities[s].argmax()) for s in other.segments if s not in chosen]
                score = math.exp(min(0.0, other.score - self.chosen.score))
                yield [self.segments[s].box for s in differing], classes, score


@dataclass(frozen=True, eq=False)
class _PageReading:
    """The lines of a page, the share of its ink that was read as digits, 0..1, and whether all of it was looked at.

    `has_length` is False where the page has not the number of digits that was asked for. `margin` is by how much it has
    to be better than the first page.
    """

    page: Page
    lines: list[_Line]
    share: float
    is_complete: bool
    has_length: bool
    margin: float

    @cached_property
    def quality(self) -> float:
        """The share, times the mean probability of the lines' texts, weighted by their digits, 0..1."""
        n_digits = [len(line.chosen.segments) for line in self.lines]
        probabilities = [line.lattice.text_probability(line.classes) for line in self.lines]
        return self.share * float(np.dot(n_digits, probabilities)) / max(sum(n_digits), 1)

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """What makes a page better: the number of digits, that it was looked at as a whole, and its quality."""
        return self.has_length, self.is_complete, self.quality - self.margin


class Reader:
    """Reads all digits of a picture with a classifier."""

    def __init__(self, classifier: Classifier, now: Callable[[], float] = time.thread_time) -> None:
        """Read with this classifier. `now` returns seconds of work: other threads take none of the time allowed."""
        self._classifier = classifier
        self._classes = classifier.model.network.classes
        self._now = now

    def read_picture(self, data: bytes, length: int | None = None) -> Reading:
        """Read an encoded picture. `length` is the number of its digits where that is known.

        Raises PictureError when it cannot be answered, NoInk among others when it is blank.
        """
        deadline = self._now() + MAX_SECONDS
        picture = self._classifier.decode(data, READING_SIDE)
        best = self._best_page(picture, length, deadline)
        if best is None or not best.lines:
            return self._read_one(data, picture, length)
        return self._reading(picture, best)

    def read_pictures(self, pictures: Sequence[bytes], length: int | None = None) -> list[Reading | PictureError]:
        """Read encoded pictures, each with its reading or its error, in their order."""
        return [result_or_error(self.read_picture, data, length) for data in pictures]

    def _best_page(self, picture: Picture, length: int | None, deadline: float) -> _PageReading | None:
        """Return the reading of the best page; None where there is no page.

        The first page mostly is the best one. Of the others only those are read on which most ink looks like digits
        without a cut, since cuts take most of the time.
        """
        candidates = find_candidates(picture.pixels)
        first = next((page for page in (candidate.page() for candidate in candidates) if page is not None), None)
        if first is None:
            return None
        best, unread = None, []
        share, undecided = self._share_of_whole(first)
        if share + undecided > _PROMISING:
            best = self._read_page(first, length, deadline)
            if best.share > _CREDIBLE and best.has_length:
                return best
            share = best.share
        else:
            unread.append((share, 0.0, first))
        for candidate, margin in _alternatives(candidates, first.candidate, share):
            page = candidate.page() if self._now() < deadline else None
            if page is not None:
                unread.append((self._share_of_whole(page)[0] - margin, margin, page))
        unread.sort(key=lambda other: -other[0])
        for _, margin, page in [other for rank, other in enumerate(unread) if rank < _MAX_READ or other[2] is first]:
            if best is None or self._now() < deadline:
                found = self._read_page(page, length, deadline, margin)
                if best is None or found.rank > best.rank:
                    best = found
        return best

    def _share_of_whole(self, page: Page) -> tuple[float, float]:
        """Return the share of a page's ink that is read as digits where no fragment is cut, 0..1, of the heaviest.

        Returns also the share of what is so wide that only cuts can tell, such as touching digits.
        """
        fragments = [(fragment, line.height) for line in page.lines for fragment in line.fragments]
        heaviest = sorted(fragments, key=lambda one: -one[0].ink)[:_MAX_WHOLE]
        segments = [segment for one, height in heaviest for segment in find_whole([one], height, page.strength)]
        certainties = _certainties(*self._classify(segments))
        ink = sum(fragment.ink for fragment, _ in heaviest)
        joined = sum(fragment.ink for fragment, height in heaviest if not may_be_one(fragment, height))
        return float(np.dot(certainties, [segment.ink for segment in segments])) / max(ink, 1), joined / max(ink, 1)

    def _read_page(self, page: Page, length: int | None, deadline: float, margin: float = 0.0) -> _PageReading:
        candidates: list[tuple[float, list[Fragment], list[Segment]]] = []
        n_segments, is_complete = 0, page.is_complete
        for line, uncut in zip(page.lines, self._sure_digits(page), strict=True):
            if candidates and self._now() > deadline:
                is_complete = False
                break
            fragments = cut(line, page.strength, uncut)
            segments = find_segments(fragments, line.height, page.strength, MAX_SEGMENTS - n_segments)
            candidates.append((line.height, fragments, segments))
            n_segments += len(segments)
            if n_segments == MAX_SEGMENTS:
                is_complete = False
                break
        probabilities, novelties = self._classify([s for _, _, segments in candidates for s in segments])
        lines, start = [], 0
        for height, fragments, segments in candidates:
            rows = slice(start, start + len(segments))
            start += len(segments)
            lattice = _lattice(fragments, segments, height, probabilities[rows], novelties[rows])
            # One digit more than are read tells that there are more.
            partitions = lattice.partitions(min(len(segments), MAX_DIGITS + 1))
            lines.append(_Line(segments, lattice, partitions, max(partitions, key=lambda one: one.score)))
        has_length = True
        if length is not None:
            with_length = _with_length(lines, length)
            has_length, lines = with_length is not None, with_length or lines
        ink = sum(fragment.ink for _, fragments, _ in candidates for fragment in fragments)
        share = sum(line.read_ink for line in lines) / max(ink, 1)
        lines = [line for line in lines if line.chosen.segments]
        return _PageReading(page, lines, share, is_complete, has_length, margin)

    def _sure_digits(self, page: Page) -> list[set[int]]:
        """Return the numbers of the fragments of each line that are wide, and surely one digit each."""
        wide = [find_whole(line.fragments, line.height, page.strength, only_wide=True) for line in page.lines]
        certainties = _certainties(*self._classify([segment for segments in wide for segment in segments]))
        is_sure = iter((certainties > _SURE).tolist())
        return [{segment.start for segment in segments if next(is_sure)} for segments in wide]

    def _classify(self, segments: Sequence[Segment]) -> tuple[Probabilities, Probabilities]:
        """Return the class probabilities, float64 (n, n_classes), and the OOD scores, float64 (n,), of segments."""
        probabilities, scores = self._classifier.score_segments(*_inputs(segments))
        return probabilities, np.array([score or 0.0 for score in scores])

    def _reading(self, picture: Picture, best: _PageReading) -> Reading:
        """Return the reading of a page, with boxes in pixels of the upright picture."""
        scale = max(picture.upright_size) / max(picture.pixels.shape[:2])
        lines, n_digits = _first_digits(best.lines, MAX_DIGITS)
        chosen = [line.segments[segment] for line in lines for segment in line.chosen.segments]
        predictions = iter(self._classifier.predict_segments(*_inputs(chosen)))

        def in_picture(boxes: Sequence[Box]) -> Box:
            box = best.page.in_picture(reduce(Box.union, boxes))
            return Box(*(round(scale * side) for side in box)).clipped(picture.upright_size)

        read = []
        for line in lines:
            boxes = [line.segments[segment].box for segment in line.chosen.segments]
            digits = tuple(ReadDigit(next(predictions), in_picture([box])) for box in boxes)
            alternatives = tuple(
                Alternative(in_picture(where), "".join(str(self._classes[index]) for index in classes), score)
                for where, classes, score in line.alternatives()
            )
            confidence = self._calibrated(line.lattice.text_probability(line.classes))
            read.append(ReadLine(digits, confidence, in_picture(boxes), alternatives))
        reason = None
        if n_digits > MAX_DIGITS:
            reason = TOO_MANY
        elif not best.is_complete:
            reason = TOO_MUCH
        elif not best.has_length:
            reason = NO_SUCH_LENGTH
        is_clear = reason is None and all(self._is_clear(line) for line in read)
        return Reading(
            lines=tuple(read),
            confidence=math.prod(line.confidence for line in read),
            verdict=ReadingVerdict.CLEAR if is_clear else ReadingVerdict.AMBIGUOUS,
            size=picture.upright_size,
            reason=reason,
            is_truncated=reason in {TOO_MANY, TOO_MUCH},
        )

    def _calibrated(self, probability: float) -> float:
        reading = self._classifier.model.metadata.calibration.reading
        return probability if reading is None else reading.confidence(probability)

    def _is_clear(self, line: ReadLine) -> bool:
        calibration = self._classifier.model.metadata.calibration
        threshold = calibration.ambiguous_below if calibration.reading is None else calibration.reading.ambiguous_below
        is_sure = line.confidence >= threshold
        return is_sure and all(digit.prediction.verdict is Verdict.CLEAR for digit in line.digits)

    def _read_one(self, data: bytes, picture: Picture, length: int | None) -> Reading:
        """Return the reading of a picture without lines, which may still have one digit, as small as a digit may be."""
        prediction = self._classifier.predict_picture(data)
        size = picture.upright_size
        if prediction.verdict is not Verdict.CLEAR or prediction.report is None:
            return Reading((), 0.0, ReadingVerdict.NOT_DIGITS, size)
        scale = max(size) / max(prediction.report.size)
        box = Box(*(round(scale * side) for side in prediction.report.ink_box)).clipped(size)
        line = ReadLine((ReadDigit(prediction, box),), prediction.confidence, box, ())
        if length not in {None, 1}:
            return Reading((line,), line.confidence, ReadingVerdict.AMBIGUOUS, size, NO_SUCH_LENGTH)
        return Reading((line,), line.confidence, ReadingVerdict.CLEAR, size)


def _inputs(segments: Sequence[Segment]) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return segments as inputs of the network, float32 (n, 784), and which of them are whole components, (n,)."""
    pixels = np.array([segment.pixels for segment in segments], np.float32).reshape(-1, PIXELS)
    return pixels, np.array([segment.is_whole for segment in segments], np.bool_)


def _certainties(probabilities: Probabilities, novelties: Probabilities) -> Probabilities:
    """Return how likely each segment is one digit, of its most probable class, 0..1, float64 (n,)."""
    certainties: Probabilities = probabilities.max(axis=1) * (1 - novelties)
    return certainties


def _alternatives(candidates: Iterator[Candidate], first: Candidate, share: float) -> Iterator[tuple[Candidate, float]]:
    """Yield what is looked at beside the first page, of which this share was read, and by how much it has to be better.

    These are the other candidates, and the turned first one.
    """
    for candidate in candidates:
        if share < (_CREDIBLE if candidate.is_likely and candidate.view.is_whole else _DOUBTFUL):
            yield candidate, 0.0 if candidate.is_likely else _BETTER_INVERTED
    for n_quarters in (1, 3, 2) if share < _DOUBTFUL else ():
        yield first.turned(n_quarters), _BETTER_TURNED


def _lattice(
    fragments: Sequence[Fragment],
    segments: Sequence[Segment],
    height: float,
    probabilities: Probabilities,
    novelties: Probabilities,
) -> Lattice:
    """Return the candidates of a line of this height, with class probabilities (n, n_classes) and OOD scores (n,)."""
    weights = np.where(novelties < _MAX_NOVELTY, _DIGIT_WEIGHT * (1 - novelties), 0)
    skips = np.array([_SKIP_WEIGHT ** min(1, fragment.box.longer / height) for fragment in fragments])
    # What is surely a part of a digit is hardly skipped.
    certainties = np.zeros(len(fragments))
    for segment, certainty in zip(segments, _certainties(probabilities, novelties).tolist(), strict=True):
        part = certainties[segment.start : segment.stop]
        np.maximum(part, certainty, out=part)
    skips = np.maximum(skips * np.minimum(1, 2 * (1 - certainties)), _MIN_WEIGHT)
    return Lattice(
        starts=[segment.start for segment in segments],
        stops=[segment.stop for segment in segments],
        probabilities=probabilities,
        digit_weights=weights,
        other_weight=_MIN_WEIGHT,
        skip_weights=skips,
    )


def _first_digits(lines: list[_Line], n_digits: int) -> tuple[list[_Line], int]:
    """Return the lines up to this number of digits, the last one cut off, and the number of all digits."""
    n_all, first = 0, []
    for line in lines:
        segments = line.chosen.segments[: max(0, n_digits - n_all)]
        n_all += len(line.chosen.segments)
        if segments:
            first.append(replace(line, chosen=replace(line.chosen, segments=segments)))
    return first, n_all


def _with_length(lines: list[_Line], length: int) -> list[_Line] | None:
    """Return lines with partitions of this many digits together, the best of these; None where no partition has it."""
    # By the number of digits of the first lines: the best score, and the partitions.
    best: dict[int, tuple[float, list[Partition]]] = {0: (0.0, [])}
    for line in lines:
        longer: dict[int, tuple[float, list[Partition]]] = {}
        for n_before, (score, chosen) in best.items():
            for partition in line.partitions:
                n_digits = n_before + len(partition.segments)
                if n_digits <= length and (n_digits not in longer or longer[n_digits][0] < score + partition.score):
                    longer[n_digits] = score + partition.score, [*chosen, partition]
        best = longer
    if length not in best:
        return None
    return [replace(line, chosen=partition) for line, partition in zip(lines, best[length][1], strict=True)]
