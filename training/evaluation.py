"""Every figure of a model, computed through `service.classifier`: what is measured is what is served."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.classifier import Classifier
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


def error(classifier: Classifier, digits: Digits) -> Error:
    """Count the digits that the classifier misreads."""
    wrong = 0
    for start in range(0, len(digits), _CHUNK):
        chunk = digits[slice(start, start + _CHUNK)]
        answers = [prediction.digit for prediction in classifier.predict_pixels(chunk.images)]
        wrong += int(np.sum(np.array(answers) != chunk.labels))
    return Error(wrong, len(digits))
