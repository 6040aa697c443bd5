"""An exported network computes what scikit-learn does; what cannot be converted is rejected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from service.model import artifact
from service.model.network import Network
from tests.conftest import make_metadata, make_network
from tests.training.tiny import draw_digits
from training.errors import TrainingError
from training.export import ExportError, fold_input_scale, fold_temperature, to_classifier, to_network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS = draw_digits(100, seed=4)
INPUTS = DIGITS.images.reshape(-1, 784) / 255
TEN = DIGITS.labels
TWO = np.where(TEN % 2, 7, 3)


def fitted(labels: npt.ArrayLike, dtype: npt.DTypeLike = np.float32, activation: str = "relu") -> MLPClassifier:
    """Return a small fitted classifier."""
    classifier = MLPClassifier((12, 8), activation=activation, max_iter=20, random_state=1, learning_rate_init=0.01)
    return classifier.fit(INPUTS.astype(dtype), labels)


@pytest.mark.parametrize(("labels", "classes"), [(TEN, tuple(range(10))), (TWO, (3, 7))], ids=["softmax", "logistic"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_served_network_answers_as_scikit_learn(
    tmp_path: Path, activation: str, labels: npt.NDArray[np.int64], classes: tuple[int, ...]
) -> None:
    """Exported, saved and loaded, a network has the probabilities of predict_proba."""
    classifier = fitted(labels, np.float32, activation)
    network = to_network(classifier)
    artifact.save(tmp_path / "model.safetensors", network, make_metadata(network))

    served = artifact.load(tmp_path / "model.safetensors").network

    expected = classifier.predict_proba(INPUTS.astype(np.float32))
    actual = served.probabilities(served.feedforward(INPUTS.astype(np.float32))[-1])
    np.testing.assert_allclose(expected, actual, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.1
    assert classes == served.classes


def test_weights_are_scikit_learns_in_float32() -> None:
    """Weights and biases of each layer are coefs_ and intercepts_, C-contiguous."""
    classifier = fitted(TEN, np.float64)

    network = to_network(classifier)

    assert "Network(784 -> 12 relu -> 8 relu -> 10 softmax)" == repr(network)
    for coefs, intercepts, layer in zip(classifier.coefs_, classifier.intercepts_, network.layers, strict=True):
        np.testing.assert_array_equal(coefs.astype(np.float32), layer.weights)
        np.testing.assert_array_equal(intercepts.astype(np.float32), layer.biases)
        assert (np.dtype(np.float32), np.dtype(np.float32)) == (layer.weights.dtype, layer.biases.dtype)
        assert layer.weights.flags.c_contiguous


@pytest.mark.parametrize("n_labels", [2, 3])
def test_multi_label_classifier_is_rejected(n_labels: int) -> None:
    """A classifier with a sigmoid per label does not predict a single digit, not even with two labels."""
    labels = np.random.default_rng(1).integers(0, 2, (100, n_labels))

    with pytest.raises(ExportError, match=f"a logistic head with {n_labels} units for {n_labels} classes does not"):
        to_network(fitted(labels))


def test_single_class_is_rejected() -> None:
    """A classifier of one class is an error."""
    with pytest.raises(ExportError, match="a logistic head with 1 units for 1 classes does not predict a single digit"):
        to_network(fitted(np.zeros(100, np.int64)))


@pytest.mark.parametrize(
    "labels",
    [(TEN + 0.5).astype(str), np.where(TEN % 2, "odd", "even"), np.where(TEN % 2, "nan", "inf")],
    ids=["fractions", "names", "not finite"],
)
def test_classes_that_are_not_integers_are_rejected(labels: npt.NDArray[Any]) -> None:
    """Names and fractions are rejected, and the error shows them."""
    shown = str(labels[0]).replace(".", r"\.")

    with pytest.raises(ExportError, match=rf"classes must be integers, not \[.*{shown}.*\]") as caught:
        to_network(fitted(labels))

    assert isinstance(caught.value, TrainingError)


@pytest.mark.parametrize(
    "labels",
    [TEN.astype(str), TEN.astype(str).astype(object), TEN.astype(np.float64), TEN.astype(np.float64).astype(str)],
    ids=["text", "text as objects", "floats", "floats as text"],
)
def test_classes_may_be_text_or_floats(labels: npt.NDArray[Any]) -> None:
    """OpenML's copy of MNIST has text labels, CSV files have floats. The network is equal to that with integers."""
    network = to_network(fitted(labels))

    expected = to_network(fitted(TEN))
    assert expected.classes == network.classes
    assert {int} == {type(digit) for digit in network.classes}
    for one, other in zip(expected.layers, network.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)


NETWORKS = {
    "softmax": make_network(20),
    "two hidden layers": make_network(9, 6, activation="tanh"),
    "sigmoids": make_network(9, 6, activation="logistic", head="logistic", classes=(0, 1)),
    "no hidden layer": make_network(),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_round_trip_changes_nothing(network: Network) -> None:
    """To scikit-learn and back, all is equal, bit for bit. predict_proba and predict are the network's."""
    classifier = to_classifier(network)
    back = to_network(classifier)

    assert (repr(network), network.classes) == (repr(back), back.classes)
    for one, other in zip(network.layers, back.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.biases, other.biases)
        assert ("float32", "float32") == (other.weights.dtype.name, other.biases.dtype.name)
    inputs = INPUTS.astype(np.float32)
    probabilities = network.probabilities(network.feedforward(inputs)[-1])
    np.testing.assert_allclose(probabilities, classifier.predict_proba(inputs), atol=1e-6)
    assert [network.classes[i] for i in probabilities.argmax(axis=1)] == classifier.predict(inputs).tolist()


def test_classifier_is_a_fitted_one() -> None:
    """It passes check_is_fitted, has all attributes, and can be cloned and scored."""
    network = make_network(9, 6, activation="tanh")

    classifier = to_classifier(network)

    check_is_fitted(classifier)
    assert ((9, 6), "tanh") == (classifier.hidden_layer_sizes, classifier.activation)
    assert (784, 4, 10, "softmax") == (
        classifier.n_features_in_,
        classifier.n_layers_,
        classifier.n_outputs_,
        classifier.out_activation_,
    )
    assert list(range(10)) == classifier.classes_.tolist()
    assert 1.0 == classifier.score(INPUTS.astype(np.float32), classifier.predict(INPUTS.astype(np.float32)))
    assert classifier.get_params() == clone(classifier).get_params()


def test_classifier_has_copies_of_the_weights() -> None:
    """A change of its weights does not change the network."""
    network = make_network(5)
    before = network.layers[0].weights.copy()

    classifier = to_classifier(network)
    classifier.coefs_[0] += 1
    classifier.intercepts_[0] += 1

    np.testing.assert_array_equal(before, network.layers[0].weights)
    np.testing.assert_array_equal(make_network(5).layers[0].biases, network.layers[0].biases)


def test_different_activations_are_rejected() -> None:
    """An MLPClassifier has a single activation for all hidden layers."""
    network = make_network(9, 6)
    first, *layers = network.layers
    mixed = replace(network, layers=(replace(first, activation="tanh"), *layers))

    with pytest.raises(ExportError, match=r"one activation for all hidden layers, not \['relu', 'tanh'\]"):
        to_classifier(mixed)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (make_network(5, classes=(0, 1)), "has a single sigmoid unit, not a softmax"),
        (make_network(5, classes=(7, 3, 5)), r"sorted classes, not \[7, 3, 5\]"),
    ],
    ids=["a softmax over two", "unordered"],
)
def test_unsupported_network_is_rejected(network: Network, reason: str) -> None:
    """An MLPClassifier would compute something else."""
    with pytest.raises(ExportError, match=reason):
        to_classifier(network)


@given(name=st.sampled_from(list(NETWORKS)), temperature=st.floats(0.2, 5))
def test_folded_temperature_gives_the_same_probabilities(name: str, temperature: float) -> None:
    """Its probabilities at temperature 1 are those at the temperature. Only the last layer differs."""
    network = NETWORKS[name]
    inputs = INPUTS.astype(np.float32)

    folded = fold_temperature(network, temperature)

    np.testing.assert_allclose(
        network.probabilities(network.feedforward(inputs)[-1], temperature),
        folded.probabilities(folded.feedforward(inputs)[-1]),
        atol=1e-5,
    )
    assert network.layers[:-1] == folded.layers[:-1]
    assert (repr(network), network.classes) == (repr(folded), folded.classes)
    assert ("float32", "float32") == (folded.layers[-1].weights.dtype.name, folded.layers[-1].biases.dtype.name)


@given(name=st.sampled_from(list(NETWORKS)), largest=st.sampled_from([1.0, 16.0, 255.0]))
def test_folded_input_scale_gives_the_same_probabilities(name: str, largest: float) -> None:
    """For inputs 0..1 it computes what the network does for 0..largest. Only the first weights differ."""
    network = NETWORKS[name]
    inputs = INPUTS.astype(np.float32)

    scaled = fold_input_scale(network, largest)

    np.testing.assert_allclose(
        network.probabilities(network.feedforward(inputs * np.float32(largest))[-1]),
        scaled.probabilities(scaled.feedforward(inputs)[-1]),
        atol=1e-4,
    )
    assert network.layers[1:] == scaled.layers[1:]
    np.testing.assert_array_equal(network.layers[0].biases, scaled.layers[0].biases)
    assert (repr(network), network.classes) == (repr(scaled), scaled.classes)
    assert "float32" == scaled.layers[0].weights.dtype.name
