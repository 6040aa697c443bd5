"""Fits the detector of what is no digit: a small network on top of the hidden activations of the one that reads digits.

Enters: a network and the digits it learned from. Leaves: the detector that `service.model.calibration` asks. It learns
from digits, bent and drawn ones among them, against `training.negatives`. That examples of what is foreign teach to
tell it follows Hendrycks, Mazeika and Dietterich 2019, "Deep Anomaly Detection with Outlier Exposure".
"""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from service.model.network import Network
from service.types import PIXELS
from training.augmentation import Augmentation, distort
from training.export import to_network
from training.fitting import fit_converged_or_not
from training.mnist import Digits
from training.negatives import collect
from training.pen import write

_UNITS = 64
_EPOCHS = 16
_LEARNING_RATE = 1e-3
# As many of each kind of negatives as this share of the digits: together about as many as those.
_OF_EACH_KIND = 1 / 11
# For seven digits one more is drawn by program, so that hands that MNIST hardly shows are digits too.
_DRAWN = 1 / 7
# In each epoch, this share of all is shown as it is, the rest is bent.
_UNCHANGED = 0.25
_BENT = Augmentation(rotation=8, shear=8, scaling=0.08, shift=0.7, elastic=0.6, smoothness=4, thickness=0.5)


def fit_detector(network: Network, digits: Digits, seed: int) -> Network:
    """Return a network that answers `network.features` with the probability that the picture shows no digit."""
    rng = np.random.default_rng((seed, 1))
    negatives = np.concatenate(list(collect(round(_OF_EACH_KIND * len(digits)), digits, rng).values()))
    drawn = write(round(_DRAWN * len(digits)), rng, classes=network.classes)
    images = np.concatenate([digits.images, drawn.images, negatives])
    novel = np.arange(len(images)) >= len(images) - len(negatives)
    detector = MLPClassifier(
        (_UNITS,),
        batch_size=min(250, len(images)),
        max_iter=1,
        shuffle=False,
        warm_start=True,
        random_state=seed,
    )
    for number in range(_EPOCHS):
        order = rng.permutation(len(images))
        inputs = distort(images[order], _BENT, rng)
        unchanged = rng.random(len(images)) < _UNCHANGED
        inputs[unchanged] = images[order[unchanged]].reshape(-1, PIXELS) / np.float32(255)
        detector.set_params(learning_rate_init=_LEARNING_RATE * (1 + np.cos(np.pi * number / _EPOCHS)) / 2)
        features = network.features(inputs, network.feedforward(inputs))
        fit_converged_or_not(detector, features, novel[order].astype(np.int64))
    return to_network(detector)
