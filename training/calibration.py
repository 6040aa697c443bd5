"""Fits what `service.verdict` applies: temperature and thresholds, on validation digits only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from service.network import FloatArray, Network, Probabilities
from service.verdict import Calibration, novelty

# Of validation digits this share is taken for no digit, and this share in all is not clear.
_NOT_A_DIGIT = 0.005
_NOT_CLEAR = 0.01
_LEAST = 1e-9
# Without validation digits nothing can be fitted: then an answer is doubtful that is more likely wrong than right.
UNCALIBRATED = Calibration(temperature=1.0, ambiguous_below=0.5)


def calibrate(network: Network, detector: Network, inputs: FloatArray, labels: npt.NDArray[np.int64]) -> Calibration:
    """Fit to digits (n, 784) that the network has not learned from, with their labels (n,)."""
    outputs = network.feedforward(inputs)
    temperature = fit_temperature(network, outputs[-1], labels)
    confidences = network.probabilities(outputs[-1], temperature).max(axis=1)
    return thresholds(temperature, confidences, novelty(detector, network.features(inputs, outputs)))


def fit_temperature(network: Network, scores: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    """Return the temperature of least negative log-likelihood (Guo et al. 2017, arXiv 1706.04599)."""
    rows = np.arange(len(labels))
    columns = np.searchsorted(network.classes, labels)

    def negative_log_likelihood(log_temperature: float) -> float:
        shares = network.probabilities(scores, float(np.exp(log_temperature)))[rows, columns]
        return -float(np.mean(np.log(np.maximum(shares, 1e-30))))

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(-3, 3), method="bounded").x))


def thresholds(temperature: float, confidences: Probabilities, novelties: Probabilities) -> Calibration:
    """Return the calibration with which half a per cent of these digits is no digit, and one per cent is not clear."""
    # Where the detector is quite sure of so many, anything but nought is novel.
    novel_from = max(float(np.sort(novelties)[-max(1, round(_NOT_A_DIGIT * len(novelties)))]), _LEAST)
    doubtful = np.sort(confidences[novelties < novel_from])
    n_ambiguous = max(0, round(_NOT_CLEAR * len(confidences)) - int(np.sum(novelties >= novel_from)))
    ambiguous_below = float(doubtful[n_ambiguous]) if len(doubtful) > n_ambiguous else 1.0
    return Calibration(temperature=temperature, ambiguous_below=ambiguous_below, novel_from=novel_from)
