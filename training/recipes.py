"""Named, frozen sets of hyperparameters: everything but the data that determines the result of a fit.

Leaves: recipes, and their settings as plain values for the model file. Out of scope: fitting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from training.augmentation import Augmentation

MODEL_NAME = "mnist-mlp"


@dataclass(frozen=True)
class Schedule:
    """Epochs with on-the-fly augmentation, cosine learning rate, decoupled weight decay, and weight averaging.

    - `epochs`: number of passes over the training digits, each with a new augmentation of every digit.
    - `n_validation`: number of training digits that are held out from the fit, as the validation set.
    - `augmentation`: distortions at full strength.
    - `synthetic_share`: number of synthetic digits (`training.synthetic_digits`) per training digit, 0 or more.
    - `picture_share`: share of the training digits, 0..1, that are enlarged to pictures, with another stroke width, and
      normalised by `service.images` (`training.enlarging`).
    - `weight_decay`: share by which weights shrink after each epoch, 0..1, scaled by the learning rate schedule
      (decoupled weight decay, Loshchilov and Hutter 2019, arXiv 1711.05101).
    - `final_phase`: share of the epochs, 0..1, at the end of the fit, with a weaker augmentation.
    - `final_strength`: strength of the augmentation in the final phase, 0..1, and factor of the shares of synthetic
      digits and of pictures.
    - `averaging_phase`: share of the epochs, 0..1, at the end of the fit, after each of which the weights are
      averaged. The mean is the result (stochastic weight averaging, Izmailov et al. 2018, arXiv 1803.05407). With 0,
      the weights after the last epoch are the result.

    The learning rate falls from `learning_rate_init` to almost 0 along half a cosine wave.
    """

    epochs: int
    n_validation: int
    augmentation: Augmentation
    synthetic_share: float = 0.0
    picture_share: float = 0.0
    weight_decay: float = 0.0
    final_phase: float = 0.0
    final_strength: float = 1.0
    averaging_phase: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for a number out of its range."""
        if self.epochs < 1 or self.n_validation < 1:
            message = f"epochs and n_validation must be 1 or more, not {self.epochs} and {self.n_validation}"
            raise ValueError(message)
        names = ("picture_share", "weight_decay", "final_phase", "final_strength", "averaging_phase")
        if self.synthetic_share < 0 or not all(0 <= getattr(self, name) <= 1 for name in names):
            message = f"synthetic_share must be 0 or more; {', '.join(names[:-1])} and {names[-1]} from 0 to 1"
            raise ValueError(message)

    def is_averaged(self, epoch: int) -> bool:
        """Return whether this epoch, counted from 0, belongs to the weight-averaging phase."""
        return self._is_last(epoch, self.averaging_phase)

    def strength(self, epoch: int) -> float:
        """Return the strength of the augmentation in this epoch, counted from 0, 0..1."""
        return self.final_strength if self._is_last(epoch, self.final_phase) else 1.0

    def _is_last(self, epoch: int, share: float) -> bool:
        """Return whether an epoch belongs to this share of the epochs, at the end."""
        # A tiny tolerance: the product of share and epochs may be just below a whole number.
        return epoch >= self.epochs - math.floor(share * self.epochs + 1e-9)


# Names in older model files -> names of today.
_FORMER_NAMES = MappingProxyType(
    {
        "drawn": "synthetic_share",
        "settling": "averaging_phase",
        "settled": "final_strength",
        "averaging_strength": "final_strength",
    }
)


def schedule_settings(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schedule in the training settings of a model file, by the field names of `Schedule`.

    Translates the field names of older files, whose final phase is the weight-averaging phase. Returns None where the
    model was fitted without a schedule.
    """
    stored: Mapping[str, Any] | None = settings.get("schedule")
    if stored is None:
        return None
    schedule = {_FORMER_NAMES.get(name, name): value for name, value in stored.items()}
    return {"final_phase": schedule["averaging_phase"]} | schedule


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a fit.

    `estimator` has the arguments of MLPClassifier, and `dtype` is the type of its inputs. A recipe without a `schedule`
    is one call of `MLPClassifier.fit` on all training digits.
    """

    name: str
    purpose: str
    estimator: Mapping[str, Any]
    dtype: npt.DTypeLike = np.float32
    schedule: Schedule | None = None
    seed: int = field(default=1, kw_only=True)

    def settings(self) -> dict[str, Any]:
        """Return estimator, dtype and schedule as plain values, for the metadata of a model file."""
        return {
            "estimator": dict(self.estimator),
            "dtype": np.dtype(self.dtype).name,
            "schedule": asdict(self.schedule) if self.schedule else None,
        }


LECTURE = Recipe(
    name="lecture",
    purpose="exactly the fit of the lecture: 50 units, plain SGD, about half a minute",
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

_QUICK_AUGMENTATION = Augmentation(rotation=12, shear=12, scaling=0.12, shift=1, elastic=1.0, smoothness=4)

QUICK = Recipe(
    name="quick",
    purpose="a good network in a few minutes: two hidden layers, data augmentation in every epoch",
    estimator=MappingProxyType(
        {
            "hidden_layer_sizes": (768, 384),
            "alpha": 1e-5,
            "solver": "adam",
            "batch_size": 250,
            "learning_rate_init": 1e-3,
        }
    ),
    schedule=Schedule(
        epochs=30,
        n_validation=5_000,
        augmentation=_QUICK_AUGMENTATION,
        final_phase=0.1,
        final_strength=0.6,
        averaging_phase=0.1,
    ),
)

RECORD = Recipe(
    name="record",
    purpose="the network that is served: more epochs, and synthetic digits in handwriting styles rare in MNIST",
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
        epochs=250,
        n_validation=5_000,
        augmentation=Augmentation(
            rotation=12,
            shear=12,
            scaling=0.12,
            shift=1,
            elastic=1.1,
            smoothness=4,
            bend=1.0,
            squared=0.06,
            thickness=0.15,
            gamma=0.2,
            broken=0.03,
            noisy=0.05,
            noise=0.15,
        ),
        synthetic_share=0.1,
        picture_share=0.06,
        weight_decay=0.02,
        final_phase=0.15,
        final_strength=0.6,
    ),
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in (LECTURE, QUICK, RECORD)})
