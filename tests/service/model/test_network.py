"""The forward pass and the probabilities equal scikit-learn's, scipy's, and examples worked by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import special
from sklearn.neural_network import MLPClassifier

from service.model import network
from service.model.network import HIDDEN, Layer, Network
from tests.conftest import make_network

SCORES = arrays.arrays(np.float64, (3, 5), elements=st.floats(-20, 20))


def layer(weights: list[list[float]], biases: list[float], activation: str) -> Layer:
    """Return a layer with these numbers as float32."""
    return Layer(np.array(weights, np.float32), np.array(biases, np.float32), activation)


def as_network(model: MLPClassifier) -> Network:
    """Return scikit-learn's network as a Network."""
    activations = [model.activation] * (len(model.coefs_) - 1) + [model.out_activation_]
    layers = (
        Layer(weights.astype(np.float32), biases.astype(np.float32), activation)
        for weights, biases, activation in zip(model.coefs_, model.intercepts_, activations, strict=True)
    )
    return Network(tuple(layers), tuple(model.classes_.tolist()))


def fitted(activation: str, n_classes: int) -> tuple[MLPClassifier, npt.NDArray[np.float64]]:
    """Return a classifier after a few steps on random data, and the data."""
    rng = np.random.default_rng(0)
    inputs = rng.uniform(0, 1, (60, 12))
    classes = np.arange(n_classes)
    model = MLPClassifier((7, 6), activation=activation, learning_rate_init=0.02, random_state=0)
    for _ in range(20):
        model.partial_fit(inputs, rng.integers(0, n_classes, 60), classes=classes)
    return model, inputs


def test_network_worked_by_hand() -> None:
    """Scores and probabilities of a 2-2-2 network are those calculated below."""
    # a(0) = (1, 2)
    # W(1) = | 1    -1 |   b(1) = (0, -4)   z(1) = (1*1 + 2*0.5 + 0, 1*(-1) + 2*2 - 4) = (2, -1)
    #        | 0.5   2 |                    a(1) = relu z(1) = (2, 0)
    # W(2) = | 1     0 |   b(2) = (0, 1)    z(2) = (2*1 + 0*3 + 0, 2*0 + 0*(-1) + 1) = (2, 1)
    #        | 3    -1 |                    softmax z(2) = (e / (e + 1), 1 / (e + 1)) = (0.7310586, 0.2689414)
    net = Network(
        (layer([[1, -1], [0.5, 2]], [0, -4], "relu"), layer([[1, 0], [3, -1]], [0, 1], "softmax")), classes=(0, 1)
    )
    hidden, scores = net.feedforward(np.array([[1, 2]], np.float32))

    assert [[2, 0]] == hidden.tolist()
    assert [[2, 1]] == scores.tolist()
    assert pytest.approx([0.7310586, 0.2689414], abs=1e-7) == net.probabilities(scores)[0].tolist()


def test_logistic_head_worked_by_hand() -> None:
    """The score z is the log-odds of the second class."""
    # a(0) = (1, 2), W(1) = (0.5, 0.25), b(1) = 0.0986123: z(1) = ln 3, so the odds are 3 to 1.
    net = Network((layer([[0.5], [0.25]], [0.09861229], "logistic"),), classes=(3, 8))
    (scores,) = net.feedforward(np.array([[1, 2]], np.float32))

    assert pytest.approx(np.log(3)) == float(scores[0, 0])
    assert pytest.approx([0.25, 0.75]) == net.probabilities(scores)[0].tolist()


@pytest.mark.parametrize(("score", "expected"), [(-0.1, 0), (0.0, 1), (0.1, 1)])
def test_sigmoid_of_exactly_one_half_answers_the_positive_class(score: float, expected: int) -> None:
    """Of two classes the second is answered at a probability of 0.5 or more."""
    net = make_network(head="logistic", classes=(3, 8))

    assert [expected] == net.most_probable(net.probabilities(np.array([[score]], np.float32))).tolist()


def test_softmax_answers_the_most_probable_class() -> None:
    """Of equally probable classes the first is answered."""
    net = make_network(head="softmax", classes=(0, 1, 2))

    assert [1, 0, 2] == net.most_probable(np.array([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("identity", lambda z: z),
        ("logistic", special.expit),
        ("relu", lambda z: np.where(z > 0, z, 0)),
        ("tanh", lambda z: 2 * special.expit(2 * z) - 1),
    ],
)
def test_hidden_activations(name: str, oracle: np.ufunc, dtype: type[np.float32]) -> None:
    """Each function equals its definition, in the dtype of its input, for large arguments too."""
    z = np.array([-1e4, -90, -3, -0.5, 0, 0.5, 3, 90, 1e4], dtype)
    actual = HIDDEN[name](z)

    assert dtype == actual.dtype
    np.testing.assert_allclose(actual, oracle(z), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_does_not_overflow(dtype: type[np.float32]) -> None:
    """Large scores give probabilities that sum to 1, in the dtype of the input."""
    z = np.array([[1e4, 0, -1e4], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [1, 2, 3]], dtype)
    actual = network.softmax(z)

    assert dtype == actual.dtype
    np.testing.assert_allclose(actual, special.softmax(z, axis=1), atol=1e-7)
    assert [1, 0, 0] == actual[0].tolist()
    assert [0.5, 0.5, 0] == actual[1].tolist()


@pytest.mark.parametrize("score", [-1e4, 1e4])
def test_logistic_head_does_not_overflow(score: float) -> None:
    """Large scores give 0 and 1, not NaN."""
    net = make_network(activation="relu", head="logistic", classes=(0, 1))
    probabilities = net.probabilities(np.array([[score]], np.float32))

    assert [float(score < 0), float(score > 0)] == probabilities[0].tolist()


@pytest.mark.parametrize("activation", sorted(HIDDEN))
@pytest.mark.parametrize(("n_classes", "head"), [(2, "logistic"), (5, "softmax")], ids=["logistic", "softmax"])
def test_probabilities_are_those_of_scikit_learn(activation: str, n_classes: int, head: str) -> None:
    """They are those of predict_proba, up to float32 rounding."""
    model, inputs = fitted(activation, n_classes)
    net = as_network(model)
    scores = net.feedforward(inputs.astype(np.float32))[-1]

    assert head == net.head
    np.testing.assert_allclose(net.probabilities(scores), model.predict_proba(inputs), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "oracle"),
    [
        ("identity", lambda z: z),
        ("logistic", special.expit),
        ("relu", lambda z: np.maximum(z, 0)),
        ("tanh", np.tanh),
    ],
)
def test_feedforward_returns_every_layer(activation: str, oracle: np.ufunc) -> None:
    """Hidden activations and scores equal the formula in float64."""
    model, inputs = fitted(activation, 5)
    actual = as_network(model).feedforward(inputs.astype(np.float32))
    signal = inputs
    expected = []
    for weights, biases in zip(model.coefs_, model.intercepts_, strict=True):
        expected.append(signal @ weights + biases)
        signal = oracle(expected[-1])
    expected[:-1] = [oracle(z) for z in expected[:-1]]

    assert [(60, 7), (60, 6), (60, 5)] == [output.shape for output in actual]
    assert {np.dtype(np.float32)} == {output.dtype for output in actual}
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)


def test_feedforward_does_not_modify_its_input() -> None:
    """The pixels are unchanged after the forward pass."""
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 784)).astype(np.float32)
    before = pixels.copy()
    make_network(5, activation="identity").feedforward(pixels)

    assert before.tobytes() == pixels.tobytes()


@given(SCORES, st.floats(0.05, 20))
def test_rows_sum_to_1(scores: npt.NDArray[np.float64], temperature: float) -> None:
    """Every row of probabilities is in 0..1 and sums to 1, at any temperature."""
    for head, columns in (("softmax", slice(None)), ("logistic", slice(1))):
        net = make_network(head=head, classes=(0, 1) if head == "logistic" else (0, 1, 2, 3, 4))
        probabilities = net.probabilities(scores[:, columns].astype(np.float32), temperature)

        assert (3, len(net.classes)) == probabilities.shape
        assert np.float64 == probabilities.dtype
        assert 0 <= probabilities.min()
        assert 1 >= probabilities.max()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


@given(SCORES, st.floats(1, 20))
def test_temperature_keeps_the_order_and_lowers_the_confidence(
    scores: npt.NDArray[np.float64], temperature: float
) -> None:
    """At a temperature above 1 the order of the classes stays, and the largest probability does not grow."""
    net = make_network(classes=(0, 1, 2, 3, 4))
    single = scores.astype(np.float32)
    soft = net.probabilities(single, temperature)

    for row, probabilities in zip(single, soft, strict=True):
        ranked = probabilities[row.argsort()]
        assert all(low <= high for low, high in pairwise(ranked.tolist()))
    assert (soft.max(axis=1) <= net.probabilities(single).max(axis=1) + 1e-12).all()


@pytest.mark.parametrize(
    ("head", "scores", "expected"),
    [
        # Scores (ln 9, 0) at temperature 2 are (ln 3, 0): odds of 3 to 1.
        ("softmax", [[np.log(9), 0]], [0.75, 0.25]),
        ("logistic", [[np.log(9)]], [0.25, 0.75]),
    ],
)
def test_temperature_divides_the_scores(head: str, scores: list[list[float]], expected: list[float]) -> None:
    """At temperature 2 the log-odds are halved."""
    net = make_network(head=head, classes=(0, 1))

    assert pytest.approx(expected) == net.probabilities(np.array(scores, np.float32), 2)[0].tolist()


def test_repr_is_the_architecture() -> None:
    """It has the inputs, then units and activation of every layer."""
    assert "Network(784 -> 20 tanh -> 15 tanh -> 10 softmax)" == repr(make_network(20, 15, activation="tanh"))
    assert "Network(784 -> 1 logistic)" == repr(make_network(head="logistic", classes=(0, 1)))


def test_parameters_are_weights_and_biases() -> None:
    """784 x 50 + 50 in the hidden layer and 50 x 10 + 10 in the head."""
    assert 39_760 == make_network(50).n_parameters


def test_layer_has_its_sizes() -> None:
    """n_in is the number of rows of the weights, n_out that of columns."""
    first = make_network(20).layers[0]

    assert (784, 20) == (first.n_in, first.n_out)
    assert (20,) == first.biases.shape


@pytest.mark.parametrize("units", [(5,), (3, 1, 2)])
def test_features_are_all_hidden_activations(units: tuple[int, ...]) -> None:
    """They are side by side, first layer first."""
    net = make_network(*units, n_in=6)
    inputs = np.random.default_rng(0).random((3, 6), np.float32)
    outputs = net.feedforward(inputs)

    features = net.features(inputs, outputs)

    assert ((3, sum(units)), sum(units)) == (features.shape, net.n_features)
    start = 0
    for activations in outputs[:-1]:
        np.testing.assert_array_equal(activations, features[:, start : start + activations.shape[1]])
        start += activations.shape[1]


def test_features_without_a_hidden_layer_are_the_inputs() -> None:
    """A network with only a head has its inputs as features."""
    net = make_network(n_in=6)
    inputs = np.random.default_rng(0).random((3, 6), np.float32)

    np.testing.assert_array_equal(inputs, net.features(inputs, net.feedforward(inputs)))
    assert 6 == net.n_features


@pytest.mark.parametrize("share", [0, 0.39, 0.41])
def test_skipping_zero_inputs_gives_the_same_scores(share: float) -> None:
    """A single row of a large layer, whose zero inputs are skipped, has the scores that it has in a batch."""
    chance = np.random.default_rng(0)
    weights, biases = chance.normal(size=(784, 512)), chance.normal(size=512)
    layer = Layer(weights.astype(np.float32), biases.astype(np.float32), "relu")
    row = np.where(np.arange(784) < share * 784, chance.random(784), 0).astype(np.float32)
    exact = row @ weights + biases

    assert exact == pytest.approx(layer.scores(row[None])[0], abs=1e-4)
    assert exact == pytest.approx(layer.scores(np.array([row, row]))[1], abs=1e-4)
