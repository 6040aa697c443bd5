"""A packed model carries what was measured on it, what it was made with, and an answer to be held to."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from service.artifact import Artifact
from service.classifier import Classifier
from service.network import FloatArray
from tests.training.tiny import BENT, PLAIN, TinyMnist
from training import mnist
from training.calibration import UNCALIBRATED, calibrate
from training.fitting import Epoch, split
from training.mnist import Digits
from training.packing import pack


def inputs(digits: Digits) -> FloatArray:
    """Return digits as inputs."""
    scaled: FloatArray = digits.images.reshape(-1, 784).astype(np.float32) / np.float32(255)
    return scaled


def test_figures_are_scikit_learns_scores(tiny: TinyMnist, bent_fit: tuple[MLPClassifier, list[Epoch]]) -> None:
    """The accuracies on training, validation and test digits are those of MLPClassifier.score."""
    fitted, _ = bent_fit
    _, validation = split(tiny.digits.train, BENT.n_validation, BENT.seed)

    _, metadata = pack(fitted, BENT, tiny.digits, {})

    expected = {
        "training_accuracy": fitted.score(inputs(tiny.digits.train), tiny.digits.train.labels),
        "validation_accuracy": fitted.score(inputs(validation), validation.labels),
        "test_accuracy": fitted.score(inputs(tiny.digits.test), tiny.digits.test.labels),
    }
    assert pytest.approx(expected, abs=1e-6) == metadata.figures
    assert expected["test_accuracy"] > 0.5


def test_calibration_sees_validation_digits_only(tiny: TinyMnist, bent_fit: tuple[MLPClassifier, list[Epoch]]) -> None:
    """What is packed is the calibration on the digits set apart."""
    _, validation = split(tiny.digits.train, BENT.n_validation, BENT.seed)

    network, metadata = pack(bent_fit[0], BENT, tiny.digits, {})

    assert calibrate(network, inputs(validation), validation.labels) == metadata.calibration
    assert UNCALIBRATED != metadata.calibration


def test_without_validation_digits_nothing_is_calibrated(tiny: TinyMnist, plain_fit: MLPClassifier) -> None:
    """A recipe that sets no digits apart is packed uncalibrated, and has no figure for them."""
    _, metadata = pack(plain_fit, PLAIN, tiny.digits, {})

    assert UNCALIBRATED == metadata.calibration
    assert ["training_accuracy", "test_accuracy"] == list(metadata.figures)


def test_known_answer_is_that_of_the_first_training_digit(
    tiny: TinyMnist, bent_fit: tuple[MLPClassifier, list[Epoch]]
) -> None:
    """The digit to be held to is the first one learned from, with its calibrated probabilities."""
    network, metadata = pack(bent_fit[0], BENT, tiny.digits, {})
    model = Artifact(network, metadata, "")

    answer = Classifier(model).predict_pixels(tiny.digits.train.images[:1])[0]

    assert tiny.digits.train.images[0].ravel().tolist() == metadata.known_answer.pixels
    assert pytest.approx(answer.probabilities, abs=1e-6) == metadata.known_answer.probabilities
    model.check_known_answer()


def test_record_says_how_the_model_came_about(tiny: TinyMnist, plain_fit: MLPClassifier) -> None:
    """Recipe, seed, settings, data and library versions are packed, besides name, classes and activations."""
    data = mnist.checksums(tiny.parts)

    _, metadata = pack(plain_fit, PLAIN, tiny.digits, data)

    training = metadata.training
    assert ("plain", 1, data) == (training.recipe, training.seed, training.data)
    assert json.loads(json.dumps(PLAIN.record())) == json.loads(json.dumps(training.settings))
    assert {
        "python": platform.python_version(),
        "scikit-learn": version("scikit-learn"),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
    } == training.libraries
    assert ("mnist-mlp", list(range(10)), ["relu", "softmax"]) == (
        metadata.name,
        metadata.classes,
        metadata.activations,
    )
