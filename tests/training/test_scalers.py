"""Scalers in front of a classifier are folded into its weights; what cannot be folded is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from tests.training.tiny import draw_digits
from training.export import ExportError, to_network
from training.scalers import fold_scalers

DIGITS = draw_digits(100, seed=4)
RAW = DIGITS.images.reshape(-1, 784).astype(np.float64)
# Also where no digit has ink, hence where a scaler has seen one value only.
RANDOM = np.random.default_rng(0).uniform(0, 255, (50, 784))


def fitted(*scalers: Any, inputs: Any = RAW) -> Pipeline:
    """Return a small pipeline of scalers and a classifier, fitted by scikit-learn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier = MLPClassifier((8,), max_iter=20, random_state=1)
        return make_pipeline(*scalers, classifier).fit(inputs, DIGITS.labels)


SCALERS = {
    "standard": [StandardScaler()],
    "standard without mean": [StandardScaler(with_mean=False)],
    "standard without deviation": [StandardScaler(with_std=False)],
    "range": [MinMaxScaler()],
    "range of -1 to 1": [MinMaxScaler(feature_range=(-1, 1))],
    "maximum": [MaxAbsScaler()],
    "several": ["passthrough", MinMaxScaler(), None, StandardScaler()],
    "none": [],
}


@pytest.mark.parametrize("scalers", SCALERS.values(), ids=SCALERS)
def test_probabilities_are_those_of_the_pipeline(scalers: list[Any]) -> None:
    """For digits and for random inputs: exactly in float64, and in float32 up to its rounding."""
    pipeline = fitted(*scalers)
    before = [weights.copy() for weights in pipeline[-1].coefs_]

    classifier = fold_scalers(pipeline).classifier
    network = to_network(classifier)

    for inputs in (RAW, RANDOM):
        expected = pipeline.predict_proba(inputs)
        np.testing.assert_allclose(expected, classifier.predict_proba(inputs), atol=1e-9)
        outputs = network.feedforward(inputs.astype(np.float32))[-1]
        np.testing.assert_allclose(expected, network.probabilities(outputs), atol=1e-3)
    for one, other in zip(before, pipeline[-1].coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("largest", [1.0, 16.0, 255.0])
@pytest.mark.parametrize("scaler", [MinMaxScaler(), MaxAbsScaler(), StandardScaler()])
def test_scaler_tells_the_largest_input(scaler: Any, largest: float) -> None:
    """MinMaxScaler and MaxAbsScaler have seen it. StandardScaler tells scaled pixels from raw ones."""
    model = fold_scalers(fitted(scaler, inputs=RAW * (largest / 255)))
    told = 255.0 if isinstance(scaler, StandardScaler) and largest > 1 else largest

    assert told == pytest.approx(model.largest_input(None))
    assert largest == model.largest_input(largest)
    with pytest.raises(ExportError, match=rf"its {type(scaler).__name__} was fitted on values of .* not 0\.\.0\.1"):
        model.largest_input(0.1)


@pytest.mark.parametrize("scalers", [[], [StandardScaler(with_mean=False, with_std=False)]])
def test_largest_input_is_to_be_given_where_nothing_tells_it(scalers: list[Any]) -> None:
    """The error says how, and any number is taken."""
    model = fold_scalers(fitted(*scalers))

    with pytest.raises(ExportError, match="add --largest-input 255 for raw pixels, or --largest-input 1"):
        model.largest_input(None)
    assert 16.0 == model.largest_input(16.0)


@pytest.mark.parametrize("scaler", [MinMaxScaler(), StandardScaler()])
def test_inputs_below_0_are_refused(scaler: Any) -> None:
    """Pixels of the service begin with 0, the background."""
    model = fold_scalers(fitted(scaler, inputs=RAW / 127.5 - 1))

    with pytest.raises(ExportError, match=f"its {type(scaler).__name__} was fitted on values below 0"):
        model.largest_input(1.0)


def unfitted() -> Pipeline:
    """Return a pipeline of a scaler that was not fitted, and a classifier that was."""
    return Pipeline([("scaler", StandardScaler()), ("classifier", fitted()[-1])])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (LogisticRegression(), "contains a LogisticRegression: only an MLPClassifier, alone or in a Pipeline behind"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "contains a Pipeline that ends in a LogisticRegress"),
        (make_pipeline("passthrough"), "contains a Pipeline that ends in a NoneType: "),
        (make_pipeline(StandardScaler(), MLPClassifier()), "contains an MLPClassifier that was not fitted on 784"),
        (fitted(RobustScaler()), "contains a Pipeline with the step RobustScaler, which cannot be folded"),
        (fitted(MinMaxScaler(clip=True)), "contains a MinMaxScaler that clips, which weights cannot: fit it with"),
        (fitted(StandardScaler(), PCA(20)), "contains an MLPClassifier that was not fitted on 784 pixels"),
        (unfitted(), "contains a StandardScaler that was not fitted on 784 pixels"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_other_models_are_refused(model: BaseEstimator, reason: str) -> None:
    """The error says what the model is, and what can be served."""
    with pytest.raises(ExportError) as caught:
        fold_scalers(model)

    assert reason == str(caught.value)[: len(reason)]


def test_classifier_alone_is_returned_as_it_is() -> None:
    """Nothing has to be folded."""
    classifier = fitted()[-1]

    assert classifier is fold_scalers(classifier).classifier
