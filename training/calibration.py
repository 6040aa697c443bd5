"""Fits what `service.verdict` applies: temperature and the threshold of doubt, on validation digits only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from service.network import FloatArray, Network, Probabilities
from service.verdict import Calibration

# Of the answers called clear, this share is right on validation digits.
_CLEAR_IS_RIGHT = 0.999
# Without validation digits nothing can be fitted: then an answer is doubtful that is more likely wrong than right.
UNCALIBRATED = Calibration(temperature=1.0, ambiguous_below=0.5)


def calibrate(network: Network, inputs: FloatArray, labels: npt.NDArray[np.int64]) -> Calibration:
    """Fit to digits (n, 784) that the network has not learned from, with their labels (n,).

    The temperature is the one of least negative log-likelihood (Guo et al. 2017, arXiv 1706.04599).
    """
    scores = network.feedforward(inputs)[-1]
    rows = np.arange(len(labels))
    columns = np.searchsorted(network.classes, labels)

    def negative_log_likelihood(log_temperature: float) -> float:
        shares = network.probabilities(scores, float(np.exp(log_temperature)))[rows, columns]
        return -float(np.mean(np.log(np.maximum(shares, 1e-30))))

    temperature = float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(-3, 3), method="bounded").x))
    probabilities = network.probabilities(scores, temperature)
    right = probabilities.argmax(axis=1) == columns
    return Calibration(temperature=temperature, ambiguous_below=doubt_threshold(probabilities.max(axis=1), right))


def doubt_threshold(confidences: Probabilities, right: npt.NDArray[np.bool_]) -> float:
    """Return the lowest confidence from which on up 99.9 % of these answers are right."""
    order = np.argsort(-confidences)
    ranked = confidences[order]
    share_right = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # Of equal confidences only the last has all of its kind counted.
    last_of_its_kind = np.append(ranked[1:] < ranked[:-1], np.True_)
    enough = np.flatnonzero((share_right >= _CLEAR_IS_RIGHT) & last_of_its_kind)
    return float(ranked[enough[-1]]) if enough.size else 1.0
