"""Readings for tests that do not depend on how a picture is read."""

from __future__ import annotations

import numpy as np

from service.classifier import Classifier
from service.errors import NoInk
from service.images.components import Box
from service.model.verdict import ReadingVerdict
from service.reader import Alternative, ReadDigit, Reader, Reading, ReadLine
from service.types import PIXELS

BOX = Box(1, 2, 30, 20)


def make_reading(
    classifier: Classifier,
    *line_lengths: int,
    verdict: ReadingVerdict = ReadingVerdict.CLEAR,
    reason: str | None = None,
    is_truncated: bool = False,
) -> Reading:
    """Return a reading whose lines have so many digits, each with two partitions, of a picture of 40 x 60 pixels."""
    (prediction,) = classifier.predict_inputs(np.zeros((1, PIXELS), np.float32))
    alternatives = (Alternative(BOX, "7", 1.0), Alternative(BOX, "11", 0.25))
    lines = tuple(
        ReadLine((ReadDigit(prediction, BOX),) * n_digits, 0.9, BOX, alternatives) for n_digits in line_lengths
    )
    return Reading(lines, 0.8, verdict, (40, 60), reason, is_truncated)


class StubReader(Reader):
    """A reader that returns the same reading of every picture, and NoInk for an empty one. It records the lengths."""

    def __init__(self, classifier: Classifier, reading: Reading) -> None:
        super().__init__(classifier)
        self.reading = reading
        self.lengths: list[int | None] = []

    def read_picture(self, data: bytes, length: int | None = None) -> Reading:
        """Return the reading."""
        self.lengths.append(length)
        if not data:
            message = "the picture is blank"
            raise NoInk(message)
        return self.reading
