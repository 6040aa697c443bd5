"""What is exported answers as scikit-learn does, and what cannot be served is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from service.model import artifact
from service.model.network import Network
from tests.conftest import make_metadata, make_network
from tests.training.tiny import draw_digits
from training.errors import TrainingError
from training.export import ExportError, calibrated, scaled_inputs, to_classifier, to_network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DIGITS = draw_digits(100, seed=4)
INPUTS = DIGITS.images.reshape(-1, 784) / 255
TEN = DIGITS.labels
TWO = np.where(TEN % 2, 7, 3)


def fitted(labels: npt.ArrayLike, dtype: npt.DTypeLike = np.float32, activation: str = "relu") -> MLPClassifier:
    """Return a small network, fitted for a moment."""
    classifier = MLPClassifier((12, 8), activation=activation, max_iter=20, random_state=1, learning_rate_init=0.01)
    return classifier.fit(INPUTS.astype(dtype), labels)


@pytest.mark.parametrize(("labels", "classes"), [(TEN, tuple(range(10))), (TWO, (3, 7))], ids=["softmax", "logistic"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_served_network_answers_as_scikit_learn(
    tmp_path: Path, dtype: npt.DTypeLike, activation: str, labels: npt.NDArray[np.int64], classes: tuple[int, ...]
) -> None:
    """Exported, written and read again, a network gives the probabilities of predict_proba."""
    classifier = fitted(labels, dtype, activation)
    network = to_network(classifier)
    artifact.save(tmp_path / "model.safetensors", network, make_metadata(network))

    served = artifact.load(tmp_path / "model.safetensors").network

    expected = classifier.predict_proba(INPUTS.astype(dtype))
    actual = served.probabilities(served.feedforward(INPUTS.astype(np.float32))[-1])
    np.testing.assert_allclose(expected, actual, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.1
    assert classes == served.classes


def test_weights_are_scikit_learns_in_float32() -> None:
    """Layer by layer, weights and biases are coefs_ and intercepts_, in rows that lie together in memory."""
    classifier = fitted(TEN, np.float64)

    network = to_network(classifier)

    assert "Network(784 -> 12 relu -> 8 relu -> 10 softmax)" == repr(network)
    for coefs, intercepts, layer in zip(classifier.coefs_, classifier.intercepts_, network.layers, strict=True):
        np.testing.assert_array_equal(coefs.astype(np.float32), layer.weights)
        np.testing.assert_array_equal(intercepts.astype(np.float32), layer.biases)
        assert (np.dtype(np.float32), np.dtype(np.float32)) == (layer.weights.dtype, layer.biases.dtype)
        assert layer.weights.flags.c_contiguous


@pytest.mark.parametrize("n_labels", [2, 3])
def test_several_labels_at_once_are_refused(n_labels: int) -> None:
    """A network with a sigmoid for each of several labels answers no single digit, not even with two of them."""
    labels = np.random.default_rng(1).integers(0, 2, (100, n_labels))

    with pytest.raises(ExportError, match=f"a head logistic of {n_labels} units over {n_labels} classes answers no"):
        to_network(fitted(labels))


def test_a_single_class_is_refused() -> None:
    """A network that knows one class only has nothing to tell apart."""
    with pytest.raises(ExportError, match="a head logistic of 1 units over 1 classes answers no single digit"):
        to_network(fitted(np.zeros(100, np.int64)))


@pytest.mark.parametrize("labels", [TEN.astype(np.float64), np.where(TEN % 2, "odd", "even")], ids=["floats", "names"])
def test_classes_that_are_no_integers_are_refused(labels: npt.NDArray[Any]) -> None:
    """Classes are digits: a network over names or fractions is refused, and the error shows them."""
    shown = str(labels[0]).replace(".", r"\.")

    with pytest.raises(ExportError, match=rf"classes must be integers, not \[.*{shown}.*\]") as caught:
        to_network(fitted(labels))

    assert isinstance(caught.value, TrainingError)


@pytest.mark.parametrize("dtype", [str, object, np.uint8])
@pytest.mark.parametrize("labels", [TEN, TWO], ids=["ten", "two"])
def test_classes_may_be_text(labels: npt.NDArray[np.int64], dtype: npt.DTypeLike) -> None:
    """OpenML's copy of MNIST has its labels as text: a network over them is that over the integers."""
    as_text = labels.astype(str).astype(dtype)

    network = to_network(fitted(as_text))

    expected = to_network(fitted(labels))
    assert expected.classes == network.classes
    assert {int} == {type(digit) for digit in network.classes}
    for one, other in zip(expected.layers, network.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)


NETWORKS = {
    "softmax": make_network(20),
    "softmax of three": make_network(5, classes=(1, 4, 7)),
    "logistic": make_network(4, head="logistic", classes=(3, 7)),
    "two hidden layers": make_network(9, 6, activation="tanh"),
    "sigmoids": make_network(9, 6, activation="logistic", head="logistic", classes=(0, 1)),
    "no hidden layer": make_network(),
    "no hidden layer, logistic": make_network(head="logistic", classes=(0, 8)),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_there_and_back_nothing_changes(network: Network) -> None:
    """From a network to scikit-learn and back, every weight, activation and class is the same, to the bit."""
    back = to_network(to_classifier(network))

    assert (repr(network), network.classes) == (repr(back), back.classes)
    for one, other in zip(network.layers, back.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.biases, other.biases)
        assert ("float32", "float32") == (other.weights.dtype.name, other.biases.dtype.name)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_classifier_answers_as_the_network_does(network: Network) -> None:
    """predict_proba gives the network's probabilities, and predict its digits."""
    classifier = to_classifier(network)
    inputs = INPUTS.astype(np.float32)

    probabilities = network.probabilities(network.feedforward(inputs)[-1])
    np.testing.assert_allclose(probabilities, classifier.predict_proba(inputs), atol=1e-6)
    assert [network.classes[i] for i in probabilities.argmax(axis=1)] == classifier.predict(inputs).tolist()


def test_classifier_is_scikit_learns_in_every_way() -> None:
    """It counts as fitted, describes its layers, and can be cloned and scored as any other."""
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


def test_classifier_has_weights_of_its_own() -> None:
    """What is done to it does not reach the network."""
    network = make_network(5)
    before = network.layers[0].weights.copy()

    classifier = to_classifier(network)
    classifier.coefs_[0] += 1
    classifier.intercepts_[0] += 1

    np.testing.assert_array_equal(before, network.layers[0].weights)
    np.testing.assert_array_equal(make_network(5).layers[0].biases, network.layers[0].biases)


def test_several_activations_are_refused() -> None:
    """scikit-learn has one activation for all hidden layers: a network with two of them is none of its."""
    network = make_network(9, 6)
    first, *layers = network.layers
    mixed = replace(network, layers=(replace(first, activation="tanh"), *layers))

    with pytest.raises(ExportError, match=r"one activation for all hidden layers, not \['relu', 'tanh'\]"):
        to_classifier(mixed)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (make_network(5, classes=(0, 1)), "with a single sigmoid unit, not with a softmax"),
        (make_network(5, classes=(7, 3, 5)), r"classes in order, not \[7, 3, 5\]"),
    ],
    ids=["a softmax over two", "unordered"],
)
def test_what_scikit_learn_cannot_hold_is_refused(network: Network, reason: str) -> None:
    """An MLPClassifier would answer such a network's inputs otherwise."""
    with pytest.raises(ExportError, match=reason):
        to_classifier(network)


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(list(NETWORKS)), temperature=st.floats(0.2, 5))
def test_calibrated_network_needs_no_temperature(name: str, temperature: float) -> None:
    """Its plain probabilities are those of the other at the temperature; only the last layer is another."""
    network = NETWORKS[name]
    inputs = INPUTS.astype(np.float32)

    folded = calibrated(network, temperature)

    np.testing.assert_allclose(
        network.probabilities(network.feedforward(inputs)[-1], temperature),
        folded.probabilities(folded.feedforward(inputs)[-1]),
        atol=1e-5,
    )
    assert network.layers[:-1] == folded.layers[:-1]
    assert (repr(network), network.classes) == (repr(folded), folded.classes)
    assert ("float32", "float32") == (folded.layers[-1].weights.dtype.name, folded.layers[-1].biases.dtype.name)


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(list(NETWORKS)), largest=st.sampled_from([1.0, 16.0, 100.0, 255.0]))
def test_scaled_network_takes_inputs_up_to_one(name: str, largest: float) -> None:
    """It answers ink of 1 as the other does ink of the largest value; only the first weights are others."""
    network = NETWORKS[name]
    inputs = INPUTS.astype(np.float32)

    scaled = scaled_inputs(network, largest)

    np.testing.assert_allclose(
        network.probabilities(network.feedforward(inputs * np.float32(largest))[-1]),
        scaled.probabilities(scaled.feedforward(inputs)[-1]),
        atol=1e-4,
    )
    assert network.layers[1:] == scaled.layers[1:]
    np.testing.assert_array_equal(network.layers[0].biases, scaled.layers[0].biases)
    assert (repr(network), network.classes) == (repr(scaled), scaled.classes)
    assert "float32" == scaled.layers[0].weights.dtype.name
