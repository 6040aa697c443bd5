"""Recipe and digits in, fitted MLPClassifier out.

Out of scope: where digits come from, what is measured on the result, and how it is stored.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from service.network import PIXELS, FloatArray
from training.augmentation import Augmentation, distort
from training.mnist import Digits
from training.recipes import Recipe


@dataclass(frozen=True)
class Epoch:
    """What is known after one pass: its number from 1, of how many, training loss and validation error (0..1)."""

    number: int
    of: int
    loss: float
    validation_error: float


def as_inputs(images: npt.NDArray[np.uint8], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[np.floating]:
    """Scale images uint8 (n, 28, 28) to inputs (n, 784), 0..1, of this dtype."""
    scaled: npt.NDArray[np.floating] = images.reshape(-1, PIXELS).astype(dtype) / 255
    return scaled


def split(train: Digits, n_validation: int, seed: int) -> tuple[Digits, Digits]:
    """Set n_validation digits, drawn at random, apart from the training digits: returns (rest, validation)."""
    order = np.random.default_rng(seed).permutation(len(train))
    return train[np.sort(order[n_validation:])], train[np.sort(order[:n_validation])]


def fit(recipe: Recipe, train: Digits, report: Callable[[Epoch], None]) -> MLPClassifier:
    """Fit the recipe's network on training digits and return it.

    `report` is called after each epoch of an augmented recipe; a plain one prints scikit-learn's own progress.
    """
    if recipe.augmentation is None:
        return _fit_plain(recipe, train)
    return _fit_augmented(recipe, recipe.augmentation, train, report)


def _fit_plain(recipe: Recipe, train: Digits) -> MLPClassifier:
    classifier = MLPClassifier(**recipe.estimator, verbose=True)
    with warnings.catch_warnings():
        # The recipe stops after max_iter on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(as_inputs(train.images, recipe.dtype), train.labels)
    return classifier


def _fit_augmented(recipe: Recipe, how: Augmentation, train: Digits, report: Callable[[Epoch], None]) -> MLPClassifier:
    rest, validation = split(train, recipe.n_validation, recipe.seed)
    validation_inputs = as_inputs(validation.images, recipe.dtype)
    # With warm_start, every call of fit goes on from the weights so far with the learning rate then in force. Only
    # Adam's running means start anew, which costs a few steps an epoch and needs no private attribute.
    classifier = MLPClassifier(**recipe.estimator, max_iter=1, warm_start=True, random_state=recipe.seed)
    highest_rate = classifier.learning_rate_init
    for number, (inputs, labels) in enumerate(_bent_epochs(recipe, how, rest), start=1):
        rate = highest_rate * (1 + math.cos(math.pi * (number - 1) / recipe.epochs)) / 2
        classifier.set_params(learning_rate_init=rate)
        with warnings.catch_warnings():
            # One iteration a call is the point.
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(inputs, labels)
        error = 1 - classifier.score(validation_inputs, validation.labels)
        report(Epoch(number, recipe.epochs, classifier.loss_, error))
    return classifier


def _bent_epochs(
    recipe: Recipe, how: Augmentation, digits: Digits
) -> Iterator[tuple[FloatArray, npt.NDArray[np.int64]]]:
    """Yield every epoch's inputs and labels in a new order; a second process bends the next one meanwhile."""
    # Spawned, since a forked child would inherit BLAS threads in whatever state they are.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        coming = pool.submit(bend_epoch, digits, how, recipe.seed, 0)
        for number in range(1, recipe.epochs + 1):
            epoch = coming.result()
            if number < recipe.epochs:
                coming = pool.submit(bend_epoch, digits, how, recipe.seed, number)
            yield epoch


def bend_epoch(digits: Digits, how: Augmentation, seed: int, number: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return all digits bent and shuffled: inputs float32 (n, 784) and labels (n,), decided by seed and number."""
    rng = np.random.default_rng((seed, number))
    order = rng.permutation(len(digits))
    return distort(digits.images[order], how, rng), digits.labels[order]
