"""A fit that was interrupted goes on: what is known after an epoch <-> one npz file, no pickle in it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from service.types import FloatArray
from training.errors import TrainingError
from training.files import write_file
from training.recipes import Recipe

# SHA-256 of all that stands before it.
_DIGEST = 32


class CheckpointError(TrainingError):
    """A checkpoint is missing, damaged, or of another fit; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after some epochs: all weights and biases, their mean over epochs that settled, and the history so far.

    `parameters` are `coefs_` followed by `intercepts_`; `mean` is of the `n_averaged` epochs that settled. `losses` and
    `validation_errors` have one number an epoch; all of them took `seconds`.
    """

    parameters: Sequence[FloatArray]
    mean: Sequence[FloatArray]
    n_averaged: int
    losses: Sequence[float]
    validation_errors: Sequence[float]
    seconds: float = 0.0

    def after(
        self, parameters: Sequence[FloatArray], loss: float, error: float, seconds: float, *, settles: bool
    ) -> Checkpoint:
        """Return the state after one more epoch, whose parameters count for the mean when it settles."""
        mean, n_averaged = self.mean, self.n_averaged
        if settles:
            n_averaged += 1
            share = np.float32(1 / n_averaged)
            mean = [m + share * (p - m) for m, p in zip(mean or parameters, parameters, strict=True)]
        return Checkpoint(
            parameters, mean, n_averaged, [*self.losses, loss], [*self.validation_errors, error], self.seconds + seconds
        )


START = Checkpoint((), (), 0, (), ())


def fingerprint(recipe: Recipe, data: Mapping[str, str], classes: Sequence[int] | None = None) -> str:
    """Return what tells one fit from another: SHA-256 of recipe, checksums of the data and classes, where chosen."""
    record = json.dumps([recipe.record(), recipe.seed, dict(data), classes], sort_keys=True)
    return hashlib.sha256(record.encode()).hexdigest()


def save(path: Path, checkpoint: Checkpoint, of: str) -> None:
    """Write a checkpoint of the fit with this fingerprint; an interruption leaves the one before it whole.

    Raises TrainingError when it cannot be written.
    """
    arrays: dict[str, Any] = {f"parameters.{i}": array for i, array in enumerate(checkpoint.parameters)}
    arrays |= {f"mean.{i}": array for i, array in enumerate(checkpoint.mean)}
    arrays |= {
        "of": np.array(of),
        "n_averaged": np.array(checkpoint.n_averaged),
        "losses": np.array(checkpoint.losses, np.float64),
        "validation_errors": np.array(checkpoint.validation_errors, np.float64),
        "seconds": np.array(checkpoint.seconds),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    # Behind the end of a zip file anything may stand.
    write_file(path, lambda file: file.write(content + hashlib.sha256(content).digest()))


def load(path: Path, of: str) -> Checkpoint:
    """Read a checkpoint of the fit with this fingerprint.

    Raises CheckpointError when there is none, it is damaged, or another recipe, seed or data was fitted.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        message = f"{path} does not exist: there is nothing to resume, fit without --resume"
        raise CheckpointError(message) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CheckpointError(message) from error
    content, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        message = f"{path} is damaged: remove it and fit without --resume"
        raise CheckpointError(message)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        if stored["of"].item() != of:
            message = f"{path} is of a fit with another recipe, seed or data: fit without --resume, or restore those"
            raise CheckpointError(message)
        return Checkpoint(
            _numbered(stored, "parameters"),
            _numbered(stored, "mean"),
            int(stored["n_averaged"]),
            stored["losses"].tolist(),
            stored["validation_errors"].tolist(),
            float(stored["seconds"]),
        )


def _numbered(stored: Mapping[str, FloatArray], prefix: str) -> list[FloatArray]:
    names = [name for name in stored if name.startswith(f"{prefix}.")]
    return [stored[f"{prefix}.{i}"] for i in range(len(names))]
