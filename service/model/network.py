"""The multi-layer perceptron: layers of weights, and the forward pass.

Enters: digits in MNIST form, float32 (n, 784), 0 = background to 1 = foreground. Leaves: the activations of every
hidden layer, the scores (logits) z(L), and probabilities. Out of scope: training (scikit-learn does that), pictures and
files.

The symbols are the lecture's; rows are samples, as in scikit-learn. a(0) is the input, z(l) = a(l-1) @ W(l) + b(l),
a(l) = activation(z(l)). W(l) is `coefs_[l - 1]`, b(l) is `intercepts_[l - 1]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from service.types import FloatArray, Probabilities

# Layers of at least this many weights (1 MiB) skip the weights of zero inputs, if at most this share is not zero.
_SPARSE_MIN_WEIGHTS = 2**18
_SPARSE_MAX_DENSITY = 0.4

AnyFloat = TypeVar("AnyFloat", np.float32, np.float64)


def identity(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return z."""
    return z


def relu(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return max(0, z)."""
    return np.maximum(z, 0)


def tanh(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return the hyperbolic tangent of z, in -1..1."""
    return np.tanh(z)


def logistic(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return the sigmoid 1 / (1 + exp(-z)), in 0..1, without overflow for any finite z."""
    # tanh saturates where exp would overflow, and the sigmoid is a scaled tanh.
    shares: npt.NDArray[AnyFloat] = 0.5 * (np.tanh(0.5 * z) + 1)
    return shares


def softmax(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return exp(z) divided by its sum over the last axis, without overflow for any finite z."""
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    shares: npt.NDArray[AnyFloat] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


HIDDEN: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {"identity": identity, "logistic": logistic, "relu": relu, "tanh": tanh}
)
HEADS: Mapping[str, Callable[[Probabilities], Probabilities]] = MappingProxyType(
    {"logistic": logistic, "softmax": softmax}
)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: weights (n_in, n_out) and biases (n_out,), both float32, and the name of its activation."""

    weights: FloatArray
    biases: FloatArray
    activation: str

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return int(self.weights.shape[0])

    @property
    def n_out(self) -> int:
        """Number of units."""
        return int(self.weights.shape[1])

    def scores(self, inputs: FloatArray) -> FloatArray:
        """Return z = inputs @ weights + biases, float32 (n, n_out), for inputs float32 (n, n_in)."""
        z = self._weighted_sums(inputs)
        z += self.biases
        return z

    def _weighted_sums(self, inputs: FloatArray) -> FloatArray:
        # For a single row, `dot` has half the call overhead of `@`, and `nonzero` is faster on booleans.
        sums: FloatArray
        if len(inputs) == 1 and self.weights.size >= _SPARSE_MIN_WEIGHTS:
            # Background pixels and inactive ReLU units are 0. Skipping their weights saves memory bandwidth and keeps
            # other data in the cache.
            (nonzero,) = inputs[0].astype(bool).nonzero()
            if nonzero.size <= _SPARSE_MAX_DENSITY * self.n_in:
                sums = inputs.take(nonzero, axis=1).dot(self.weights.take(nonzero, axis=0))
                return sums
        sums = inputs.dot(self.weights)
        return sums


@dataclass(frozen=True, eq=False)
class Network:
    """A multi-layer perceptron over the given classes.

    The last layer is the head: `softmax` with one unit per class, or `logistic` with a single unit. The activation of
    the logistic unit is the probability of the second of two classes.
    """

    layers: tuple[Layer, ...]
    classes: tuple[int, ...]

    def __repr__(self) -> str:
        """Return the architecture, such as Network(784 -> 50 relu -> 10 softmax)."""
        layers = "".join(f" -> {layer.n_out} {layer.activation}" for layer in self.layers)
        return f"Network({self.layers[0].n_in}{layers})"

    @property
    def head(self) -> str:
        """Activation of the last layer: `softmax` or `logistic`."""
        return self.layers[-1].activation

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum(layer.weights.size + layer.biases.size for layer in self.layers)

    def feedforward(self, pixels: FloatArray) -> list[FloatArray]:
        """Return the forward pass of inputs float32 (n, 784).

        That is [a(1), ..., a(L-1), z(L)], float32: the activations of the hidden layers, each (n, units), and the
        scores (logits), (n, n_out).
        """
        outputs = []
        activations = pixels
        for layer in self.layers[:-1]:
            activations = HIDDEN[layer.activation](layer.scores(activations))
            outputs.append(activations)
        outputs.append(self.layers[-1].scores(activations))
        return outputs

    @property
    def n_features(self) -> int:
        """Width of `features`: the number of hidden units, or of inputs where there is no hidden layer."""
        return sum(layer.n_out for layer in self.layers[:-1]) or self.layers[0].n_in

    def features(self, pixels: FloatArray, outputs: list[FloatArray]) -> FloatArray:
        """Return all hidden activations side by side, (n, n_features), given the outputs of `feedforward`.

        Without a hidden layer the features are the inputs.
        """
        return np.concatenate(outputs[:-1], axis=1) if len(outputs) > 1 else pixels

    def probabilities(self, scores: FloatArray, temperature: float = 1.0) -> Probabilities:
        """Return probabilities float64 (n, n_classes), each row summing to 1, for scores (logits) z(L), (n, n_out).

        Temperature scaling divides the scores (Guo et al. 2017, arXiv 1706.04599). A temperature above 1 lowers the
        confidence and keeps the order of the classes.
        """
        activations = self._activations(scores, temperature)
        if self.head == "softmax":
            return activations
        return np.concatenate((1 - activations, activations), axis=1)

    def most_probable(self, probabilities: Probabilities) -> npt.NDArray[np.intp]:
        """Return the index of the most probable class, (n,), for probabilities (n, n_classes).

        Of two classes that are equally probable, a single sigmoid unit answers the second, the positive one: a
        probability of 0.5 or more.
        """
        if self.head == "softmax":
            indices: npt.NDArray[np.intp] = probabilities.argmax(axis=1)
            return indices
        return (probabilities[:, 1] >= probabilities[:, 0]).astype(np.intp)

    def last_probability(self, scores: FloatArray) -> Probabilities:
        """Return the probability of the last class alone, float64 (n,), for scores z(L) of shape (n, n_out)."""
        return self._activations(scores, 1.0)[:, -1]

    def _activations(self, scores: FloatArray, temperature: float) -> Probabilities:
        # float64 costs nothing for so few numbers, and rows sum to 1 to the last digit.
        return HEADS[self.head](scores.astype(np.float64) / temperature)
