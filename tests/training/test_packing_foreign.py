"""A classifier that was fitted elsewhere becomes a model file without unmeasured figures."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from service.classifier import Classifier
from service.model import artifact
from service.model.verdict import Verdict, decide
from tests.training.tiny import draw_digits
from training.errors import TrainingError
from training.export import ExportError, to_network
from training.packing import pack_foreign
from training.recipes import MODEL_NAME
from training.synthetic_digits import synthesize

DIGITS = draw_digits(100, seed=4)
INPUTS = DIGITS.images.reshape(-1, 784)
TWO = np.flatnonzero(np.isin(DIGITS.labels, [3, 7]))


def fitted(inputs: npt.NDArray[Any], labels: npt.NDArray[Any], **settings: Any) -> MLPClassifier:
    """Return a small classifier, fitted by scikit-learn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier = MLPClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 30, "random_state": 1, **settings})
        return classifier.fit(inputs, labels)


@pytest.mark.parametrize(
    ("largest", "dtype", "as_text", "rows"),
    [
        (1.0, np.float32, False, slice(None)),
        (255.0, np.float64, True, slice(None)),
        (1.0, np.float64, True, TWO),
        (255.0, np.float32, False, TWO),
    ],
    ids=["0 to 1", "0 to 255, text", "two classes, text", "two classes, 0 to 255"],
)
def test_served_probabilities_are_those_of_predict_proba(
    tmp_path: Path,
    largest: float,
    dtype: npt.DTypeLike,
    as_text: bool,  # noqa: FBT001
    rows: slice | npt.NDArray[np.int64],
) -> None:
    """The service computes the probabilities of predict_proba, for any input scale and label type."""
    inputs = (INPUTS[rows] * (largest / 255)).astype(dtype)
    labels = DIGITS.labels[rows]
    classifier = fitted(inputs, labels.astype(str) if as_text else labels)
    packed = pack_foreign(classifier, largest)
    artifact.save(
        tmp_path / "model.safetensors", packed.network, packed.metadata, packed.detector, packed.segment_detector
    )

    answers = Classifier.load(tmp_path / "model.safetensors").predict_pixels(DIGITS.images[rows])

    expected = classifier.predict_proba(inputs)
    np.testing.assert_allclose(expected, [answer.probabilities for answer in answers], atol=1e-4)
    assert classifier.predict(inputs).astype(int).tolist() == [answer.digit for answer in answers]
    assert np.ptp(expected, axis=0).max() > 0.1


def test_unknown_facts_are_absent() -> None:
    """There are no figures, data, versions, seed or OOD detector. Answers above 0.5 are clear."""
    model = pack_foreign(fitted(INPUTS / 255, DIGITS.labels), 1.0)
    metadata, training = model.metadata, model.metadata.training

    assert ({}, {}, {}) == (metadata.figures, training.data, training.libraries)
    assert ("foreign", None, None, None) == (training.recipe, training.seed, training.machine, training.minutes)
    assert ([], []) == (training.losses, training.validation_errors)
    assert (MODEL_NAME, list(range(10)), ["relu", "softmax"]) == (
        metadata.name,
        metadata.classes,
        metadata.activations,
    )
    assert (None, [], "") == (model.detector, metadata.novelty_activations, model.sha256)
    assert 1.0 == metadata.calibration.temperature
    assert [Verdict.AMBIGUOUS, Verdict.CLEAR] == [decide(p, None, metadata.calibration) for p in (0.49, 0.51)]


def test_settings_are_kept_as_plain_values() -> None:
    """Settings that JSON can represent are kept, others are stored as text."""
    generator = np.random.RandomState(3)
    classifier = fitted(INPUTS / 255, DIGITS.labels, alpha=np.float64(0.5), batch_size=20, random_state=generator)
    classifier.set_params(max_iter=np.int64(30))

    settings = pack_foreign(classifier, 1.0).metadata.training.settings

    expected = classifier.get_params()
    assert generator is expected.pop("random_state")
    assert {**expected, "random_state": repr(generator), "max_iter": "np.int64(30)"} == settings
    assert {**settings, "hidden_layer_sizes": [8]} == json.loads(json.dumps(settings))


@pytest.mark.parametrize("largest_input", [0, float("inf"), float("nan")])
def test_largest_input_is_positive_and_finite(largest_input: float) -> None:
    """Other numbers cannot be the largest input of a fit."""
    classifier = fitted(INPUTS / 255, DIGITS.labels)

    with pytest.raises(ExportError, match="must be a number above 0"):
        pack_foreign(classifier, largest_input)


def test_classes_must_be_digits() -> None:
    """Classes other than 0 to 9 are rejected."""
    classifier = fitted(INPUTS / 255, DIGITS.labels + 5)

    with pytest.raises(ExportError, match="must be digits from 0 to 9"):
        pack_foreign(classifier, 1.0)


def test_known_answer_is_a_synthetic_digit() -> None:
    """It is always the same synthetic digit of the first class, with the model's probabilities."""
    classifier = fitted(INPUTS[TWO] / 255, DIGITS.labels[TWO])

    once, again = (pack_foreign(classifier, 1.0) for _ in range(2))

    known = once.metadata.known_answer
    assert pytest.approx(once.answer(known.inputs)[0][0], abs=1e-6) == known.probabilities
    assert known.novelty is None
    assert synthesize(1, np.random.default_rng(0), classes=[3]).images.ravel().tolist() == known.pixels
    once.check_known_answer()
    assert once.to_bytes() == again.to_bytes()


def test_classifier_is_not_modified() -> None:
    """Folding the input scale does not change the classifier's weights."""
    classifier = fitted(INPUTS.astype(np.float64), DIGITS.labels)
    before = [weights.copy() for weights in classifier.coefs_]

    model = pack_foreign(classifier, 255.0)

    for one, other in zip(before, classifier.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(255 * to_network(classifier).layers[0].weights, model.network.layers[0].weights)


def test_classes_that_are_names_are_rejected() -> None:
    """A classifier of names cannot be served."""
    with pytest.raises(TrainingError, match="classes must be integers, not "):
        pack_foreign(fitted(INPUTS, np.where(DIGITS.labels % 2, "odd", "even")), 255.0)
