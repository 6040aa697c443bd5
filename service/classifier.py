"""Inference: encoded pictures or digits in MNIST form in, Predictions out.

It composes decoding, normalisation, the network, the OOD detector and the explanation. Out of scope: what each of them
computes (`service.images`, `service.model`), and HTTP (`service.api`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal, ParamSpec, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from service.errors import InvalidPixels, PictureError
from service.images.decoding import WORKING_SIDE, Picture, PixelBudget, decode
from service.images.pipeline import Normalized, Report, normalize
from service.images.search import LARGER_SIDE
from service.model import artifact
from service.model.artifact import Artifact
from service.model.explanation import Explanation, explain
from service.model.verdict import Verdict, decide
from service.settings import MAX_PIXELS
from service.types import FORMATS, IMAGE_SIDE, PIXELS, FloatArray, Probabilities

# The number of a batch's pictures that are decoded before any of them is normalised.
CHUNK_SIZE = 8

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Prediction:
    """One answer: calibrated probabilities, float64 (n_classes,), in the order of `classes`, and the verdict.

    `index` is the index of the most probable class, `confidence` its probability. `novelty` is the out-of-distribution
    (OOD) score, from 0 = like a digit to 1 = unlike any, None for a model without a detector. `input` is the network's
    input, float32 (28, 28), 0..1. `report` describes how a picture became the input; None for an array.
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
    """Instrumentation hooks: the durations of stages, and the predictions."""

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Return a context that measures one stage."""

    def answered(self, predictions: Sequence[Prediction]) -> None:
        """Record the predictions of one request."""


class Classifier:
    """A model with the steps before it: it answers pictures, digits in MNIST form and network inputs."""

    def __init__(
        self,
        model: Artifact,
        max_pixels: int = MAX_PIXELS,
        observer: Observer | None = None,
        formats: Collection[str] = FORMATS,
    ) -> None:
        """Answer with this model.

        `max_pixels` is the most pixels of a picture, and the in-flight pixel budget of all threads together. `formats`
        are those that are accepted.
        """
        self.model = model
        self.max_pixels = max_pixels
        self._observer = observer
        self.formats = formats
        self._budget = PixelBudget(max_pixels)

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
        return self._predict_normalized([self.preprocess(data)[1]])[0]

    def decode(self, data: bytes, side: int = WORKING_SIDE) -> Picture:
        """Return an encoded picture with at most `side` pixels on its longer side. Raises PictureError."""
        with self._stage("decode"):
            return decode(data, self.max_pixels, self._budget, side=side, formats=self.formats)

    def preprocess(self, data: bytes) -> tuple[Picture, Normalized]:
        """Return an encoded picture decoded, and in MNIST form. Raises PictureError when it cannot be answered."""
        picture = self.decode(data)
        return picture, self._normalize(picture, data)

    def predict_pictures(self, pictures: Sequence[bytes]) -> list[Prediction | PictureError]:
        """Answer encoded pictures, each with its prediction or its error, in their order."""
        results: list[Normalized | PictureError] = []
        # Running one step over a chunk keeps its code in the processor's cache, which is faster than all steps for one
        # picture after the other. Chunks bound the memory of decoded pictures.
        for start in range(0, len(pictures), CHUNK_SIZE):
            chunk = pictures[start : start + CHUNK_SIZE]
            decoded = [result_or_error(self.decode, data) for data in chunk]
            results += [
                one if isinstance(one, PictureError) else result_or_error(self._normalize, one, data)
                for one, data in zip(decoded, chunk, strict=True)
            ]
        predictions = iter(self._predict_normalized([one for one in results if isinstance(one, Normalized)]))
        return [next(predictions) if isinstance(one, Normalized) else one for one in results]

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

    def predict_segments(self, inputs: FloatArray, is_whole: npt.NDArray[np.bool_]) -> list[Prediction]:
        """Answer segments of a row, as `score_segments` takes them; novelty is how unlike one whole digit each is."""
        probabilities, scores = self.score_segments(inputs, is_whole)
        return self._observed(self._decided(inputs, [None] * len(inputs), probabilities, scores))

    def score_segments(
        self, inputs: FloatArray, is_whole: npt.NDArray[np.bool_]
    ) -> tuple[Probabilities, list[float] | list[None]]:
        """Return calibrated probabilities (n, n_classes) and n novelties, uncounted.

        `inputs` are segments in MNIST form, float32 (n, 784); `is_whole`, bool (n,), are those that were not cut.
        """
        with self._stage("infer"):
            return self.model.answer_segments(inputs, is_whole)

    def explain(self, prediction: Prediction) -> Explanation:
        """Return the activations of a prediction, and the attribution of its class to each pixel."""
        return explain(self.model.network, prediction.input.ravel(), prediction.index)

    def _stage(self, stage: Stage) -> AbstractContextManager[object]:
        return nullcontext() if self._observer is None else self._observer.stage(stage)

    def _observed(self, predictions: list[Prediction]) -> list[Prediction]:
        if self._observer is not None:
            self._observer.answered(predictions)
        return predictions

    def _normalize(self, picture: Picture, data: bytes) -> Normalized:
        is_reduced = max(picture.width, picture.height) > WORKING_SIDE
        with self._stage("normalize"):
            return normalize(picture.pixels, (lambda: self.decode(data, LARGER_SIDE).pixels) if is_reduced else None)

    def _predict_normalized(self, pictures: Sequence[Normalized]) -> list[Prediction]:
        """Answer pictures, each with the most credible of its readings."""
        readings = [reading for picture in pictures for reading in (picture, *picture.others)]
        inputs = np.array([reading.pixels for reading in readings], np.float32).reshape(-1, PIXELS)
        predictions = self._predict(inputs, [reading.report for reading in readings])
        if len(readings) > len(pictures):
            answers = zip(readings, predictions, strict=True)
            predictions = [_most_credible(list(islice(answers, 1 + len(picture.others)))) for picture in pictures]
        # Decided on the picture's components, whatever the network thinks of one of them.
        return self._observed(
            [
                replace(prediction, verdict=Verdict.SEVERAL_DIGITS) if picture.has_several else prediction
                for picture, prediction in zip(pictures, predictions, strict=True)
            ]
        )

    def _predict(self, inputs: FloatArray, reports: Sequence[Report | None]) -> list[Prediction]:
        with self._stage("infer"):
            probabilities, novelties = self.model.answer(inputs)
        return self._decided(inputs, reports, probabilities, novelties)

    def _decided(
        self,
        inputs: FloatArray,
        reports: Sequence[Report | None],
        probabilities: Probabilities,
        novelties: Sequence[float | None],
    ) -> list[Prediction]:
        # numpy takes about as long for one row as for all.
        indices = self.model.network.most_probable(probabilities).tolist()
        confidences = probabilities.max(axis=1).tolist()
        images = inputs.reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
        classes, calibration = self.model.network.classes, self.model.metadata.calibration
        return [
            Prediction(
                probabilities=row,
                classes=classes,
                index=index,
                confidence=confidence,
                novelty=novelty,
                verdict=decide(confidence, novelty, calibration),
                input=image,
                report=report,
            )
            for row, index, confidence, novelty, image, report in zip(
                probabilities, indices, confidences, novelties, images, reports, strict=True
            )
        ]


def _most_credible(readings: Sequence[tuple[Normalized, Prediction]]) -> Prediction:
    """Return the prediction of the most credible reading.

    Readings that are digits come first, then those on a sheet or a badge, since other ink may be the region itself.
    Then the confidence counts, times 1 less the OOD score.
    """

    def credibility(reading: tuple[Normalized, Prediction]) -> tuple[bool, bool, float]:
        normalized, prediction = reading
        score = prediction.confidence * (1 - (prediction.novelty or 0))
        return prediction.verdict is not Verdict.NOT_A_DIGIT, normalized.on_region, score

    return max(readings, key=credibility)[1]


def result_or_error(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | PictureError:
    """Return what a function returns, or the PictureError that it raises, so that a picture does not fail others."""
    try:
        return function(*args, **kwargs)
    except PictureError as error:
        return error
