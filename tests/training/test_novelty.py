"""The detector tells digits from what is none, by what the network makes of them in its hidden layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from service.model.calibration import novelty
from service.model.network import Network
from tests.training.conftest import Reported
from tests.training.tiny import TinyMnist, draw_digits
from training.export import to_network
from training.mnist import Digits
from training.negatives import collect
from training.novelty import fit_detector
from training.pen import write


def unlike(network: Network, detector: Network, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the novelty of images."""
    inputs = (images.reshape(-1, 784) / 255).astype(np.float32)
    return novelty(detector, network.features(inputs, network.feedforward(inputs)))


@pytest.fixture(scope="module")
def network(bent_fit: Reported) -> Network:
    """Return the network that was fitted on bent digits."""
    return to_network(bent_fit.fitted.classifier)


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Return more digits than the tiny MNIST has: a detector learns little from two hundred."""
    return draw_digits(1500, seed=8)


@pytest.fixture(scope="module")
def detector(network: Network, digits: Digits) -> Network:
    """Return its detector."""
    return fit_detector(network, digits, seed=1)


def test_detector_stands_on_the_features(network: Network, detector: Network) -> None:
    """It takes what the network made of a digit, and gives one probability: that there is none."""
    assert network.n_features == detector.layers[0].n_in
    assert ("logistic", (0, 1), 1) == (detector.head, detector.classes, detector.layers[-1].n_out)


def test_digits_are_less_novel_than_what_is_none(network: Network, detector: Network) -> None:
    """Of digits and other things that the detector has not seen, the digits have the lower novelty on the whole."""
    others = draw_digits(100, seed=6)
    rng = np.random.default_rng(7)
    strange = np.concatenate(list(collect(20, others, rng).values()))

    known, drawn, unknown = (
        unlike(network, detector, images) for images in (others.images, write(100, rng).images, strange)
    )

    def share_told_apart(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> float:
        return float(np.mean(low[:, None] < high))

    assert share_told_apart(known, unknown) > 0.8
    assert share_told_apart(drawn, unknown) > 0.6


def test_seed_decides(network: Network, tiny: TinyMnist) -> None:
    """The same network, digits and seed give the same detector, another seed another."""
    first, again, other = (fit_detector(network, tiny.digits.train, seed) for seed in (1, 1, 2))

    for one, two, three in zip(first.layers, again.layers, other.layers, strict=True):
        np.testing.assert_array_equal(one.weights, two.weights)
        np.testing.assert_array_equal(one.biases, two.biases)
        assert (one.weights != three.weights).any()
