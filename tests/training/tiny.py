"""A tiny MNIST and tiny recipes: the shapes of the real ones, generated in a moment."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.pictures import draw
from training.augmentation import Augmentation
from training.mnist import PARTS, Digits, Mnist, Part
from training.recipes import LECTURE, QUICK, Schedule

PLAIN = replace(LECTURE, name="plain", estimator={**LECTURE.estimator, "hidden_layer_sizes": (12,), "max_iter": 20})
# Two of the four epochs are averaged, and there is a synthetic digit for every second training digit.
SCHEDULE = Schedule(
    epochs=4,
    n_validation=40,
    augmentation=Augmentation(rotation=8, shear=8, scaling=0.1, shift=1, elastic=0.5, smoothness=4),
    synthetic_share=0.5,
    weight_decay=0.1,
    final_phase=0.5,
    final_strength=0.5,
    averaging_phase=0.5,
)
AUGMENTED = replace(
    QUICK,
    name="augmented",
    estimator={**QUICK.estimator, "hidden_layer_sizes": (24,), "batch_size": 20, "learning_rate_init": 0.02},
    schedule=SCHEDULE,
)


@dataclass(frozen=True)
class InterruptedSchedule(Schedule):
    """The same epochs, with Ctrl-C while the last one is prepared."""

    def is_averaged(self, epoch: int) -> bool:
        """Raise KeyboardInterrupt for the last epoch."""
        if epoch == self.epochs - 1:
            raise KeyboardInterrupt
        return super().is_averaged(epoch)


@dataclass(frozen=True)
class TinyMnist:
    """200 training and 60 test digits, as arrays and as the content of the four IDX files."""

    digits: Mnist
    parts: Mapping[str, Part]
    contents: Mapping[str, bytes]

    def write(self, directory: Path, *, packed: bool = True) -> Path:
        """Write the four files, gzip or uncompressed, and return their folder."""
        directory.mkdir(exist_ok=True)
        for name, content in self.contents.items():
            path = directory / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)
        return directory


def draw_digits(n: int, seed: int) -> Digits:
    """Return n drawn digits, 0 to 9 in turn, each in its own bounding box."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    images = []
    for label in labels:
        left, top, right, bottom = np.array([0.28, 0.18, 0.72, 0.82]) + rng.uniform(-0.06, 0.06, 4)
        image = draw(int(label), size=(28, 28), box=(left, top, right, bottom), width=0.08, ink=255, paper=0)
        images.append(np.asarray(image))
    return Digits(np.stack(images), labels)


def make_mnist() -> TinyMnist:
    """Return drawn digits and their files, with the names of the real ones."""
    digits = Mnist(draw_digits(200, seed=1), draw_digits(60, seed=2))
    arrays: dict[str, npt.NDArray[np.uint8]] = {
        "train_images": digits.train.images,
        "train_labels": digits.train.labels.astype(np.uint8),
        "test_images": digits.test.images,
        "test_labels": digits.test.labels.astype(np.uint8),
    }
    parts, contents = {}, {}
    for key, array in arrays.items():
        name = PARTS[key].name
        # Not `Part.header`: the test files must not depend on the code under test.
        header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
        contents[name] = header + array.tobytes()
        parts[key] = Part(name, hashlib.sha256(contents[name]).hexdigest(), array.shape)
    return TinyMnist(digits, parts, contents)
