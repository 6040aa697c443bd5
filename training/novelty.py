"""Fits the two detectors: small networks on top of the digit network's hidden activations.

Enters: a network and its training digits. Leaves: the out-of-distribution (OOD) detector, which tells whether a picture
shows a digit, and the segment detector, which tells whether a segment of a row is one whole digit; both are applied by
`service.model.calibration.ood_score`. The first is fitted on augmented and synthetic digits against
`training.negatives` (outlier exposure; Hendrycks, Mazeika and Dietterich 2019, "Deep Anomaly Detection with Outlier
Exposure"), the second also on `training.segments`. Out of scope: the threshold (`training.calibration`).
"""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from service.model.network import Network
from service.types import PIXELS
from training.augmentation import Augmentation, augment
from training.enlarging import renormalize
from training.export import to_network
from training.fitting import fit_without_convergence_warning
from training.mnist import Digits
from training.negatives import Images, make_negatives
from training.segments import make_segments
from training.synthetic_digits import synthesize

_UNITS = 128
_EPOCHS = 24
_LEARNING_RATE = 1e-3
# Negatives per kind and digit. All kinds together, with their multiples, are about as many as the digits.
_NEGATIVES_PER_KIND = 1 / 11
# Synthetic digits per digit: handwriting styles that are rare in MNIST are in-distribution too.
_SYNTHETIC_SHARE = 1 / 5
# Digits per digit that are enlarged to pictures and normalised.
_PICTURE_SHARE = 1 / 5
# For the segment detector: rows of digits per digit, and the share of the digits that are used beside their segments.
_ROW_SHARE = 1 / 8
_SHARE_BESIDE_SEGMENTS = 0.45
# In each epoch this share of the images is not augmented.
_UNCHANGED_SHARE = 0.25
_AUGMENTATION = Augmentation(rotation=8, shear=8, scaling=0.08, shift=0.7, elastic=0.6, smoothness=4, thickness=0.5)


def fit_detector(network: Network, digits: Digits, seed: int) -> Network:
    """Return a network from `network.features` (n, n_features) to the probability that the picture shows no digit.

    The same arguments give the same detector.
    """
    rng = np.random.default_rng((seed, 1))
    negatives = np.concatenate(list(make_negatives(round(_NEGATIVES_PER_KIND * len(digits)), digits, rng).values()))
    return _fit(network, np.concatenate([digits.images, *_other_hands(digits, rng)]), negatives, rng, seed)


def fit_segment_detector(network: Network, digits: Digits, seed: int) -> Network:
    """Return a network from `network.features` to the probability that a segment of a row is not one whole digit.

    The same arguments give the same detector.
    """
    rng = np.random.default_rng((seed, 3))
    some = digits[rng.permutation(len(digits))[: round(_SHARE_BESIDE_SEGMENTS * len(digits))]]
    segments = make_segments(round(_ROW_SHARE * len(digits)), digits, rng)
    negatives = make_negatives(round(_NEGATIVES_PER_KIND * len(some)), digits, rng).values()
    positives = np.concatenate([segments.digits, some.images, *_other_hands(some, rng)])
    return _fit(network, positives, np.concatenate([segments.others, *negatives]), rng, seed)


def _other_hands(digits: Digits, rng: np.random.Generator) -> tuple[Images, Images]:
    """Return digits as the service sees them in pictures, and synthetic digits, each uint8 (n, 28, 28)."""
    chosen = rng.permutation(len(digits))[: round(_PICTURE_SHARE * len(digits))]
    synthetic = synthesize(round(_SYNTHETIC_SHARE * len(digits)), rng, classes=np.unique(digits.labels).tolist())
    return renormalize(digits.images[chosen], rng), synthetic.images


def _fit(network: Network, positives: Images, negatives: Images, rng: np.random.Generator, seed: int) -> Network:
    """Return a network from `network.features` to the probability of a negative, for images uint8 (n, 28, 28)."""
    images = np.concatenate([positives, negatives])
    is_negative = np.arange(len(images)) >= len(positives)
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
        inputs = augment(images[order], _AUGMENTATION, rng)
        unchanged = rng.random(len(images)) < _UNCHANGED_SHARE
        inputs[unchanged] = images[order[unchanged]].reshape(-1, PIXELS) / np.float32(255)
        detector.set_params(learning_rate_init=_LEARNING_RATE * (1 + np.cos(np.pi * number / _EPOCHS)) / 2)
        features = network.features(inputs, network.feedforward(inputs))
        fit_without_convergence_warning(detector, features, is_negative[order].astype(np.int64))
    return to_network(detector)
