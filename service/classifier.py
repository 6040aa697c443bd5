"""The two ways in, pictures and digits in MNIST form, each to a Prediction. It only composes the other modules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service import artifact
from service.artifact import Artifact
from service.decoding import decode
from service.errors import InvalidPixels
from service.explanation import Explanation, explain
from service.network import IMAGE_SIDE, PIXELS, FloatArray, Probabilities
from service.normalization import Report, normalize
from service.verdict import Verdict

MAX_PIXELS = 50_000_000


@dataclass(frozen=True, eq=False)
class Prediction:
    """One answer: calibrated probabilities (n_classes,) in the order of `classes`, and what follows from them.

    `novelty` is from 0 = like a digit to 1 = unlike any, None where the model cannot tell. `input` is what the network
    saw, float32 (28, 28); `report` says how a picture came to it, None for an array.
    """

    probabilities: Probabilities
    classes: tuple[int, ...]
    novelty: float | None
    verdict: Verdict
    input: FloatArray
    report: Report | None

    @property
    def index(self) -> int:
        """Position of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def digit(self) -> int:
        """The most probable class."""
        return self.classes[self.index]

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(self.probabilities[self.index])


class Classifier:
    """A model ready to answer."""

    def __init__(self, model: Artifact, max_pixels: int = MAX_PIXELS) -> None:
        """Answer with this model, decoding pictures of at most max_pixels pixels."""
        self.model = model
        self.max_pixels = max_pixels

    @classmethod
    def load(cls, path: Path, max_pixels: int = MAX_PIXELS) -> Classifier:
        """Read a model file. Raises ArtifactError when it cannot be served."""
        return cls(artifact.load(path), max_pixels)

    def predict_picture(self, data: bytes) -> Prediction:
        """Answer an encoded picture. Raises PictureError when it cannot be answered."""
        picture = decode(data, self.max_pixels)
        normalized = normalize(picture.grey)
        return self._predict(normalized.pixels.reshape(1, PIXELS), normalized.report)[0]

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
        return self._predict(values.reshape(-1, PIXELS).astype(np.float32) / np.float32(255), None)

    def explain(self, prediction: Prediction) -> Explanation:
        """Return the activations behind an answer and how much each pixel spoke for it."""
        return explain(self.model.network, prediction.input.ravel(), prediction.index)

    def _predict(self, inputs: FloatArray, report: Report | None) -> list[Prediction]:
        answers = self.model.answer(inputs)
        return [
            Prediction(
                probabilities=row,
                classes=self.model.network.classes,
                novelty=unlike,
                verdict=self.model.metadata.calibration.judge(float(row.max()), unlike),
                input=pixels.reshape(IMAGE_SIDE, IMAGE_SIDE),
                report=report,
            )
            for row, unlike, pixels in zip(*answers, inputs, strict=True)
        ]
