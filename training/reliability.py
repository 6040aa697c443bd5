"""Calibration and selective prediction, measured: scoring rules, reliability bins, calibration error, risk by coverage.

Enters: answers to labelled digits. Leaves: numbers and arrays. Out of scope: plots (`training.figures`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from service.types import Probabilities
from training.evaluation import Answers

_BINS = 15
# Samples of labels for the calibration error by chance.
_RESAMPLES = 1_000


@dataclass(frozen=True)
class Bin:
    """The n answers with a confidence between two bounds: their mean confidence and their accuracy, all 0..1."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def negative_log_likelihood(answers: Answers) -> float:
    """Return the mean of -log of the probability of the true class: 0 at best.

    scikit-learn clips probabilities to 2.2e-16, so that the result is finite.
    """
    return float(metrics.log_loss(answers.labels, answers.probabilities, labels=answers.classes))


def brier_score(answers: Answers) -> float:
    """Return the mean squared error of the probabilities, summed over classes: 0 at best, 2 at worst.

    Brier 1950, "Verification of forecasts expressed in terms of probability".
    """
    return float(
        metrics.brier_score_loss(answers.labels, answers.probabilities, labels=answers.classes, scale_by_half=False)
    )


def bins(answers: Answers) -> list[Bin]:
    """Return the answers in 15 bins of equal width by confidence, without empty bins."""
    confidences, correct = answers.confidences, answers.correct
    which = _bin_of(confidences)
    return [
        Bin(
            low=number / _BINS,
            high=(number + 1) / _BINS,
            n=int(np.sum(which == number)),
            confidence=float(confidences[which == number].mean()),
            accuracy=float(correct[which == number].mean()),
        )
        for number in np.unique(which).tolist()
    ]


def expected_calibration_error(answers: Answers) -> float:
    """Return the expected calibration error (ECE), 0..1: the mean of |confidence - accuracy| over the bins.

    Bins are weighted by their number of answers (Guo et al. 2017, arXiv 1706.04599).
    """
    return float(_calibration_errors(answers.confidences, answers.correct[None])[0])


def calibration_error_by_chance(answers: Answers) -> tuple[float, float]:
    """Return mean and 95 % quantile of the ECE of a perfectly calibrated model with the same confidences.

    It is above 0 by chance, for the number of answers is finite. Estimated by consistency resampling: labels are drawn
    with the confidences as probabilities (Bröcker and Smith 2007, "Increasing the Reliability of Reliability
    Diagrams"). The random numbers are always the same.
    """
    rng = np.random.default_rng(0)
    confidences = answers.confidences
    errors = np.concatenate(
        [
            _calibration_errors(confidences, rng.random((100, len(confidences))) < confidences)
            for _ in range(_RESAMPLES // 100)
        ]
    )
    return float(errors.mean()), float(np.quantile(errors, 0.95))


def error_by_coverage(answers: Answers) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the risk-coverage curve: coverages 1/n..1 and the error of the most confident answers, both (n,), 0..1.

    El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification".
    """
    order = np.argsort(-answers.confidences, kind="stable")
    n_answered = np.arange(1, len(order) + 1)
    return n_answered / len(order), np.cumsum(~answers.correct[order]) / n_answered


def _bin_of(confidences: Probabilities) -> npt.NDArray[np.int64]:
    return np.minimum((confidences * _BINS).astype(np.int64), _BINS - 1)


def _calibration_errors(confidences: Probabilities, correct: npt.NDArray[np.bool_]) -> Probabilities:
    """Return the ECE for each row of `correct`, (n_rows, n), with the same confidences (n,)."""
    # In each bin, its weight times the difference of the means is the difference of the sums, divided by n.
    members = (_bin_of(confidences)[:, None] == np.arange(_BINS)).astype(np.float64)
    differences = (correct - confidences) @ members
    errors: Probabilities = np.abs(differences).sum(axis=1) / len(confidences)
    return errors
