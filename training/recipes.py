"""Named, frozen sets of hyperparameters: everything that decides what a fit produces, apart from the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from training.augmentation import Augmentation


@dataclass(frozen=True)
class Schedule:
    """Passes over training digits that are changed anew for each.

    `n_validation` of the digits are set apart and not learned from. To the rest, each epoch adds the share `drawn` of
    digits by `training.pen`. The learning rate falls from `learning_rate_init` to nearly nothing along half a cosine
    wave. After each epoch all weights shrink by the share `weight_decay`, less as the learning rate falls (decoupled
    weight decay, Loshchilov and Hutter 2019, arXiv 1711.05101). In the last epochs, the share `settling` of all, digits
    are changed with `settled` of the strength only, and the weights after each of them are averaged: the mean is the
    result.
    """

    epochs: int
    n_validation: int
    augmentation: Augmentation
    drawn: float = 0.0
    weight_decay: float = 0.0
    settling: float = 0.0
    settled: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for numbers without meaning."""
        if self.epochs < 1 or self.n_validation < 1:
            message = f"epochs and n_validation must be 1 or more, not {self.epochs} and {self.n_validation}"
            raise ValueError(message)
        if self.drawn < 0 or not all(0 <= share <= 1 for share in (self.weight_decay, self.settling, self.settled)):
            message = "drawn must be 0 or more; weight_decay, settling and settled from 0 to 1"
            raise ValueError(message)

    def settles(self, number: int) -> bool:
        """Tell whether the epoch of this number, from 0, is one of the last that are averaged."""
        # The share of a whole number of epochs is that number, though floats may be off in the last digit.
        return number >= self.epochs - math.floor(self.settling * self.epochs + 1e-9)


@dataclass(frozen=True)
class Recipe:
    """How to fit a network.

    `estimator` goes to MLPClassifier as it is. Without a `schedule` that is the whole recipe: one call of `fit` on all
    training digits.
    """

    name: str
    purpose: str
    estimator: Mapping[str, Any]
    dtype: npt.DTypeLike = np.float32
    schedule: Schedule | None = None
    seed: int = field(default=1, kw_only=True)

    def record(self) -> dict[str, Any]:
        """Return all of it as plain values, for the artifact's metadata."""
        return {
            "estimator": dict(self.estimator),
            "dtype": np.dtype(self.dtype).name,
            "schedule": asdict(self.schedule) if self.schedule else None,
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

_BENT = Augmentation(rotation=12, shear=12, scaling=0.12, shift=1, elastic=1.0, smoothness=4)

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
    schedule=Schedule(epochs=30, n_validation=5_000, augmentation=_BENT, settling=0.1, settled=0.6),
)

RECORD = Recipe(
    name="record",
    purpose="the network that is served: more epochs, and other hands than MNIST's, drawn by program",
    estimator=MappingProxyType(
        {
            "hidden_layer_sizes": (1024, 512),
            "alpha": 1e-5,
            "solver": "adam",
            "batch_size": 250,
            "learning_rate_init": 1e-3,
        }
    ),
    schedule=Schedule(
        epochs=300,
        n_validation=5_000,
        augmentation=Augmentation(
            rotation=12,
            shear=12,
            scaling=0.12,
            shift=1,
            elastic=1.1,
            smoothness=4,
            thickness=0.15,
            gamma=0.2,
            broken=0.03,
            noisy=0.05,
            noise=0.15,
        ),
        drawn=0.05,
        weight_decay=0.02,
        settling=0.15,
        settled=0.6,
    ),
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in (LECTURE, QUICK, RECORD)})
