"""What is exported answers as scikit-learn does, and what cannot be served is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.neural_network import MLPClassifier

from service import artifact
from tests.conftest import make_metadata
from tests.training.tiny import draw_digits
from training.export import to_network

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

    with pytest.raises(ValueError, match=f"a head logistic of {n_labels} units over {n_labels} classes answers no"):
        to_network(fitted(labels))


def test_a_single_class_is_refused() -> None:
    """A network that knows one class only has nothing to tell apart."""
    with pytest.raises(ValueError, match="a head logistic of 1 units over 1 classes answers no single digit"):
        to_network(fitted(np.zeros(100, np.int64)))


@pytest.mark.parametrize("labels", [TEN.astype(str), TEN.astype(np.float64)], ids=["strings", "floats"])
def test_classes_that_are_no_integers_are_refused(labels: npt.ArrayLike) -> None:
    """Classes are digits: a network over names or fractions is refused, and the error shows them."""
    with pytest.raises(ValueError, match=r"classes must be integers, not \[.*0.*9"):
        to_network(fitted(labels))
