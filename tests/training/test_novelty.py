"""The out-of-distribution (OOD) detector separates digits from negatives, by the hidden activations of the network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from service.model.calibration import ood_score
from service.model.network import Network
from tests.training.conftest import Reported
from tests.training.tiny import TinyMnist, draw_digits
from training import novelty
from training.export import to_network
from training.mnist import Digits
from training.negatives import make_negatives
from training.novelty import fit_detector, fit_segment_detector
from training.segments import Segments, make_segments
from training.synthetic_digits import synthesize

pytestmark = pytest.mark.slow


def score_of(network: Network, detector: Network, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the OOD score of images."""
    inputs = (images.reshape(-1, 784) / 255).astype(np.float32)
    return ood_score(detector, network.features(inputs, network.feedforward(inputs)))


@pytest.fixture(scope="module")
def network(augmented_fit: Reported) -> Network:
    """Return the network that was fitted with augmentation."""
    return to_network(augmented_fit.fitted.classifier)


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Return 500 digits: 200, as the tiny MNIST has, are too few for a detector."""
    return draw_digits(500, seed=8)


@pytest.fixture(scope="module")
def detector(network: Network, digits: Digits) -> Network:
    """Return its OOD detector."""
    return fit_detector(network, digits, seed=1)


def test_detector_has_the_features_as_inputs(network: Network, detector: Network) -> None:
    """Its output is a single probability, that of class 1: out-of-distribution."""
    assert network.n_features == detector.layers[0].n_in
    assert ("logistic", (0, 1), 1) == (detector.head, detector.classes, detector.layers[-1].n_out)


def test_negatives_have_the_higher_score(network: Network, detector: Network) -> None:
    """New negatives have a higher score than new digits in most pairs, synthetic digits included (AUROC)."""
    others = draw_digits(100, seed=6)
    rng = np.random.default_rng(7)
    negatives = np.concatenate(list(make_negatives(20, others, rng).values()))

    known, synthetic, unknown = (
        score_of(network, detector, images) for images in (others.images, synthesize(100, rng).images, negatives)
    )

    def auroc(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]) -> float:
        return float(np.mean(low[:, None] < high))

    assert auroc(known, unknown) > 0.8
    assert auroc(synthetic, unknown) > 0.6


def test_parts_of_rows_have_the_higher_score(network: Network, digits: Digits) -> None:
    """Of new rows, halves of digits and joined digits have a higher score than whole ones in most pairs."""
    segments = make_segments(25, draw_digits(100, seed=6), np.random.default_rng(7))
    detector = fit_segment_detector(network, digits, seed=1)

    whole, others = (score_of(network, detector, images) for images in (segments.digits, segments.others))

    assert min(len(whole), len(others)) > 20
    assert np.mean(whole[:, None] < others) > 0.6


def test_rows_are_those_of_the_training_digits(
    network: Network, tiny: TinyMnist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a row for eight digits, and they are no other digits than those of the fit."""
    calls: list[tuple[int, Digits]] = []

    def recorded(n_rows: int, digits: Digits, rng: np.random.Generator) -> Segments:
        calls.append((n_rows, digits))
        return make_segments(n_rows, digits, rng)

    monkeypatch.setattr(novelty, "make_segments", recorded)
    digits = tiny.digits.train[:80]

    fit_segment_detector(network, digits, seed=1)

    assert [(10, digits)] == calls


def test_seed_determines_the_detector(network: Network, tiny: TinyMnist) -> None:
    """The same network, digits and seed give the same detector, another seed another."""
    first, again, other = (fit_detector(network, tiny.digits.train[:50], seed) for seed in (1, 1, 2))

    for one, two, three in zip(first.layers, again.layers, other.layers, strict=True):
        np.testing.assert_array_equal(one.weights, two.weights)
        np.testing.assert_array_equal(one.biases, two.biases)
        assert (one.weights != three.weights).any()
