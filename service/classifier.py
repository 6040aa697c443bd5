"""The two ways in, pictures and digits in MNIST form, each to a Prediction. It only composes the other modules."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, ParamSpec, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from service.errors import InvalidPixels, PictureError
from service.images.decoding import WORKING_SIDE, Budget, Picture, decode
from service.images.pipeline import Normalized, Report, normalize
from service.images.search import LARGER_SIDE
from service.model import artifact
from service.model.artifact import Artifact
from service.model.calibration import Verdict
from service.model.explanation import Explanation, explain
from service.settings import MAX_PIXELS
from service.types import FORMATS, IMAGE_SIDE, PIXELS, FloatArray, Probabilities

# Pictures of a batch that are decoded before they are normalised.
TOGETHER = 8

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Prediction:
    """One answer: calibrated probabilities (n_classes,) in the order of `classes`, and what follows from them.

    `index` is where the most probable class stands, `confidence` its probability. `novelty` is from 0 = like a digit to
    1 = unlike any, None where the model cannot tell. `input` is what the network saw, float32 (28, 28); `report` says
    how a picture came to it, None for an array.
    """

    probabilities: Probabilities
    classes: tuple[int, ...]
    index: int
    confidence: float
    novelty: float | None
    verdict: Verdict
    input: FloatArray
    report: Report | None

    @property
    def digit(self) -> int:
        """The most probable class."""
        return self.classes[self.index]


Stage = Literal["decode", "normalize", "infer"]


class Observer(Protocol):
    """Instrumentation hooks: how long the stages of answers take, and what the answers are."""

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Return a context that measures one stage."""

    def answered(self, predictions: Sequence[Prediction]) -> None:
        """Count answers."""


class Classifier:
    """A model ready to answer."""

    def __init__(
        self,
        model: Artifact,
        max_pixels: int = MAX_PIXELS,
        observer: Observer | None = None,
        formats: Collection[str] = FORMATS,
    ) -> None:
        """Answer with this model, decoding pictures of at most max_pixels pixels, and no more than that at once."""
        self.model = model
        self.max_pixels = max_pixels
        self._observer = observer
        self.formats = formats
        self._budget = Budget(max_pixels)

    @classmethod
    def load(
        cls,
        path: Path,
        max_pixels: int = MAX_PIXELS,
        observer: Observer | None = None,
        formats: Collection[str] = FORMATS,
    ) -> Classifier:
        """Read a model file. Raises ArtifactError when it cannot be served."""
        return cls(artifact.load(path), max_pixels, observer, formats)

    def predict_picture(self, data: bytes) -> Prediction:
        """Answer an encoded picture. Raises PictureError when it cannot be answered."""
        return self._predict_seen([self.see(data)[1]])[0]

    def see(self, data: bytes) -> tuple[Picture, Normalized]:
        """Return an encoded picture decoded, and in MNIST form. Raises PictureError when it cannot be answered."""
        picture = self._decode(data)
        return picture, self._normalize(picture, data)

    def predict_pictures(self, pictures: Sequence[bytes]) -> list[Prediction | PictureError]:
        """Answer encoded pictures, each with its prediction or with what was wrong with it, in their order."""
        found: list[Normalized | PictureError] = []
        # One step of some pictures, then the next: that is faster than all steps of one, whose code would drive each
        # other's out of the processor's cache. And it is no more decoded pictures than memory has place for.
        for start in range(0, len(pictures), TOGETHER):
            chunk = pictures[start : start + TOGETHER]
            decoded = [_tried(self._decode, data) for data in chunk]
            found += [
                one if isinstance(one, PictureError) else _tried(self._normalize, one, data)
                for one, data in zip(decoded, chunk, strict=True)
            ]
        predictions = iter(self._predict_seen([one for one in found if isinstance(one, Normalized)]))
        return [next(predictions) if isinstance(one, Normalized) else one for one in found]

    def predict_pixels(self, pixels: npt.ArrayLike) -> list[Prediction]:
        """Answer digits in MNIST form, integers (n, 28, 28) from 0 = background to 255 = ink.

        Raises InvalidPixels for another shape, for fractions and for values out of range.
        """
        try:
            values = np.asarray(pixels)
        except ValueError as error:
            message = "pixels must be 28 rows of 28 integers each"
            raise InvalidPixels(message) from error
        if values.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
            message = f"pixels must be 28 rows of 28 integers each, not of shape {values.shape[1:]}"
            raise InvalidPixels(message)
        if values.dtype.kind not in "iu" or (values.size and (values.min() < 0 or values.max() > 255)):
            message = "pixels must be integers from 0, background, to 255, ink: do not scale them to 0..1"
            raise InvalidPixels(message)
        return self.predict_inputs(values.reshape(-1, PIXELS).astype(np.float32) / np.float32(255))

    def predict_inputs(self, inputs: FloatArray) -> list[Prediction]:
        """Answer digits in MNIST form, float32 (n, 784) from 0 = background to 1 = ink."""
        predictions = self._predict(inputs, [None] * len(inputs))
        return self._observed(predictions)

    def explain(self, prediction: Prediction) -> Explanation:
        """Return the activations behind an answer and how much each pixel spoke for it."""
        return explain(self.model.network, prediction.input.ravel(), prediction.index)

    def _stage(self, stage: Stage) -> AbstractContextManager[object]:
        return nullcontext() if self._observer is None else self._observer.stage(stage)

    def _observed(self, predictions: list[Prediction]) -> list[Prediction]:
        if self._observer is not None:
            self._observer.answered(predictions)
        return predictions

    def _decode(self, data: bytes, side: int = WORKING_SIDE) -> Picture:
        with self._stage("decode"):
            return decode(data, self.max_pixels, self._budget, side=side, formats=self.formats)

    def _normalize(self, picture: Picture, data: bytes) -> Normalized:
        is_reduced = max(picture.width, picture.height) > WORKING_SIDE
        with self._stage("normalize"):
            return normalize(picture.pixels, (lambda: self._decode(data, LARGER_SIDE).pixels) if is_reduced else None)

    def _predict_seen(self, pictures: Sequence[Normalized]) -> list[Prediction]:
        """Answer pictures, of each the way to see it that the network finds most like a digit."""
        readings = [reading for picture in pictures for reading in (picture, *picture.others)]
        inputs = np.array([reading.pixels for reading in readings], np.float32).reshape(-1, PIXELS)
        predictions = self._predict(inputs, [reading.report for reading in readings])
        if len(readings) > len(pictures):
            answers = zip(readings, predictions, strict=True)
            predictions = [_likeliest(list(islice(answers, 1 + len(picture.others)))) for picture in pictures]
        return self._observed(predictions)

    def _predict(self, inputs: FloatArray, reports: Sequence[Report | None]) -> list[Prediction]:
        with self._stage("infer"):
            probabilities, novelties = self.model.answer(inputs)
        # Of all at once, since each such step takes as long for one as for many.
        indices = probabilities.argmax(axis=1).tolist()
        confidences = probabilities.max(axis=1).tolist()
        images = inputs.reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
        classes, judge = self.model.network.classes, self.model.metadata.calibration.judge
        return [
            Prediction(
                probabilities=row,
                classes=classes,
                index=index,
                confidence=confidence,
                novelty=unlike,
                verdict=judge(confidence, unlike),
                input=image,
                report=report,
            )
            for row, index, confidence, unlike, image, report in zip(
                probabilities, indices, confidences, novelties, images, reports, strict=True
            )
        ]


def _likeliest(readings: Sequence[tuple[Normalized, Prediction]]) -> Prediction:
    """Return the most credible answer: a digit on a sheet or a badge before one that may be these themselves."""

    def credibility(reading: tuple[Normalized, Prediction]) -> tuple[bool, bool, float]:
        seen, answer = reading
        score = answer.confidence * (1 - (answer.novelty or 0))
        return answer.verdict is not Verdict.NOT_A_DIGIT, seen.on_region, score

    return max(readings, key=credibility)[1]


def _tried(work: Callable[P, R], *given: P.args, **named: P.kwargs) -> R | PictureError:
    try:
        return work(*given, **named)
    except PictureError as error:
        return error
