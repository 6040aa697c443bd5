"""What the tests of training share: a tiny MNIST, mirrors that serve it, and networks fitted on it and packed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.model.artifact import Artifact
from tests.training.mirrors import Mirror, serve
from tests.training.tiny import BENT, PLAIN, TinyMnist, make_mnist
from training import mnist
from training.checkpoints import Checkpoint
from training.fitting import Epoch, Fitted, fit
from training.packing import pack


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the mirrors on this machine directly, whatever proxy is set."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture(scope="session")
def tiny() -> TinyMnist:
    """Return the tiny MNIST."""
    return make_mnist()


@pytest.fixture
def tiny_directory(tiny: TinyMnist, tmp_path: Path) -> Path:
    """Return a folder with the four tiny files, which a test may damage."""
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
    """A fitted network, and what was reported after each epoch."""

    fitted: Fitted
    epochs: Sequence[Epoch]
    checkpoints: Sequence[Checkpoint]


@pytest.fixture(scope="session")
def plain_fit(tiny: TinyMnist) -> Fitted:
    """Return a network fitted as in the lecture."""
    return fit(PLAIN, tiny.digits.train, lambda *_: None)


@pytest.fixture(scope="session")
def bent_fit(tiny: TinyMnist) -> Reported:
    """Return a network fitted on bent and drawn digits, and what was reported meanwhile."""
    reports: list[tuple[Epoch, Checkpoint]] = []
    fitted = fit(BENT, tiny.digits.train, lambda *report: reports.append(report))
    return Reported(fitted, [epoch for epoch, _ in reports], [checkpoint for _, checkpoint in reports])


@pytest.fixture(scope="session")
def packed(tiny: TinyMnist, bent_fit: Reported) -> Artifact:
    """Return the network fitted on bent digits, packed with its detector."""
    return pack(bent_fit.fitted, BENT, tiny.digits, mnist.checksums(tiny.parts))


@pytest.fixture(scope="session")
def packed_plain(tiny: TinyMnist, plain_fit: Fitted) -> Artifact:
    """Return the network fitted as in the lecture, packed."""
    return pack(plain_fit, PLAIN, tiny.digits, mnist.checksums(tiny.parts))
