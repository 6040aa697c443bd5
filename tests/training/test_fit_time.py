"""How long a fit took is known beside its model, and of that model alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service.model.artifact import Artifact
from training import fit_time


@pytest.fixture
def path(tmp_path: Path, packed: Artifact) -> Path:
    """Return the path of a model whose fit took 62 minutes."""
    path = tmp_path / "new" / "model.safetensors"
    fit_time.save(path, packed.version, 3_700.0)
    return path


def test_minutes_come_back(path: Path, packed: Artifact) -> None:
    """Seconds are rounded to minutes, in a JSON file that is named after the model's."""
    assert 62 == fit_time.minutes(path, packed)
    assert [path.with_name("model.fit.json")] == list(path.parent.iterdir())


def test_other_models_minutes_are_not_taken(path: Path, packed: Artifact) -> None:
    """A file that an earlier model left beside this one says nothing of this one."""
    assert fit_time.minutes(path, replace(packed, sha256="0" * 64)) is None


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b'{"model_version": "0", "minutes": "long"}', b"\xff"])
def test_unreadable_file_says_nothing(path: Path, packed: Artifact, content: bytes | None) -> None:
    """Without the file, or with a damaged one, the time is not known."""
    beside = path.with_name("model.fit.json")
    beside.unlink()
    if content is not None:
        beside.write_bytes(content)

    assert fit_time.minutes(path, packed) is None


def test_older_models_say_it_themselves(tmp_path: Path, bundled: Artifact) -> None:
    """The file of release 0.1 has the minutes in it."""
    assert bundled.metadata.training.minutes == fit_time.minutes(tmp_path / "none.safetensors", bundled)
    assert bundled.metadata.training.minutes is not None
