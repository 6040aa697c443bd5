"""A fit is scikit-learn's own, on all digits at once or on digits changed for each epoch; it can be interrupted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from service.images.mnist_frame import CENTRE, centre_of_mass
from service.types import FloatArray
from tests.training.conftest import Reported
from tests.training.tiny import BENT, PLAIN, SCHEDULE, TinyMnist, draw_digits
from training import fitting
from training.augmentation import Augmentation
from training.checkpoints import Checkpoint
from training.fitting import Epoch, as_inputs, fit, make_epoch, split
from training.mnist import Digits
from training.recipes import Schedule


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


# --- Without a schedule


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_fit_is_one_call_of_scikit_learn(tiny: TinyMnist, dtype: npt.DTypeLike) -> None:
    """A recipe without a schedule gives what MLPClassifier gives on all digits, without a warning or a report."""
    recipe = replace(PLAIN, dtype=dtype, estimator={**PLAIN.estimator, "max_iter": 3})
    reports: list[tuple[Epoch, Checkpoint]] = []

    fitted = fit(recipe, tiny.digits.train, lambda *report: reports.append(report))

    expected = MLPClassifier(**recipe.estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected.fit(tiny.digits.train.images.reshape(-1, 784).astype(dtype) / 255, tiny.digits.train.labels)
    assert_same_weights(expected, fitted.classifier)
    assert np.dtype(dtype) == fitted.classifier.coefs_[0].dtype
    assert (expected.loss_curve_, []) == (fitted.losses, fitted.validation_errors)
    assert fitted.seconds > 0
    assert [] == reports


def test_plain_fit_shows_its_progress(tiny: TinyMnist, capsys: pytest.CaptureFixture[str]) -> None:
    """Scikit-learn's own line of each iteration is shown."""
    fit(replace(PLAIN, estimator={**PLAIN.estimator, "max_iter": 2}), tiny.digits.train, lambda *_: None)

    assert ["Iteration 1", "Iteration 2"] == [line.split(",")[0] for line in capsys.readouterr().out.splitlines()]


# --- Along a schedule


def answers(parameters: Sequence[FloatArray], digits: Digits) -> npt.NDArray[np.int64]:
    """Return the digits that a network of one hidden layer reads, given its weights and then its biases."""
    inputs = digits.images.reshape(-1, 784) / np.float32(255)
    hidden = np.maximum(inputs @ parameters[0] + parameters[2], 0)
    read: npt.NDArray[np.int64] = (hidden @ parameters[1] + parameters[3]).argmax(axis=1)
    return read


def test_bent_fit_reports_each_epoch(tiny: TinyMnist, bent_fit: Reported) -> None:
    """Each epoch is reported once, in order, with the error of its own weights on the digits set apart."""
    _, validation = split(tiny.digits.train, SCHEDULE.n_validation, BENT.seed)

    assert [(1, 4), (2, 4), (3, 4), (4, 4)] == [(epoch.number, epoch.of) for epoch in bent_fit.epochs]
    assert bent_fit.epochs[-1].loss < bent_fit.epochs[0].loss
    for epoch, checkpoint in zip(bent_fit.epochs, bent_fit.checkpoints, strict=True):
        wrong = answers(checkpoint.parameters, validation) != validation.labels
        assert pytest.approx(np.mean(wrong)) == epoch.validation_error


def test_bent_fit_keeps_its_history(bent_fit: Reported) -> None:
    """The losses and errors of all epochs are those reported, in every checkpoint those so far."""
    losses, errors = zip(*((epoch.loss, epoch.validation_error) for epoch in bent_fit.epochs), strict=True)

    assert (list(losses), list(errors)) == (bent_fit.fitted.losses, bent_fit.fitted.validation_errors)
    for number, checkpoint in enumerate(bent_fit.checkpoints, start=1):
        assert list(losses[:number]) == list(checkpoint.losses)
        assert list(errors[:number]) == list(checkpoint.validation_errors)
    seconds = [checkpoint.seconds for checkpoint in bent_fit.checkpoints]
    assert sorted(seconds) == seconds
    assert 0 < seconds[0] < seconds[-1] == bent_fit.fitted.seconds


def test_bent_fit_is_scikit_learn_on_digits_made_for_each_epoch(tiny: TinyMnist, bent_fit: Reported) -> None:
    """The same weights come out of every epoch when they are made, fitted and decayed here, one after the other."""
    rest, _ = split(tiny.digits.train, SCHEDULE.n_validation, BENT.seed)

    expected = MLPClassifier(**BENT.estimator, max_iter=1, shuffle=False, warm_start=True, random_state=BENT.seed)
    # Half a cosine wave in four steps.
    for number, share in enumerate([1, (2 + np.sqrt(2)) / 4, 0.5, (2 - np.sqrt(2)) / 4]):
        expected.set_params(learning_rate_init=0.02 * share)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            expected.fit(*make_epoch(rest, SCHEDULE, BENT.seed, number))
        for weights in expected.coefs_:
            np.multiply(weights, 1 - 0.1 * share, out=weights)
        reported = bent_fit.checkpoints[number].parameters
        for a, b in zip(expected.coefs_ + expected.intercepts_, reported, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_result_is_the_mean_of_the_epochs_that_settle(bent_fit: Reported) -> None:
    """All weights and biases are the mean of those after the last two epochs, and those differ."""
    *_, third, fourth = (checkpoint.parameters for checkpoint in bent_fit.checkpoints)
    fitted = bent_fit.fitted.classifier

    for a, b, mean in zip(third, fourth, fitted.coefs_ + fitted.intercepts_, strict=True):
        np.testing.assert_allclose((a + b) / 2, mean, atol=1e-6)
        assert np.abs(a - b).max() > 1e-3
    assert [0, 0, 1, 2] == [checkpoint.n_averaged for checkpoint in bent_fit.checkpoints]


def test_without_settling_the_last_weights_are_the_result(tiny: TinyMnist, bent_fit: Reported) -> None:
    """A schedule whose epochs do not settle ends with the weights after the last one."""
    recipe = replace(BENT, schedule=replace(SCHEDULE, epochs=1, settling=0))
    reports: list[Checkpoint] = []

    fitted = fit(recipe, tiny.digits.train, lambda _, checkpoint: reports.append(checkpoint)).classifier

    for a, b, c in zip(
        reports[-1].parameters,
        fitted.coefs_ + fitted.intercepts_,
        bent_fit.checkpoints[0].parameters,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
        # The first epoch of a shorter schedule is that of a longer one.
        np.testing.assert_array_equal(a, c)


def test_seed_decides_a_bent_fit(tiny: TinyMnist, bent_fit: Reported) -> None:
    """The same recipe on the same digits gives the same network, to the last bit."""
    again = fit(BENT, tiny.digits.train, lambda *_: None)

    assert_same_weights(bent_fit.fitted.classifier, again.classifier)
    assert bent_fit.fitted.losses == again.losses


@pytest.mark.parametrize("n_epochs", [1, 3, 4])
def test_fit_goes_on_from_a_checkpoint(tiny: TinyMnist, bent_fit: Reported, n_epochs: int) -> None:
    """Interrupted before epochs settle, meanwhile, or after the last one, it ends as if it had not been, to the bit."""
    reports: list[tuple[Epoch, Checkpoint]] = []

    resumed = fit(
        BENT,
        tiny.digits.train,
        lambda *report: reports.append(report),
        so_far=bent_fit.checkpoints[n_epochs - 1],
    )

    assert_same_weights(bent_fit.fitted.classifier, resumed.classifier)
    assert (bent_fit.fitted.losses, bent_fit.fitted.validation_errors) == (resumed.losses, resumed.validation_errors)
    assert list(range(n_epochs + 1, 5)) == [epoch.number for epoch, _ in reports]
    for before, (_, after) in zip(bent_fit.checkpoints[n_epochs:], reports, strict=True):
        for a, b in zip([*before.parameters, *before.mean], [*after.parameters, *after.mean], strict=True):
            np.testing.assert_array_equal(a, b)
    # The time before the interruption counts.
    assert bent_fit.checkpoints[n_epochs - 1].seconds <= resumed.seconds


def test_second_process_makes_the_same_epochs(
    tiny: TinyMnist, bent_fit: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epochs of many digits are made by a process of their own; it makes what this one would."""
    monkeypatch.setattr(fitting, "_WORTH_A_PROCESS", 0)

    fitted = fit(BENT, tiny.digits.train, lambda *_: None)

    assert_same_weights(bent_fit.fitted.classifier, fitted.classifier)


def test_fit_leaves_its_checkpoint_alone(tiny: TinyMnist, bent_fit: Reported) -> None:
    """A checkpoint that a fit goes on from is as good afterwards as before."""
    last = bent_fit.checkpoints[-1]
    before = [array.copy() for array in last.parameters]

    fit(BENT, tiny.digits.train, lambda *_: None, so_far=last)

    for a, b in zip(before, last.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


# --- What an epoch learns from


def schedule(how: Augmentation, *, drawn: float = 0, settling: float = 0, settled: float = 1) -> Schedule:
    """Return a schedule of ten epochs that changes digits so."""
    return Schedule(10, n_validation=1, augmentation=how, drawn=drawn, settling=settling, settled=settled)


def test_epoch_has_every_digit_once_with_its_label() -> None:
    """An epoch is all digits in a new order, each with its own label."""
    digits = replace(numbered(50), labels=np.arange(50) % 10)

    inputs, labels = make_epoch(digits, schedule(Augmentation()), seed=1, number=0)

    assert ((50, 784), np.dtype(np.float32)) == (inputs.shape, inputs.dtype)
    numbers = np.rint(inputs[:, 0] * 255).astype(int)
    assert list(range(50)) == sorted(numbers)
    assert list(range(50)) != numbers.tolist()
    assert (numbers % 10).tolist() == labels.tolist()


@pytest.mark.parametrize(("share", "n_drawn"), [(0.3, 60), (1.5, 300), (0.001, 0)])
def test_epoch_has_drawn_digits_too(share: float, n_drawn: int) -> None:
    """The share of drawn digits that is asked for comes in between, in MNIST form and with labels of their own."""
    # What is learned from is a dot in the middle, as no drawn digit is.
    images = np.zeros((200, 28, 28), np.uint8)
    images[:, 14, 14] = 255
    digits = Digits(images, np.arange(200) % 10)

    inputs, labels = make_epoch(digits, schedule(Augmentation(), drawn=share), seed=1, number=0)

    drawn = inputs.sum(axis=1) > 1
    assert (200 + n_drawn, n_drawn) == (len(labels), drawn.sum())
    assert {20} == set(np.bincount(labels[~drawn]).tolist())
    assert set(labels[drawn].tolist()) == (set(range(10)) if n_drawn else set())
    centres = np.array([centre_of_mass(image.reshape(28, 28)) for image in inputs[drawn]]).reshape(-1, 2)
    np.testing.assert_allclose(np.full((n_drawn, 2), CENTRE), centres, atol=1)
    # They stand among the others, not behind them.
    assert n_drawn == 0 or np.flatnonzero(drawn)[0] < 20


def test_epoch_of_some_classes_has_drawn_digits_of_these() -> None:
    """Where only some digits are learned, only these are drawn."""
    digits = Digits(np.zeros((20, 28, 28), np.uint8), np.array([3, 8] * 10))

    _, labels = make_epoch(digits, schedule(Augmentation(), drawn=2), seed=1, number=0)

    assert {3, 8} == set(labels.tolist())


def test_epochs_that_settle_change_digits_less() -> None:
    """In the last epochs, and only there, digits are changed with that part of the strength."""
    images = np.zeros((300, 28, 28), np.uint8)
    images[:, 13:16, 13:16] = 255
    digits = Digits(images, np.arange(300) % 10)
    settling = schedule(Augmentation(shift=4), settling=0.2, settled=0.25)

    reach = []
    for number in (0, 7, 8, 9):
        inputs, _ = make_epoch(digits, settling, seed=1, number=number)
        reach.append(np.abs([np.subtract(centre_of_mass(image.reshape(28, 28)), 14) for image in inputs]).max())

    np.testing.assert_allclose([4, 4, 1, 1], reach, rtol=0.05)


def test_seed_and_number_decide_an_epoch() -> None:
    """The same seed and number draw, bend and shuffle alike; another seed or number does not."""
    digits, how = draw_digits(30, seed=3), schedule(Augmentation(shift=2), drawn=0.5)

    inputs, labels = make_epoch(digits, how, seed=1, number=2)
    again, same_labels = make_epoch(digits, how, seed=1, number=2)

    np.testing.assert_array_equal(inputs, again)
    np.testing.assert_array_equal(labels, same_labels)
    for seed, number in ((1, 3), (2, 2)):
        other, other_labels = make_epoch(digits, how, seed, number)
        assert labels.tolist() != other_labels.tolist()
        assert np.abs(np.sort(inputs.sum(axis=1)) - np.sort(other.sum(axis=1))).max() > 0.1
