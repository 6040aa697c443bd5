"""Explanation of one answer: activations, gradient x input attribution, and the locally linear network.

Enters: a network and one input. Leaves: an Explanation. Out of scope: how it is shown.

A ReLU network is piecewise linear. For all inputs that activate the same units it equals one linear map per score:
score = sum(effective_weights * input) + effective_bias. The effective weights, 28x28, are called `stencils` here and in
the API, the effective biases `offsets`. The attribution `relevance` is the gradient x input of Shrikumar et al. 2016,
"Not Just a Black Box", arXiv 1605.01713.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.model.network import HEADS, Network
from service.types import IMAGE_SIDE, FloatArray

_PIECEWISE_LINEAR = frozenset({"identity", "relu"})


@dataclass(frozen=True, eq=False)
class Explanation:
    """Activations, scores and attribution of one input, all float32.

    `activations` are a(1), ..., a(L), each (units,); the last one is at temperature 1. `scores` are the logits z(L),
    (n_out,). `relevance` is the gradient x input attribution, (28, 28): positive where ink raises the answer's score
    above the mean score, negative where it lowers it. `stencils` (n_out, 28, 28) and `offsets` (n_out,) are effective
    weights and biases of the locally linear network. Both are None where a hidden activation is not piecewise linear.
    """

    activations: list[FloatArray]
    scores: FloatArray
    relevance: FloatArray
    stencils: FloatArray | None
    offsets: FloatArray | None


def explain(network: Network, pixels: FloatArray, answer: int) -> Explanation:
    """Return the explanation of the class of index `answer` for pixels float32 (784,), 0..1."""
    *hidden, scores = (output[0] for output in network.feedforward(pixels[None]))
    activations = [*hidden, HEADS[network.head](scores.astype(np.float64)).astype(np.float32)]
    gradients, offsets = _effective_weights(network, hidden)
    relevance = (pixels * (gradients @ _margin(network, answer))).reshape(IMAGE_SIDE, IMAGE_SIDE)
    if not _PIECEWISE_LINEAR.issuperset(layer.activation for layer in network.layers[:-1]):
        return Explanation(activations, scores, relevance, None, None)
    return Explanation(activations, scores, relevance, gradients.T.reshape(-1, IMAGE_SIDE, IMAGE_SIDE), offsets)


def _margin(network: Network, answer: int) -> FloatArray:
    """Return the coefficients (n_out,) of the scores in the answer's margin: its score minus the mean score.

    A softmax does not depend on the mean score, so the mean is not attributed. A logistic head has a single score,
    whose sign is the margin's.
    """
    if network.head == "logistic":
        return np.array([1.0 if answer == 1 else -1.0], np.float32)
    n_out = network.layers[-1].n_out
    margin = np.full(n_out, -1 / n_out, np.float32)
    margin[answer] += 1
    return margin


def _effective_weights(network: Network, hidden: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return the gradients of all scores by the input, (784, n_out), and the effective biases, (n_out,).

    Both come from one backward pass. For a piecewise linear network the gradients are the effective weights.
    """
    gradients, offsets = network.layers[-1].weights, network.layers[-1].biases
    for layer, activation in zip(reversed(network.layers[:-1]), reversed(hidden), strict=True):
        gradients = _derivative(layer.activation, activation)[:, None] * gradients
        offsets = offsets + layer.biases @ gradients
        gradients = layer.weights @ gradients
    return gradients, offsets


def _derivative(name: str, a: FloatArray) -> FloatArray:
    """Return the derivative of a hidden activation function, given its output a."""
    if name == "relu":
        return (a > 0).astype(np.float32)
    if name == "tanh":
        return 1 - a * a
    if name == "logistic":
        return a * (1 - a)
    return np.ones_like(a)
