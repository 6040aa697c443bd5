"""Leaves out hidden units that no picture can turn on: what is left answers the same, and is smaller and faster.

Weight decay brings the weights of a unit that helps nothing to nought; where its bias is below 0, the rectified unit is
off for good. That it is off for every input is proved by interval bounds, layer by layer (Gowal et al. 2018, "On the
Effectiveness of Interval Bound Propagation", arXiv 1810.12715); no digit is asked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from service.model.network import Layer, Network

Flags = npt.NDArray[np.bool_]


def can_be_on(network: Network) -> list[Flags]:
    """Return for each hidden layer which of its units some input from 0 to 1 might turn on, bool (n_units,).

    All units of all layers where any hidden layer is not rectified: only rectified units are ever off.
    """
    hidden = network.layers[:-1]
    if any(layer.activation != "relu" for layer in hidden):
        return [np.ones(layer.n_out, np.bool_) for layer in hidden]
    found = []
    lowest, highest = np.zeros(network.layers[0].n_in), np.ones(network.layers[0].n_in)
    for layer in hidden:
        weights, biases = layer.weights.astype(np.float64), layer.biases.astype(np.float64)
        for_it, against = np.maximum(weights, 0), np.minimum(weights, 0)
        most = highest @ for_it + lowest @ against + biases
        least = lowest @ for_it + highest @ against + biases
        # A sum of n numbers in float32 is off by no more than about n times half of this share of them, signs aside.
        share = (layer.n_in + 2) * np.finfo(np.float32).eps
        rounding = share * (highest @ np.abs(weights) + np.abs(biases))
        found.append(most + rounding > 0)
        lowest, highest = np.maximum(least - rounding, 0), np.maximum(most + rounding, 0)
    return found


def prune(network: Network, detector: Network | None) -> tuple[Network, Network | None]:
    """Return a network, and the detector on top of its hidden units, without the units that are never on."""
    kept = can_be_on(network)
    inputs = np.ones(network.layers[0].n_in, np.bool_)
    outputs = np.ones(network.layers[-1].n_out, np.bool_)
    layers = [
        _part(layer, before, after)
        for layer, before, after in zip(network.layers, [inputs, *kept], [*kept, outputs], strict=True)
    ]
    pruned = replace(network, layers=tuple(layers))
    if detector is None:
        return pruned, None
    first, *rest = detector.layers
    seen = np.concatenate(kept) if kept else inputs
    first = _part(first, seen, np.ones(first.n_out, np.bool_))
    return pruned, replace(detector, layers=(first, *rest))


def _part(layer: Layer, inputs: Flags, units: Flags) -> Layer:
    """Return a layer with these of its inputs and units only."""
    return replace(layer, weights=np.ascontiguousarray(layer.weights[inputs][:, units]), biases=layer.biases[units])
