"""A fitted classifier and what is known of it -> what the model file holds: network, calibration, figures."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np
from sklearn.neural_network import MLPClassifier

from service.artifact import Artifact, KnownAnswer, Metadata, Training
from service.classifier import Classifier
from service.network import Network
from service.verdict import Calibration
from training.calibration import UNCALIBRATED, calibrate
from training.evaluation import error
from training.export import to_network
from training.fitting import as_inputs, split
from training.mnist import Digits, Mnist
from training.recipes import Recipe

MODEL_NAME = "mnist-mlp"
_LIBRARIES = ("scikit-learn", "numpy", "scipy")


def pack(classifier: MLPClassifier, recipe: Recipe, digits: Mnist, data: Mapping[str, str]) -> tuple[Network, Metadata]:
    """Calibrate and measure a fitted classifier; `data` has the SHA-256 of each file it learned from."""
    network = to_network(classifier)
    calibration, validation = UNCALIBRATED, None
    if recipe.n_validation:
        _, validation = split(digits.train, recipe.n_validation, recipe.seed)
        calibration = calibrate(network, as_inputs(validation.images).astype(np.float32), validation.labels)
    metadata = Metadata(
        name=MODEL_NAME,
        classes=list(network.classes),
        activations=[layer.activation for layer in network.layers],
        calibration=calibration,
        known_answer=known_answer(network, calibration, digits.train),
        training=Training(
            recipe=recipe.name,
            seed=recipe.seed,
            settings=recipe.record(),
            data=dict(data),
            libraries={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        ),
        figures={},
    )
    return network, metadata.model_copy(update={"figures": _figures(network, metadata, digits, validation)})


def known_answer(network: Network, calibration: Calibration, train: Digits) -> KnownAnswer:
    """Return the first training digit with the probabilities that the network gives it."""
    known = KnownAnswer(pixels=train.images[0].ravel().tolist(), probabilities=[])
    scores = network.feedforward(known.inputs)[-1]
    probabilities = calibration.probabilities(network, scores)[0]
    return known.model_copy(update={"probabilities": [round(float(p), 7) for p in probabilities]})


def _figures(network: Network, metadata: Metadata, digits: Mnist, validation: Digits | None) -> dict[str, float]:
    # Not stored yet, so it has no SHA-256.
    classifier = Classifier(Artifact(network, metadata, sha256=""))
    parts = {"training": digits.train, "validation": validation, "test": digits.test}
    return {
        f"{name}_accuracy": round(1 - error(classifier, part).rate, 6)
        for name, part in parts.items()
        if part is not None
    }
