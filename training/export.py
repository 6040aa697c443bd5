"""Conversion between scikit-learn and the service: fitted MLPClassifier <-> service.model.network.Network.

Enters and leaves: either of them, and networks with a temperature or an input scale folded into their weights. Out of
scope: files (`training.interchange`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.neural_network import MLPClassifier

from service.model.network import HIDDEN, Layer, Network
from training.errors import TrainingError


class ExportError(TrainingError):
    """A model cannot be converted."""


def to_network(classifier: MLPClassifier) -> Network:
    """Return the classifier's weights as a Network, in float32.

    Classes may be integers, also as floating-point numbers, and both as text, as in OpenML's copy of MNIST. Raises
    ExportError for a multi-label classifier, and for other classes.
    """
    head = classifier.out_activation_
    n_classes, n_outputs = len(classifier.classes_), classifier.n_outputs_
    if head not in {"softmax", "logistic"} or (head == "logistic" and (n_classes, n_outputs) != (2, 1)):
        message = f"a {head} head with {n_outputs} units for {n_classes} classes does not predict a single digit"
        raise ExportError(message)
    try:
        classes = tuple(_integer(label) for label in classifier.classes_)
    except ValueError as error:
        message = f"classes must be integers, not {list(classifier.classes_)}"
        raise ExportError(message) from error
    activations = [classifier.activation] * (len(classifier.coefs_) - 1) + [head]
    layers = tuple(
        Layer(np.ascontiguousarray(weights, np.float32), np.ascontiguousarray(biases, np.float32), activation)
        for weights, biases, activation in zip(classifier.coefs_, classifier.intercepts_, activations, strict=True)
    )
    return Network(layers, classes)


def _integer(label: object) -> int:
    """Return 3 for 3, 3.0, "3" and "3.0". Raises ValueError for anything else."""
    number = float(str(label))
    if not number.is_integer():
        raise ValueError(label)
    return int(number)


def to_classifier(network: Network) -> MLPClassifier:
    """Return a fitted MLPClassifier with a network's weights.

    Raises ExportError for what scikit-learn does not support: different activations in hidden layers, a softmax over
    two classes, unsorted classes.
    """
    if network.head == "softmax" and len(network.classes) == 2:
        message = "an MLPClassifier for two classes has a single sigmoid unit, not a softmax"
        raise ExportError(message)
    if list(network.classes) != sorted(network.classes):
        message = f"an MLPClassifier has sorted classes, not {list(network.classes)}"
        raise ExportError(message)
    *hidden, _ = network.layers
    activations = {layer.activation for layer in hidden} or {next(iter(HIDDEN))}
    if len(activations) > 1:
        message = f"an MLPClassifier has one activation for all hidden layers, not {sorted(activations)}"
        raise ExportError(message)
    classifier = MLPClassifier(tuple(layer.n_out for layer in hidden), activation=activations.pop(), random_state=0)
    # A fit on one blank picture creates all attributes of a fitted classifier. Its weights are replaced.
    blank = np.zeros((1, network.layers[0].n_in), np.float32)
    classifier.partial_fit(blank, [network.classes[0]], classes=network.classes)
    classifier.coefs_ = [layer.weights.copy() for layer in network.layers]
    classifier.intercepts_ = [layer.biases.copy() for layer in network.layers]
    # The state of the optimizer does not belong to the new weights, and skops does not trust the optimizer's type.
    for attribute in ("_optimizer", "_best_coefs", "_best_intercepts"):
        delattr(classifier, attribute)
    return classifier


def fold_temperature(network: Network, temperature: float) -> Network:
    """Return a network whose probabilities at temperature 1 are those of `network` at this temperature."""
    *layers, last = network.layers
    scale = np.float32(1 / temperature)
    return replace(network, layers=(*layers, replace(last, weights=last.weights * scale, biases=last.biases * scale)))


def fold_input_scale(network: Network, largest: float) -> Network:
    """Return a network that computes for inputs 0..1 what `network` computes for inputs 0..largest."""
    first, *layers = network.layers
    return replace(network, layers=(replace(first, weights=first.weights * np.float32(largest)), *layers))
