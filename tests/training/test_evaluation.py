"""Digits misread are counted through the classifier that is served, and their share has an honest interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from service.artifact import Artifact
from service.classifier import Classifier
from tests.conftest import make_metadata, make_network
from training.evaluation import Error, error
from training.mnist import Digits


@pytest.mark.parametrize(("wrong", "n"), [(0, 7), (0, 10_000), (1, 60), (33, 5_000), (66, 10_000), (20, 20)])
def test_interval_is_wilsons(wrong: int, n: int) -> None:
    """The rate and its 95 % interval are scipy's, and stay within 0..1."""
    oracle = binomtest(wrong, n)
    expected = oracle.proportion_ci(confidence_level=0.95, method="wilson")

    measured = Error(wrong, n)

    assert oracle.statistic == measured.rate
    assert pytest.approx((expected.low, expected.high), abs=1e-6) == measured.interval
    assert 0 <= measured.interval[0] <= measured.interval[1] <= 1


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Error(33, 5_000), "0.66% (33 of 5000; 95 % interval 0.47% to 0.93%)"),
        (Error(0, 7), "0.00% (0 of 7; 95 % interval 0.00% to 35.43%)"),
        (Error(20, 20), "100.00% (20 of 20; 95 % interval 83.89% to 100.00%)"),
    ],
)
def test_error_is_said_in_per_cent(measured: Error, expected: str) -> None:
    """An error reads as its rate, its count and its interval, never as minus nought."""
    assert expected == str(measured)


@pytest.mark.parametrize("n", [3, 5_000, 5_003])
def test_error_counts_what_the_classifier_misreads(n: int) -> None:
    """Of any number of digits, those are wrong whose label is not the class of the largest score."""
    network = make_network(5)
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    # Every third label is the network's own answer, so that both kinds occur, and mistakes where a chunk ends.
    answers = network.feedforward(images.reshape(-1, 784).astype(np.float32) / np.float32(255))[-1].argmax(axis=1)
    labels = np.where(np.arange(n) % 3 == 0, answers, (answers + 1) % 10)

    measured = error(Classifier(Artifact(network, make_metadata(network), "")), Digits(images, labels))

    assert Error(wrong=n - (n + 2) // 3, n=n) == measured
