"""The model file: network, out-of-distribution (OOD) detector and metadata in one safetensors file, without pickle.

Enters and leaves: Network + Metadata <-> bytes. The network's tensors are `layers.{i}.weights` (n_in, n_out) and
`layers.{i}.biases` (n_out,), float32. The tensors of the OOD detector, where the model has one, are
`novelty.{i}.weights` and `novelty.{i}.biases`. The header contains three strings: the format version, the metadata as
JSON, and a checksum. The checksum is the SHA-256 of the whole file with the checksum's own 64 digits set to zero, so it
detects any flipped bit. Out of scope: fitting a network.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, Self

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import ArtifactError
from service.model.calibration import Calibration, ood_score
from service.model.network import HEADS, HIDDEN, Layer, Network
from service.types import PIXELS, FloatArray, Probabilities

FORMAT_VERSION = "1"
_NO_CHECKSUM = "0" * 64
# Prefixes of tensor names: the network, its OOD detector and its segment detector.
_LAYERS, _NOVELTY, _SEGMENTS = "layers", "novelty", "segments"
# Classes of the detectors: 0 in-distribution, 1 out-of-distribution.
_DETECTOR_CLASSES = (0, 1)
# float32 sums differ in the last digits between processors. A wrong weight or a broken BLAS differs by far more.
_KNOWN_ANSWER_TOLERANCE = 1e-4


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KnownAnswer(_Frozen):
    """One digit in MNIST form, 784 values 0..255, with its expected calibrated probabilities and OOD score."""

    pixels: list[Annotated[int, Field(ge=0, le=255)]] = Field(min_length=PIXELS, max_length=PIXELS)
    probabilities: list[float]
    novelty: float | None = None

    @property
    def inputs(self) -> FloatArray:
        """The digit as an input of the network: float32 (1, 784), 0..1."""
        return np.array([self.pixels], np.float32) / np.float32(255)


class TrainingRecord(_Frozen):
    """How the network was trained: recipe, hyperparameters, data, library versions, and losses by epoch.

    `settings` has the recipe's hyperparameters. Files of release 0.1 have other names for some of them, see
    `training.recipes.schedule_settings`.
    """

    recipe: str
    seed: int | None
    settings: dict[str, Any]
    data: dict[str, str] = Field(description="SHA-256 of each training file")
    libraries: dict[str, str] = Field(description="library versions at the time of the fit")
    machine: str | None = Field(None, description="processor architecture and number of cores")
    minutes: int | None = Field(None, description="duration of the fit; only in files of release 0.1")
    losses: list[float] = Field([], description="training loss by epoch")
    validation_errors: list[float] = Field([], description="validation error by epoch, 0..1")


class Metadata(_Frozen):
    """Everything in the file that is not a weight."""

    name: str
    classes: list[int] = Field(min_length=2)
    activations: list[str] = Field(min_length=1, description="of every layer; the last is the head")
    novelty_activations: list[str] = Field([], description="of every layer of the OOD detector; empty without one")
    segment_activations: list[str] = Field([], description="of every layer of the segment detector; empty without one")
    calibration: Calibration
    known_answer: KnownAnswer
    training: TrainingRecord
    figures: dict[str, float] = Field(description="measured accuracies by name, 0..1")


@dataclass(frozen=True, eq=False)
class Artifact:
    """A validated model.

    `detector` is the OOD detector on top of the network's features, or None. `segment_detector` is the one that tells
    whether a segment of a row is one whole digit, or None. `sha256` is the SHA-256 of the file.
    """

    network: Network
    metadata: Metadata
    sha256: str
    detector: Network | None = None
    segment_detector: Network | None = None

    @property
    def version(self) -> str:
        """The first 12 hex digits of the file's SHA-256."""
        return self.sha256[:12]

    def answer(self, inputs: FloatArray) -> tuple[Probabilities, list[float] | list[None]]:
        """Return calibrated probabilities (n, n_classes) and n OOD scores for inputs (n, 784).

        The OOD scores are None for a model without a detector.
        """
        outputs = self.network.feedforward(inputs)
        probabilities = self.metadata.calibration.probabilities(self.network, outputs[-1])
        if self.detector is None:
            return probabilities, [None] * len(inputs)
        return probabilities, ood_score(self.detector, self.network.features(inputs, outputs)).tolist()

    def answer_segments(
        self, inputs: FloatArray, is_whole: npt.NDArray[np.bool_]
    ) -> tuple[Probabilities, list[float] | list[None]]:
        """Return the same for segments of a row, scored by how unlike one whole digit each is.

        A segment that was not cut, as `is_whole`, bool (n,), has it, is a digit where either detector says so: of such
        digits the OOD detector has seen more. Without a segment detector the scores are those of the OOD detector.
        """
        if self.segment_detector is None or self.detector is None:
            return self.answer(inputs)
        outputs = self.network.feedforward(inputs)
        features = self.network.features(inputs, outputs)
        scores = ood_score(self.segment_detector, features)
        scores[is_whole] = np.minimum(scores[is_whole], ood_score(self.detector, features[is_whole]))
        return self.metadata.calibration.probabilities(self.network, outputs[-1]), scores.tolist()

    def check_known_answer(self) -> None:
        """Run the known-answer test. Raises ArtifactError where probabilities or OOD score differ by more than 1e-4."""
        known = self.metadata.known_answer
        with np.errstate(all="ignore"):  # Absurd weights overflow. The result is then NaN, and the test fails.
            (probabilities,), (score,) = self.answer(known.inputs)
        if (
            probabilities.shape != (len(known.probabilities),)
            or not np.allclose(probabilities, known.probabilities, rtol=0, atol=_KNOWN_ANSWER_TOLERANCE)
            or (known.novelty is None) != (score is None)
            or not abs((score or 0) - (known.novelty or 0)) <= _KNOWN_ANSWER_TOLERANCE
        ):
            message = "fails its known-answer test: the network's output for the stored digit is not the stored one"
            raise ArtifactError(message)

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return serialize(self.network, self.metadata, self.detector, self.segment_detector)

    def save(self, path: Path) -> Artifact:
        """Write the file, as the function `save`, and return the artifact that a service would load from it."""
        return save(path, self.network, self.metadata, self.detector, self.segment_detector)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Parse and validate a file's content. Raises ArtifactError with the first defect found."""
        header = _header(content)
        if header.get("format_version") != FORMAT_VERSION:
            found = header.get("format_version", "none")
            message = f"has format version {found}; this release reads {FORMAT_VERSION}: retrain it, or update"
            raise ArtifactError(message)
        checksum = header.get("checksum", "")
        digits = checksum.encode(errors="replace")
        blank = content.replace(digits, _NO_CHECKSUM.encode(), 1) if len(digits) == 64 else content
        if hashlib.sha256(blank).hexdigest() != checksum:
            message = "does not match its checksum: the file is damaged, replace it"
            raise ArtifactError(message)
        try:
            metadata = Metadata.model_validate_json(header.get("metadata", ""))
            tensors = safetensors.numpy.load(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["metadata", *map(str, first["loc"])])
            message = f"is not a model of this service: {place}: {first['msg']}"
            raise ArtifactError(message) from error
        except KeyError as error:
            message = f"is not a model of this service: it has tensors of type {error}, which numpy does not support"
            raise ArtifactError(message) from error
        except safetensors.SafetensorError as error:
            message = f"is not a model of this service: {error}"
            raise ArtifactError(message) from error
        network, detectors = _networks(metadata, tensors)
        artifact = cls(network, metadata, hashlib.sha256(content).hexdigest(), *detectors)
        artifact.check_known_answer()
        return artifact


def serialize(
    network: Network, metadata: Metadata, detector: Network | None = None, segment_detector: Network | None = None
) -> bytes:
    """Return the content of a model file, including its checksum."""
    tensors = {}
    for prefix, part in ((_LAYERS, network), (_NOVELTY, detector), (_SEGMENTS, segment_detector)):
        for i, layer in enumerate(part.layers if part else ()):
            tensors[f"{prefix}.{i}.weights"] = layer.weights
            tensors[f"{prefix}.{i}.biases"] = layer.biases
    # Fields that a file of an earlier release lacks stay absent: the version is a hash of the bytes.
    text = metadata.model_dump_json(exclude_unset=True)
    header = {"format_version": FORMAT_VERSION, "checksum": _NO_CHECKSUM, "metadata": text}
    blank = _with_sorted_header(safetensors.numpy.save(tensors, header))
    checksum = hashlib.sha256(blank).hexdigest()
    return blank.replace(_NO_CHECKSUM.encode(), checksum.encode(), 1)


def _with_sorted_header(content: bytes) -> bytes:
    """Return a safetensors file with the keys of its header sorted.

    The library writes the strings in random order. Sorted, equal models are equal files, and the first 64 digits that
    match the checksum are the checksum itself.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


def save(
    path: Path,
    network: Network,
    metadata: Metadata,
    detector: Network | None = None,
    segment_detector: Network | None = None,
) -> Artifact:
    """Write a model file atomically, and return the artifact that a service would load from it.

    Raises ArtifactError when the model fails validation, or when the path cannot be written.
    """
    content = serialize(network, metadata, detector, segment_detector)
    artifact = Artifact.from_bytes(content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise ArtifactError(message) from error
    return artifact


def load(path: Path) -> Artifact:
    """Read and validate a model file.

    Raises ArtifactError with the path when the file is missing, damaged, or not a model of this service.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"model {path} cannot be read: {error.strerror}; set DIGITS_MODEL to a model file"
        raise ArtifactError(message) from error
    try:
        return Artifact.from_bytes(content)
    except ArtifactError as error:
        message = f"model {path} {error}"
        raise ArtifactError(message) from error


def _header(content: bytes) -> dict[str, str]:
    """Return the strings of a safetensors header: 8 bytes of length, then JSON with `__metadata__`."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
        return {name: str(value) for name, value in header["__metadata__"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = "is not a model of this service, or is truncated"
        raise ArtifactError(message) from error


def _reject(reason: str) -> NoReturn:
    message = f"is not a model of this service: {reason}"
    raise ArtifactError(message)


def _networks(metadata: Metadata, tensors: dict[str, np.ndarray[Any, Any]]) -> tuple[Network, list[Network | None]]:
    """Return the network, and its OOD detector and segment detector, if any.

    Raises ArtifactError for tensors that do not fit together.
    """
    detectors = {_NOVELTY: metadata.novelty_activations, _SEGMENTS: metadata.segment_activations}
    expected = {
        f"{prefix}.{i}.{part}"
        for prefix, activations in {_LAYERS: metadata.activations, **detectors}.items()
        for i in range(len(activations))
        for part in ("weights", "biases")
    }
    if set(tensors) != expected:
        _reject(f"its tensors are {sorted(tensors)}, not {sorted(expected)}")
    network = _network(_LAYERS, tensors, metadata.activations, tuple(metadata.classes), PIXELS)
    return network, [
        _network(prefix, tensors, activations, _DETECTOR_CLASSES, network.n_features) if activations else None
        for prefix, activations in detectors.items()
    ]


def _network(
    prefix: str,
    tensors: dict[str, np.ndarray[Any, Any]],
    activations: list[str],
    classes: tuple[int, ...],
    n_in: int,
) -> Network:
    """Return the network of the tensors with a prefix. Raises ArtifactError for tensors that do not fit together."""
    *hidden, head = activations
    if head not in HEADS or not set(hidden) <= set(HIDDEN):
        _reject(f"it has activations {activations}")
    if head == "logistic" and len(classes) != 2:
        _reject(f"a logistic head has two classes, not {len(classes)}")
    layers = []
    for i, activation in enumerate(activations):
        name = f"{prefix}.{i}"
        weights, biases = tensors[f"{name}.weights"], tensors[f"{name}.biases"]
        if weights.ndim != 2 or weights.shape[0] != n_in or biases.shape != weights.shape[1:]:
            _reject(f"{name} has weights {weights.shape} and biases {biases.shape}, for {n_in} inputs")
        for tensor in (weights, biases):
            if tensor.dtype != np.float32:
                _reject(f"{name} is {tensor.dtype}, not float32")
            if not np.isfinite(tensor).all():
                _reject(f"{name} has weights that are not finite")
            tensor.setflags(write=False)
        layers.append(Layer(weights, biases, activation))
        n_in = weights.shape[1]
    n_out = 1 if head == "logistic" else len(classes)
    if n_in != n_out:
        _reject(f"its head has {n_in} units for {len(classes)} classes")
    return Network(tuple(layers), classes)
