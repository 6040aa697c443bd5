"""A fitted classifier -> the artifact of a model file: networks, calibration, training record, measured accuracies.

Enters: a fitted MLPClassifier, its recipe and digits; or an MLPClassifier that was fitted elsewhere. Leaves: an
Artifact. Out of scope: fitting the classifier, and writing the file (`service.model.artifact.save`).
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from service.classifier import Classifier
from service.model.artifact import Artifact, KnownAnswer, Metadata, TrainingRecord
from training.calibration import calibrate, uncalibrated
from training.card import schedule_of
from training.evaluation import error
from training.export import ExportError, fold_input_scale, to_network
from training.fitting import Fitted, as_inputs, split
from training.glyphs import FORMS
from training.mnist import Digits, Mnist
from training.novelty import fit_detector, fit_segment_detector
from training.pruning import prune
from training.reading import calibrate_reading
from training.recipes import MODEL_NAME, Recipe
from training.synthetic_digits import synthesize

_LIBRARIES = ("scikit-learn", "numpy", "scipy")


def pack(fitted: Fitted, recipe: Recipe, digits: Mnist, data: Mapping[str, str], name: str = MODEL_NAME) -> Artifact:
    """Return a fitted classifier as an artifact: with both detectors, calibrated, pruned, and evaluated.

    `data` has the SHA-256 of each training file, `name` is that of the model. Without a schedule there are no
    validation digits, hence neither detector nor calibration. The `sha256` of the artifact is empty until it is saved.
    """
    network = to_network(fitted.classifier)
    calibration = uncalibrated(len(network.classes))
    detector, training, validation = None, None, None
    if recipe.schedule:
        training, validation = split(digits.train, recipe.schedule.n_validation, recipe.seed)
        detector = fit_detector(network, training, recipe.seed)
        inputs = as_inputs(validation.images).astype(np.float32)
        calibration = calibrate(network, detector, inputs, validation.labels)
        network, detector = prune(network, detector)
    metadata = Metadata(
        name=name,
        classes=list(network.classes),
        activations=[layer.activation for layer in network.layers],
        novelty_activations=[layer.activation for layer in detector.layers] if detector else [],
        calibration=calibration,
        known_answer=KnownAnswer(pixels=digits.train.images[0].ravel().tolist(), probabilities=[]),
        training=TrainingRecord(
            recipe=recipe.name,
            seed=recipe.seed,
            settings=recipe.settings(),
            data=dict(data),
            libraries={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
            machine=f"{platform.machine()}, {os.cpu_count()} cores",
            losses=[round(loss, 5) for loss in fitted.losses],
            validation_errors=[round(error, 5) for error in fitted.validation_errors],
        ),
        figures={},
    )
    model = Artifact(network, metadata, "", detector)
    if training is not None and validation is not None:
        model = _with_reading(model, training, validation)
    update = {"known_answer": known_answer(model), "figures": _figures(model, digits, validation)}
    return replace(model, metadata=model.metadata.model_copy(update=update))


def refit_reading(model: Artifact, digits: Mnist) -> Artifact:
    """Return a model with the parts that read numbers fitted anew; what answers one digit stays.

    `digits` are those on which it was fitted. Raises TrainingError when it was fitted without a schedule.
    """
    schedule, seed = schedule_of(model), model.metadata.training.seed or 0
    return _with_reading(model, *split(digits.train, schedule["n_validation"], seed))


def _with_reading(model: Artifact, training: Digits, validation: Digits) -> Artifact:
    """Return a model with a segment detector and the calibration of lines."""
    seed = model.metadata.training.seed or 0
    detector = fit_segment_detector(model.network, training, seed)
    update: dict[str, Any] = {"segment_activations": [layer.activation for layer in detector.layers]}
    model = replace(model, metadata=model.metadata.model_copy(update=update), segment_detector=detector)
    calibration = model.metadata.calibration.model_copy(update={"reading": calibrate_reading(model, validation, seed)})
    return replace(model, metadata=model.metadata.model_copy(update={"calibration": calibration}))


def pack_foreign(classifier: MLPClassifier, largest_input: float) -> Artifact:
    """Return a digit classifier that was fitted elsewhere, on pixels 0..`largest_input`, as an artifact.

    It has neither calibration nor OOD detector, since its validation digits are unknown. Raises ExportError when it
    cannot be converted, its classes are not digits, or `largest_input` is not positive and finite.
    """
    if not 0 < largest_input < math.inf:
        message = f"the largest input must be a number above 0, not {largest_input:g}"
        raise ExportError(message)
    network = fold_input_scale(to_network(classifier), largest_input)
    if not set(network.classes) <= set(FORMS):
        message = f"classes must be digits from 0 to 9, not {list(network.classes)}"
        raise ExportError(message)
    image = synthesize(1, np.random.default_rng(0), classes=[network.classes[0]]).images[0]
    settings = {name: _plain(value) for name, value in classifier.get_params().items()}
    metadata = Metadata(
        name=MODEL_NAME,
        classes=list(network.classes),
        activations=[layer.activation for layer in network.layers],
        calibration=uncalibrated(len(network.classes)),
        known_answer=KnownAnswer(pixels=image.ravel().tolist(), probabilities=[]),
        training=TrainingRecord(recipe="foreign", seed=None, settings=settings, data={}, libraries={}),
        figures={},
    )
    model = Artifact(network, metadata, "")
    return replace(model, metadata=metadata.model_copy(update={"known_answer": known_answer(model)}))


def _plain(value: Any) -> Any:
    """Return a value that JSON can represent unchanged, and any other one as text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value


def known_answer(model: Artifact) -> KnownAnswer:
    """Return a model's known answer with the probabilities and the OOD score that the model computes for its digit."""
    known = model.metadata.known_answer
    (probabilities,), (score,) = model.answer(known.inputs)
    rounded = [round(float(p), 7) for p in probabilities]
    return known.model_copy(update={"probabilities": rounded, "novelty": score and round(score, 7)})


def _figures(model: Artifact, digits: Mnist, validation: Digits | None) -> dict[str, float]:
    parts = {"training": digits.train, "validation": validation, "test": digits.test}
    return {
        f"{name}_accuracy": round(1 - error(Classifier(model), part).rate, 6)
        for name, part in parts.items()
        if part is not None
    }
