"""Fits what `service.model.calibration` applies: temperature and thresholds, on validation digits only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from service.model.calibration import Calibration, novelty
from service.model.network import Network
from service.types import FloatArray, Probabilities

# Of validation digits this share is taken for no digit, and this share in all is not clear.
_NOT_A_DIGIT = 0.005
_NOT_CLEAR = 0.01
_LEAST = 1e-9
_LOG_TEMPERATURES = (-3, 3)
# Without validation digits nothing can be fitted: then an answer is doubtful that is more likely wrong than right.
UNCALIBRATED = Calibration(temperature=1.0, ambiguous_below=0.5)


def calibrate(network: Network, detector: Network, inputs: FloatArray, labels: npt.NDArray[np.int64]) -> Calibration:
    """Fit to digits (n, 784) that the network has not learned from, with their labels (n,)."""
    outputs = network.feedforward(inputs)
    temperature = fit_temperature(network, outputs[-1], labels)
    confidences = network.probabilities(outputs[-1], temperature).max(axis=1)
    return thresholds(temperature, confidences, novelty(detector, network.features(inputs, outputs)))


def fit_temperature(network: Network, scores: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    """Return the temperature with which answers are as sure on average as they are right.

    The usual criterion, least negative log-likelihood (Guo et al. 2017, arXiv 1706.04599), follows the few answers that
    are wrong and sure, and makes all others less sure than they should be. How often answers are right is estimated
    with half an answer more of each kind (Jeffreys' prior), so that no digits misread is not taken for certainty.
    """
    right = np.array(network.classes)[network.probabilities(scores, 1).argmax(axis=1)] == labels
    accuracy = (right.sum() + 0.5) / (len(labels) + 1)

    def excess(log_temperature: float) -> float:
        return float(network.probabilities(scores, float(np.exp(log_temperature))).max(axis=1).mean() - accuracy)

    # The higher the temperature, the less sure. Beyond the ends scores say next to nothing.
    sharpest, flattest = _LOG_TEMPERATURES
    if excess(sharpest) <= 0:
        return float(np.exp(sharpest))
    if excess(flattest) >= 0:
        return float(np.exp(flattest))
    return float(np.exp(brentq(excess, sharpest, flattest)))


def thresholds(temperature: float, confidences: Probabilities, novelties: Probabilities) -> Calibration:
    """Return the calibration with which half a per cent of these digits is no digit, and one per cent is not clear."""
    # Where the detector is quite sure of so many, anything but nought is novel.
    novel_from = max(float(np.sort(novelties)[-max(1, round(_NOT_A_DIGIT * len(novelties)))]), _LEAST)
    doubtful = np.sort(confidences[novelties < novel_from])
    n_ambiguous = max(0, round(_NOT_CLEAR * len(confidences)) - int(np.sum(novelties >= novel_from)))
    ambiguous_below = float(doubtful[n_ambiguous]) if len(doubtful) > n_ambiguous else 1.0
    return Calibration(temperature=temperature, ambiguous_below=ambiguous_below, novel_from=novel_from)
