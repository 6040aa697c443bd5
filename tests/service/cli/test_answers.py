"""Tests of service.cli.answers."""

from __future__ import annotations

import numpy as np
import pytest

from service.classifier import Classifier
from service.cli import answers
from service.errors import NoInk
from service.reader import Reader
from tests.pictures import draw, encode

BLANK = encode(draw(ink=255))


def test_predict_returns_the_fields_of_the_service(classifier: Classifier) -> None:
    """They are plain values, and fields that were not requested are absent."""
    picture = encode(draw(7))
    answer = answers.predict(classifier, picture)

    assert ["digit", "confidence", "probabilities", "classes", "verdict", "novelty", "model"] == list(answer)
    assert (7, classifier.predict_picture(picture).confidence, "clear") == (
        answer["digit"],
        answer["confidence"],
        answer["verdict"],
    )
    assert type(answer["verdict"]) is str


@pytest.mark.parametrize("length", [None, 1, 2])
def test_read_returns_the_fields_of_the_service(classifier: Classifier, length: int | None) -> None:
    """The text and the confidence are those of the reader, which gets the length."""
    picture = encode(np.hstack([np.asarray(draw(1)), np.asarray(draw(7))]))
    answer = answers.read(classifier, picture, length)
    reading = Reader(classifier).read_picture(picture, length)

    assert ["text", "confidence", "verdict", "lines", "picture_size", "classes", "model"] == list(answer)[:7]
    assert (reading.text, reading.confidence, reading.verdict) == (
        answer["text"],
        answer["confidence"],
        answer["verdict"],
    )
    assert type(answer["verdict"]) is str


def test_blank_picture_is_an_error(classifier: Classifier) -> None:
    """Of both."""
    with pytest.raises(NoInk):
        answers.predict(classifier, BLANK)
    with pytest.raises(NoInk):
        answers.read(classifier, BLANK)
