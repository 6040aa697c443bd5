"""The model card speaks of the model beside it."""

from __future__ import annotations

from pathlib import Path

from service.artifact import Artifact
from service.classifier import Classifier
from training.evaluation import error
from training.mnist import Mnist

_CARD = (Path(__file__).parent.parent / "models" / "README.md").read_text()


def test_the_card_names_the_model(bundled: Artifact) -> None:
    """Version, size and accuracies in the card are those in the file."""
    figures = bundled.metadata.figures

    assert f"`{bundled.version}`" in _CARD
    assert f"{bundled.network.n_parameters:,} parameters" in _CARD
    assert f"value: {figures['test_accuracy']:.4f}" in _CARD
    assert f"{1 - figures['test_accuracy']:.2%}".replace("%", " %") in _CARD
    assert f"{1 - figures['validation_accuracy']:.2%}".replace("%", " %") in _CARD


def test_the_figure_can_be_had_again(bundled: Artifact, real_mnist: Mnist) -> None:
    """Measured anew on MNIST's test digits, the error is the one in the file."""
    measured = error(Classifier(bundled), real_mnist.test)

    assert abs(1 - bundled.metadata.figures["test_accuracy"] - measured.rate) <= 0.0002
