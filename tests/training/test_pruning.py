"""Pruning removes dead units only, and does not change any output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model.artifact import Artifact
from service.model.network import Layer, Network
from service.types import FloatArray
from tests.conftest import make_detector, make_metadata, make_network
from training.pruning import possibly_active, prune

DEAD = ((1, 4), (0, 2))


def with_dead_units(network: Network) -> Network:
    """Return a network whose DEAD units have weights of almost 0 and a negative bias."""
    *hidden, head = network.layers
    layers = []
    for layer, dead in zip(hidden, DEAD, strict=True):
        weights, biases = layer.weights.copy(), layer.biases.copy()
        weights[:, dead] *= np.float32(1e-12)
        biases[list(dead)] = -0.001
        layers.append(replace(layer, weights=weights, biases=biases))
    return replace(network, layers=(*layers, head))


@pytest.fixture
def network() -> Network:
    """Return a network with two hidden layers with two dead units each."""
    return with_dead_units(make_network(6, 5))


@pytest.fixture
def inputs() -> FloatArray:
    """Return noise, a blank picture and a white one."""
    noise = np.random.default_rng(1).random((20, 784), np.float32)
    return np.concatenate([noise, np.zeros((1, 784), np.float32), np.ones((1, 784), np.float32)])


def test_outputs_do_not_change(network: Network, inputs: FloatArray) -> None:
    """Probabilities and OOD score are equal up to float32 rounding."""
    detector = make_detector(network, 3)
    before = Artifact(network, make_metadata(network, detector), "", detector)
    pruned, smaller = prune(network, detector)
    after = Artifact(pruned, make_metadata(pruned, smaller), "", smaller)

    for expected, actual in zip(before.answer(inputs), after.answer(inputs), strict=True):
        np.testing.assert_allclose(np.array(actual, float), np.array(expected, float), rtol=0, atol=1e-6)


def test_dead_units_are_removed(network: Network) -> None:
    """Both layers lose their dead units, the next layers and the detector the weights of these."""
    pruned, detector = prune(network, make_detector(network, 3))

    assert [(784, 4), (4, 3), (3, 10)] == [layer.weights.shape for layer in pruned.layers]
    assert detector is not None
    assert [(7, 3), (3, 1)] == [layer.weights.shape for layer in detector.layers]


def test_network_without_a_detector_is_pruned(network: Network) -> None:
    """The pruned model has no detector either."""
    assert prune(network, None)[1] is None


@pytest.mark.parametrize("activation", ["tanh"])
def test_only_relu_networks_are_pruned(activation: str) -> None:
    """With other activations all units stay: a negative sum changes the output."""
    network = with_dead_units(make_network(6, 5, activation=activation))

    assert all(flags.all() for flags in possibly_active(network))


def test_without_hidden_layers_nothing_is_pruned() -> None:
    """The inputs of the detector are all pixels then."""
    network = make_network()
    pruned, detector = prune(network, make_detector(network))

    assert detector is not None
    assert ([(784, 10)], 784) == ([layer.weights.shape for layer in pruned.layers], detector.layers[0].n_in)


@pytest.mark.parametrize(("bias", "expected"), [(-0.5, False), (-0.3000001, True), (-0.25, True), (0.1, True)])
def test_bounds_propagate_through_layers(bias: float, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """The first unit is at most 0.3, up to rounding. The second one adds its bias to that."""
    first = Layer(np.array([[0.2], [-5.0]], np.float32), np.array([0.1], np.float32), "relu")
    second = Layer(np.array([[1.0]], np.float32), np.array([bias], np.float32), "relu")
    head = Layer(np.ones((1, 2), np.float32), np.zeros(2, np.float32), "softmax")

    assert [[True], [expected]] == [flags.tolist() for flags in possibly_active(Network((first, second, head), (0, 1)))]


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(0, 3))
def test_no_active_unit_is_proved_dead(seed: int, shift: float) -> None:
    """For random networks and inputs at the corners, units that are proved dead have output 0."""
    rng = np.random.default_rng(seed)
    network = Network(
        tuple(
            Layer(
                rng.normal(size=(n_in, n_out)).astype(np.float32), np.float32(-shift) * np.ones(n_out, np.float32), act
            )
            for n_in, n_out, act in ((4, 8, "relu"), (8, 8, "relu"), (8, 3, "softmax"))
        ),
        (0, 1, 2),
    )
    inputs = rng.integers(0, 2, (64, 4)).astype(np.float32)

    for flags, activations in zip(possibly_active(network), network.feedforward(inputs), strict=False):
        assert not activations[:, ~flags].any()
