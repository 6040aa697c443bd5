"""Named, frozen sets of hyperparameters: everything that decides what a fit produces, apart from the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from training.augmentation import Augmentation


@dataclass(frozen=True)
class Recipe:
    """How to fit a network.

    `estimator` goes to MLPClassifier as it is. Without `augmentation` that is the whole recipe: one call of `fit` on
    all training digits. With it, `epochs` passes are made over the training digits less `n_validation` of them, bent
    anew for each pass, with the learning rate falling from `learning_rate_init` to nearly nothing along half a cosine
    wave.
    """

    name: str
    purpose: str
    estimator: Mapping[str, Any]
    dtype: npt.DTypeLike = np.float32
    augmentation: Augmentation | None = None
    epochs: int = 0
    n_validation: int = 0
    seed: int = field(default=1, kw_only=True)

    def record(self) -> dict[str, Any]:
        """Return all of it as plain values, for the artifact's metadata."""
        return {
            "estimator": dict(self.estimator),
            "dtype": np.dtype(self.dtype).name,
            "augmentation": asdict(self.augmentation) if self.augmentation else None,
            "epochs": self.epochs,
            "n_validation": self.n_validation,
        }


LECTURE = Recipe(
    name="lecture",
    purpose="the fit of the lecture, to the digit: 50 units, plain SGD, about half a minute",
    estimator=MappingProxyType(
        {
            "hidden_layer_sizes": (50,),
            "max_iter": 10,
            "alpha": 1e-4,
            "solver": "sgd",
            "tol": 1e-4,
            "random_state": 1,
            "learning_rate_init": 0.1,
        }
    ),
    dtype=np.float64,
)

QUICK = Recipe(
    name="quick",
    purpose="a good network in a few minutes: two hidden layers, digits bent anew in every epoch",
    estimator=MappingProxyType(
        {
            "hidden_layer_sizes": (768, 384),
            "alpha": 1e-5,
            "solver": "adam",
            "batch_size": 250,
            "learning_rate_init": 1e-3,
        }
    ),
    augmentation=Augmentation(rotation=12, shear=12, scaling=0.1, shift=1, elastic=1.0, smoothness=4),
    epochs=40,
    n_validation=5_000,
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in (LECTURE, QUICK)})
