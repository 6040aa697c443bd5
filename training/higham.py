"""The lecture's worked example: a small network for ten points in the plane, with explicit backpropagation and SGD.

From Higham and Higham, "Deep Learning: An Introduction for Applied Mathematicians", arXiv 1801.05894. Numbers in
brackets are its equations. Enters: a number of steps and a seed. Leaves: the trained parameters, the cost during the
training, figures of both, and the same network as a `service.model.network.Network`. Out of scope: digits.

Symbols and indices are the paper's, not scikit-learn's: columns are points, W[l] is (n_l, n_{l-1}) and multiplies from
the left. Layers count from 1, and layer 1 is the input: a[1] = x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from service.model.network import Layer, Network, logistic
from training import figures

FloatArray = npt.NDArray[np.float64]

POINTS: FloatArray = np.array(
    [
        [0.1, 0.3, 0.1, 0.6, 0.4, 0.6, 0.5, 0.9, 0.4, 0.7],
        [0.1, 0.4, 0.5, 0.9, 0.2, 0.3, 0.6, 0.2, 0.4, 0.6],
    ]
)
"""x, (2, 10)."""
TARGETS: FloatArray = np.repeat(np.eye(2), 5, axis=1)
"""y, (2, 10): the first five points are of one class, the last five of the other (2.5)."""
UNITS = (2, 2, 3, 2)
LEARNING_RATE = 0.05
# Steps between two evaluations of the cost. An evaluation takes as long as a step.
COST_INTERVAL = 1_000
_GRID = 200


@dataclass(frozen=True, eq=False)
class Parameters:
    """W[2], ..., W[L], each (n_l, n_{l-1}), and b[2], ..., b[L], each (n_l, 1); or the gradient by these."""

    weights: Sequence[FloatArray]
    biases: Sequence[FloatArray]

    @property
    def arrays(self) -> list[FloatArray]:
        """All weights, then all biases."""
        return [*self.weights, *self.biases]


@dataclass(frozen=True, eq=False)
class Trained:
    """The parameters after the training, and the cost by number of steps."""

    parameters: Parameters
    costs: dict[int, float]


def initial_parameters(rng: np.random.Generator) -> Parameters:
    """Return random parameters, normal with mean 0 and standard deviation 1/2, as in the paper."""
    weights = [rng.normal(0, 0.5, (n_out, n_in)) for n_in, n_out in pairwise(UNITS)]
    return Parameters(weights, [rng.normal(0, 0.5, (n_out, 1)) for n_out in UNITS[1:]])


def forward(parameters: Parameters, x: FloatArray) -> list[FloatArray]:
    """Return a[1], ..., a[L], each (n_l, n), for points x of shape (2, n) (3.1, 3.2); the last one is F(x) (2.4)."""
    activations = [x]
    for weights, biases in zip(parameters.weights, parameters.biases, strict=True):
        activations.append(logistic(weights @ activations[-1] + biases))
    return activations


def cost(parameters: Parameters, x: FloatArray = POINTS, y: FloatArray = TARGETS) -> float:
    """Return the quadratic cost, the mean over points x (2, n) of half the squared distance of F(x) from y (2.6)."""
    return float(np.sum((y - forward(parameters, x)[-1]) ** 2) / (2 * x.shape[1]))


def backpropagate(parameters: Parameters, x: FloatArray, y: FloatArray) -> Parameters:
    """Return the gradient of the cost of a single point x, (2, 1), with target y, (2, 1).

    delta[L] = sigma'(z[L]) * (a[L] - y) (5.5), and delta[l] = sigma'(z[l]) * (W[l+1]^T delta[l+1]) (5.6). The gradient
    by b[l] is delta[l] (5.7), by W[l] it is delta[l] a[l-1]^T (5.8). sigma'(z) is a * (1 - a) (2.2).
    """
    activations = forward(parameters, x)
    a = activations[-1]
    deltas = [a * (1 - a) * (a - y)]
    for weights, a in zip(parameters.weights[:0:-1], activations[-2:0:-1], strict=True):
        deltas.insert(0, a * (1 - a) * (weights.T @ deltas[0]))
    return Parameters([delta @ a.T for delta, a in zip(deltas, activations[:-1], strict=True)], deltas)


def train(steps: int, seed: int, progress: Callable[[int, float], None] = lambda *_: None) -> Trained:
    """Take this number of steps of stochastic gradient descent, each with the gradient of one random point.

    `progress` is called with the number of steps so far and the cost. The same seed gives the same parameters.
    """
    rng = np.random.default_rng(seed)
    parameters = initial_parameters(rng)
    costs = {0: cost(parameters)}
    points = [(POINTS[:, [k]], TARGETS[:, [k]]) for k in range(POINTS.shape[1])]
    for before in range(0, steps, COST_INTERVAL):
        done = min(before + COST_INTERVAL, steps)
        for k in rng.integers(len(points), size=done - before).tolist():
            gradient = backpropagate(parameters, *points[k])
            for own, slope in zip(parameters.arrays, gradient.arrays, strict=True):
                own[...] -= LEARNING_RATE * slope
        costs[done] = cost(parameters)
        progress(done, costs[done])
    return Trained(parameters, costs)


def n_correct(parameters: Parameters) -> int:
    """Return the number of correctly classified points, of ten."""
    return int(np.sum(forward(parameters, POINTS)[-1].argmax(axis=0) == TARGETS.argmax(axis=0)))


def to_network(parameters: Parameters) -> Network:
    """Return the network in the service's form: float32, weights transposed, so that F(x) = logistic(z(L)).

    Its head is a softmax, which keeps the order of the two outputs.
    """
    activations = ["logistic"] * (len(parameters.weights) - 1) + ["softmax"]
    layers = [
        Layer(np.ascontiguousarray(weights.T, np.float32), biases.ravel().astype(np.float32), activation)
        for weights, biases, activation in zip(parameters.weights, parameters.biases, activations, strict=True)
    ]
    return Network(tuple(layers), (0, 1))


def make_figures(trained: Trained) -> dict[str, Figure]:
    """Return figures by name: the cost by number of steps, and the decision regions in the unit square."""
    ticks = np.linspace(0, 1, _GRID)
    x, y = np.meshgrid(ticks, ticks)
    first, second = forward(trained.parameters, np.stack([x.ravel(), y.ravel()]))[-1]
    # 1/2 where both outputs are equal, which is the decision boundary.
    field = ((1 + second - first) / 2).reshape(x.shape)
    return {
        "cost": figures.cost(list(trained.costs), list(trained.costs.values())),
        "regions": figures.boundaries(
            POINTS.T, TARGETS.argmax(axis=0), [(f"{max(trained.costs):,} steps", field)], (0.0, 1.0, 0.0, 1.0)
        ),
    }
