"""The duration of a fit, in a small JSON file beside the model.

Enters: a model's path, its version, and seconds. Leaves: `MODEL.fit.json`, and the minutes in it. The duration is not
in the model file, so that equal fits are equal files with equal versions. Out of scope: measuring it.
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
    """Return the path of the duration's file for a model file."""
    return model.with_suffix(".fit.json")


def save(model: Path, version: str, seconds: float) -> None:
    """Write the duration of a model's fit, rounded to minutes. Raises TrainingError when that fails."""
    text = json.dumps({"model_version": version, "minutes": round(seconds / 60)}) + "\n"
    write_file(path_of(model), lambda file: file.write(text.encode()))


def minutes(path: Path, model: Artifact) -> int | None:
    """Return the duration of the fit of the model in this file, in minutes, or None where it is unknown.

    Falls back to the metadata of the model, which contain the duration in files of release 0.1, when the duration's
    file is missing, damaged, or of another model.
    """
    try:
        found = _FitTime.model_validate_json(path_of(path).read_bytes())
    except (OSError, ValidationError):
        return model.metadata.training.minutes
    return found.minutes if found.model_version == model.version else model.metadata.training.minutes
