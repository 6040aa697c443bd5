"""Attributions and effective weights equal numerical derivatives and the forward pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from service.model.artifact import Artifact
from service.model.explanation import explain
from service.model.network import Layer, Network
from service.types import IMAGE_SIDE, PIXELS, FloatArray
from tests.conftest import make_network
from training import synthetic_digits

Doubles = npt.NDArray[np.float64]

STEP = 1e-5
ACTIVATIONS: dict[str, Callable[[Doubles], Doubles]] = {
    "identity": lambda z: z,
    "logistic": special.expit,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
}


@pytest.fixture
def digit() -> FloatArray:
    """Return random foreground in the middle of an empty image, shape (784,)."""
    pixels = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.float32)
    pixels[6:22, 6:22] = np.random.default_rng(1).uniform(0.1, 1, (16, 16))
    return pixels.ravel()


def margin(network: Network, inputs: Doubles, answer: int) -> Doubles:
    """Return the answer's score minus the mean score, float64 (n,), for inputs (n, 784)."""
    signal = inputs
    for layer in network.layers[:-1]:
        signal = ACTIVATIONS[layer.activation](signal @ layer.weights.astype(float) + layer.biases)
    scores: Doubles = signal @ network.layers[-1].weights.astype(float) + network.layers[-1].biases
    if scores.shape[1] == 1:
        return scores[:, 0] * (1 if answer == 1 else -1)
    return np.asarray(scores[:, answer] - scores.mean(axis=1))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(
    ("head", "classes", "answer"),
    [
        ("softmax", tuple(range(10)), 7),
        ("logistic", (3, 8), 0),
        ("logistic", (3, 8), 1),
    ],
    ids=["softmax", "logistic, first class", "logistic, second class"],
)
def test_relevance_is_gradient_times_input(
    digit: FloatArray, activation: str, head: str, classes: tuple[int, ...], answer: int
) -> None:
    """Backpropagation gives the central differences of the answer's margin, times the input."""
    network = make_network(9, 8, activation=activation, head=head, classes=classes)
    steps = STEP * np.eye(PIXELS)
    slope = (margin(network, digit + steps, answer) - margin(network, digit - steps, answer)) / (2 * STEP)
    expected = (digit * slope).reshape(IMAGE_SIDE, IMAGE_SIDE)
    relevance = explain(network, digit, answer).relevance

    assert np.float32 == relevance.dtype
    assert 0 < np.abs(expected).max()
    np.testing.assert_allclose(relevance, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_relevance_of_a_linear_model_sums_to_the_margin(digit: FloatArray) -> None:
    """In a linear model all attributions and the biases sum to the answer's margin."""
    network = make_network()
    relevance = explain(network, digit, 4).relevance
    biases = network.layers[0].biases

    assert pytest.approx(float(margin(network, digit[None].astype(float), 4)[0]), abs=1e-5) == float(
        relevance.sum() + biases[4] - biases.mean()
    )


def test_background_has_no_relevance(digit: FloatArray) -> None:
    """The attribution of a pixel that is 0 is 0."""
    relevance = explain(make_network(9), digit, 2).relevance.ravel()

    assert not relevance[digit == 0].any()
    assert relevance[digit > 0].all()


def test_common_score_has_no_relevance(digit: FloatArray) -> None:
    """A pixel that raises all scores equally does not change a softmax, so its attribution is 0."""
    network = Network((Layer(np.ones((PIXELS, 4), np.float32), np.zeros(4, np.float32), "softmax"),), (0, 1, 2, 3))

    assert not explain(network, digit, 1).relevance.any()


@pytest.mark.parametrize(
    ("head", "classes"), [("softmax", tuple(range(10))), ("logistic", (3, 8))], ids=["softmax", "logistic"]
)
def test_activations_are_those_of_feedforward(digit: FloatArray, head: str, classes: tuple[int, ...]) -> None:
    """Hidden activations and scores are those of the forward pass, the last activation is the head's."""
    network = make_network(9, 8, head=head, classes=classes)
    *hidden, scores = (output[0] for output in network.feedforward(digit[None]))
    explanation = explain(network, digit, 0)
    *shown, last = explanation.activations
    expected = special.softmax(scores) if head == "softmax" else special.expit(scores)

    assert [a.tolist() for a in hidden] == [a.tolist() for a in shown]
    assert scores.tolist() == explanation.scores.tolist()
    np.testing.assert_allclose(last, expected, rtol=1e-5, atol=1e-7)
    assert np.float32 == last.dtype


@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("units", [(), (9, 8)], ids=len)
@pytest.mark.parametrize(
    ("head", "classes"), [("softmax", tuple(range(10))), ("logistic", (3, 8))], ids=["softmax", "logistic"]
)
def test_stencils_are_effective_weights(
    digit: FloatArray, activation: str, units: tuple[int, ...], head: str, classes: tuple[int, ...]
) -> None:
    """For any depth and head, effective weights times input plus effective bias is the score."""
    network = make_network(*units, activation=activation, head=head, classes=classes)
    explanation = explain(network, digit, 0)
    scores = network.feedforward(digit[None])[-1][0]

    assert explanation.stencils is not None
    assert explanation.offsets is not None
    assert (len(scores), IMAGE_SIDE, IMAGE_SIDE) == explanation.stencils.shape
    sums = explanation.stencils.reshape(len(scores), PIXELS) @ digit
    np.testing.assert_allclose(sums + explanation.offsets, scores, rtol=0, atol=1e-4)


def test_stencils_of_the_served_model_are_exact(bundled: Artifact) -> None:
    """They give the scores of synthetic digits, to 1e-4."""
    digits = (
        synthetic_digits.synthesize(20, np.random.default_rng(2)).images.reshape(-1, PIXELS).astype(np.float32) / 255
    )
    for pixels in digits:
        explanation = explain(bundled.network, pixels, 0)
        assert explanation.stencils is not None
        sums = np.tensordot(explanation.stencils, pixels.reshape(IMAGE_SIDE, IMAGE_SIDE), 2)

        np.testing.assert_allclose(sums + explanation.offsets, explanation.scores, rtol=0, atol=1e-4)


@pytest.mark.parametrize("activation", ["tanh"])
def test_smooth_activations_have_no_stencils(digit: FloatArray, activation: str) -> None:
    """A network that is not piecewise linear has no effective weights."""
    explanation = explain(make_network(9, activation=activation), digit, 0)

    assert explanation.stencils is None
    assert explanation.offsets is None
