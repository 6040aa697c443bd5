"""The evaluation report of a model: one JSON file and its figures.

Enters: a model, a baseline, and MNIST's test digits. Leaves: a folder with `report.json` and PNGs, which the model card
quotes. All answers come from `service.classifier`. The test digits are held out: nothing is fitted or selected here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from service.classifier import Classifier
from service.errors import PictureError
from service.model.artifact import Artifact
from service.model.verdict import Verdict
from service.reader import Reader
from training import figures
from training.corruptions import CORRUPTIONS
from training.evaluation import Answers, Error, evaluate
from training.files import write_file
from training.mnist import Digits
from training.negatives import Images, make_negatives
from training.numbers import pictures_of_pairs, read_rows
from training.reliability import (
    bins,
    brier_score,
    calibration_error_by_chance,
    expected_calibration_error,
    negative_log_likelihood,
)

# Images per kind of negatives, and test digits per corruption.
_N_NEGATIVES = 1_000
_N_CORRUPTED = 2_000
_SEED = 20
# Pictures of two digits; rows of each kind of gap; and the test digits of which those rows consist.
_N_PAIRS = 400
_N_ROWS = 400
_N_ROW_DIGITS = 2_000
# Calls of `progress`: one for each corruption, and four more.
N_STEPS = len(CORRUPTIONS) + 4


def measure(
    model: Artifact,
    baseline: Artifact,
    test: Digits,
    progress: Callable[[str], None] = lambda _: None,
    fit_minutes: int | None = None,
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Return the report as plain values, and its figures by name.

    `baseline` is a model whose errors on corrupted digits are reported too. `progress` is called with the name of each
    step before it starts. `fit_minutes` is the duration of the model's fit, None where it is unknown.
    """
    classifier = Classifier(model)
    progress("test digits")
    after = evaluate(classifier, test)
    calibration = model.metadata.calibration.model_copy(update={"temperature": 1.0})
    uncalibrated = replace(model, metadata=model.metadata.model_copy(update={"calibration": calibration}))
    before = evaluate(Classifier(uncalibrated), test)
    rng = np.random.default_rng(_SEED)
    progress("out-of-distribution images")
    negatives = not_clear(classifier, make_negatives(_N_NEGATIVES, test, rng))
    progress("pictures of two digits")
    verdicts = [
        classifier.predict_picture(one).verdict
        for one in pictures_of_pairs(test, _N_PAIRS, np.random.default_rng((_SEED, 1)))
    ]
    # Several digits are found in a picture, so they are measured on pictures.
    negatives["several digits"] = float(np.mean([verdict is not Verdict.CLEAR for verdict in verdicts]))
    digits = test[np.sort(rng.permutation(len(test))[:_N_CORRUPTED])]
    corrupted = {}
    for name in CORRUPTIONS:
        progress(f"digits with {name}")
        errors = [corrupted_error(Classifier(one), digits, name) for one in (model, baseline)]
        corrupted[name] = {"error": errors[0].rate, "baseline_error": errors[1].rate}
    progress("rows of digits")
    some = test[np.random.default_rng((_SEED, 2)).permutation(len(test))[:_N_ROW_DIGITS]]
    rows = read_rows(Reader(classifier), some, _N_ROWS, _SEED)
    training = model.metadata.training
    facts = {
        "model": {"name": model.metadata.name, "version": model.version},
        "fit": {"minutes": fit_minutes},
        "test": {
            **_error(after.error),
            "by_digit": {str(digit): _error(error) for digit, error in after.error_by_digit().items()},
            "confusion": after.confusion().tolist(),
        },
        "probabilities": {
            "temperature": model.metadata.calibration.temperature,
            "before_temperature": _probabilities(before),
            "after_temperature": _probabilities(after),
        },
        "reliability": [asdict(one) for one in bins(after)],
        "reference": reference(after),
        "verdict": {
            "clear": float(after.clear.mean()),
            "error_of_clear": float(np.mean(~after.correct[after.clear])) if after.clear.any() else None,
            "not_clear_of_what_is_no_digit": negatives,
            "several_digits_of_pairs": float(np.mean([verdict is Verdict.SEVERAL_DIGITS for verdict in verdicts])),
        },
        "n_pairs": _N_PAIRS,
        "n_rows": _N_ROWS,
        "rows": {kind: _error(error) for kind, error in rows.items()},
        "n_corrupted": len(digits),
        "corruptions": corrupted,
        "mean_corrupted_error": float(np.mean([row["error"] for row in corrupted.values()])),
        "mean_corrupted_baseline_error": float(np.mean([row["baseline_error"] for row in corrupted.values()])),
    }
    plots = {
        "weights": figures.weights(model.network.layers[0]),
        "learning": figures.learning(training.losses, training.validation_errors),
        "confusion": figures.confusion(after),
        "reliability": figures.reliability(before, after),
        "coverage": figures.coverage(after),
        "misread": figures.misread(test, after),
    }
    return facts, plots


def reference(answers: Answers) -> dict[str, Any]:
    """Return with what monitoring compares the answers of a running service, to notice drift.

    That is the mean `confidence` and the mean `novelty`, 0..1 (None without an OOD detector), and in `digits` the share
    of each class among the answers, 0..1.
    """
    return {
        "confidence": float(answers.confidences.mean()),
        "novelty": None if answers.novelties is None else float(answers.novelties.mean()),
        "digits": {str(one): float(np.mean(answers.answers == one)) for one in answers.classes},
    }


def not_clear(classifier: Classifier, kinds: Mapping[str, Images]) -> dict[str, float]:
    """Return the share, 0..1, of each kind of images whose verdict is not `clear`, for kinds that have images."""
    return {
        name: float(np.mean([p.verdict is not Verdict.CLEAR for p in classifier.predict_pixels(images)]))
        for name, images in kinds.items()
        if len(images)
    }


def corrupted_error(classifier: Classifier, digits: Digits, name: str) -> Error:
    """Return the error on digits with this corruption, sent as PNG. A rejected picture counts as an error."""
    rng = np.random.default_rng(_SEED)
    wrong = 0
    for image, label in zip(digits.images, digits.labels.tolist(), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(CORRUPTIONS[name](image, rng)).save(buffer, "PNG")
        try:
            wrong += classifier.predict_picture(buffer.getvalue()).digit != label
        except PictureError:
            wrong += 1
    return Error(wrong, len(digits))


def save(directory: Path, facts: Mapping[str, Any], plots: Mapping[str, Figure]) -> None:
    """Write `report.json` and a PNG of each figure to a folder. Raises TrainingError when that fails."""
    text = json.dumps(_rounded(facts), indent=1, allow_nan=False) + "\n"
    write_file(directory / "report.json", lambda file: file.write(text.encode()))
    for name, figure in plots.items():
        # Without the version of matplotlib in it, equal figures are equal files.
        write_file(directory / f"{name}.png", partial(figure.savefig, format="png", metadata={"Software": None}))


def _error(error: Error) -> dict[str, Any]:
    return {"wrong": error.wrong, "n": error.n, "error": error.rate, "interval": list(error.interval)}


def _probabilities(answers: Answers) -> dict[str, float]:
    mean, limit = calibration_error_by_chance(answers)
    return {
        "negative_log_likelihood": negative_log_likelihood(answers),
        "brier_score": brier_score(answers),
        "expected_calibration_error": expected_calibration_error(answers),
        "expected_calibration_error_by_chance": mean,
        "expected_calibration_error_by_chance_95": limit,
    }


def _rounded(value: Any) -> Any:
    """Return a value with all floats in it rounded to six decimals."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return value
