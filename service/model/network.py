"""The network itself: layers of weights, and feedforward.

Enters: digits in MNIST form, float32 of shape (n, 784), 0 = background to 1 = full ink. Leaves: the activations of
every layer, the scores z(L), and the probabilities that the head makes of them. Out of scope: learning (scikit-learn
does that), and everything about pictures and files.

With the lecture's symbols, and rows as samples as in scikit-learn: a(0) is the input, z(l) = a(l-1) @ W(l) + b(l),
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

# Weights of a layer from which on picking those that are used pays, a MiB of them; and the share up to which it does.
_LARGE = 2**18
_FEW = 0.4

AnyFloat = TypeVar("AnyFloat", np.float32, np.float64)


def identity(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return z as it is."""
    return z


def relu(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return max(0, z)."""
    return np.maximum(z, 0)


def tanh(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return the hyperbolic tangent of z, in -1..1."""
    return np.tanh(z)


def logistic(z: npt.NDArray[AnyFloat]) -> npt.NDArray[AnyFloat]:
    """Return the sigmoid 1 / (1 + exp(-z)), in 0..1, without overflow for any finite z."""
    # tanh saturates where exp would overflow; the two are the same function up to scale.
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
        """Return z = inputs @ weights + biases, shape (n, n_out)."""
        z = self._weighted_sums(inputs)
        z += self.biases
        return z

    def _weighted_sums(self, inputs: FloatArray) -> FloatArray:
        # For one digit, `dot` gets to BLAS in half the time that `@` takes, and `nonzero` is faster of booleans.
        sums: FloatArray
        if len(inputs) == 1 and self.weights.size >= _LARGE:
            # Paper is 0, and so are rectified units that are off: their weights need not come from memory, nor push out
            # of the cache what the rest of an answer needs.
            (used,) = inputs[0].astype(bool).nonzero()
            if used.size <= _FEW * self.n_in:
                sums = inputs.take(used, axis=1).dot(self.weights.take(used, axis=0))
                return sums
        sums = inputs.dot(self.weights)
        return sums


@dataclass(frozen=True, eq=False)
class Network:
    """A plain multi-layer perceptron over the given classes.

    The last layer is the head: `softmax` with one unit a class, or `logistic` with a single unit whose activation is
    the probability of the second of two classes.
    """

    layers: tuple[Layer, ...]
    classes: tuple[int, ...]

    def __repr__(self) -> str:
        """Show the architecture, such as Network(784 -> 50 relu -> 10 softmax)."""
        steps = "".join(f" -> {layer.n_out} {layer.activation}" for layer in self.layers)
        return f"Network({self.layers[0].n_in}{steps})"

    @property
    def head(self) -> str:
        """Activation of the last layer: `softmax` or `logistic`."""
        return self.layers[-1].activation

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum(layer.weights.size + layer.biases.size for layer in self.layers)

    def feedforward(self, pixels: FloatArray) -> list[FloatArray]:
        """Carry inputs of shape (n, 784) through all layers.

        Returns [a(1), ..., a(L-1), z(L)]: the activations of the hidden layers, each (n, units), and last the scores.
        """
        outputs = []
        signal = pixels
        for layer in self.layers[:-1]:
            signal = HIDDEN[layer.activation](layer.scores(signal))
            outputs.append(signal)
        outputs.append(self.layers[-1].scores(signal))
        return outputs

    @property
    def n_features(self) -> int:
        """Number of hidden units, or of inputs where there is no hidden layer: the width of `features`."""
        return sum(layer.n_out for layer in self.layers[:-1]) or self.layers[0].n_in

    def features(self, pixels: FloatArray, outputs: list[FloatArray]) -> FloatArray:
        """Return what the network made of inputs, (n, n_features): all hidden activations of this `feedforward`."""
        return np.concatenate(outputs[:-1], axis=1) if len(outputs) > 1 else pixels

    def probabilities(self, scores: FloatArray, temperature: float = 1.0) -> Probabilities:
        """Turn scores z(L) of shape (n, n_out) into probabilities float64 (n, n_classes), each row summing to 1.

        A temperature above 1 softens the answer without changing its order (Guo et al. 2017, arXiv 1706.04599).
        """
        activations = self._activations(scores, temperature)
        if self.head == "softmax":
            return activations
        return np.concatenate((1 - activations, activations), axis=1)

    def last_probability(self, scores: FloatArray) -> Probabilities:
        """Return the probability of the last class alone, float64 (n,), for scores z(L) of shape (n, n_out)."""
        return self._activations(scores, 1.0)[:, -1]

    def _activations(self, scores: FloatArray, temperature: float) -> Probabilities:
        # A handful of numbers: float64 costs nothing here, and makes the sum 1 to the last digit.
        return HEADS[self.head](scores.astype(np.float64) / temperature)
