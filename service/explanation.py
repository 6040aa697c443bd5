"""Why this answer: the activations on the way to it, and how much each pixel of ink spoke for it.

Enters: a network and one input. Leaves: an Explanation. Out of scope: how it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.network import HEADS, IMAGE_SIDE, FloatArray, Network


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one input did to the network.

    `activations` are a(1), ..., a(L), each (units,), the last one before calibration; `scores` is z(L), (units,);
    `relevance` is (28, 28), positive where ink speaks for the answer and negative where it speaks against it.
    """

    activations: list[FloatArray]
    scores: FloatArray
    relevance: FloatArray


def explain(network: Network, pixels: FloatArray, answer: int) -> Explanation:
    """Explain why the network gave the class of index `answer` to pixels of shape (784,)."""
    *hidden, scores = (output[0] for output in network.feedforward(pixels[None]))
    activations = [*hidden, HEADS[network.head](scores.astype(np.float64)).astype(np.float32)]
    slope = _score_gradient(network, hidden, answer)
    relevance = (pixels * slope).reshape(IMAGE_SIDE, IMAGE_SIDE)
    return Explanation(activations, scores, relevance)


def _score_gradient(network: Network, hidden: list[FloatArray], answer: int) -> FloatArray:
    """Return, (784,), how the answer's lead over the mean score changes with each pixel: backpropagation.

    The lead, since a softmax does not see what all scores have in common; a single logistic score is its own lead.
    """
    n_out = network.layers[-1].n_out
    if network.head == "logistic":
        slope = np.array([1.0 if answer == 1 else -1.0], np.float32)
    else:
        slope = np.full(n_out, -1 / n_out, np.float32)
        slope[answer] += 1
    slope = network.layers[-1].weights @ slope
    for layer, activation in zip(reversed(network.layers[:-1]), reversed(hidden), strict=True):
        slope = layer.weights @ (slope * _derivative(layer.activation, activation))
    return slope


def _derivative(name: str, a: FloatArray) -> FloatArray:
    """Return the derivative of a hidden activation function where its value is a."""
    if name == "relu":
        return (a > 0).astype(np.float32)
    if name == "tanh":
        return 1 - a * a
    if name == "logistic":
        return a * (1 - a)
    return np.ones_like(a)
