"""The alpha study of the lecture: the effect of the L2 penalty on accuracy, weights and decision boundaries.

Enters: training digits. Leaves: accuracies and weight norms by alpha, a record of them, and figures. Out of scope: the
test digits, which are held out.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.datasets import make_moons
from sklearn.neural_network import MLPClassifier

from training import figures
from training.fitting import as_inputs, fit_without_convergence_warning, split
from training.mnist import Digits

ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# Few digits and many epochs, so that the network overfits.
N_DIGITS = 3_000
N_VALIDATION = 5_000
_EPOCHS = 60
_SEED = 1

# scikit-learn's example "Varying regularization in Multi-layer Perceptron": data, network and alphas.
_TOY_ALPHAS = (0.1, 0.3, 1.0, 3.0, 10.0)
_TOY_NETWORK = {"hidden_layer_sizes": (10, 10), "solver": "lbfgs", "max_iter": 2_000, "random_state": _SEED}
_GRID = 120
_RECORDED_GRID = 48
_BASE_36 = string.digits + string.ascii_lowercase

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Effect:
    """The result for one alpha: accuracy on training and on validation digits, 0..1, and the norm of all weights."""

    alpha: float
    training_accuracy: float
    validation_accuracy: float
    weight_norm: float


def study(
    train: Digits, alphas: Sequence[float] = ALPHAS, progress: Callable[[Effect], None] = lambda _: None
) -> list[Effect]:
    """Fit the lecture's network with each alpha on 3,000 digits, and evaluate it on 5,000 validation digits.

    `progress` is called with each effect.
    """
    rest, validation = split(train, min(N_VALIDATION, len(train) // 2), _SEED)
    training = rest[np.random.default_rng(_SEED).permutation(len(rest))[:N_DIGITS]]
    inputs, validation_inputs = as_inputs(training.images), as_inputs(validation.images)
    effects = []
    for alpha in alphas:
        classifier = MLPClassifier((50,), alpha=alpha, max_iter=_EPOCHS, random_state=_SEED)
        fit_without_convergence_warning(classifier, inputs, training.labels)
        norm = float(np.sqrt(sum(float(np.sum(weights**2)) for weights in classifier.coefs_)))
        training_accuracy = classifier.score(inputs, training.labels)
        validation_accuracy = classifier.score(validation_inputs, validation.labels)
        effects.append(Effect(alpha, float(training_accuracy), float(validation_accuracy), norm))
        progress(effects[-1])
    return effects


def _toy(
    alphas: Sequence[float], grid: int
) -> tuple[FloatArray, npt.NDArray[np.int64], tuple[float, float, float, float], list[FloatArray]]:
    """Return points (n, 2) of two interleaved half circles, their labels, the extent of a grid around them, and fields.

    Each field is the probability of the second class on the grid, (grid, grid), rows from the bottom, for one alpha.
    """
    points, labels = make_moons(noise=0.3, random_state=0)
    low, high = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
    x, y = np.meshgrid(np.linspace(low[0], high[0], grid), np.linspace(low[1], high[1], grid))
    fields = []
    for alpha in alphas:
        classifier = MLPClassifier(alpha=alpha, **_TOY_NETWORK)
        fit_without_convergence_warning(classifier, points, labels)
        shares = classifier.predict_proba(np.column_stack([x.ravel(), y.ravel()]))[:, 1]
        fields.append(shares.reshape(x.shape))
    return points, labels, (float(low[0]), float(high[0]), float(low[1]), float(high[1])), fields


def moons() -> Figure:
    """Return the decision boundaries between two interleaved half circles, for five values of alpha."""
    points, labels, extent, fields = _toy(_TOY_ALPHAS, _GRID)
    titled = [(f"alpha {alpha:g}", field) for alpha, field in zip(_TOY_ALPHAS, fields, strict=True)]
    return figures.boundaries(points, labels, titled, extent)


def record(effects: Sequence[Effect]) -> dict[str, Any]:
    """Return a study as plain values: the effects, and the half circles learned with the same alphas.

    A field is a list of rows from the bottom. Each row is text with one base-36 digit for each place, from 0 for
    probability 0 of the second class to z for 1, so that the record is short.
    """
    points, labels, extent, fields = _toy([effect.alpha for effect in effects], _RECORDED_GRID)
    return {
        "n_training": N_DIGITS,
        "n_validation": N_VALIDATION,
        "effects": [asdict(effect) for effect in effects],
        "moons": {
            "extent": list(extent),
            "points": [" ".join(f"{x:.2f}" for x in point) for point in points],
            "labels": "".join(map(str, labels)),
            "fields": [["".join(_BASE_36[round(35 * share)] for share in row) for row in field] for field in fields],
        },
    }


def make_figures(effects: Sequence[Effect]) -> dict[str, Figure]:
    """Return the figures of a study by name."""
    columns = (
        [effect.alpha for effect in effects],
        [effect.training_accuracy for effect in effects],
        [effect.validation_accuracy for effect in effects],
        [effect.weight_norm for effect in effects],
    )
    return {"alpha": figures.alphas(*columns), "alpha_boundaries": moons()}
