"""Fixtures of the tests of training: a tiny MNIST, mirrors that serve it, and networks that are fitted on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.model.artifact import Artifact
from tests.training.mirrors import Mirror, serve
from tests.training.tiny import AUGMENTED, PLAIN, TinyMnist, make_mnist
from training import mnist
from training.checkpoints import Checkpoint
from training.fitting import Epoch, Fitted, fit
from training.packing import pack


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not use a proxy for the mirrors on this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture(scope="session")
def tiny() -> TinyMnist:
    """Return the tiny MNIST."""
    return make_mnist()


@pytest.fixture
def tiny_directory(tiny: TinyMnist, tmp_path: Path) -> Path:
    """Return a folder with the four tiny files. A test may damage them."""
    return tiny.write(tmp_path / "mnist")


@pytest.fixture
def mirror(tiny: TinyMnist) -> Iterator[Mirror]:
    """Return a running mirror of the tiny MNIST."""
    with serve(tiny.contents) as mirror:
        yield mirror


@pytest.fixture
def other_mirror(tiny: TinyMnist) -> Iterator[Mirror]:
    """Return a second mirror."""
    with serve(tiny.contents) as mirror:
        yield mirror


@dataclass(frozen=True, eq=False)
class Reported:
    """A fitted network, and the reports after each epoch."""

    fitted: Fitted
    epochs: Sequence[Epoch]
    checkpoints: Sequence[Checkpoint]


@pytest.fixture(scope="session")
def plain_fit(tiny: TinyMnist) -> Fitted:
    """Return a network fitted with the lecture's recipe."""
    return fit(PLAIN, tiny.digits.train, lambda *_: None)


@pytest.fixture(scope="session")
def augmented_fit(tiny: TinyMnist) -> Reported:
    """Return a network fitted with augmentation and synthetic digits, and the reports of its epochs."""
    reports: list[tuple[Epoch, Checkpoint]] = []
    fitted = fit(AUGMENTED, tiny.digits.train, lambda *report: reports.append(report))
    return Reported(fitted, [epoch for epoch, _ in reports], [checkpoint for _, checkpoint in reports])


@pytest.fixture(scope="session")
def packed(tiny: TinyMnist, augmented_fit: Reported) -> Artifact:
    """Return the artifact of the network fitted with augmentation, with its OOD detector."""
    return pack(augmented_fit.fitted, AUGMENTED, tiny.digits, mnist.checksums(tiny.parts))


@pytest.fixture(scope="session")
def packed_plain(tiny: TinyMnist, plain_fit: Fitted) -> Artifact:
    """Return the artifact of the network fitted with the lecture's recipe."""
    return pack(plain_fit, PLAIN, tiny.digits, mnist.checksums(tiny.parts))
