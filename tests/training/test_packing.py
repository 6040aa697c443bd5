"""A packed model contains its measured accuracies, its training record, and a known answer."""

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

from service.classifier import Classifier
from service.model import artifact
from service.model.artifact import Artifact
from service.types import FloatArray
from tests.training.conftest import Reported
from tests.training.tiny import AUGMENTED, PLAIN, SCHEDULE, TinyMnist
from training import mnist
from training.calibration import calibrate, uncalibrated
from training.errors import TrainingError
from training.export import to_network
from training.fitting import Fitted, split
from training.mnist import Digits
from training.novelty import fit_detector
from training.packing import known_answer, pack, refit_reading
from training.reading import calibrate_reading

pytestmark = pytest.mark.slow


def inputs(digits: Digits) -> FloatArray:
    """Return digits as inputs."""
    scaled: FloatArray = digits.images.reshape(-1, 784).astype(np.float32) / np.float32(255)
    return scaled


def test_figures_are_scikit_learns_scores(tiny: TinyMnist, augmented_fit: Reported, packed: Artifact) -> None:
    """Accuracies on training, validation and test digits are those of MLPClassifier.score."""
    fitted = augmented_fit.fitted.classifier
    _, validation = split(tiny.digits.train, SCHEDULE.n_validation, AUGMENTED.seed)

    expected = {
        "training_accuracy": fitted.score(inputs(tiny.digits.train), tiny.digits.train.labels),
        "validation_accuracy": fitted.score(inputs(validation), validation.labels),
        "test_accuracy": fitted.score(inputs(tiny.digits.test), tiny.digits.test.labels),
    }
    assert pytest.approx(expected, abs=1e-6) == packed.metadata.figures
    assert expected["test_accuracy"] > 0.5


def test_network_and_detector_are_the_fitted_ones(tiny: TinyMnist, augmented_fit: Reported, packed: Artifact) -> None:
    """The network is the classifier's, and the OOD detector is fitted on its training digits."""
    rest, _ = split(tiny.digits.train, SCHEDULE.n_validation, AUGMENTED.seed)
    network = to_network(augmented_fit.fitted.classifier)
    detector = fit_detector(network, rest, AUGMENTED.seed)

    assert packed.detector is not None
    for expected, actual in ((network, packed.network), (detector, packed.detector)):
        assert repr(expected) == repr(actual)
        for a, b in zip(expected.layers, actual.layers, strict=True):
            np.testing.assert_array_equal(a.weights, b.weights)
            np.testing.assert_array_equal(a.biases, b.biases)


def test_dead_units_are_pruned(tiny: TinyMnist, augmented_fit: Reported) -> None:
    """Network and OOD detector lose the dead units, and the known answer is still correct."""
    classifier = deepcopy(augmented_fit.fitted.classifier)
    n_off, n_units = 4, classifier.coefs_[0].shape[1]
    classifier.coefs_[0][:, :n_off] = 0
    classifier.intercepts_[0][:n_off] = -1
    model = pack(replace(augmented_fit.fitted, classifier=classifier), AUGMENTED, tiny.digits, {})

    assert model.detector is not None
    assert n_units - n_off == model.network.layers[0].n_out == model.detector.layers[0].n_in
    Artifact.from_bytes(model.to_bytes()).check_known_answer()


def test_calibration_sees_validation_digits_only(tiny: TinyMnist, packed: Artifact) -> None:
    """The calibration is that on the validation digits."""
    _, validation = split(tiny.digits.train, SCHEDULE.n_validation, AUGMENTED.seed)

    assert packed.detector is not None
    expected = calibrate(packed.network, packed.detector, inputs(validation), validation.labels)
    reading = calibrate_reading(packed, validation, AUGMENTED.seed)
    assert expected.model_copy(update={"reading": reading}) == packed.metadata.calibration
    assert uncalibrated(10) != packed.metadata.calibration


def test_without_validation_digits_nothing_is_calibrated(packed_plain: Artifact) -> None:
    """Without a schedule there is no calibration, no validation accuracy and no OOD detector."""
    metadata = packed_plain.metadata

    assert uncalibrated(10) == metadata.calibration
    assert ["training_accuracy", "test_accuracy"] == list(metadata.figures)
    assert packed_plain.detector is None
    assert ([], None) == (metadata.novelty_activations, metadata.known_answer.novelty)


def test_known_answer_is_that_of_the_first_training_digit(tiny: TinyMnist, packed: Artifact) -> None:
    """The known answer is the first training digit with its calibrated probabilities and its OOD score."""
    known = packed.metadata.known_answer

    (answer,) = Classifier(packed).predict_pixels(tiny.digits.train.images[:1])

    assert tiny.digits.train.images[0].ravel().tolist() == known.pixels
    assert pytest.approx(answer.probabilities, abs=1e-6) == known.probabilities
    assert answer.novelty is not None
    assert pytest.approx(answer.novelty, abs=1e-6) == known.novelty
    assert known == known_answer(packed)
    packed.check_known_answer()


def test_packed_models_can_be_served(packed: Artifact, packed_plain: Artifact, tmp_path: Path) -> None:
    """A packed model, with or without detector, has no SHA-256 before it is saved, and is loaded as it was."""
    for model in (packed, packed_plain):
        path = tmp_path / "model.safetensors"
        artifact.save(path, model.network, model.metadata, model.detector, model.segment_detector)

        served = artifact.load(path)

        assert "" == model.sha256
        # JSON has no tuples, of which the settings have one.
        assert json.loads(model.metadata.model_dump_json()) == json.loads(served.metadata.model_dump_json())
        assert repr(model.detector) == repr(served.detector)


def test_training_record_is_complete(tiny: TinyMnist, augmented_fit: Reported, packed: Artifact) -> None:
    """It has recipe, seed, settings, data, versions, machine and learning curves."""
    metadata, training = packed.metadata, packed.metadata.training

    assert ("augmented", 1, mnist.checksums(tiny.parts)) == (training.recipe, training.seed, training.data)
    assert json.loads(json.dumps(AUGMENTED.settings())) == json.loads(json.dumps(training.settings))
    assert {
        "python": platform.python_version(),
        "scikit-learn": version("scikit-learn"),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
    } == training.libraries
    assert f"{platform.machine()}, {os.cpu_count()} cores" == training.machine
    assert pytest.approx(augmented_fit.fitted.losses, abs=1e-5) == training.losses
    assert pytest.approx(augmented_fit.fitted.validation_errors, abs=1e-5) == training.validation_errors
    assert ("mnist-mlp", list(range(10)), ["relu", "softmax"], ["relu", "logistic"]) == (
        metadata.name,
        metadata.classes,
        metadata.activations,
        metadata.novelty_activations,
    )


def test_record_of_a_plain_fit_has_its_losses(plain_fit: Fitted, packed_plain: Artifact) -> None:
    """Without a schedule, losses are scikit-learn's, and there are no validation errors."""
    training = packed_plain.metadata.training

    assert 20 == len(training.losses)
    assert pytest.approx(plain_fit.classifier.loss_curve_, abs=1e-5) == training.losses
    assert [] == training.validation_errors


def test_duration_of_the_fit_is_not_in_the_file(tiny: TinyMnist, plain_fit: Fitted) -> None:
    """Equal fits are equal files, whatever their durations."""
    fast, slow = (pack(replace(plain_fit, seconds=seconds), PLAIN, tiny.digits, {}) for seconds in (1.0, 3_700.0))

    assert fast.to_bytes() == slow.to_bytes()


# --- What reads numbers, fitted anew


@pytest.fixture(scope="module")
def refitted(tiny: TinyMnist, packed: Artifact) -> Artifact:
    """Return the packed model as a file of release 0.1, with what reads numbers fitted anew."""
    calibration = packed.metadata.calibration.model_copy(update={"reading": None})
    metadata = packed.metadata.model_copy(update={"calibration": calibration, "segment_activations": []})
    old = Artifact.from_bytes(replace(packed, metadata=metadata, segment_detector=None).to_bytes())
    return refit_reading(old, tiny.digits)


def test_refitted_reading_is_that_of_the_fit(refitted: Artifact, packed: Artifact) -> None:
    """The segment detector and the calibration of lines are those of the fit."""
    assert packed.segment_detector is not None
    assert refitted.segment_detector is not None
    for expected, actual in zip(packed.segment_detector.layers, refitted.segment_detector.layers, strict=True):
        np.testing.assert_allclose(expected.weights, actual.weights, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(expected.biases, actual.biases, rtol=1e-5, atol=1e-6)
    assert packed.metadata.segment_activations == refitted.metadata.segment_activations
    assert packed.metadata.calibration.reading == refitted.metadata.calibration.reading


def test_what_answers_one_digit_stays(refitted: Artifact, packed: Artifact) -> None:
    """Network, OOD detector, their calibration, record, figures and known answer are those of the old file."""
    for old, new in ((packed.network, refitted.network), (packed.detector, refitted.detector)):
        assert old is not None
        assert new is not None
        for expected, actual in zip(old.layers, new.layers, strict=True):
            np.testing.assert_array_equal(expected.weights, actual.weights)
    # As JSON, since the old model was read from a file.
    before, after = (
        model.metadata.model_dump_json(exclude={"calibration": {"reading"}}) for model in (packed, refitted)
    )
    assert before == after
    Artifact.from_bytes(refitted.to_bytes()).check_known_answer()


def test_reading_needs_validation_digits(tiny: TinyMnist, packed_plain: Artifact) -> None:
    """A model that was fitted without a schedule has none."""
    with pytest.raises(TrainingError, match="schedule"):
        refit_reading(packed_plain, tiny.digits)
