"""ONNX and skops files contain the same model, and untrusted files cannot run code."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from service.model.network import Network
from service.types import FloatArray
from tests.conftest import make_network
from tests.training.tiny import draw_digits
from training.errors import TrainingError
from training.export import ExportError, to_classifier, to_network
from training.interchange import from_skops, to_onnx_bytes, to_skops_bytes

# Importing the converters takes seconds.
pytestmark = pytest.mark.slow

DIGITS = draw_digits(60, seed=4)
INPUTS: FloatArray = DIGITS.images.reshape(-1, 784).astype(np.float32) / np.float32(255)
NETWORKS = {
    "softmax": make_network(20),
    "two hidden layers": make_network(9, 6, activation="tanh"),
    "sigmoids": make_network(9, 6, activation="logistic"),
    "no hidden layer": make_network(),
    "logistic": make_network(4, head="logistic", classes=(3, 7)),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def fitted(labels: Any = DIGITS.labels, **settings: Any) -> MLPClassifier:
    """Return a small classifier, fitted by scikit-learn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier(**{"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 1, **settings}).fit(
            INPUTS, labels
        )


def stored(path: Path, model: object) -> Path:
    """Write any object as a skops file."""
    path.write_bytes(skops.io.dumps(model))
    return path


@every_network
def test_onnx_answers_as_the_network_does(network: Network) -> None:
    """For `X` float32 (n, 784) onnxruntime returns the network's probabilities and labels, for any n."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime has no wheels for this Python")
    session = onnxruntime.InferenceSession(to_onnx_bytes(to_classifier(network)), providers=["CPUExecutionProvider"])

    for n in (1, 60):
        labels, probabilities = session.run(["label", "probabilities"], {"X": INPUTS[:n]})

        expected = network.probabilities(network.feedforward(INPUTS[:n])[-1])
        np.testing.assert_allclose(expected, probabilities, atol=1e-5)
        assert [network.classes[i] for i in expected.argmax(axis=1)] == labels.tolist()
    (taken,) = session.get_inputs()
    assert ("X", "tensor(float)", 784) == (taken.name, taken.type, taken.shape[1])
    assert ["label", "probabilities"] == [output.name for output in session.get_outputs()]


def test_onnx_that_deviates_is_rejected() -> None:
    """Where float32 is not precise enough for a float64 classifier, the export fails."""
    classifier = to_classifier(make_network(2, activation="identity", classes=(0, 1, 2)))
    # The two units differ by a small part of their size, on which the answer depends.
    small = np.random.default_rng(1).normal(0, 0.1, 784)
    classifier.coefs_ = [np.column_stack([1e7 + small, np.full(784, 1e7)]), np.array([[1.0, 0, 0], [-1.0, 0, 0]])]
    classifier.intercepts_ = [np.zeros(2), np.zeros(3)]

    with pytest.raises(
        ExportError, match=r"onnxruntime's probabilities differ by up to \d\.\de-?\d+ from scikit-learn's"
    ):
        to_onnx_bytes(classifier)


@every_network
def test_skops_file_is_the_same_classifier(tmp_path: Path, network: Network) -> None:
    """Written and read, it is equal bit for bit, and has no type that skops does not trust."""
    classifier = to_classifier(network)
    path = tmp_path / "model.skops"
    content = to_skops_bytes(classifier)
    path.write_bytes(content)

    again = from_skops(path)

    np.testing.assert_array_equal(classifier.predict_proba(INPUTS), again.predict_proba(INPUTS))
    assert [] == skops.io.get_untrusted_types(data=content)
    back = to_network(again)
    assert (repr(network), network.classes) == (repr(back), back.classes)
    for one, other in zip(network.layers, back.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.biases, other.biases)


def test_private_attributes_are_known() -> None:
    """`to_classifier` removes existing private attributes, and no others but these are private.

    If this fails, a new release of scikit-learn or skops has changed: see `to_classifier` and the hint in `from_skops`.

    """
    own, converted = (
        {name for name in vars(classifier) if name.startswith("_")}
        for classifier in (fitted(), to_classifier(make_network(6)))
    )

    assert {"_optimizer", "_best_coefs", "_best_intercepts"} == own - converted
    assert {"_label_binarizer", "_no_improvement_count", "_random_state"} == converted
    assert ["sklearn.neural_network._stochastic_optimizers.AdamOptimizer"] == skops.io.get_untrusted_types(
        data=skops.io.dumps(fitted())
    )


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        pytest.param({}, DIGITS.labels, id="usual"),
        pytest.param({"solver": "sgd"}, DIGITS.labels, id="gradient descent"),
    ],
)
def test_hint_of_the_error_helps(tmp_path: Path, settings: dict[str, Any], labels: Any) -> None:
    """A classifier with its optimizer is rejected. Without it, as the hint says, it is read."""
    classifier = fitted(labels, **settings)
    path = stored(tmp_path / "model.skops", classifier)
    with pytest.raises(ExportError, match=r"Optimizer.*`del model\._optimizer` before saving often helps"):
        from_skops(path)

    del classifier._optimizer  # noqa: SLF001 - as the message says
    again = from_skops(stored(path, classifier))

    np.testing.assert_array_equal(classifier.predict_proba(INPUTS), again.predict_proba(INPUTS))
    assert classifier.classes_.tolist() == again.classes_.tolist()


def test_classifier_without_optimizer_is_read(tmp_path: Path) -> None:
    """After L-BFGS a classifier is read as it is."""
    classifier = fitted(solver="lbfgs")

    again = from_skops(stored(tmp_path / "model.skops", classifier))

    np.testing.assert_array_equal(classifier.predict_proba(INPUTS), again.predict_proba(INPUTS))


class Trap:
    """A type that acts when it is loaded."""

    sprung = False

    def __init__(self) -> None:
        self.bait = 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        Trap.sprung = True


def test_untrusted_type_is_rejected_and_never_instantiated(tmp_path: Path) -> None:
    """The error names the type, and no object of it is created."""
    path = stored(tmp_path / "model.skops", fitted(solver="lbfgs").set_params(verbose=Trap()))
    Trap.sprung = False

    with pytest.raises(ExportError, match=f"{path} contains untrusted types: .*Trap"):
        from_skops(path)

    assert not Trap.sprung
    # The trap is one that would be sprung.
    skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    assert Trap.sprung


def other_estimator(path: Path) -> None:
    """Write another estimator."""
    stored(path, LogisticRegression())


def not_fitted(path: Path) -> None:
    """Write a classifier that is not fitted."""
    stored(path, MLPClassifier())


def few_inputs(path: Path) -> None:
    """Write a classifier of 8x8 pixels."""
    stored(path, to_classifier(make_network(3, n_in=64)))


def folder(path: Path) -> None:
    """Create a folder."""
    path.mkdir()


def nothing(_path: Path) -> None:
    """Write nothing."""


def garbage(path: Path) -> None:
    """Write other bytes."""
    path.write_bytes(b"garbage")


def truncated(path: Path) -> None:
    """Write half of a file."""
    content = to_skops_bytes(to_classifier(make_network(3)))
    path.write_bytes(content[: len(content) // 2])


def damaged(path: Path) -> None:
    """Write a file with a changed byte in the weights."""
    content = bytearray(to_skops_bytes(to_classifier(make_network(3))))
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (nothing, " cannot be read: No such file or directory"),
        (folder, " cannot be read: Is a directory"),
        (garbage, " is not a skops file, or is damaged: "),
        (truncated, " is not a skops file, or is damaged: "),
        (damaged, " is not a skops file, or is damaged: "),
        (other_estimator, " contains a LogisticRegression, not an MLPClassifier"),
        (not_fitted, " contains an MLPClassifier that was not fitted on 784 pixels"),
        (few_inputs, " contains an MLPClassifier that was not fitted on 784 pixels"),
    ],
)
def test_file_without_such_a_classifier_is_rejected(tmp_path: Path, write: Callable[[Path], None], reason: str) -> None:
    """The error names the file and the reason."""
    path = tmp_path / "model.skops"
    write(path)

    with pytest.raises(TrainingError) as caught:
        from_skops(path)

    start = f"{path}{reason}"
    assert ExportError is type(caught.value)
    assert start == str(caught.value)[: len(start)]
