"""ONNX and skops files contain the same model, and untrusted files cannot run code."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

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

    again = from_skops(path).classifier

    np.testing.assert_array_equal(classifier.predict_proba(INPUTS), again.predict_proba(INPUTS))
    assert [] == skops.io.get_untrusted_types(data=content)
    back = to_network(again)
    assert (repr(network), network.classes) == (repr(back), back.classes)
    for one, other in zip(network.layers, back.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.biases, other.biases)


def test_private_attributes_are_known() -> None:
    """`to_classifier` removes existing private attributes, and no others but these are private.

    If this fails, a new release of scikit-learn or skops has changed: see `to_classifier` and `_OPTIMIZERS`.
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


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_classifier_with_the_defaults_of_scikit_learn_is_read(tmp_path: Path, solver: str) -> None:
    """With its optimizer, early stopping and text labels, as a user saves it."""
    classifier = fitted(DIGITS.labels.astype(str), solver=solver, early_stopping=True)

    again = from_skops(stored(tmp_path / "model.skops", classifier)).classifier

    np.testing.assert_array_equal(classifier.predict_proba(INPUTS), again.predict_proba(INPUTS))
    assert classifier.classes_.tolist() == again.classes_.tolist()


def test_pipeline_is_read_with_its_scaler_folded(tmp_path: Path) -> None:
    """Its classifier takes the pixels that the pipeline takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline = make_pipeline(MinMaxScaler(), MLPClassifier((6,), max_iter=3)).fit(255 * INPUTS, DIGITS.labels)

    again = from_skops(stored(tmp_path / "model.skops", pipeline))

    expected = pipeline.predict_proba(255 * INPUTS)
    np.testing.assert_allclose(expected, again.classifier.predict_proba(255 * INPUTS), atol=1e-5)
    assert 255.0 == again.largest_input(None)


class Trap:
    """A type that acts when it is loaded."""

    sprung = False

    def __init__(self) -> None:
        self.bait = 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        Trap.sprung = True


def a_setting(classifier: MLPClassifier) -> None:
    """Put the trap into a setting."""
    classifier.set_params(verbose=Trap())


def the_optimizer(classifier: MLPClassifier) -> None:
    """Put the trap into the optimizer, whose own type is trusted."""
    classifier._optimizer.beta_1 = Trap()  # noqa: SLF001 - where an attacker would put it


@pytest.mark.parametrize("hide", [a_setting, the_optimizer])
def test_untrusted_type_is_rejected_and_never_instantiated(
    tmp_path: Path, hide: Callable[[MLPClassifier], None]
) -> None:
    """The error names the type, and no object of it is created."""
    classifier = fitted()
    hide(classifier)
    path = stored(tmp_path / "model.skops", classifier)
    Trap.sprung = False

    with pytest.raises(ExportError, match=f"{path} contains untrusted types: .*Trap"):
        from_skops(path)

    assert not Trap.sprung
    # The trap is one that would be sprung.
    skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    assert Trap.sprung


def test_search_is_rejected_with_a_hint(tmp_path: Path) -> None:
    """Its best estimator is what can be converted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(MLPClassifier((3,), max_iter=1), {"alpha": [1.0]}, cv=2).fit(INPUTS, DIGITS.labels)

    with pytest.raises(ExportError, match="of a search, `best_estimator_`"):
        from_skops(stored(tmp_path / "model.skops", search))


def pickled(path: Path) -> None:
    """Write a pickle, which would be harmless."""
    path.write_bytes(pickle.dumps(MLPClassifier()))


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
        (pickled, " is a pickle, which could run any code: "),
        (other_estimator, " contains a LogisticRegression: only an MLPClassifier, alone or in a Pipeline behind "),
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
