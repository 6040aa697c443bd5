"""A fit is scikit-learn's, on fixed digits or with augmentation in each epoch, and can be resumed."""

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
from tests.training.tiny import AUGMENTED, PLAIN, SCHEDULE, TinyMnist, draw_digits
from training import fitting
from training.augmentation import Augmentation
from training.checkpoints import Checkpoint
from training.fitting import Epoch, as_inputs, fit, make_epoch, split
from training.mnist import Digits
from training.recipes import Schedule


def assert_same_weights(expected: MLPClassifier, actual: MLPClassifier) -> None:
    """Assert that two networks are equal, bit for bit."""
    for a, b in zip(expected.coefs_ + expected.intercepts_, actual.coefs_ + actual.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_rows_from_0_to_1(dtype: type[np.floating]) -> None:
    """Images become rows of the given dtype, in row-major order, with 255 as 1."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 0, 1], image[0, 1, 0] = 51, 255

    inputs = as_inputs(image, dtype)

    assert ((1, 784), np.dtype(dtype)) == (inputs.shape, inputs.dtype)
    assert {1: dtype(0.2), 28: dtype(1)} == {int(i): inputs[0, i] for i in np.flatnonzero(inputs[0])}


def numbered(n: int) -> Digits:
    """Return digits whose label and first pixel are their index."""
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(n)
    return Digits(images, np.arange(n))


@pytest.mark.parametrize("n_validation", [0, 30])
def test_split_keeps_every_digit_once(n_validation: int) -> None:
    """Every digit is in exactly one part, with its label, in the original order."""
    rest, validation = split(numbered(100), n_validation, seed=1)

    assert (100 - n_validation, n_validation) == (len(rest), len(validation))
    assert list(range(100)) == sorted([*rest.labels, *validation.labels])
    for side in (rest, validation):
        assert sorted(side.labels) == side.labels.tolist()
        np.testing.assert_array_equal(side.images[:, 0, 0], side.labels)


def test_seed_determines_the_split() -> None:
    """The same seed gives the same validation digits, another seed others, from the whole range."""
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
    """Without a schedule the network is MLPClassifier's on all digits, without a warning or a report."""
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
    """The line of scikit-learn for each iteration is printed."""
    fit(replace(PLAIN, estimator={**PLAIN.estimator, "max_iter": 2}), tiny.digits.train, lambda *_: None)

    assert ["Iteration 1", "Iteration 2"] == [line.split(",")[0] for line in capsys.readouterr().out.splitlines()]


# --- With a schedule


def predicted(parameters: Sequence[FloatArray], digits: Digits) -> npt.NDArray[np.int64]:
    """Return the predictions of a network with one hidden layer, given its weights and then its biases."""
    inputs = digits.images.reshape(-1, 784) / np.float32(255)
    hidden = np.maximum(inputs @ parameters[0] + parameters[2], 0)
    read: npt.NDArray[np.int64] = (hidden @ parameters[1] + parameters[3]).argmax(axis=1)
    return read


def test_fit_reports_each_epoch(tiny: TinyMnist, augmented_fit: Reported) -> None:
    """Each epoch is reported once, in order, with the validation error of its weights."""
    _, validation = split(tiny.digits.train, SCHEDULE.n_validation, AUGMENTED.seed)

    assert [(1, 4), (2, 4), (3, 4), (4, 4)] == [(epoch.number, epoch.of) for epoch in augmented_fit.epochs]
    assert augmented_fit.epochs[-1].loss < augmented_fit.epochs[0].loss
    for epoch, checkpoint in zip(augmented_fit.epochs, augmented_fit.checkpoints, strict=True):
        wrong = predicted(checkpoint.parameters, validation) != validation.labels
        assert pytest.approx(np.mean(wrong)) == epoch.validation_error


def test_fit_returns_its_history(augmented_fit: Reported) -> None:
    """Losses and errors are those reported, and each checkpoint has those so far."""
    losses, errors = zip(*((epoch.loss, epoch.validation_error) for epoch in augmented_fit.epochs), strict=True)

    assert (list(losses), list(errors)) == (augmented_fit.fitted.losses, augmented_fit.fitted.validation_errors)
    for number, checkpoint in enumerate(augmented_fit.checkpoints, start=1):
        assert list(losses[:number]) == list(checkpoint.losses)
        assert list(errors[:number]) == list(checkpoint.validation_errors)
    seconds = [checkpoint.seconds for checkpoint in augmented_fit.checkpoints]
    assert sorted(seconds) == seconds
    assert 0 < seconds[0] < seconds[-1] == augmented_fit.fitted.seconds


def test_fit_is_scikit_learns_on_augmented_epochs(tiny: TinyMnist, augmented_fit: Reported) -> None:
    """Parameters after each epoch are those of MLPClassifier with cosine learning rate and decoupled weight decay."""
    rest, _ = split(tiny.digits.train, SCHEDULE.n_validation, AUGMENTED.seed)

    expected = MLPClassifier(
        **AUGMENTED.estimator, max_iter=1, shuffle=False, warm_start=True, random_state=AUGMENTED.seed
    )
    # Half a cosine wave in four steps.
    for number, share in enumerate([1, (2 + np.sqrt(2)) / 4, 0.5, (2 - np.sqrt(2)) / 4]):
        expected.set_params(learning_rate_init=0.02 * share)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            expected.fit(*make_epoch(rest, SCHEDULE, AUGMENTED.seed, number))
        for weights in expected.coefs_:
            np.multiply(weights, 1 - 0.1 * share, out=weights)
        reported = augmented_fit.checkpoints[number].parameters
        for a, b in zip(expected.coefs_ + expected.intercepts_, reported, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_result_is_the_mean_of_the_averaging_phase(augmented_fit: Reported) -> None:
    """All parameters are the mean of those after the last two epochs."""
    *_, third, fourth = (checkpoint.parameters for checkpoint in augmented_fit.checkpoints)
    fitted = augmented_fit.fitted.classifier

    for a, b, mean in zip(third, fourth, fitted.coefs_ + fitted.intercepts_, strict=True):
        np.testing.assert_allclose((a + b) / 2, mean, atol=1e-6)
        assert np.abs(a - b).max() > 1e-3
    assert [0, 0, 1, 2] == [checkpoint.n_averaged for checkpoint in augmented_fit.checkpoints]


def test_without_averaging_phase_the_last_weights_are_the_result(tiny: TinyMnist, augmented_fit: Reported) -> None:
    """The result of such a schedule are the parameters after the last epoch."""
    recipe = replace(AUGMENTED, schedule=replace(SCHEDULE, epochs=1, averaging_phase=0))
    reports: list[Checkpoint] = []

    fitted = fit(recipe, tiny.digits.train, lambda _, checkpoint: reports.append(checkpoint)).classifier

    for a, b, c in zip(
        reports[-1].parameters,
        fitted.coefs_ + fitted.intercepts_,
        augmented_fit.checkpoints[0].parameters,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
        # The first epoch of a shorter schedule is that of a longer one.
        np.testing.assert_array_equal(a, c)


def test_fit_is_reproducible(tiny: TinyMnist, augmented_fit: Reported) -> None:
    """The same recipe and digits give the same network, bit for bit."""
    again = fit(AUGMENTED, tiny.digits.train, lambda *_: None)

    assert_same_weights(augmented_fit.fitted.classifier, again.classifier)
    assert augmented_fit.fitted.losses == again.losses


@pytest.mark.parametrize("n_epochs", [1, 3, 4])
def test_resumed_fit_gives_the_same_network(tiny: TinyMnist, augmented_fit: Reported, n_epochs: int) -> None:
    """Interrupted before, in or after the averaging phase, the result is the same, bit for bit."""
    reports: list[tuple[Epoch, Checkpoint]] = []

    resumed = fit(
        AUGMENTED,
        tiny.digits.train,
        lambda *report: reports.append(report),
        checkpoint=augmented_fit.checkpoints[n_epochs - 1],
    )

    assert_same_weights(augmented_fit.fitted.classifier, resumed.classifier)
    assert (augmented_fit.fitted.losses, augmented_fit.fitted.validation_errors) == (
        resumed.losses,
        resumed.validation_errors,
    )
    assert list(range(n_epochs + 1, 5)) == [epoch.number for epoch, _ in reports]
    for before, (_, after) in zip(augmented_fit.checkpoints[n_epochs:], reports, strict=True):
        for a, b in zip([*before.parameters, *before.mean], [*after.parameters, *after.mean], strict=True):
            np.testing.assert_array_equal(a, b)
    # The time before the interruption counts.
    assert augmented_fit.checkpoints[n_epochs - 1].seconds <= resumed.seconds


@pytest.mark.slow
def test_worker_process_makes_the_same_epochs(
    tiny: TinyMnist, augmented_fit: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker process for large data sets gives the same network."""
    monkeypatch.setattr(fitting, "_MIN_DIGITS_FOR_WORKER", 0)

    fitted = fit(AUGMENTED, tiny.digits.train, lambda *_: None)

    assert_same_weights(augmented_fit.fitted.classifier, fitted.classifier)


def test_fit_does_not_modify_its_checkpoint(tiny: TinyMnist, augmented_fit: Reported) -> None:
    """A checkpoint is unchanged after a fit that starts from it."""
    last = augmented_fit.checkpoints[-1]
    before = [array.copy() for array in last.parameters]

    fit(AUGMENTED, tiny.digits.train, lambda *_: None, checkpoint=last)

    for a, b in zip(before, last.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


# --- The digits of an epoch


def schedule(how: Augmentation, *, synthetic: float = 0, phase: float = 0, strength: float = 1) -> Schedule:
    """Return a schedule of ten epochs."""
    return Schedule(
        10,
        n_validation=1,
        augmentation=how,
        synthetic_share=synthetic,
        final_phase=phase,
        final_strength=strength,
    )


def test_epoch_has_every_digit_once_with_its_label() -> None:
    """An epoch has all digits in a new order, each with its label."""
    digits = replace(numbered(50), labels=np.arange(50) % 10)

    inputs, labels = make_epoch(digits, schedule(Augmentation()), seed=1, number=0)

    assert ((50, 784), np.dtype(np.float32)) == (inputs.shape, inputs.dtype)
    numbers = np.rint(inputs[:, 0] * 255).astype(int)
    assert list(range(50)) == sorted(numbers)
    assert list(range(50)) != numbers.tolist()
    assert (numbers % 10).tolist() == labels.tolist()


@pytest.mark.parametrize(("share", "n_synthetic"), [(1.5, 300), (0.001, 0)])
def test_epoch_contains_synthetic_digits(share: float, n_synthetic: int) -> None:
    """The share of synthetic digits is added, in MNIST form and with their labels, shuffled with the others."""
    # The training digits are a dot in the middle, unlike any synthetic digit.
    images = np.zeros((200, 28, 28), np.uint8)
    images[:, 14, 14] = 255
    digits = Digits(images, np.arange(200) % 10)

    inputs, labels = make_epoch(digits, schedule(Augmentation(), synthetic=share), seed=1, number=0)

    is_synthetic = inputs.sum(axis=1) > 1
    assert (200 + n_synthetic, n_synthetic) == (len(labels), is_synthetic.sum())
    assert {20} == set(np.bincount(labels[~is_synthetic]).tolist())
    assert set(labels[is_synthetic].tolist()) == (set(range(10)) if n_synthetic else set())
    centres = np.array([centre_of_mass(image.reshape(28, 28)) for image in inputs[is_synthetic]]).reshape(-1, 2)
    np.testing.assert_allclose(np.full((n_synthetic, 2), CENTRE), centres, atol=1)
    # They are shuffled with the others.
    assert n_synthetic == 0 or np.flatnonzero(is_synthetic)[0] < 20


def test_synthetic_digits_are_of_the_given_classes() -> None:
    """A fit on some classes has synthetic digits of these classes only."""
    digits = Digits(np.zeros((20, 28, 28), np.uint8), np.array([3, 8] * 10))

    _, labels = make_epoch(digits, schedule(Augmentation(), synthetic=2), seed=1, number=0)

    assert {3, 8} == set(labels.tolist())


def test_augmentation_is_weaker_in_the_final_phase() -> None:
    """In the epochs of the final phase, and only there, the augmentation has the given strength."""
    images = np.zeros((300, 28, 28), np.uint8)
    images[:, 13:16, 13:16] = 255
    digits = Digits(images, np.arange(300) % 10)
    how = schedule(Augmentation(shift=4), phase=0.2, strength=0.25)

    reach = []
    for number in (0, 7, 8, 9):
        inputs, _ = make_epoch(digits, how, seed=1, number=number)
        reach.append(np.abs([np.subtract(centre_of_mass(image.reshape(28, 28)), 14) for image in inputs]).max())

    np.testing.assert_allclose([4, 4, 1, 1], reach, rtol=0.05)


def test_final_phase_has_fewer_synthetic_digits_and_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shares of synthetic digits and of pictures are multiplied by the strength of the final phase."""
    digits = draw_digits(400, seed=2)
    how = replace(schedule(Augmentation(), synthetic=0.5, phase=0.2, strength=0.25), picture_share=0.8)
    n_pictures: list[int] = []

    def count(images: npt.NDArray[np.uint8], _: np.random.Generator) -> npt.NDArray[np.uint8]:
        n_pictures.append(len(images))
        return images

    monkeypatch.setattr("training.fitting.renormalize", count)
    n_digits = [len(make_epoch(digits, how, seed=1, number=number)[1]) for number in (7, 8)]

    assert [600, 450] == n_digits
    assert 290 < n_pictures[0] < 350
    assert 55 < n_pictures[1] < 105


def test_pictures_keep_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits that are enlarged to pictures take the place of the originals."""
    digits = replace(numbered(50), labels=np.arange(50) % 10)
    monkeypatch.setattr("training.fitting.renormalize", lambda images, _: images)

    inputs, labels = make_epoch(digits, replace(schedule(Augmentation()), picture_share=0.5), seed=1, number=0)

    numbers = np.rint(inputs[:, 0] * 255).astype(int)
    assert list(range(50)) == sorted(numbers)
    assert (numbers % 10).tolist() == labels.tolist()


def test_seed_and_number_determine_an_epoch() -> None:
    """The same seed and number give the same epoch, another seed or number does not."""
    digits, how = draw_digits(30, seed=3), schedule(Augmentation(shift=2), synthetic=0.5)

    inputs, labels = make_epoch(digits, how, seed=1, number=2)
    again, same_labels = make_epoch(digits, how, seed=1, number=2)

    np.testing.assert_array_equal(inputs, again)
    np.testing.assert_array_equal(labels, same_labels)
    for seed, number in ((1, 3), (2, 2)):
        other, other_labels = make_epoch(digits, how, seed, number)
        assert labels.tolist() != other_labels.tolist()
        assert np.abs(np.sort(inputs.sum(axis=1)) - np.sort(other.sum(axis=1))).max() > 0.1
