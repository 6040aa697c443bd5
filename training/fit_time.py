"""How long a fit took, in a small JSON file beside the model.

Enters: a model's path, its version and seconds. Leaves: `MODEL.fit.json`, and its minutes again. The time is not in the
model file, so that equal fits are equal files with equal versions.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from service.model.artifact import Artifact
from training.files import write_file


class _FitTime(BaseModel):
    model_config = ConfigDict(frozen=True)

    model_version: str
    minutes: int


def path_of(model: Path) -> Path:
    """Return the path of the file that belongs to a model file."""
    return model.with_suffix(".fit.json")


def save(model: Path, version: str, seconds: float) -> None:
    """Write beside a model file how long its fit took, in whole minutes. Raises TrainingError when that fails."""
    text = json.dumps({"model_version": version, "minutes": round(seconds / 60)}) + "\n"
    write_file(path_of(model), lambda file: file.write(text.encode()))


def minutes(path: Path, model: Artifact) -> int | None:
    """Return how long the fit of the model in this file took; None where that is not known.

    Model files of release 0.1 say it themselves. A file that cannot be read, or is of another model, says nothing.
    """
    try:
        found = _FitTime.model_validate_json(path_of(path).read_bytes())
    except (OSError, ValidationError):
        return model.metadata.training.minutes
    return found.minutes if found.model_version == model.version else model.metadata.training.minutes
