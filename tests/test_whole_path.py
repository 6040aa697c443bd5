"""From a file's bytes to the answer, on real digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient

from service.classifier import Classifier
from service.model.artifact import Artifact
from tests.pictures import encode
from training.evaluation import error
from training.mnist import Mnist

_PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg"}


def test_mnist_as_pictures_is_read_as_well_as_mnist_as_arrays(
    client: TestClient, bundled: Artifact, real_mnist: Mnist
) -> None:
    """Of 1,000 test digits, sent as PNG, at most one more is misread than of the same as arrays."""
    digits = real_mnist.test[:1_000]
    answers = [client.post("/predict", content=encode(image)).json()["digit"] for image in digits.images]
    as_pictures = np.mean(np.array(answers) != digits.labels)
    as_arrays = error(Classifier(bundled), digits).rate

    assert as_pictures <= as_arrays + 1 / 1_000


def test_real_pictures_are_read(classifier: Classifier, pictures_directory: Path) -> None:
    """Over folders of photos, scans and drawings, on average at least 95 % of the digits are read right."""
    shares = []
    for folder in sorted({path.parent for path in pictures_directory.rglob("*") if path.suffix in _PICTURE_SUFFIXES}):
        if folder.parent.name == "not_digits":
            continue
        files = [path for path in folder.iterdir() if path.suffix in _PICTURE_SUFFIXES]
        right = [str(classifier.predict_picture(path.read_bytes()).digit) == path.name[0] for path in files]
        shares.append(sum(right) / len(right))

    assert len(shares) > 0
    assert sum(shares) / len(shares) >= 0.95
