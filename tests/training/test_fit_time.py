"""The duration of a fit is stored beside its model, for that model only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service.model import artifact
from service.model.artifact import Artifact
from training import fit_time


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Artifact:
    """Return a model whose metadata have no duration."""
    return artifact.load(tiny_model)


@pytest.fixture
def path(tmp_path: Path, model: Artifact) -> Path:
    """Return the path of a model whose fit took 62 minutes."""
    path = tmp_path / "new" / "model.safetensors"
    fit_time.save(path, model.version, 3_700.0)
    return path


def test_saved_duration_is_read(path: Path, model: Artifact) -> None:
    """Seconds are rounded to minutes, in a JSON file with the name of the model."""
    assert 62 == fit_time.minutes(path, model)
    assert [path.with_name("model.fit.json")] == list(path.parent.iterdir())


def test_duration_of_another_model_is_ignored(path: Path, model: Artifact) -> None:
    """The file of another version of the model is not used."""
    assert fit_time.minutes(path, replace(model, sha256="0" * 64)) is None


@pytest.mark.parametrize("content", [None, b"{}", b"\xff"])
def test_unreadable_file_is_ignored(path: Path, model: Artifact, content: bytes | None) -> None:
    """With a missing or damaged file the duration is unknown."""
    beside = path.with_name("model.fit.json")
    beside.unlink()
    if content is not None:
        beside.write_bytes(content)

    assert fit_time.minutes(path, model) is None


def test_duration_in_the_metadata_is_read(tmp_path: Path, bundled: Artifact) -> None:
    """Model files of release 0.1 contain the minutes."""
    training = bundled.metadata.training.model_copy(update={"minutes": 46})
    former = replace(bundled, metadata=bundled.metadata.model_copy(update={"training": training}))

    assert 46 == fit_time.minutes(tmp_path / "none.safetensors", former)
