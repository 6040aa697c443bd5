"""Prunes dead hidden units: ReLU units whose output is 0 for every possible input.

Enters: a network and its OOD detector. Leaves: smaller ones with the same outputs. Out of scope: units that are
inactive only on the digits of a data set.

Weight decay moves the weights of a useless unit to 0. With a negative bias, such a unit is dead. Interval bound
propagation through the layers proves it for all inputs 0..1 (Gowal et al. 2018, "On the Effectiveness of Interval Bound
Propagation for Training Verifiably Robust Models", arXiv 1810.12715).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from service.model.network import Layer, Network

Flags = npt.NDArray[np.bool_]


def possibly_active(network: Network) -> list[Flags]:
    """Return for each hidden layer which units are not proved dead for inputs 0..1, bool (n_units,).

    These are all units where any hidden activation is not ReLU: the bounds are for ReLU networks only.
    """
    hidden = network.layers[:-1]
    if any(layer.activation != "relu" for layer in hidden):
        return [np.ones(layer.n_out, np.bool_) for layer in hidden]
    active = []
    lower, upper = np.zeros(network.layers[0].n_in), np.ones(network.layers[0].n_in)
    for layer in hidden:
        weights, biases = layer.weights.astype(np.float64), layer.biases.astype(np.float64)
        positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
        upper_z = upper @ positive + lower @ negative + biases
        lower_z = lower @ positive + upper @ negative + biases
        # The rounding error of a float32 sum of n terms is below n * eps / 2 times the sum of their magnitudes.
        relative_error = (layer.n_in + 2) * np.finfo(np.float32).eps
        rounding = relative_error * (upper @ np.abs(weights) + np.abs(biases))
        active.append(upper_z + rounding > 0)
        lower, upper = np.maximum(lower_z - rounding, 0), np.maximum(upper_z + rounding, 0)
    return active


def prune(network: Network, detector: Network | None) -> tuple[Network, Network | None]:
    """Return a network and its OOD detector without the dead units."""
    kept = possibly_active(network)
    inputs = np.ones(network.layers[0].n_in, np.bool_)
    outputs = np.ones(network.layers[-1].n_out, np.bool_)
    layers = [
        _sublayer(layer, before, after)
        for layer, before, after in zip(network.layers, [inputs, *kept], [*kept, outputs], strict=True)
    ]
    pruned = replace(network, layers=tuple(layers))
    if detector is None:
        return pruned, None
    first, *rest = detector.layers
    features = np.concatenate(kept) if kept else inputs
    first = _sublayer(first, features, np.ones(first.n_out, np.bool_))
    return pruned, replace(detector, layers=(first, *rest))


def _sublayer(layer: Layer, inputs: Flags, units: Flags) -> Layer:
    """Return a layer with only these inputs and units."""
    return replace(layer, weights=np.ascontiguousarray(layer.weights[inputs][:, units]), biases=layer.biases[units])
