"""A fit is scikit-learn's own, on all digits at once or on digits bent for each epoch."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from tests.training.tiny import BENT, PLAIN, TinyMnist, draw_digits
from training.augmentation import Augmentation
from training.fitting import Epoch, as_inputs, bend_epoch, fit, split
from training.mnist import Digits


def assert_same_weights(expected: MLPClassifier, actual: MLPClassifier) -> None:
    """Assert that two networks are the same to the last bit."""
    for a, b in zip(expected.coefs_ + expected.intercepts_, actual.coefs_ + actual.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_rows_from_0_to_1(dtype: type[np.floating]) -> None:
    """Images become rows of the dtype that is asked for, read line by line, with 255 as 1."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 0, 1], image[0, 1, 0] = 51, 255

    inputs = as_inputs(image, dtype)

    assert ((1, 784), np.dtype(dtype)) == (inputs.shape, inputs.dtype)
    assert {1: dtype(0.2), 28: dtype(1)} == {int(i): inputs[0, i] for i in np.flatnonzero(inputs[0])}


def numbered(n: int) -> Digits:
    """Return digits that can be told apart: the label is the number of the digit, its first pixel too."""
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(n)
    return Digits(images, np.arange(n))


@pytest.mark.parametrize("n_validation", [0, 1, 30, 99])
def test_split_sets_digits_apart(n_validation: int) -> None:
    """Every digit is on exactly one side, with its label, in the order that it had."""
    rest, validation = split(numbered(100), n_validation, seed=1)

    assert (100 - n_validation, n_validation) == (len(rest), len(validation))
    assert list(range(100)) == sorted([*rest.labels, *validation.labels])
    for side in (rest, validation):
        assert sorted(side.labels) == side.labels.tolist()
        np.testing.assert_array_equal(side.images[:, 0, 0], side.labels)


def test_seed_decides_the_split() -> None:
    """The same seed sets the same digits apart, another one others, from all over the digits."""
    _, first = split(numbered(100), 30, seed=1)
    _, again = split(numbered(100), 30, seed=1)
    _, other = split(numbered(100), 30, seed=2)

    assert first.labels.tolist() == again.labels.tolist()
    assert first.labels.tolist() != other.labels.tolist()
    assert first.labels.min() < 30
    assert first.labels.max() >= 70


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_fit_is_one_call_of_scikit_learn(tiny: TinyMnist, dtype: npt.DTypeLike) -> None:
    """A recipe without distortions gives what MLPClassifier gives on all digits, without a warning or a report."""
    recipe = replace(PLAIN, dtype=dtype, estimator={**PLAIN.estimator, "max_iter": 3})
    reports: list[Epoch] = []

    fitted = fit(recipe, tiny.digits.train, reports.append)

    expected = MLPClassifier(**recipe.estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected.fit(tiny.digits.train.images.reshape(-1, 784).astype(dtype) / 255, tiny.digits.train.labels)
    assert_same_weights(expected, fitted)
    assert np.dtype(dtype) == fitted.coefs_[0].dtype
    assert [] == reports


def test_plain_fit_shows_its_progress(tiny: TinyMnist, capsys: pytest.CaptureFixture[str]) -> None:
    """Scikit-learn's own line of each iteration is shown."""
    fit(replace(PLAIN, estimator={**PLAIN.estimator, "max_iter": 2}), tiny.digits.train, lambda _: None)

    assert ["Iteration 1", "Iteration 2"] == [line.split(",")[0] for line in capsys.readouterr().out.splitlines()]


def test_bent_fit_reports_each_epoch(tiny: TinyMnist, bent_fit: tuple[MLPClassifier, list[Epoch]]) -> None:
    """Each epoch is reported once, in order; the last has the loss and the validation error of the result."""
    fitted, reports = bent_fit
    _, validation = split(tiny.digits.train, BENT.n_validation, BENT.seed)
    wrong = fitted.predict(validation.images.reshape(-1, 784) / np.float32(255)) != validation.labels

    assert [(1, 3), (2, 3), (3, 3)] == [(epoch.number, epoch.of) for epoch in reports]
    assert fitted.loss_ == reports[-1].loss < reports[0].loss
    assert pytest.approx(np.mean(wrong)) == reports[-1].validation_error


def test_bent_fit_lowers_the_learning_rate(bent_fit: tuple[MLPClassifier, list[Epoch]]) -> None:
    """The last of three epochs is at two thirds of half a cosine wave: a quarter of the highest learning rate."""
    fitted, _ = bent_fit

    assert pytest.approx(0.02 * 0.25) == fitted.get_params()["learning_rate_init"]


def test_bent_fit_is_scikit_learn_on_digits_bent_for_each_epoch(
    tiny: TinyMnist, bent_fit: tuple[MLPClassifier, list[Epoch]]
) -> None:
    """The same weights come out when the epochs are bent and fitted here, one after the other."""
    rest, _ = split(tiny.digits.train, BENT.n_validation, BENT.seed)
    assert BENT.augmentation is not None

    expected = MLPClassifier(**BENT.estimator, max_iter=1, warm_start=True, random_state=BENT.seed)
    # Half a cosine wave in three steps.
    for number, share in enumerate([1, 0.75, 0.25]):
        expected.set_params(learning_rate_init=0.02 * share)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            expected.fit(*bend_epoch(rest, BENT.augmentation, BENT.seed, number))

    for a, b in zip(expected.coefs_, bent_fit[0].coefs_, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_seed_decides_a_bent_fit(tiny: TinyMnist, bent_fit: tuple[MLPClassifier, list[Epoch]]) -> None:
    """The same recipe on the same digits gives the same network, to the last bit."""
    assert_same_weights(bent_fit[0], fit(BENT, tiny.digits.train, lambda _: None))


def test_epoch_has_every_digit_once_with_its_label() -> None:
    """An epoch is all digits in a new order, each with its own label."""
    digits = numbered(50)

    inputs, labels = bend_epoch(digits, Augmentation(), seed=1, number=0)

    assert list(range(50)) == sorted(labels)
    assert list(range(50)) != labels.tolist()
    np.testing.assert_allclose(labels, inputs[:, 0] * 255, atol=1e-4)


def test_seed_and_number_decide_an_epoch() -> None:
    """The same seed and number bend and shuffle alike; another seed or number does not."""
    digits, how = draw_digits(30, seed=3), Augmentation(shift=2)

    inputs, labels = bend_epoch(digits, how, seed=1, number=2)
    again, same_labels = bend_epoch(digits, how, seed=1, number=2)

    np.testing.assert_array_equal(inputs, again)
    np.testing.assert_array_equal(labels, same_labels)
    for seed, number in ((1, 3), (2, 2)):
        other, other_labels = bend_epoch(digits, how, seed, number)
        assert np.abs(inputs[labels.argsort(kind="stable")] - other[other_labels.argsort(kind="stable")]).max() > 0.1
        assert labels.tolist() != other_labels.tolist()
