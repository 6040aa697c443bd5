"""The model card speaks of the model beside it."""

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


def test_the_card_is_that_of_the_model_and_its_report(bundled: Artifact) -> None:
    """Nobody has written a figure into it by hand."""
    written = card.write(bundled, _REPORT, bundled_model().stat().st_size, "report")

    assert written == (_MODELS / "README.md").read_text()


def test_the_report_is_of_the_model(bundled: Artifact) -> None:
    """It names the model's version, and has the errors that the file has."""
    assert bundled.version == _REPORT["model"]["version"]
    assert round(1 - bundled.metadata.figures["test_accuracy"], 6) == _REPORT["test"]["error"]


def test_the_figure_can_be_had_again(bundled: Artifact, real_mnist: Mnist) -> None:
    """Measured anew on MNIST's test digits, the error is the one in the file."""
    measured = error(Classifier(bundled), real_mnist.test)

    assert abs(1 - bundled.metadata.figures["test_accuracy"] - measured.rate) <= 0.0002
