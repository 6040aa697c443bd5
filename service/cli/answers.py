"""Encoded pictures in, answers out as JSON objects, with the fields that the service's answers have.

Out of scope: files, processes (`batch`) and HTTP. Each worker process imports this module, so it imports no web server.
"""

from __future__ import annotations

from typing import Any

from service.api.readings import reading_answer
from service.api.schemas import answer
from service.classifier import Classifier
from service.reader import Reader

JsonObject = dict[str, Any]


def predict(classifier: Classifier, data: bytes) -> JsonObject:
    """Return the answer of `/predict` to an encoded picture. Raises PictureError."""
    return answer(classifier, classifier.predict_picture(data)).model_dump(mode="json", exclude_unset=True)


def read(classifier: Classifier, data: bytes, length: int | None = None) -> JsonObject:
    """Return the answer of `/read` to an encoded picture, with this number of digits if given. Raises PictureError."""
    reading = Reader(classifier).read_picture(data, length)
    return reading_answer(classifier, reading).model_dump(mode="json", exclude_unset=True)
