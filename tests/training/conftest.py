"""What the tests of training share: a tiny MNIST, mirrors that serve it, and networks fitted on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.neural_network import MLPClassifier

from tests.training.mirrors import Mirror, serve
from tests.training.tiny import BENT, PLAIN, TinyMnist, make_mnist
from training.fitting import Epoch, fit


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


@pytest.fixture(scope="session")
def plain_fit(tiny: TinyMnist) -> MLPClassifier:
    """Return a network fitted as in the lecture."""
    return fit(PLAIN, tiny.digits.train, lambda _: None)


@pytest.fixture(scope="session")
def bent_fit(tiny: TinyMnist) -> tuple[MLPClassifier, list[Epoch]]:
    """Return a network fitted on bent digits, and what was reported meanwhile."""
    reports: list[Epoch] = []
    return fit(BENT, tiny.digits.train, reports.append), reports
