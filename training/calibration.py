"""Fits the parameters of `service.model.calibration`: temperature and thresholds of the verdict.

Enters: a network, its OOD detector, and validation digits. Leaves: a Calibration. Out of scope: test digits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from service.model.calibration import Calibration, ood_score
from service.model.network import Network
from service.types import FloatArray, Probabilities

# Target shares of the validation digits: verdict `not_a_digit`, and all verdicts but `clear`.
_NOT_A_DIGIT_SHARE = 0.005
_NOT_CLEAR_SHARE = 0.01
_MIN_OOD_THRESHOLD = 1e-9
_LOG_TEMPERATURES = (-3, 3)
# For models without validation digits: an answer is ambiguous where it is more likely wrong than right. Of two classes
# one always has a probability of 0.5, so it is ambiguous in the lower half of the range from there to 1.
_AMBIGUOUS_BELOW = 0.5
_AMBIGUOUS_BELOW_OF_TWO = 0.75


def uncalibrated(n_classes: int) -> Calibration:
    """Return the calibration of a model with this number of classes, two or more, without validation digits."""
    ambiguous_below = _AMBIGUOUS_BELOW_OF_TWO if n_classes == 2 else _AMBIGUOUS_BELOW
    return Calibration(temperature=1.0, ambiguous_below=ambiguous_below)


def calibrate(network: Network, detector: Network, inputs: FloatArray, labels: npt.NDArray[np.int64]) -> Calibration:
    """Return the calibration for validation digits float32 (n, 784) with labels int64 (n,)."""
    outputs = network.feedforward(inputs)
    temperature = fit_temperature(network, outputs[-1], labels)
    confidences = network.probabilities(outputs[-1], temperature).max(axis=1)
    return thresholds(temperature, confidences, ood_score(detector, network.features(inputs, outputs)))


def fit_temperature(network: Network, scores: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    """Return the temperature at which the mean confidence equals the accuracy, between exp(-3) and exp(3).

    The usual criterion is the minimal negative log-likelihood (Guo et al. 2017, arXiv 1706.04599). It is dominated by
    the few confident errors, and makes all other answers underconfident. The accuracy is estimated with Jeffreys'
    prior, half a success and half a failure more, so that it is below 1 even without an error.
    """
    correct = np.array(network.classes)[network.most_probable(network.probabilities(scores, 1))] == labels
    accuracy = (correct.sum() + 0.5) / (len(labels) + 1)

    def overconfidence(log_temperature: float) -> float:
        return float(network.probabilities(scores, float(np.exp(log_temperature))).max(axis=1).mean() - accuracy)

    # The mean confidence falls as the temperature grows. Without a root in the interval, the nearer end is returned.
    lowest, highest = _LOG_TEMPERATURES
    if overconfidence(lowest) <= 0:
        return float(np.exp(lowest))
    if overconfidence(highest) >= 0:
        return float(np.exp(highest))
    return float(np.exp(brentq(overconfidence, lowest, highest)))


def thresholds(temperature: float, confidences: Probabilities, ood_scores: Probabilities) -> Calibration:
    """Return the calibration with which 0.5 % of these digits are `not_a_digit`, and 1 % in all are not `clear`.

    `confidences` and `ood_scores` are those of the validation digits, float64 (n,), 0..1.
    """
    # The minimum keeps digits in-distribution whose OOD score is exactly 0.
    threshold = float(np.sort(ood_scores)[-max(1, round(_NOT_A_DIGIT_SHARE * len(ood_scores)))])
    novel_from = max(threshold, _MIN_OOD_THRESHOLD)
    in_distribution = np.sort(confidences[ood_scores < novel_from])
    n_ambiguous = max(0, round(_NOT_CLEAR_SHARE * len(confidences)) - int(np.sum(ood_scores >= novel_from)))
    ambiguous_below = float(in_distribution[n_ambiguous]) if len(in_distribution) > n_ambiguous else 1.0
    return Calibration(temperature=temperature, ambiguous_below=ambiguous_below, novel_from=novel_from)
