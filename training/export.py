"""Fitted MLPClassifier -> service.network.Network. What is served is these arrays and nothing else."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

from service.network import Layer, Network


def to_network(classifier: MLPClassifier) -> Network:
    """Return the classifier's weights as a Network, in float32.

    Raises ValueError when the classifier answers several labels at once, or its classes are not integers.
    """
    head = classifier.out_activation_
    n_classes, n_outputs = len(classifier.classes_), classifier.n_outputs_
    if head not in {"softmax", "logistic"} or (head == "logistic" and (n_classes, n_outputs) != (2, 1)):
        message = f"a head {head} of {n_outputs} units over {n_classes} classes answers no single digit"
        raise ValueError(message)
    if not np.issubdtype(np.asarray(classifier.classes_).dtype, np.integer):
        message = f"classes must be integers, not {list(classifier.classes_)}"
        raise ValueError(message)
    activations = [classifier.activation] * (len(classifier.coefs_) - 1) + [head]
    layers = tuple(
        Layer(np.ascontiguousarray(weights, np.float32), np.ascontiguousarray(biases, np.float32), activation)
        for weights, biases, activation in zip(classifier.coefs_, classifier.intercepts_, activations, strict=True)
    )
    return Network(layers, tuple(int(label) for label in classifier.classes_))
