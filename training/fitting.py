"""Fits scikit-learn's MLPClassifier along a recipe.

Enters: a recipe, training digits, and optionally a checkpoint. Leaves: a fitted MLPClassifier with its learning curves.
Out of scope: loading digits, evaluation, and storage.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from service.types import PIXELS, FloatArray
from training.augmentation import augment
from training.checkpoints import INITIAL, Checkpoint
from training.enlarging import renormalize
from training.mnist import Digits
from training.recipes import Recipe, Schedule
from training.synthetic_digits import synthesize

# Starting a worker process takes seconds. Augmenting fewer digits than this takes less.
_MIN_DIGITS_FOR_WORKER = 2_000


@dataclass(frozen=True)
class Epoch:
    """One finished epoch: its number from 1, the number of all epochs, training loss and validation error (0..1)."""

    number: int
    of: int
    loss: float
    validation_error: float


def as_inputs(images: npt.NDArray[np.uint8], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[np.floating]:
    """Return images uint8 (n, 28, 28) as inputs (n, 784) of this dtype, 0..1."""
    scaled: npt.NDArray[np.floating] = images.reshape(-1, PIXELS).astype(dtype) / 255
    return scaled


def split(train: Digits, n_validation: int, seed: int) -> tuple[Digits, Digits]:
    """Split off n_validation random digits. Returns (training digits, validation digits), each in their order."""
    order = np.random.default_rng(seed).permutation(len(train))
    return train[np.sort(order[n_validation:])], train[np.sort(order[:n_validation])]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted classifier with its learning curves.

    `losses` has the training loss by epoch. `validation_errors` has the validation error by epoch, 0..1, or is empty
    without validation digits. `seconds` is the duration of the fit, without interruptions.
    """

    classifier: MLPClassifier
    losses: list[float]
    validation_errors: list[float]
    seconds: float


def fit(
    recipe: Recipe, train: Digits, report: Callable[[Epoch, Checkpoint], None], checkpoint: Checkpoint = INITIAL
) -> Fitted:
    """Fit the recipe's network on training digits, starting from a checkpoint.

    `report` is called after each epoch of a schedule. The same recipe and digits give the same network, with or without
    an interruption. Without a schedule, `report` and `checkpoint` are not used, and scikit-learn prints its progress.
    """
    if recipe.schedule is None:
        return _fit_plain(recipe, train)
    return _fit_scheduled(recipe, recipe.schedule, train, report, checkpoint)


def fit_without_convergence_warning(classifier: MLPClassifier, inputs: npt.ArrayLike, labels: npt.ArrayLike) -> None:
    """Call `classifier.fit` without its ConvergenceWarning: the number of iterations is chosen, converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(inputs, labels)


def _fit_plain(recipe: Recipe, train: Digits) -> Fitted:
    started = time.monotonic()
    classifier = MLPClassifier(**recipe.estimator, verbose=True)
    fit_without_convergence_warning(classifier, as_inputs(train.images, recipe.dtype), train.labels)
    return Fitted(classifier, list(classifier.loss_curve_), [], time.monotonic() - started)


def _fit_scheduled(
    recipe: Recipe,
    schedule: Schedule,
    train: Digits,
    report: Callable[[Epoch, Checkpoint], None],
    checkpoint: Checkpoint,
) -> Fitted:
    training, validation = split(train, schedule.n_validation, recipe.seed)
    validation_inputs = as_inputs(validation.images, recipe.dtype)
    # With warm_start, every call of fit continues from the current weights with the learning rate that is set. Only
    # Adam's moments are reset each epoch. That costs a few steps, but needs no private attribute, and a checkpoint
    # needs the weights only. `make_epoch` shuffles.
    classifier = MLPClassifier(**recipe.estimator, max_iter=1, shuffle=False, warm_start=True, random_state=recipe.seed)
    if checkpoint.parameters:
        # A fit on one digit per class creates all attributes of a fitted classifier. Its weights are overwritten.
        _, firsts = np.unique(train.labels, return_index=True)
        with warnings.catch_warnings():
            # They are fewer than a batch, and one iteration is intended.
            warnings.simplefilter("ignore")
            classifier.fit(as_inputs(train.images[firsts], recipe.dtype), train.labels[firsts])
        _set_parameters(classifier, checkpoint.parameters)
    initial_rate = classifier.learning_rate_init
    started = time.monotonic()
    for number, (inputs, labels) in _epochs(recipe.seed, schedule, training, first=len(checkpoint.losses)):
        rate = (1 + math.cos(math.pi * number / schedule.epochs)) / 2
        classifier.set_params(learning_rate_init=rate * initial_rate)
        fit_without_convergence_warning(classifier, inputs, labels)
        kept = 1 - rate * schedule.weight_decay
        _set_parameters(classifier, [kept * weights for weights in classifier.coefs_] + classifier.intercepts_)
        error = 1 - float(classifier.score(validation_inputs, validation.labels))
        checkpoint = checkpoint.after(
            # Copies, since the next epoch changes these in place.
            [array.copy() for array in classifier.coefs_ + classifier.intercepts_],
            classifier.loss_,
            error,
            time.monotonic() - started,
            averaged=schedule.is_averaged(number),
        )
        started = time.monotonic()
        report(Epoch(number + 1, schedule.epochs, classifier.loss_, error), checkpoint)
    if checkpoint.mean:
        _set_parameters(classifier, checkpoint.mean)
    return Fitted(classifier, list(checkpoint.losses), list(checkpoint.validation_errors), checkpoint.seconds)


def _set_parameters(classifier: MLPClassifier, parameters: Sequence[FloatArray]) -> None:
    """Overwrite all weights and biases, given as `coefs_` followed by `intercepts_`."""
    for own, given in zip(classifier.coefs_ + classifier.intercepts_, parameters, strict=True):
        own[...] = given


def _epochs(
    seed: int, schedule: Schedule, digits: Digits, first: int
) -> Iterator[tuple[int, tuple[FloatArray, npt.NDArray[np.int64]]]]:
    """Yield (number, (inputs, labels)) of each epoch from `first` on. A worker process prepares the next one."""
    if len(digits) < _MIN_DIGITS_FOR_WORKER:
        yield from ((number, make_epoch(digits, schedule, seed, number)) for number in range(first, schedule.epochs))
        return
    # Spawned: a forked child would inherit BLAS threads in an undefined state.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        numbers = range(first, schedule.epochs)
        upcoming = None
        for number in numbers:
            current = upcoming or pool.submit(make_epoch, digits, schedule, seed, number)
            if number + 1 in numbers:
                upcoming = pool.submit(make_epoch, digits, schedule, seed, number + 1)
            yield number, current.result()


def make_epoch(digits: Digits, schedule: Schedule, seed: int, number: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return the shuffled and augmented digits of an epoch, synthetic digits included.

    Seed and number determine the result. Inputs are float32 (n, 784), labels int64 (n,).
    """
    rng = np.random.default_rng((seed, number))
    strength = schedule.strength(number)
    n_synthetic = round(strength * schedule.synthetic_share * len(digits))
    synthetic = synthesize(n_synthetic, rng, classes=np.unique(digits.labels).tolist())
    images = np.concatenate([digits.images, synthetic.images])
    as_pictures = np.flatnonzero(rng.random(len(digits)) < strength * schedule.picture_share)
    images[as_pictures] = renormalize(digits.images[as_pictures], rng)
    labels = np.concatenate([digits.labels, synthetic.labels])
    order = rng.permutation(len(labels))
    return augment(images[order], schedule.augmentation.scaled(strength), rng), labels[order]
