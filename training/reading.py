"""Fits the calibration of readings: how likely a line of digits is right as a whole.

Enters: a model and validation digits. Leaves: a ReadingCalibration, fitted on rows of these digits that
`service.reader` reads. Out of scope: the calibration of one digit (`training.calibration`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from service.classifier import Classifier
from service.model.artifact import Artifact
from service.model.calibration import ReadingCalibration, logit
from service.reader import Reader
from service.types import Probabilities
from training.mnist import Digits
from training.rows import GAPS, make_row

# Rows per validation digit, and the fewest digits of a row and one more than the most.
_ROW_SHARE = 0.3
_N_DIGITS = (1, 9)
# Of the rows that are not ambiguous, at most this share is wrong.
_MAX_ERROR = 0.02


def calibrate_reading(model: Artifact, digits: Digits, seed: int) -> ReadingCalibration | None:
    """Return the calibration for rows of these digits; None where all rows are right, or all are wrong."""
    metadata = model.metadata.model_copy(
        update={"calibration": model.metadata.calibration.model_copy(update={"reading": None})}
    )
    # Without a clock: the same model and digits give the same calibration, on any machine.
    reader = Reader(Classifier(replace(model, metadata=metadata)), now=lambda: 0.0)
    rng = np.random.default_rng((seed, 2))
    probabilities, is_right = [], []
    for _ in range(round(_ROW_SHARE * len(digits))):
        chosen = rng.integers(len(digits), size=int(rng.integers(*_N_DIGITS)))
        gaps = list(GAPS.values())[rng.integers(len(GAPS))]
        row = make_row(digits[chosen], gaps, rng)
        reading = reader.read_picture(row.png())
        probabilities.append(reading.confidence)
        is_right.append(reading.text == row.text)
    return fit_reading(np.array(probabilities), np.array(is_right))


def fit_reading(probabilities: Probabilities, is_right: npt.NDArray[np.bool_]) -> ReadingCalibration | None:
    """Return the calibration for rows by their probability, float64 (n,), and whether they were right, bool (n,)."""
    if is_right.all() or not is_right.any():
        return None
    log_odds = np.array([logit(probability) for probability in probabilities.tolist()])
    fitted = LogisticRegression(C=np.inf).fit(log_odds[:, None], is_right)
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    calibration = ReadingCalibration(slope=max(slope, 1e-3), offset=offset, ambiguous_below=0)
    confidences = np.array([calibration.confidence(probability) for probability in probabilities.tolist()])
    order = np.argsort(-confidences, kind="stable")
    n_wrong = np.cumsum(~is_right[order])
    is_allowed = n_wrong <= _MAX_ERROR * np.arange(1, len(order) + 1)
    # Of rows with the same confidence, all are accepted or none.
    is_allowed &= np.append(np.diff(confidences[order]) < 0, True)
    threshold = confidences[order[np.flatnonzero(is_allowed)[-1]]] if is_allowed.any() else 1.0
    return calibration.model_copy(update={"ambiguous_below": float(threshold)})
