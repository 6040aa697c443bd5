"""The alpha study of the lecture: the effect of the L2 penalty on accuracy, weights and decision boundaries.

Enters: training digits. Leaves: accuracies and weight norms by alpha, and figures. Out of scope: the test digits, which
are held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
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


def moons() -> Figure:
    """Return the decision boundaries between two interleaved half circles, for five values of alpha."""
    points, labels = make_moons(noise=0.3, random_state=0)
    low, high = points.min(axis=0) - 0.5, points.max(axis=0) + 0.5
    x, y = np.meshgrid(np.linspace(low[0], high[0], _GRID), np.linspace(low[1], high[1], _GRID))
    fields = []
    for alpha in _TOY_ALPHAS:
        classifier = MLPClassifier(alpha=alpha, **_TOY_NETWORK)
        fit_without_convergence_warning(classifier, points, labels)
        shares = classifier.predict_proba(np.column_stack([x.ravel(), y.ravel()]))[:, 1]
        fields.append((f"alpha {alpha:g}", shares.reshape(x.shape)))
    return figures.boundaries(points, labels, fields, (low[0], high[0], low[1], high[1]))


def make_figures(effects: Sequence[Effect]) -> dict[str, Figure]:
    """Return the figures of a study by name."""
    columns = (
        [effect.alpha for effect in effects],
        [effect.training_accuracy for effect in effects],
        [effect.validation_accuracy for effect in effects],
        [effect.weight_norm for effect in effects],
    )
    return {"alpha": figures.alphas(*columns), "alpha_boundaries": moons()}
