"""Recipe and digits in, fitted MLPClassifier out.

Out of scope: where digits come from, what is measured on the result, and how it is stored.
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
from training.augmentation import distort
from training.checkpoints import START, Checkpoint
from training.mnist import Digits
from training.pen import write
from training.recipes import Recipe, Schedule

# A second process takes seconds to start; fewer digits than this are changed in less time.
_WORTH_A_PROCESS = 2_000


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


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted network with its history: training loss and, where digits were set apart, their error, by epoch.

    The fit took `seconds`, without what was interrupted.
    """

    classifier: MLPClassifier
    losses: list[float]
    validation_errors: list[float]
    seconds: float


def fit(
    recipe: Recipe, train: Digits, report: Callable[[Epoch, Checkpoint], None], so_far: Checkpoint = START
) -> Fitted:
    """Fit the recipe's network on training digits.

    `report` is called after each epoch of a schedule, and `so_far` is a checkpoint that it was given: the fit goes on
    from there. The same recipe and digits give the same network, interrupted or not. A recipe without a schedule does
    neither; scikit-learn prints its own progress.
    """
    if recipe.schedule is None:
        return _fit_plain(recipe, train)
    return _fit_scheduled(recipe, recipe.schedule, train, report, so_far)


def fit_converged_or_not(classifier: MLPClassifier, inputs: npt.ArrayLike, labels: npt.ArrayLike) -> None:
    """Fit without the warning that max_iter passes were not enough: so many are wanted, converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(inputs, labels)


def _fit_plain(recipe: Recipe, train: Digits) -> Fitted:
    begun = time.monotonic()
    classifier = MLPClassifier(**recipe.estimator, verbose=True)
    fit_converged_or_not(classifier, as_inputs(train.images, recipe.dtype), train.labels)
    return Fitted(classifier, list(classifier.loss_curve_), [], time.monotonic() - begun)


def _fit_scheduled(
    recipe: Recipe,
    schedule: Schedule,
    train: Digits,
    report: Callable[[Epoch, Checkpoint], None],
    so_far: Checkpoint,
) -> Fitted:
    rest, validation = split(train, schedule.n_validation, recipe.seed)
    validation_inputs = as_inputs(validation.images, recipe.dtype)
    # With warm_start, every call of fit goes on from the weights so far with the learning rate then in force. Only
    # Adam's running means start anew, which costs a few steps an epoch and needs no private attribute; and the weights
    # are all that a checkpoint has to keep. Epochs are shuffled already.
    classifier = MLPClassifier(**recipe.estimator, max_iter=1, shuffle=False, warm_start=True, random_state=recipe.seed)
    if so_far.parameters:
        # One digit of each class, so that all attributes of a fitted classifier are there.
        _, firsts = np.unique(train.labels, return_index=True)
        with warnings.catch_warnings():
            # They are fewer than a batch, and one iteration is the point.
            warnings.simplefilter("ignore")
            classifier.fit(as_inputs(train.images[firsts], recipe.dtype), train.labels[firsts])
        _set_parameters(classifier, so_far.parameters)
    highest_rate = classifier.learning_rate_init
    begun = time.monotonic()
    for number, (inputs, labels) in _epochs(recipe.seed, schedule, rest, first=len(so_far.losses)):
        share = (1 + math.cos(math.pi * number / schedule.epochs)) / 2
        classifier.set_params(learning_rate_init=share * highest_rate)
        fit_converged_or_not(classifier, inputs, labels)
        kept = 1 - share * schedule.weight_decay
        _set_parameters(classifier, [kept * weights for weights in classifier.coefs_] + classifier.intercepts_)
        error = 1 - float(classifier.score(validation_inputs, validation.labels))
        so_far = so_far.after(
            # Copies, since the next epoch changes these in place.
            [array.copy() for array in classifier.coefs_ + classifier.intercepts_],
            classifier.loss_,
            error,
            time.monotonic() - begun,
            settles=schedule.settles(number),
        )
        begun = time.monotonic()
        report(Epoch(number + 1, schedule.epochs, classifier.loss_, error), so_far)
    if so_far.mean:
        _set_parameters(classifier, so_far.mean)
    return Fitted(classifier, list(so_far.losses), list(so_far.validation_errors), so_far.seconds)


def _set_parameters(classifier: MLPClassifier, parameters: Sequence[FloatArray]) -> None:
    """Overwrite all weights and biases, given as `coefs_` followed by `intercepts_`."""
    for own, given in zip(classifier.coefs_ + classifier.intercepts_, parameters, strict=True):
        own[...] = given


def _epochs(
    seed: int, schedule: Schedule, digits: Digits, first: int
) -> Iterator[tuple[int, tuple[FloatArray, npt.NDArray[np.int64]]]]:
    """Yield every epoch from number `first` on: number and digits. A second process makes the next one meanwhile."""
    if len(digits) < _WORTH_A_PROCESS:
        yield from ((number, make_epoch(digits, schedule, seed, number)) for number in range(first, schedule.epochs))
        return
    # Spawned, since a forked child would inherit BLAS threads in whatever state they are.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        numbers = range(first, schedule.epochs)
        coming = None
        for number in numbers:
            made = coming or pool.submit(make_epoch, digits, schedule, seed, number)
            if number + 1 in numbers:
                coming = pool.submit(make_epoch, digits, schedule, seed, number + 1)
            yield number, made.result()


def make_epoch(digits: Digits, schedule: Schedule, seed: int, number: int) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return what an epoch learns from, decided by seed and number: all digits, and drawn ones, changed and shuffled.

    Inputs are float32 (n, 784), labels (n,).
    """
    rng = np.random.default_rng((seed, number))
    drawn = write(round(schedule.drawn * len(digits)), rng, classes=np.unique(digits.labels).tolist())
    images, labels = np.concatenate([digits.images, drawn.images]), np.concatenate([digits.labels, drawn.labels])
    order = rng.permutation(len(labels))
    strength = schedule.settled if schedule.settles(number) else 1.0
    return distort(images[order], schedule.augmentation.weakened(strength), rng), labels[order]
