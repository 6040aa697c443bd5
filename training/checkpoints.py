"""Checkpoints: the state of a fit after an epoch <-> one npz file without pickle.

Enters and leaves: Checkpoint. A checkpoint is valid for one fit only, identified by a fingerprint of recipe, data and
classes. Out of scope: fitting.
"""

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

# Bytes of the SHA-256 at the end of the file.
_DIGEST_BYTES = 32


class CheckpointError(TrainingError):
    """A checkpoint is missing, damaged, or belongs to another fit."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a fit after some epochs.

    `parameters` are `coefs_` followed by `intercepts_`, float32. `mean` is their mean over the `n_averaged` epochs of
    the weight-averaging phase so far, or empty. `losses` and `validation_errors` have one number per epoch. `seconds`
    is the duration of all epochs.
    """

    parameters: Sequence[FloatArray]
    mean: Sequence[FloatArray]
    n_averaged: int
    losses: Sequence[float]
    validation_errors: Sequence[float]
    seconds: float = 0.0

    def after(
        self, parameters: Sequence[FloatArray], loss: float, error: float, seconds: float, *, averaged: bool
    ) -> Checkpoint:
        """Return the state after one more epoch. Its parameters enter the mean if `averaged`."""
        mean, n_averaged = self.mean, self.n_averaged
        if averaged:
            n_averaged += 1
            share = np.float32(1 / n_averaged)
            mean = [m + share * (p - m) for m, p in zip(mean or parameters, parameters, strict=True)]
        return Checkpoint(
            parameters, mean, n_averaged, [*self.losses, loss], [*self.validation_errors, error], self.seconds + seconds
        )


INITIAL = Checkpoint((), (), 0, (), ())


def fingerprint(recipe: Recipe, data: Mapping[str, str], classes: Sequence[int] | None = None) -> str:
    """Return the identity of a fit: SHA-256 of the recipe, the checksums of the data, and the classes, where chosen."""
    identity = json.dumps([recipe.settings(), recipe.seed, dict(data), classes], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def save(path: Path, checkpoint: Checkpoint, fingerprint: str) -> None:
    """Write a checkpoint of the fit with this fingerprint atomically. Raises TrainingError when that fails."""
    arrays: dict[str, Any] = {f"parameters.{i}": array for i, array in enumerate(checkpoint.parameters)}
    arrays |= {f"mean.{i}": array for i, array in enumerate(checkpoint.mean)}
    arrays |= {
        "fingerprint": np.array(fingerprint),
        "n_averaged": np.array(checkpoint.n_averaged),
        "losses": np.array(checkpoint.losses, np.float64),
        "validation_errors": np.array(checkpoint.validation_errors, np.float64),
        "seconds": np.array(checkpoint.seconds),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    # Zip readers ignore bytes after the end of the archive.
    write_file(path, lambda file: file.write(content + hashlib.sha256(content).digest()))


def load(path: Path, fingerprint: str) -> Checkpoint:
    """Read a checkpoint of the fit with this fingerprint.

    Raises CheckpointError when the file is missing, damaged, or of a fit with another recipe, seed or data.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        message = f"{path} does not exist: there is nothing to resume, fit without --resume"
        raise CheckpointError(message) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CheckpointError(message) from error
    content, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        message = f"{path} is damaged: remove it and fit without --resume"
        raise CheckpointError(message)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        if stored["fingerprint"].item() != fingerprint:
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
