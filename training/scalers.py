"""Models as people save them -> an MLPClassifier on pixels, with the scalers in front of it folded into its weights.

Enters: an object of scikit-learn: an MLPClassifier, or a Pipeline of scalers and one. Leaves: a ForeignModel. Out of
scope: files (`training.interchange`), and the service's own network (`training.export`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

from service.types import PIXELS
from training.export import ExportError

Vector = npt.NDArray[np.float64]

_SERVED = "an MLPClassifier, alone or in a Pipeline behind StandardScaler, MinMaxScaler or MaxAbsScaler, can be served"
# A raw pixel has 8 bits.
_RAW = 255.0
# What a scaler has seen may be above 1 by a rounding of float32.
_ROUNDING = 1e-4


@dataclass(frozen=True, eq=False)
class ForeignModel:
    """A classifier that was fitted elsewhere, and what its scalers tell about its inputs.

    `classifier` takes pixels as they were before the first scaler. `scaler` is the name of the first scaler's class,
    None without one. `least` and `greatest` are bounds of the inputs that it has seen: there were inputs of at most
    `least`, and of at least `greatest`; None where it does not tell. `is_exact` says that `greatest` is the largest
    input itself.
    """

    classifier: MLPClassifier
    scaler: str | None = None
    least: float | None = None
    greatest: float | None = None
    is_exact: bool = False

    def largest_input(self, given: float | None) -> float:
        """Return the largest value of a pixel in its inputs: `given`, or what its scaler tells.

        Raises ExportError where neither tells, where they contradict each other, and for inputs below 0.
        """
        if self.least is not None and self.least < 0:
            message = f"its {self.scaler} was fitted on values below 0: fit it on pixels from 0, background, upwards"
            raise ExportError(message)
        if given is not None:
            if self.greatest is not None and self.greatest > given * (1 + _ROUNDING):
                message = f"its {self.scaler} was fitted on values of {self.greatest:g} and more, not 0..{given:g}"
                raise ExportError(message)
            return given
        if self.greatest is None:
            message = (
                "a classifier does not know whether its pixels were 0..255 or 0..1: add --largest-input 255 for raw "
                "pixels, or --largest-input 1 for scaled ones"
            )
            raise ExportError(message)
        if self.is_exact:
            return self.greatest
        # The mean of a pixel over all digits: in the middle it is above 100 for raw ones.
        return 1.0 if self.greatest <= 1 else _RAW


def fold_scalers(model: object) -> ForeignModel:
    """Return the classifier of `model` with its scalers folded into the first layer, in float64.

    Its probabilities for x are those of the pipeline, up to rounding. Raises ExportError, whose message says what
    `model` is, for any other estimator or step, and unless it was fitted on 28x28 pixels.
    """
    steps: list[Any] = [step for _, step in model.steps] if isinstance(model, Pipeline) else [model]
    *scalers, classifier = [step for step in steps if step is not None and not isinstance(step, str)] or [None]
    if not isinstance(classifier, MLPClassifier):
        where = "a Pipeline that ends in " if isinstance(model, Pipeline) else ""
        message = f"contains {where}a {type(classifier).__name__}: only {_SERVED}"
        raise ExportError(message)
    if getattr(classifier, "n_features_in_", None) != PIXELS or not hasattr(classifier, "coefs_"):
        message = f"contains an MLPClassifier that was not fitted on {PIXELS} pixels"
        raise ExportError(message)
    if not scalers:
        return ForeignModel(classifier)
    factor, offset = np.ones(PIXELS), np.zeros(PIXELS)
    for scaler in scalers:
        own_factor, own_offset = _affine_map(scaler)
        factor, offset = own_factor * factor, own_factor * offset + own_offset
    folded = copy.copy(classifier)
    # What the first layer adds up is (factor * x + offset) @ weights, hence x @ (factor * weights) + offset @ weights.
    weights = np.asarray(classifier.coefs_[0], np.float64)
    folded.coefs_ = [factor[:, None] * weights, *classifier.coefs_[1:]]
    folded.intercepts_ = [offset @ weights + classifier.intercepts_[0], *classifier.intercepts_[1:]]
    return ForeignModel(folded, type(scalers[0]).__name__, *_range(scalers[0]))


def _affine_map(scaler: Any) -> tuple[Vector, Vector]:
    """Return factor and offset, float64 (784,), of a fitted scaler: it maps x to factor * x + offset."""
    name = type(scaler).__name__
    if not isinstance(scaler, StandardScaler | MinMaxScaler | MaxAbsScaler):
        message = f"contains a Pipeline with the step {name}, which cannot be folded into weights: only {_SERVED}"
        raise ExportError(message)
    if getattr(scaler, "n_features_in_", None) != PIXELS:
        message = f"contains a {name} that was not fitted on {PIXELS} pixels"
        raise ExportError(message)
    if getattr(scaler, "clip", False):
        message = f"contains a {name} that clips, which weights cannot: fit it with clip=False"
        raise ExportError(message)
    if isinstance(scaler, MinMaxScaler):
        return _vector(scaler.scale_), _vector(scaler.min_)
    if isinstance(scaler, MaxAbsScaler):
        return 1 / _vector(scaler.scale_), np.zeros(PIXELS)
    factor = 1 / _vector(scaler.scale_) if scaler.with_std else np.ones(PIXELS)
    return factor, -_vector(scaler.mean_) * factor if scaler.with_mean else np.zeros(PIXELS)


def _vector(values: Any) -> Vector:
    return np.broadcast_to(np.asarray(values, np.float64), PIXELS)


def _range(scaler: Any) -> tuple[float | None, float | None, bool]:
    """Return least, greatest and is_exact of ForeignModel."""
    if isinstance(scaler, MinMaxScaler):
        return float(scaler.data_min_.min()), float(scaler.data_max_.max()), True
    if isinstance(scaler, MaxAbsScaler):
        return None, float(scaler.max_abs_.max()), True
    if scaler.mean_ is None:
        return None, None, False
    return float(scaler.mean_.min()), float(scaler.mean_.max()), False
