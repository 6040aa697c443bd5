"""Shared fixtures: tiny models with random weights, the bundled model, clients, and real data sets if configured."""

from __future__ import annotations

import gc
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.classifier import Classifier
from service.model import artifact
from service.model.artifact import Artifact, KnownAnswer, Metadata, TrainingRecord
from service.model.calibration import Calibration, ood_score
from service.model.network import Layer, Network
from service.settings import Settings, bundled_model
from service.types import PIXELS
from training import mnist
from training.mnist import Mnist

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No deadlines: on a busy machine they would fail without a defect. The same examples each time, so that a failure is
# that of the change at hand.
hypothesis.settings.register_profile("tests", max_examples=40, deadline=None, derandomize=True)
hypothesis.settings.load_profile("tests")

_DATA = "DIGITS_DATA"
_PICTURES = "DIGITS_PICTURES"
_NUMBERS = "DIGITS_NUMBERS"
_UNPREFIXED = {"PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "PROMETHEUS_MULTIPROC_DIR"}


# Fixtures that start a browser or a server, load MNIST or fit a network. Tests that start processes mark themselves.
_SLOW_FIXTURES = frozenset(
    {
        "browser",
        "mnist_directory",
        "pictures_directory",
        "bent_fit",
        "plain_fit",
        "detector",
        "slow_body_port",
        "two_workers",
        "directory_of_killed_worker",
    }
)


# What is imported stays until the end, so the garbage collector need not go over it again and again.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage as usual from now on, apart from what was imported."""
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import modules that are slow as a whole in `make quick`: that takes seconds in each worker."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.slow\n" in collection_path.read_text("utf-8") or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests with a slow fixture as slow, so that `make quick` leaves them out. Modules with most come first.

    Otherwise one of them may start when all others are done, and processors have nothing to do.
    """
    for item in items:
        if isinstance(item, pytest.Function) and _SLOW_FIXTURES.intersection(item.fixturenames):
            item.add_marker("slow")
    n_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -n_slow[item.path])


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove settings of the surrounding environment."""
    for name in [name for name in os.environ if name.startswith("DIGITS_") or name in _UNPREFIXED]:
        monkeypatch.delenv(name)


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Restore the loggers that a command in this process configures."""
    loggers = [logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


# Module scope: its event loop blocks this thread for other event loops while the browser is open.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return headless Chromium."""
    playwright_api = pytest.importorskip("playwright.sync_api")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("chromium is not on the PATH")
    # No requests for updates, and no sandbox, which needs privileges that containers lack.
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def mnist_directory() -> Path:
    """Return the directory with the four MNIST files. Skips without it."""
    if not os.environ.get(_DATA):
        pytest.skip(f"{_DATA} is not set: no MNIST files")
    return Path(os.environ[_DATA]).absolute()


@pytest.fixture(scope="session")
def real_mnist(mnist_directory: Path) -> Mnist:
    """Return the real MNIST data set."""
    return mnist.load(mnist_directory)


@pytest.fixture(scope="session")
def pictures_directory() -> Path:
    """Return the directory with real photos, scans and drawings. Skips without it."""
    if not os.environ.get(_PICTURES):
        pytest.skip(f"{_PICTURES} is not set: no pictures of digits")
    return Path(os.environ[_PICTURES]).absolute()


@pytest.fixture(scope="session")
def numbers_directory() -> Path:
    """Return the directory with real pictures of numbers. Skips without it."""
    if not os.environ.get(_NUMBERS):
        pytest.skip(f"{_NUMBERS} is not set: no pictures of numbers")
    return Path(os.environ[_NUMBERS]).absolute()


def make_network(
    *units: int,
    n_in: int = PIXELS,
    activation: str = "relu",
    head: str = "softmax",
    classes: tuple[int, ...] = tuple(range(10)),
) -> Network:
    """Return a network with random weights: `n_in` inputs, hidden layers of `units`, and an output layer `head`."""
    rng = np.random.default_rng(0)
    sizes = [n_in, *units, 1 if head == "logistic" else len(classes)]
    layers = [
        Layer(
            rng.normal(0, 0.1, (n_in, n_out)).astype(np.float32),
            rng.normal(0, 0.1, n_out).astype(np.float32),
            activation,
        )
        for n_in, n_out in pairwise(sizes)
    ]
    layers[-1] = Layer(layers[-1].weights, layers[-1].biases, head)
    return Network(tuple(layers), classes)


def make_detector(network: Network, *units: int, head: str = "logistic") -> Network:
    """Return an out-of-distribution (OOD) detector with random weights on top of the network's features."""
    return make_network(*units, n_in=network.n_features, head=head, classes=(0, 1))


def make_metadata(network: Network, detector: Network | None = None, *, temperature: float = 1.5) -> Metadata:
    """Return valid metadata of a network and its OOD detector, with the known answer that they compute."""
    calibration = Calibration(temperature=temperature, ambiguous_below=0.6, novel_from=0.7 if detector else None)
    known = KnownAnswer(pixels=[i % 256 for i in range(PIXELS)], probabilities=[])
    outputs = network.feedforward(known.inputs)
    probabilities = calibration.probabilities(network, outputs[-1])[0]
    unlike = ood_score(detector, network.features(known.inputs, outputs)).item() if detector else None
    return Metadata(
        name="tiny",
        classes=list(network.classes),
        activations=[layer.activation for layer in network.layers],
        novelty_activations=[layer.activation for layer in detector.layers] if detector else [],
        calibration=calibration,
        known_answer=known.model_copy(update={"probabilities": probabilities.tolist(), "novelty": unlike}),
        training=TrainingRecord(recipe="none", seed=None, settings={}, data={}, libraries={}),
        figures={},
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a network with random weights, 784 -> 20 -> 10."""
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    network = make_network(20)
    artifact.save(path, network, make_metadata(network))
    return path


@pytest.fixture(scope="session")
def watchful_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the same network with an OOD detector, 20 -> 3 -> 1."""
    path = tmp_path_factory.mktemp("models") / "watchful.safetensors"
    network = make_network(20)
    detector = make_detector(network, 3)
    artifact.save(path, network, make_metadata(network, detector), detector)
    return path


@pytest.fixture(scope="session")
def bundled() -> Artifact:
    """Return the bundled model, which is served by default."""
    return artifact.load(bundled_model())


@pytest.fixture(scope="session")
def classifier(bundled: Artifact) -> Classifier:
    """Return a classifier with the bundled model."""
    return Classifier(bundled)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """Return a client of the service with default settings and the bundled model."""
    with TestClient(create_app(Settings())) as client:
        yield client


@pytest.fixture(scope="module")
def tiny_client(tiny_model: Path) -> Iterator[TestClient]:
    """Return a client of the service with the tiny model and a body limit of 100 kB."""
    with TestClient(create_app(Settings(model=tiny_model, max_bytes=100_000))) as client:
        yield client


@pytest.fixture(scope="module")
def watchful_client(watchful_model: Path) -> Iterator[TestClient]:
    """Return a client of the service with the tiny model that has an OOD detector."""
    with TestClient(create_app(Settings(model=watchful_model))) as client:
        yield client
