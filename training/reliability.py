"""Whether probabilities mean what they say: of the answers with a confidence of 0.9, nine in ten have to be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.types import Probabilities
from training.evaluation import Answers

_BINS = 15
# Draws of labels for the error that chance alone makes.
_DRAWS = 1_000
_LEAST = 1e-30


@dataclass(frozen=True)
class Bin:
    """The n answers whose confidence lies between two bounds: their mean confidence and the share that is right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def negative_log_likelihood(answers: Answers) -> float:
    """Return the mean of -log of the probability of the true class, 0 at best."""
    return -float(np.mean(np.log(np.maximum(_of_labels(answers), _LEAST))))


def brier_score(answers: Answers) -> float:
    """Return the mean squared distance of the probabilities from the truth, summed over classes: 0 at best, 2 at worst.

    Brier 1950, "Verification of forecasts expressed in terms of probability".
    """
    squares = np.sum(answers.probabilities**2, axis=1) - 2 * _of_labels(answers) + 1
    return float(np.mean(squares))


def bins(answers: Answers) -> list[Bin]:
    """Return the answers in 15 bins of equal width by confidence; empty ones are left out."""
    confidences, right = answers.confidences, answers.right
    which = _bin_of(confidences)
    return [
        Bin(
            low=number / _BINS,
            high=(number + 1) / _BINS,
            n=int(np.sum(which == number)),
            confidence=float(confidences[which == number].mean()),
            accuracy=float(right[which == number].mean()),
        )
        for number in np.unique(which).tolist()
    ]


def expected_calibration_error(answers: Answers) -> float:
    """Return the mean distance of confidence and accuracy over 15 bins, by the answers in each (Guo et al. 2017)."""
    return float(_distance(answers.confidences, answers.right[None])[0])


def chance_calibration_error(answers: Answers) -> tuple[float, float]:
    """Return what a perfectly calibrated model of the same confidences would show: mean, and 95 % are below.

    Its answers are right as often as its confidences say, but no finite number of them shows that exactly.
    """
    rng = np.random.default_rng(0)
    confidences = answers.confidences
    drawn = np.concatenate(
        [_distance(confidences, rng.random((100, len(confidences))) < confidences) for _ in range(_DRAWS // 100)]
    )
    return float(drawn.mean()), float(np.quantile(drawn, 0.95))


def error_at_coverage(answers: Answers) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return shares of all digits, the most confident answers first, and the error of that share: both (n,)."""
    order = np.argsort(-answers.confidences, kind="stable")
    n_answered = np.arange(1, len(order) + 1)
    return n_answered / len(order), np.cumsum(~answers.right[order]) / n_answered


def _of_labels(answers: Answers) -> Probabilities:
    columns = np.searchsorted(answers.classes, answers.labels)
    return answers.probabilities[np.arange(len(columns)), columns]


def _bin_of(confidences: Probabilities) -> npt.NDArray[np.int64]:
    return np.minimum((confidences * _BINS).astype(np.int64), _BINS - 1)


def _distance(confidences: Probabilities, right: npt.NDArray[np.bool_]) -> Probabilities:
    """Return the calibration error of each row of `right`, (draws, n)."""
    # Per bin the number of answers times the distance of their means is the distance of their sums.
    members = (_bin_of(confidences)[:, None] == np.arange(_BINS)).astype(np.float64)
    surplus = (right - confidences) @ members
    distances: Probabilities = np.abs(surplus).sum(axis=1) / len(confidences)
    return distances
