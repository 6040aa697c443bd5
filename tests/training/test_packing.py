"""A packed model carries what was measured on it, what it was made with, and an answer to be held to."""

from __future__ import annotations

import json
import os
import platform
from copy import deepcopy
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from service.classifier import Classifier
from service.model import artifact
from service.model.artifact import Artifact
from service.types import FloatArray
from tests.training.conftest import Reported
from tests.training.tiny import BENT, PLAIN, SCHEDULE, TinyMnist, draw_digits
from training import mnist
from training.calibration import UNCALIBRATED, calibrate
from training.export import to_network
from training.fitting import Fitted, split
from training.mnist import Digits
from training.novelty import fit_detector
from training.packing import known_answer, pack, pack_foreign


def inputs(digits: Digits) -> FloatArray:
    """Return digits as inputs."""
    scaled: FloatArray = digits.images.reshape(-1, 784).astype(np.float32) / np.float32(255)
    return scaled


def test_figures_are_scikit_learns_scores(tiny: TinyMnist, bent_fit: Reported, packed: Artifact) -> None:
    """The accuracies on training, validation and test digits are those of MLPClassifier.score."""
    fitted = bent_fit.fitted.classifier
    _, validation = split(tiny.digits.train, SCHEDULE.n_validation, BENT.seed)

    expected = {
        "training_accuracy": fitted.score(inputs(tiny.digits.train), tiny.digits.train.labels),
        "validation_accuracy": fitted.score(inputs(validation), validation.labels),
        "test_accuracy": fitted.score(inputs(tiny.digits.test), tiny.digits.test.labels),
    }
    assert pytest.approx(expected, abs=1e-6) == packed.metadata.figures
    assert expected["test_accuracy"] > 0.5


def test_networks_are_those_that_were_fitted(tiny: TinyMnist, bent_fit: Reported, packed: Artifact) -> None:
    """The network is the classifier's, and the detector is fitted on the digits that it learned from."""
    rest, _ = split(tiny.digits.train, SCHEDULE.n_validation, BENT.seed)
    network = to_network(bent_fit.fitted.classifier)
    detector = fit_detector(network, rest, BENT.seed)

    assert packed.detector is not None
    for expected, actual in ((network, packed.network), (detector, packed.detector)):
        assert repr(expected) == repr(actual)
        for a, b in zip(expected.layers, actual.layers, strict=True):
            np.testing.assert_array_equal(a.weights, b.weights)
            np.testing.assert_array_equal(a.biases, b.biases)


def test_units_that_are_never_on_are_left_out(tiny: TinyMnist, bent_fit: Reported) -> None:
    """Of the network, and of what its detector looks at; the answer that the model knows is still its own."""
    classifier = deepcopy(bent_fit.fitted.classifier)
    n_off, n_units = 4, classifier.coefs_[0].shape[1]
    classifier.coefs_[0][:, :n_off] = 0
    classifier.intercepts_[0][:n_off] = -1
    model = pack(replace(bent_fit.fitted, classifier=classifier), BENT, tiny.digits, {})

    assert model.detector is not None
    assert n_units - n_off == model.network.layers[0].n_out == model.detector.layers[0].n_in
    Artifact.from_bytes(model.to_bytes()).check_known_answer()


def test_calibration_sees_validation_digits_only(tiny: TinyMnist, packed: Artifact) -> None:
    """What is packed is the calibration on the digits set apart."""
    _, validation = split(tiny.digits.train, SCHEDULE.n_validation, BENT.seed)

    assert packed.detector is not None
    expected = calibrate(packed.network, packed.detector, inputs(validation), validation.labels)
    assert expected == packed.metadata.calibration
    assert UNCALIBRATED != packed.metadata.calibration


def test_without_validation_digits_nothing_is_calibrated(packed_plain: Artifact) -> None:
    """A recipe that sets no digits apart is packed uncalibrated, without a figure for them and without a detector."""
    metadata = packed_plain.metadata

    assert UNCALIBRATED == metadata.calibration
    assert ["training_accuracy", "test_accuracy"] == list(metadata.figures)
    assert packed_plain.detector is None
    assert ([], None) == (metadata.novelty_activations, metadata.known_answer.novelty)


def test_known_answer_is_that_of_the_first_training_digit(tiny: TinyMnist, packed: Artifact) -> None:
    """The digit to be held to is the first one learned from, with its calibrated probabilities and its novelty."""
    known = packed.metadata.known_answer

    (answer,) = Classifier(packed).predict_pixels(tiny.digits.train.images[:1])

    assert tiny.digits.train.images[0].ravel().tolist() == known.pixels
    assert pytest.approx(answer.probabilities, abs=1e-6) == known.probabilities
    assert answer.novelty is not None
    assert pytest.approx(answer.novelty, abs=1e-6) == known.novelty
    assert known == known_answer(packed)
    packed.check_known_answer()


def test_packed_models_can_be_served(packed: Artifact, packed_plain: Artifact, tmp_path: Path) -> None:
    """With and without a detector, a packed model has no SHA-256 yet, is stored, and is read again as it was."""
    for model in (packed, packed_plain):
        path = tmp_path / "model.safetensors"
        artifact.save(path, model.network, model.metadata, model.detector)

        served = artifact.load(path)

        assert "" == model.sha256
        # JSON has no tuples, of which the settings have one.
        assert json.loads(model.metadata.model_dump_json()) == json.loads(served.metadata.model_dump_json())
        assert repr(model.detector) == repr(served.detector)


def test_record_says_how_the_model_came_about(tiny: TinyMnist, bent_fit: Reported, packed: Artifact) -> None:
    """Recipe, seed, settings, data, versions, machine and history are packed, besides name, classes and activations."""
    metadata, training = packed.metadata, packed.metadata.training

    assert ("bent", 1, mnist.checksums(tiny.parts)) == (training.recipe, training.seed, training.data)
    assert json.loads(json.dumps(BENT.record())) == json.loads(json.dumps(training.settings))
    assert {
        "python": platform.python_version(),
        "scikit-learn": version("scikit-learn"),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
    } == training.libraries
    assert f"{platform.machine()}, {os.cpu_count()} cores" == training.machine
    assert pytest.approx(bent_fit.fitted.losses, abs=1e-5) == training.losses
    assert pytest.approx(bent_fit.fitted.validation_errors, abs=1e-5) == training.validation_errors
    assert ("mnist-mlp", list(range(10)), ["relu", "softmax"], ["relu", "logistic"]) == (
        metadata.name,
        metadata.classes,
        metadata.activations,
        metadata.novelty_activations,
    )


def test_record_of_a_plain_fit_has_its_losses(plain_fit: Fitted, packed_plain: Artifact) -> None:
    """Without a schedule, the losses are scikit-learn's, and no errors are known."""
    training = packed_plain.metadata.training

    assert 20 == len(training.losses)
    assert pytest.approx(plain_fit.classifier.loss_curve_, abs=1e-5) == training.losses
    assert [] == training.validation_errors


def test_time_of_the_fit_changes_nothing(tiny: TinyMnist, plain_fit: Fitted) -> None:
    """Equal fits are equal files, however long they took."""
    fast, slow = (pack(replace(plain_fit, seconds=seconds), PLAIN, tiny.digits, {}) for seconds in (1.0, 3_700.0))

    assert fast.to_bytes() == slow.to_bytes()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("largest", [1.0, 255.0])
def test_model_from_elsewhere_answers_as_it_did_there(tiny: TinyMnist, tmp_path: Path, largest: float) -> None:
    """Fitted on other inputs, a classifier is packed so that it answers inputs from 0 to 1 alike."""
    digits = draw_digits(100, seed=4)
    state = np.random.RandomState(1)
    classifier = MLPClassifier((8,), max_iter=20, random_state=state).fit(inputs(digits) * largest, digits.labels)

    model = pack_foreign(classifier, largest)

    probabilities, novelties = model.answer(inputs(tiny.digits.test))
    np.testing.assert_allclose(classifier.predict_proba(inputs(tiny.digits.test) * largest), probabilities, atol=1e-5)
    assert {None} == set(novelties)
    assert (UNCALIBRATED, "foreign", None) == (
        model.metadata.calibration,
        model.metadata.training.recipe,
        model.metadata.training.seed,
    )
    # The known answer is of a digit, and the file is one that is served.
    assert max(model.metadata.known_answer.pixels) == 255
    artifact.save(tmp_path / "model.safetensors", model.network, model.metadata)
    # Settings are kept where JSON can hold them.
    settings = model.metadata.training.settings
    assert ((8,), 20, "relu") == (settings["hidden_layer_sizes"], settings["max_iter"], settings["activation"])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_model_from_elsewhere_may_know_two_digits(tiny: TinyMnist) -> None:
    """A classifier of two digits is packed with its sigmoid, and with a known answer of its own."""
    digits = tiny.digits.train.only([3, 8])
    classifier = MLPClassifier((4,), max_iter=5, random_state=1).fit(inputs(digits), digits.labels)

    model = pack_foreign(classifier, 1.0)

    assert ([3, 8], "logistic", 2) == (
        model.metadata.classes,
        model.network.head,
        len(model.metadata.known_answer.probabilities),
    )
    model.check_known_answer()
