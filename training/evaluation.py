"""Evaluates a model on labelled digits, with the code that serves it.

Enters: a `service.classifier.Classifier` and digits in MNIST form. Leaves: its answers as arrays, error rates and the
confusion matrix. Out of scope: calibration (`training.reliability`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.classifier import Classifier, Prediction
from service.model.verdict import Verdict
from service.types import Probabilities
from training.mnist import Digits

# Digits per call, which bounds the memory of a wide network's activations.
_CHUNK = 5_000


@dataclass(frozen=True)
class Error:
    """The number of errors among n digits."""

    wrong: int
    n: int

    @property
    def rate(self) -> float:
        """The error rate, 0..1."""
        return self.wrong / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % score interval of the rate (Wilson 1927)."""
        z = 1.959964
        centre = (self.rate + z**2 / (2 * self.n)) / (1 + z**2 / self.n)
        half = z * math.sqrt(self.rate * (1 - self.rate) / self.n + z**2 / (4 * self.n**2)) / (1 + z**2 / self.n)
        # Rounding can move an end slightly below 0 or above 1.
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        """Return rate, count and interval, such as 0.66% (33 of 5000; 95 % interval 0.47% to 0.93%)."""
        low, high = self.interval
        return f"{self.rate:.2%} ({self.wrong} of {self.n}; 95 % interval {low:.2%} to {high:.2%})"


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers to n labelled digits.

    `labels` has the true classes and `answers` the predicted ones, both int64 (n,). `probabilities` is float64
    (n, n_classes), in the order of `classes`. `clear` is bool (n,): which verdicts are `clear`. `novelties` has the
    out-of-distribution (OOD) scores, 0..1, (n,), or is None for a model without an OOD detector.
    """

    labels: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]
    probabilities: Probabilities
    clear: npt.NDArray[np.bool_]
    classes: tuple[int, ...]
    novelties: Probabilities | None = None

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which answers are correct, (n,)."""
        correct: npt.NDArray[np.bool_] = self.answers == self.labels
        return correct

    @property
    def confidences(self) -> Probabilities:
        """The largest probability of each answer, (n,)."""
        largest: Probabilities = self.probabilities.max(axis=1)
        return largest

    @property
    def error(self) -> Error:
        """The error over all digits."""
        return Error(int(np.sum(~self.correct)), len(self.labels))

    def error_by_digit(self) -> dict[int, Error]:
        """Return the error of each class that has digits."""
        return {
            digit: Error(int(np.sum(~self.correct[self.labels == digit])), int(np.sum(self.labels == digit)))
            for digit in np.unique(self.labels).tolist()
        }

    def confusion(self) -> npt.NDArray[np.int64]:
        """Return the confusion matrix: true classes in rows, answers in columns, int64 (n_classes, n_classes)."""
        rows, columns = (np.searchsorted(self.classes, digits) for digits in (self.labels, self.answers))
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (rows, columns), 1)
        return counts


def evaluate(classifier: Classifier, digits: Digits) -> Answers:
    """Return the classifier's answers to digits in MNIST form."""
    predictions: list[Prediction] = []
    for start in range(0, len(digits), _CHUNK):
        predictions += classifier.predict_pixels(digits.images[start : start + _CHUNK])
    return gather(predictions, digits.labels, classifier.model.network.classes)


def gather(predictions: Sequence[Prediction], labels: npt.NDArray[np.int64], classes: tuple[int, ...]) -> Answers:
    """Return predictions and the labels of their digits, int64 (n,), as arrays."""
    novelties = [prediction.novelty for prediction in predictions if prediction.novelty is not None]
    return Answers(
        labels=labels,
        answers=np.array([prediction.digit for prediction in predictions], np.int64),
        probabilities=np.array([prediction.probabilities for prediction in predictions]),
        clear=np.array([prediction.verdict is Verdict.CLEAR for prediction in predictions], np.bool_),
        classes=classes,
        novelties=np.array(novelties) if novelties else None,
    )


def error(classifier: Classifier, digits: Digits) -> Error:
    """Return the classifier's error on digits in MNIST form."""
    return evaluate(classifier, digits).error
