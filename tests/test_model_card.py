"""The model card is that of the bundled model and its report."""

from __future__ import annotations

import json
from pathlib import Path

from service.classifier import Classifier
from service.model.artifact import Artifact
from service.settings import bundled_model
from training import card
from training.evaluation import error
from training.mnist import Mnist

_MODELS = Path(__file__).parent.parent / "models"
_REPORT = json.loads((_MODELS / "report" / "report.json").read_text())


def test_card_is_generated_from_model_and_report(bundled: Artifact) -> None:
    """The committed card equals the generated one, so no figure in it is written by hand."""
    written = card.write(bundled, _REPORT, bundled_model().stat().st_size, "report")

    assert written == (_MODELS / "README.md").read_text()


def test_report_is_of_the_model(bundled: Artifact) -> None:
    """The report has the version of the model, and the test error in its metadata."""
    assert bundled.version == _REPORT["model"]["version"]
    assert round(1 - bundled.metadata.figures["test_accuracy"], 6) == _REPORT["test"]["error"]


def test_test_error_is_reproducible(bundled: Artifact, real_mnist: Mnist) -> None:
    """The error on MNIST's test digits is that in the model file."""
    measured = error(Classifier(bundled), real_mnist.test)

    assert abs(1 - bundled.metadata.figures["test_accuracy"] - measured.rate) <= 0.0002
