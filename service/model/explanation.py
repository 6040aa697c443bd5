"""Why this answer: the activations on the way to it, how much each pixel of ink spoke for it, and the stencils.

Enters: a network and one input. Leaves: an Explanation. Out of scope: how it is shown.

A unit with ReLU is off, and hands on nothing, or on, and hands on a weighted sum. So the units that one input switches
on make of the whole network one 28x28 stencil and one offset for each score: score = sum(stencil * input) + offset.
That is exact, for this input and all that switch on the same units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.model.network import HEADS, Network
from service.types import IMAGE_SIDE, FloatArray

# Activation functions that are straight lines, or made of two.
_STRAIGHT = frozenset({"identity", "relu"})


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one input did to the network.

    `activations` are a(1), ..., a(L), each (units,), the last one before calibration; `scores` is z(L), (units,);
    `relevance` is (28, 28), positive where ink speaks for the answer and negative where it speaks against it. Each of
    `stencils`, (scores, 28, 28), times the input, summed, plus its one of `offsets`, (scores,), is a score; both are
    None for networks with curved activation functions, which have none.
    """

    activations: list[FloatArray]
    scores: FloatArray
    relevance: FloatArray
    stencils: FloatArray | None
    offsets: FloatArray | None


def explain(network: Network, pixels: FloatArray, answer: int) -> Explanation:
    """Explain why the network gave the class of index `answer` to pixels of shape (784,)."""
    *hidden, scores = (output[0] for output in network.feedforward(pixels[None]))
    activations = [*hidden, HEADS[network.head](scores.astype(np.float64)).astype(np.float32)]
    slopes, offsets = _straightened(network, hidden)
    relevance = (pixels * (slopes @ _lead(network, answer))).reshape(IMAGE_SIDE, IMAGE_SIDE)
    if not _STRAIGHT.issuperset(layer.activation for layer in network.layers[:-1]):
        return Explanation(activations, scores, relevance, None, None)
    return Explanation(activations, scores, relevance, slopes.T.reshape(-1, IMAGE_SIDE, IMAGE_SIDE), offsets)


def _lead(network: Network, answer: int) -> FloatArray:
    """Return the weights of all scores, (n_out,), in the answer's lead over their mean.

    The lead, since a softmax does not see what all scores have in common; a single logistic score is its own lead.
    """
    if network.head == "logistic":
        return np.array([1.0 if answer == 1 else -1.0], np.float32)
    n_out = network.layers[-1].n_out
    lead = np.full(n_out, -1 / n_out, np.float32)
    lead[answer] += 1
    return lead


def _straightened(network: Network, hidden: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return how each score changes with each pixel, (784, n_out), and what biases add, (n_out,): backpropagation."""
    slopes, offsets = network.layers[-1].weights, network.layers[-1].biases
    for layer, activation in zip(reversed(network.layers[:-1]), reversed(hidden), strict=True):
        slopes = _derivative(layer.activation, activation)[:, None] * slopes
        offsets = offsets + layer.biases @ slopes
        slopes = layer.weights @ slopes
    return slopes, offsets


def _derivative(name: str, a: FloatArray) -> FloatArray:
    """Return the derivative of a hidden activation function where its value is a."""
    if name == "relu":
        return (a > 0).astype(np.float32)
    if name == "tanh":
        return 1 - a * a
    if name == "logistic":
        return a * (1 - a)
    return np.ones_like(a)
