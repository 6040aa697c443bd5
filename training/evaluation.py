"""What a model answers to labelled digits, and how often it is wrong: through `service.classifier`, as it is served."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.classifier import Classifier, Prediction
from service.model.calibration import Verdict
from service.types import Probabilities
from training.mnist import Digits

# At once, so that activations of wide networks do not fill the memory.
_CHUNK = 5_000


@dataclass(frozen=True)
class Error:
    """How many of n digits were misread."""

    wrong: int
    n: int

    @property
    def rate(self) -> float:
        """Share misread, 0..1."""
        return self.wrong / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate, for digits drawn anew (Wilson 1927)."""
        z = 1.959964
        centre = (self.rate + z**2 / (2 * self.n)) / (1 + z**2 / self.n)
        half = z * math.sqrt(self.rate * (1 - self.rate) / self.n + z**2 / (4 * self.n**2)) / (1 + z**2 / self.n)
        # Rounding can carry an end at 0 or 1 beyond it.
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        """Say it in per cent with the interval, as 0.66 % (33 of 5000; 95 % interval 0.47 % to 0.93 %)."""
        low, high = self.interval
        return f"{self.rate:.2%} ({self.wrong} of {self.n}; 95 % interval {low:.2%} to {high:.2%})"


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers to n labelled digits.

    `labels` and `answers` are int64 (n,), `probabilities` (n, n_classes) in the order of `classes`, `clear` bool (n,).
    """

    labels: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]
    probabilities: Probabilities
    clear: npt.NDArray[np.bool_]
    classes: tuple[int, ...]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which answers are the label, (n,)."""
        right: npt.NDArray[np.bool_] = self.answers == self.labels
        return right

    @property
    def confidences(self) -> Probabilities:
        """The probability of each answer, (n,)."""
        largest: Probabilities = self.probabilities.max(axis=1)
        return largest

    @property
    def error(self) -> Error:
        """How many are misread."""
        return Error(int(np.sum(~self.right)), len(self.labels))

    def error_by_digit(self) -> dict[int, Error]:
        """Return how many of each class are misread; a class without digits is left out."""
        return {
            digit: Error(int(np.sum(~self.right[self.labels == digit])), int(np.sum(self.labels == digit)))
            for digit in np.unique(self.labels).tolist()
        }

    def confusion(self) -> npt.NDArray[np.int64]:
        """Return how many digits of each class (rows) got which answer (columns), (n_classes, n_classes)."""
        rows, columns = (np.searchsorted(self.classes, digits) for digits in (self.labels, self.answers))
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (rows, columns), 1)
        return counts


def ask(classifier: Classifier, digits: Digits) -> Answers:
    """Return the classifier's answers to digits in MNIST form."""
    predictions: list[Prediction] = []
    for start in range(0, len(digits), _CHUNK):
        predictions += classifier.predict_pixels(digits.images[start : start + _CHUNK])
    return gather(predictions, digits.labels, classifier.model.network.classes)


def gather(predictions: Sequence[Prediction], labels: npt.NDArray[np.int64], classes: tuple[int, ...]) -> Answers:
    """Return predictions for digits with these labels, as arrays."""
    return Answers(
        labels=labels,
        answers=np.array([prediction.digit for prediction in predictions], np.int64),
        probabilities=np.array([prediction.probabilities for prediction in predictions]),
        clear=np.array([prediction.verdict is Verdict.CLEAR for prediction in predictions], np.bool_),
        classes=classes,
    )


def error(classifier: Classifier, digits: Digits) -> Error:
    """Count the digits that the classifier misreads."""
    return ask(classifier, digits).error
