"""A model file is loaded as it was saved; any other file is rejected with one line."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors
import safetensors.numpy

from service.errors import ArtifactError
from service.model import artifact
from service.model.artifact import Artifact, KnownAnswer, Metadata, TrainingRecord
from service.model.calibration import Calibration, ood_score
from service.model.network import Layer, Network
from service.settings import bundled_model
from service.types import PIXELS
from tests.conftest import make_detector, make_metadata, make_network

TINY = make_network(2)
TINY_METADATA = make_metadata(TINY)
CONTENT = artifact.serialize(TINY, TINY_METADATA)
DETECTOR = make_detector(TINY, 3)
DETECTOR_METADATA = make_metadata(TINY, DETECTOR)
HEADER_END = 8 + int.from_bytes(CONTENT[:8], "little")


def rejection(path: Path, content: bytes) -> str:
    """Write a file and assert that it is rejected with one line that names it. Return the rest of the line."""
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        artifact.load(path)
    message = str(caught.value)
    start = f"model {path} "
    assert message.startswith(start)
    assert "\n" not in message
    return message.removeprefix(start)


def file_of(tensors: dict[str, npt.NDArray[Any]], metadata: str, **header: str) -> bytes:
    """Return a model file of these tensors and metadata, with a valid checksum."""
    blank = {"format_version": "1", "checksum": "0" * 64, "metadata": metadata} | header
    return with_checksum(safetensors.numpy.save(tensors, blank))


def with_checksum(content: bytes) -> bytes:
    """Return a file with its checksum in place of 64 zeros."""
    place = b'"checksum":"'
    return content.replace(place + b"0" * 64, place + hashlib.sha256(content).hexdigest().encode(), 1)


def raw(header: object, data: bytes = b"") -> bytes:
    """Return a file with the layout of safetensors and any header, with a valid checksum if it has a place for one."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return with_checksum(len(text).to_bytes(8, "little") + text + data)


def tensors_of(network: Network, detector: Network | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a network and its OOD detector, by their names in the file."""
    named: dict[str, npt.NDArray[Any]] = {}
    for prefix, layers in (("layers", network.layers), ("novelty", detector.layers if detector else ())):
        for i, layer in enumerate(layers):
            named |= {f"{prefix}.{i}.weights": layer.weights, f"{prefix}.{i}.biases": layer.biases}
    return named


def metadata_with(**changes: Any) -> str:
    """Return the tiny model's metadata as JSON, with changed fields."""
    return json.dumps(TINY_METADATA.model_dump() | changes)


def detector_metadata_with(**changes: Any) -> str:
    """Return the metadata of the tiny model with an OOD detector as JSON, with changed fields."""
    return json.dumps(DETECTOR_METADATA.model_dump() | changes)


# --- Round trip


@pytest.mark.parametrize(
    "network",
    [
        make_network(2),
        make_network(3, 2, activation="tanh"),
        make_network(),
        make_network(3, activation="logistic", head="logistic", classes=(3, 8)),
        make_network(3, activation="identity", classes=(0, 1)),
        make_network(*[2] * 11),
    ],
    ids=["one hidden layer", "two", "none", "logistic head", "two classes", "eleven"],
)
def test_saved_model_is_loaded(tmp_path: Path, network: Network) -> None:
    """Weights are equal bit for bit, metadata too, and the version is the start of the file's SHA-256."""
    path = tmp_path / "model.safetensors"
    metadata = make_metadata(network)
    saved = artifact.save(path, network, metadata)
    loaded = artifact.load(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    assert repr(network) == repr(loaded.network)
    assert network.classes == loaded.network.classes
    for before, after in zip(network.layers, loaded.network.layers, strict=True):
        assert before.weights.tobytes() == after.weights.tobytes()
        assert before.biases.tobytes() == after.biases.tobytes()
        assert before.weights.shape == after.weights.shape
        assert before.activation == after.activation
    assert metadata == loaded.metadata
    assert (digest, digest[:12]) == (loaded.sha256, loaded.version)
    assert (digest, metadata) == (saved.sha256, saved.metadata)


@pytest.mark.parametrize(
    ("network", "detector"),
    [
        (TINY, DETECTOR),
        (TINY, make_detector(TINY)),
        (TINY, make_detector(TINY, 3, 2, head="softmax")),
        (make_network(3, 2), make_detector(make_network(3, 2), 2)),
        (make_network(), make_detector(make_network(), 2)),
        (make_network(3, head="logistic", classes=(3, 8)), make_detector(make_network(3), 2)),
        (TINY, make_detector(TINY, *[2] * 11)),
    ],
    ids=["one hidden layer", "none", "softmax", "on two hidden layers", "on the inputs", "two classes", "eleven"],
)
def test_a_detector_is_loaded_with_its_network(tmp_path: Path, network: Network, detector: Network) -> None:
    """The weights of the OOD detector are equal bit for bit, and it has two classes."""
    path = tmp_path / "model.safetensors"
    metadata = make_metadata(network, detector)
    saved = artifact.save(path, network, metadata, detector)
    loaded = artifact.load(path)

    assert loaded.detector is not None
    assert (repr(network), repr(detector)) == (repr(loaded.network), repr(loaded.detector))
    assert (0, 1) == loaded.detector.classes
    for before, after in zip(detector.layers, loaded.detector.layers, strict=True):
        assert before.weights.tobytes() == after.weights.tobytes()
        assert before.biases.tobytes() == after.biases.tobytes()
        assert before.activation == after.activation
    assert metadata == loaded.metadata == saved.metadata
    assert saved.sha256 == loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.read_bytes() == loaded.to_bytes()


def test_model_without_detector_has_no_ood_scores(tiny_model: Path) -> None:
    """The OOD scores are None."""
    model = artifact.load(tiny_model)
    probabilities, novelties = model.answer(np.zeros((3, PIXELS), np.float32))

    assert model.detector is None
    assert ((3, 10), [None] * 3) == (probabilities.shape, novelties)


def test_answer_has_probabilities_and_ood_scores(watchful_model: Path) -> None:
    """Probabilities are calibrated, and OOD scores are the detector's, as Python floats."""
    model = artifact.load(watchful_model)
    inputs = np.random.default_rng(0).random((5, PIXELS), np.float32)
    features, scores = model.network.feedforward(inputs)  # One hidden layer: its activations are the features.
    assert model.detector is not None

    probabilities, novelties = model.answer(inputs)

    np.testing.assert_array_equal(model.network.probabilities(scores, 1.5), probabilities)
    assert ood_score(model.detector, features).tolist() == novelties
    assert [float] * 5 == [type(score) for score in novelties]
    assert ((0, 10), 0) == (model.answer(inputs[:0])[0].shape, len(model.answer(inputs[:0])[1]))


def test_segment_detector_is_loaded_beside_the_ood_detector(tmp_path: Path) -> None:
    """Segments are scored by the segment detector, and whole ones by the kinder of both."""
    segments = make_detector(TINY, 2)
    update = {"segment_activations": [layer.activation for layer in segments.layers]}
    path = tmp_path / "model.safetensors"
    artifact.save(path, TINY, DETECTOR_METADATA.model_copy(update=update), DETECTOR, segments)
    model = artifact.load(path)
    inputs = np.random.default_rng(0).random((5, PIXELS), np.float32)
    features = TINY.features(inputs, TINY.feedforward(inputs))

    is_whole = np.array([True, False, True, False, True])
    probabilities, scores = model.answer_segments(inputs, is_whole)
    of_segments, of_pictures = ood_score(segments, features), ood_score(DETECTOR, features)

    assert path.read_bytes() == model.to_bytes()
    assert of_pictures.tolist() == model.answer(inputs)[1]
    np.testing.assert_array_equal(model.answer(inputs)[0], probabilities)
    assert np.where(is_whole, np.minimum(of_segments, of_pictures), of_segments).tolist() == pytest.approx(scores)


def test_segments_without_a_detector_of_their_own(watchful_model: Path, tiny_model: Path) -> None:
    """They are scored by the OOD detector, if there is one."""
    inputs = np.random.default_rng(0).random((5, PIXELS), np.float32)

    for path in (watchful_model, tiny_model):
        model = artifact.load(path)
        assert model.answer(inputs)[1] == model.answer_segments(inputs, np.ones(5, np.bool_))[1]


def test_file_without_later_fields_is_read() -> None:
    """Fields that did not exist are absent, also when the file is written again: its version is a hash of its bytes."""
    fields = TINY_METADATA.model_dump()
    del fields["novelty_activations"], fields["known_answer"]["novelty"], fields["calibration"]["novel_from"]
    fields["training"] = {"recipe": "none", "seed": None, "settings": {}, "data": {}, "libraries": {}}
    model = Artifact.from_bytes(file_of(tensors_of(TINY), json.dumps(fields)))

    assert model.detector is None
    assert TINY_METADATA == model.metadata
    assert ([], []) == (model.metadata.training.losses, model.metadata.training.validation_errors)
    # It is serialized as it was read, since its version is a hash of its bytes.
    content = model.to_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert fields == json.loads(header["__metadata__"]["metadata"])


def test_metadata_are_loaded_exactly() -> None:
    """Unicode, nested settings, missing seeds and floats are equal after loading."""
    metadata = TINY_METADATA.model_copy(
        update={
            "name": 'Ziffern "0\u20119" \u6570\u5b57\n',
            "training": TrainingRecord(
                recipe="lecture",
                seed=1,
                settings={"hidden": [50], "alpha": 1e-4, "early": None, "deep": {"on": True}},
                data={"train": "0" * 64},
                libraries={"numpy": "2.4.0"},
                machine="x86_64, 2 cores",
                minutes=62,
                losses=[0.5, 1e-300],
                validation_errors=[1.0, 0.1 + 0.2],
            ),
            "figures": {"accuracy": 0.1 + 0.2, "loss": 1e-300},
        }
    )

    assert metadata == Artifact.from_bytes(artifact.serialize(TINY, metadata)).metadata


def test_serialization_is_deterministic() -> None:
    """Equal models are equal files, with equal versions."""
    again = {artifact.serialize(TINY, TINY_METADATA) for _ in range(20)}

    assert {CONTENT} == again
    assert CONTENT == Artifact.from_bytes(CONTENT).to_bytes()
    content = artifact.serialize(TINY, DETECTOR_METADATA, DETECTOR)
    assert content == Artifact.from_bytes(content).to_bytes() != CONTENT


def test_bundled_model_is_serialized_to_the_same_bytes(bundled: Artifact) -> None:
    """`/model/weights` returns the file itself, with its version."""
    assert hashlib.sha256(bundled_model().read_bytes()).hexdigest() == hashlib.sha256(bundled.to_bytes()).hexdigest()


def test_file_is_plain_safetensors(watchful_model: Path) -> None:
    """The library alone reads the documented tensors and strings."""
    with safetensors.safe_open(watchful_model, "np") as file:
        strings = file.metadata()
        shapes = {name: (file.get_tensor(name).shape, file.get_tensor(name).dtype) for name in file.keys()}  # noqa: SIM118 - no dict

    assert {"format_version", "metadata", "checksum"} == set(strings)
    assert "1" == strings["format_version"]
    assert "tiny" == json.loads(strings["metadata"])["name"]
    assert shapes == {
        "layers.0.weights": ((PIXELS, 20), np.float32),
        "layers.0.biases": ((20,), np.float32),
        "layers.1.weights": ((20, 10), np.float32),
        "layers.1.biases": ((10,), np.float32),
        "novelty.0.weights": ((20, 3), np.float32),
        "novelty.0.biases": ((3,), np.float32),
        "novelty.1.weights": ((3, 1), np.float32),
        "novelty.1.biases": ((1,), np.float32),
    }


def test_checksum_is_as_documented() -> None:
    """It is the SHA-256 of the file with its own 64 digits set to zero."""
    checksum = json.loads(CONTENT[8:HEADER_END])["__metadata__"]["checksum"]

    assert hashlib.sha256(CONTENT.replace(checksum.encode(), b"0" * 64)).hexdigest() == checksum


def test_loaded_weights_are_read_only(watchful_model: Path) -> None:
    """Concurrent requests share the weights."""
    model = artifact.load(watchful_model)
    assert model.detector is not None

    for network in (model.network, model.detector):
        with pytest.raises(ValueError, match="read-only"):
            network.layers[0].weights[0, 0] = 1


def test_known_answer_is_scaled_to_inputs() -> None:
    """0 to 255 become 0 to 1, in a row of 784."""
    known = KnownAnswer(pixels=[0, 51, 255] + [0] * 781, probabilities=[0.5, 0.5])

    assert (1, PIXELS) == known.inputs.shape
    assert np.float32 == known.inputs.dtype
    assert pytest.approx([0, 0.2, 1]) == known.inputs[0, :3].tolist()


def test_known_answer_has_calibrated_probabilities() -> None:
    """Another temperature fails the known-answer test."""
    cooler = TINY_METADATA.model_copy(update={"calibration": Calibration(temperature=0.5, ambiguous_below=0.6)})

    Artifact(TINY, TINY_METADATA, "").check_known_answer()
    with pytest.raises(ArtifactError, match="known-answer test"):
        Artifact(TINY, cooler, "").check_known_answer()


# --- Files that are rejected


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    """The line has the path, the reason, and the setting that names another file."""
    path = tmp_path / "none.safetensors"
    expected = f"model {path} cannot be read: No such file or directory; set DIGITS_MODEL to a model file"

    with pytest.raises(ArtifactError, match=f"^{re.escape(expected)}$"):
        artifact.load(path)


def test_directory_is_rejected(tmp_path: Path) -> None:
    """A directory cannot be read as a file."""
    expected = f"model {tmp_path} cannot be read: Is a directory; set DIGITS_MODEL to a model file"

    with pytest.raises(ArtifactError, match=f"^{re.escape(expected)}$"):
        artifact.load(tmp_path)


@pytest.mark.parametrize("length", [0, 7, 100, HEADER_END - 9, HEADER_END, len(CONTENT) - 1])
def test_truncated_file_is_rejected(tmp_path: Path, length: int) -> None:
    """A file truncated in its length, header or weights is rejected."""
    expected = "truncated" if length < HEADER_END - 8 else "checksum"

    assert expected in rejection(tmp_path / "short", CONTENT[:length])


def test_longer_file_is_rejected(tmp_path: Path) -> None:
    """Bytes after the end do not match the checksum."""
    assert "checksum" in rejection(tmp_path / "long", CONTENT + b"\x00")


@pytest.mark.parametrize("part", ["length and header", "data"])
def test_damaged_byte_is_detected(tmp_path: Path, part: str) -> None:
    """A changed byte anywhere in the file is detected."""
    start, end = (0, HEADER_END) if part == "length and header" else (HEADER_END, len(CONTENT))
    places = sorted({*range(start, min(start + 40, end)), *np.linspace(start, end - 1, 160, dtype=int).tolist()})
    rng = np.random.default_rng(0)
    for place in places:
        damaged = bytearray(CONTENT)
        damaged[place] ^= int(rng.integers(1, 256))
        line = rejection(tmp_path / "damaged", bytes(damaged))

        assert re.match("does not match its checksum|is not a model|has format version", line), (place, line)


def test_damaged_checksum_is_detected(tmp_path: Path) -> None:
    """Every digit of the checksum is compared, with its case."""
    start = CONTENT.index(b'"checksum":"') + len(b'"checksum":"')
    for place in range(start, start + 64):
        for bit in (0, 5):
            damaged = bytearray(CONTENT)
            damaged[place] ^= 1 << bit

            assert re.search("checksum|truncated", rejection(tmp_path / "damaged", bytes(damaged)))


@pytest.mark.parametrize(
    "content",
    [
        b'{"weights": [1, 2, 3]}',
        b"\x80\x04\x95 this was a pickle",
        bytes(1000),
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        safetensors.numpy.save({"w": np.zeros((2, 2), np.float32)}),
        raw([1, 2, 3]),
        raw({"__metadata__": None}),
    ],
    ids=[
        "JSON",
        "pickle",
        "zeros",
        "deep",
        "safetensors without strings",
        "list",
        "null",
    ],
)
def test_file_of_another_kind_is_rejected(tmp_path: Path, content: bytes) -> None:
    """Other formats, and safetensors files without strings, are no models."""
    assert "is not a model of this service, or is truncated" == rejection(tmp_path / "foreign", content)


@pytest.mark.parametrize(
    ("strings", "expected"),
    [
        ({"format": "pt"}, "has format version none; this release reads 1: retrain it, or update"),
        ({"format_version": "2"}, "has format version 2; this release reads 1: retrain it, or update"),
        ({"format_version": "1"}, "does not match its checksum: the file is damaged, replace it"),
        (
            {"format_version": "1", "checksum": "\ud800" * 64},
            "does not match its checksum: the file is damaged, replace it",
        ),
    ],
    ids=["somebody else's", "another version", "no checksum", "surrogates"],
)
def test_other_safetensors_files_are_rejected(tmp_path: Path, strings: dict[str, Any], expected: str) -> None:
    """The line distinguishes another format from damage."""
    assert expected == rejection(tmp_path / "foreign", raw({"__metadata__": strings}))


def test_other_format_version_is_rejected(tmp_path: Path) -> None:
    """A valid file of a later release is not called damaged."""
    content = file_of(tensors_of(TINY), metadata_with(), format_version="2")

    assert "has format version 2; this release reads 1: retrain it, or update" == rejection(tmp_path / "m", content)


def test_helper_makes_valid_files() -> None:
    """The defects in the tests below are those they introduce."""
    assert TINY_METADATA == Artifact.from_bytes(file_of(tensors_of(TINY), metadata_with())).metadata


NAMES = ["layers.0.biases", "layers.0.weights", "layers.1.biases", "layers.1.weights"]
WEIGHTS, BIASES = TINY.layers[0].weights, TINY.layers[0].biases


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"layers.0.weights": WEIGHTS[:783]},
            "layers.0 has weights (783, 2) and biases (2,), for 784 inputs",
        ),
        (
            {"layers.0.weights": WEIGHTS[:, :, None], "layers.0.biases": BIASES[:, None]},
            "layers.0 has weights (784, 2, 1) and biases (2, 1), for 784 inputs",
        ),
        ({"layers.0.weights": WEIGHTS.ravel()}, "layers.0 has weights (1568,) and biases (2,), for 784 inputs"),
        (
            {"layers.0.biases": np.zeros(3, np.float32)},
            "layers.0 has weights (784, 2) and biases (3,), for 784 inputs",
        ),
        (
            {"layers.1.weights": np.zeros((3, 10), np.float32)},
            "layers.1 has weights (3, 10) and biases (10,), for 2 inputs",
        ),
        (
            {"layers.1.weights": np.zeros((2, 9), np.float32), "layers.1.biases": np.zeros(9, np.float32)},
            "its head has 9 units for 10 classes",
        ),
        ({"layers.0.weights": WEIGHTS.astype(np.float64)}, "layers.0 is float64, not float32"),
        ({"layers.1.biases": np.zeros(10, np.int32)}, "layers.1 is int32, not float32"),
        ({"layers.0.weights": WEIGHTS * np.float32(np.nan)}, "layers.0 has weights that are not finite"),
        ({"layers.1.biases": np.full(10, -np.inf, np.float32)}, "layers.1 has weights that are not finite"),
        (
            {"optimizer": np.zeros(1, np.float32)},
            f"its tensors are {[*NAMES, 'optimizer']}, not {NAMES}",
        ),
        (
            {"layers.1.biases": None},
            f"its tensors are {[*NAMES[:2], NAMES[3]]}, not {NAMES}",
        ),
    ],
    ids=[
        "too few inputs",
        "three axes",
        "one axis",
        "too many biases",
        "layers that do not join",
        "head of nine",
        "float64",
        "integers",
        "NaN",
        "infinity",
        "one too many",
        "one missing",
    ],
)
def test_invalid_tensors_are_rejected(
    tmp_path: Path, changes: dict[str, npt.NDArray[Any] | None], expected: str
) -> None:
    """Shapes, dtypes, names and values are checked, and the line names the invalid tensor."""
    tensors = {name: tensor for name, tensor in (tensors_of(TINY) | changes).items() if tensor is not None}

    assert f"is not a model of this service: {expected}" == rejection(tmp_path / "m", file_of(tensors, metadata_with()))


FIRST, LAST = DETECTOR.layers
NOVELTY_NAMES = ["novelty.0.biases", "novelty.0.weights", "novelty.1.biases", "novelty.1.weights"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"novelty.0.weights": np.zeros((3, 3), np.float32)},
            "novelty.0 has weights (3, 3) and biases (3,), for 2 inputs",
        ),
        (
            {"novelty.1.weights": np.zeros((3, 2), np.float32), "novelty.1.biases": np.zeros(2, np.float32)},
            "its head has 2 units for 2 classes",
        ),
        ({"novelty.0.weights": FIRST.weights.astype(np.float64)}, "novelty.0 is float64, not float32"),
        ({"novelty.1.weights": LAST.weights * np.float32(np.nan)}, "novelty.1 has weights that are not finite"),
        (
            {"novelty.2.biases": np.zeros(1, np.float32)},
            f"its tensors are {[*NAMES, *NOVELTY_NAMES[:4], 'novelty.2.biases']}, not {[*NAMES, *NOVELTY_NAMES]}",
        ),
        (
            {"novelty.1.weights": None},
            f"its tensors are {[*NAMES, *NOVELTY_NAMES[:3]]}, not {[*NAMES, *NOVELTY_NAMES]}",
        ),
        (
            dict.fromkeys(NOVELTY_NAMES),
            f"its tensors are {NAMES}, not {[*NAMES, *NOVELTY_NAMES]}",
        ),
    ],
    ids=[
        "other features",
        "head of two",
        "float64",
        "NaN",
        "one too many",
        "one missing",
        "none",
    ],
)
def test_invalid_tensors_of_a_detector_are_rejected(
    tmp_path: Path, changes: dict[str, npt.NDArray[Any] | None], expected: str
) -> None:
    """The OOD detector's tensors are checked like the network's."""
    tensors = {name: t for name, t in (tensors_of(TINY, DETECTOR) | changes).items() if t is not None}
    line = rejection(tmp_path / "m", file_of(tensors, detector_metadata_with()))

    assert f"is not a model of this service: {expected}" == line


def test_helper_makes_valid_detectors() -> None:
    """The defects in the tests above and below are those they introduce."""
    content = file_of(tensors_of(TINY, DETECTOR), detector_metadata_with())

    assert DETECTOR_METADATA == Artifact.from_bytes(content).metadata


def test_undeclared_detector_is_rejected(tmp_path: Path) -> None:
    """Tensors that the metadata do not declare are rejected."""
    expected = f"is not a model of this service: its tensors are {[*NAMES, *NOVELTY_NAMES]}, not {NAMES}"

    assert expected == rejection(tmp_path / "m", file_of(tensors_of(TINY, DETECTOR), metadata_with()))


@pytest.mark.parametrize("activations", [["swish", "logistic"], ["relu", "relu"]], ids=repr)
def test_unknown_activations_of_a_detector_are_rejected(tmp_path: Path, activations: list[str]) -> None:
    """A hidden activation, and a head, must be one of the supported ones."""
    expected = f"is not a model of this service: it has activations {activations}"
    metadata = detector_metadata_with(novelty_activations=activations)

    assert expected == rejection(tmp_path / "m", file_of(tensors_of(TINY, DETECTOR), metadata))


def test_types_that_numpy_lacks_are_rejected(tmp_path: Path) -> None:
    """A dtype that numpy does not support is named."""
    header = {
        "__metadata__": {"checksum": "0" * 64, "format_version": "1", "metadata": metadata_with()},
        "layers.0.weights": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]},
    }
    expected = "is not a model of this service: it has tensors of type 'BF16', which numpy does not support"

    assert expected == rejection(tmp_path / "m", raw(header, bytes(8)))


def test_offsets_beyond_the_data_are_rejected(tmp_path: Path) -> None:
    """The reason of the safetensors library is reported in one line."""
    header = {
        "__metadata__": {"checksum": "0" * 64, "format_version": "1", "metadata": metadata_with()},
        "layers.0.weights": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
    }

    assert rejection(tmp_path / "m", raw(header, bytes(8))).startswith("is not a model of this service: ")


def test_logistic_head_has_two_classes(tmp_path: Path) -> None:
    """A logistic head with three classes is rejected."""
    network = make_network(2, head="logistic", classes=(0, 1))
    changes = {"activations": ["relu", "logistic"], "classes": [0, 1, 2]}
    expected = "is not a model of this service: a logistic head has two classes, not 3"

    assert expected == rejection(tmp_path / "m", file_of(tensors_of(network), metadata_with(**changes)))


def test_logistic_head_has_one_unit(tmp_path: Path) -> None:
    """A logistic head with two units is rejected."""
    network = make_network(2, classes=(0, 1))
    changes = {"activations": ["relu", "logistic"], "classes": [0, 1]}
    expected = "is not a model of this service: its head has 2 units for 2 classes"

    assert expected == rejection(tmp_path / "m", file_of(tensors_of(network), metadata_with(**changes)))


@pytest.mark.parametrize("activations", [["swish", "softmax"], ["relu", "relu"]], ids=repr)
def test_unknown_activations_are_rejected(tmp_path: Path, activations: list[str]) -> None:
    """A hidden activation, and a head, must be one of the supported ones."""
    expected = f"is not a model of this service: it has activations {activations}"

    assert expected == rejection(tmp_path / "m", file_of(tensors_of(TINY), metadata_with(activations=activations)))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("", "metadata: Invalid JSON"),
        ("[]", "metadata: Input should be an object"),
        ("{}", "metadata.name: Field required"),
        (metadata_with(owner="me"), "metadata.owner: Extra inputs are not permitted"),
        (metadata_with(classes=[0]), "metadata.classes: List should have at least 2 items"),
        (metadata_with(activations=[]), "metadata.activations: List should have at least 1 item"),
        (metadata_with(figures={"loss": float("nan")}), "metadata.figures.loss: Input should be a finite number"),
        (
            metadata_with(calibration={"temperature": 0, "ambiguous_below": 0.5}),
            "metadata.calibration.temperature: Input should be greater than 0",
        ),
        (
            metadata_with(calibration={"temperature": 1, "ambiguous_below": 0.5, "novel_from": 1.5}),
            "metadata.calibration.novel_from: Input should be less than or equal to 1",
        ),
        (
            metadata_with(known_answer={"pixels": [0] * 783, "probabilities": []}),
            "metadata.known_answer.pixels: List should have at least 784 items",
        ),
        (
            metadata_with(known_answer={"pixels": [0] * 783 + [256], "probabilities": []}),
            "metadata.known_answer.pixels.783: Input should be less than or equal to 255",
        ),
        (
            metadata_with(known_answer={"pixels": [10**400] + [0] * 783, "probabilities": []}),
            "metadata.known_answer.pixels.0: Input should be less than or equal to 255",
        ),
    ],
    ids=[
        "nothing",
        "list",
        "no fields",
        "extra field",
        "one class",
        "no layers",
        "NaN",
        "temperature",
        "novelty",
        "too few pixels",
        "pixel too large",
        "pixel beyond float",
    ],
)
def test_invalid_metadata_are_rejected(tmp_path: Path, metadata: str, expected: str) -> None:
    """The line names the first invalid field."""
    line = rejection(tmp_path / "m", file_of(tensors_of(TINY), metadata))

    assert line.startswith(f"is not a model of this service: {expected}")


def test_every_field_is_required(tmp_path: Path) -> None:
    """A missing field is named. Only fields that release 0.1 did not have are optional."""
    for field in set(Metadata.model_fields) - {"novelty_activations", "segment_activations"}:
        fields = TINY_METADATA.model_dump()
        del fields[field]
        expected = f"is not a model of this service: metadata.{field}: Field required"

        assert expected == rejection(tmp_path / "m", file_of(tensors_of(TINY), json.dumps(fields)))


def with_known_probabilities(change: Callable[[list[float]], list[float]]) -> Metadata:
    """Return the tiny model's metadata with changed probabilities of the known answer."""
    known = TINY_METADATA.known_answer
    return TINY_METADATA.model_copy(
        update={"known_answer": known.model_copy(update={"probabilities": change(known.probabilities)})}
    )


@pytest.mark.parametrize(
    "metadata",
    [
        with_known_probabilities(lambda p: [p[0] + 2e-4, *p[1:]]),
        with_known_probabilities(lambda p: [*p[1:], p[0]]),
        with_known_probabilities(lambda p: p[:9]),
        with_known_probabilities(lambda p: [*p, 0.0]),
        with_known_probabilities(lambda _: []),
    ],
    ids=["a little off", "other order", "one too few", "one too many", "none"],
)
def test_wrong_known_answer_is_rejected(tmp_path: Path, metadata: Metadata) -> None:
    """A network whose probabilities are not the stored ones is not served."""
    expected = "fails its known-answer test: the network's output for the stored digit is not the stored one"

    assert expected == rejection(tmp_path / "m", artifact.serialize(TINY, metadata))


def with_known_score(score: float | None, metadata: Metadata = DETECTOR_METADATA) -> Metadata:
    """Return metadata with another OOD score of the known answer."""
    known = metadata.known_answer.model_copy(update={"novelty": score})
    return metadata.model_copy(update={"known_answer": known})


NOVELTY = DETECTOR_METADATA.known_answer.novelty or 0


@pytest.mark.parametrize("score", [NOVELTY + 2e-4, NOVELTY - 2e-4, None], ids=repr)
def test_wrong_known_ood_score_is_rejected(tmp_path: Path, score: float | None) -> None:
    """A detector whose OOD score is not the stored one is not served."""
    content = artifact.serialize(TINY, with_known_score(score), DETECTOR)

    assert rejection(tmp_path / "m", content).startswith("fails its known-answer test: ")


@pytest.mark.parametrize("score", [0.0, 0.5])
def test_known_ood_score_without_a_detector_is_rejected(tmp_path: Path, score: float) -> None:
    """A file with a stored OOD score must have a detector, even if the score is 0."""
    content = artifact.serialize(TINY, with_known_score(score, TINY_METADATA))

    assert rejection(tmp_path / "m", content).startswith("fails its known-answer test: ")


def test_detector_without_a_known_ood_score_is_rejected(tmp_path: Path) -> None:
    """A detector must be tested, even if its OOD score is 0."""
    lowest = Layer(LAST.weights, np.full(1, -1e30, np.float32), LAST.activation)
    content = artifact.serialize(TINY, with_known_score(None), Network((FIRST, lowest), (0, 1)))

    assert rejection(tmp_path / "m", content).startswith("fails its known-answer test: ")


def test_known_answer_has_a_tolerance() -> None:
    """Differences by float32 rounding on other processors are accepted."""
    metadata = with_known_probabilities(lambda p: [p[0] + 5e-5, *p[1:]])
    nearly = with_known_score(NOVELTY + 5e-5)

    assert metadata == Artifact.from_bytes(artifact.serialize(TINY, metadata)).metadata
    assert nearly == Artifact.from_bytes(artifact.serialize(TINY, nearly, DETECTOR)).metadata


def test_overflowing_weights_are_rejected(tmp_path: Path) -> None:
    """Finite weights with infinite sums fail the known-answer test, without a numpy warning."""
    layers = (Layer(np.full((PIXELS, 2), 3e38, np.float32), BIASES, "relu"), TINY.layers[1])

    assert "known-answer test" in rejection(
        tmp_path / "m", artifact.serialize(Network(layers, TINY.classes), TINY_METADATA)
    )


def test_overflowing_detector_is_rejected(tmp_path: Path) -> None:
    """Finite weights with infinite sums fail the known-answer test, without a numpy warning."""
    layers = (Layer(np.full((2, 3), 3e38, np.float32), FIRST.biases, "identity"), LAST)
    network = Network((Layer(np.full((PIXELS, 2), 1.0, np.float32), BIASES, "relu"), TINY.layers[1]), TINY.classes)
    detector = Network(layers, (0, 1))
    with np.errstate(all="ignore"):
        metadata = with_known_score(0.5, make_metadata(network, detector))

    assert "known-answer test" in rejection(tmp_path / "m", artifact.serialize(network, metadata, detector))


# --- Saving


def test_save_creates_folders_and_a_readable_file(tmp_path: Path) -> None:
    """The file has mode 644, and no temporary file is left."""
    path = tmp_path / "new" / "folder" / "model.safetensors"
    artifact.save(path, TINY, TINY_METADATA)

    assert CONTENT == path.read_bytes()
    assert 0o644 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_invalid_detector_is_not_written(tmp_path: Path) -> None:
    """A detector for another network, or an undeclared or missing one, is rejected."""
    path = tmp_path / "model.safetensors"

    for detector, metadata in (
        (make_detector(make_network(3), 3), DETECTOR_METADATA),
        (DETECTOR, TINY_METADATA),
        (None, DETECTOR_METADATA),
    ):
        with pytest.raises(ArtifactError, match="is not a model of this service: "):
            artifact.save(path, TINY, metadata, detector)
    assert [] == list(tmp_path.iterdir())


def test_save_replaces_the_file_atomically(tmp_path: Path) -> None:
    """A reader that has the old file open reads all of it."""
    path = tmp_path / "model.safetensors"
    artifact.save(path, make_network(1), make_metadata(make_network(1)))
    before = path.read_bytes()
    with path.open("rb") as reader:
        start = reader.read(100)
        artifact.save(path, TINY, TINY_METADATA)

        assert before == start + reader.read()
    assert CONTENT == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    """The temporary file is removed when it cannot replace the path."""
    path = tmp_path / "model.safetensors"
    (path / "inside").mkdir(parents=True)

    with pytest.raises(ArtifactError, match=f"^{re.escape(str(path))} cannot be written: "):
        artifact.save(path, TINY, TINY_METADATA)
    assert [path] == list(tmp_path.iterdir())


def test_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    """A path through a file cannot be written."""
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    path = blocker / "model.safetensors"

    with pytest.raises(ArtifactError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        artifact.save(path, TINY, TINY_METADATA)
    assert "in the way" == blocker.read_text()


@pytest.mark.parametrize(
    ("network", "metadata", "expected"),
    [
        (make_network(3), with_known_probabilities(lambda p: p), "known-answer test"),
        (make_network(2, 2), TINY_METADATA, "its tensors are"),
        (
            Network((Layer(WEIGHTS * np.float32(np.inf), BIASES, "relu"), TINY.layers[1]), TINY.classes),
            TINY_METADATA,
            "not finite",
        ),
        (
            Network((Layer(WEIGHTS[:100], BIASES, "relu"), TINY.layers[1]), TINY.classes),
            TINY_METADATA,
            "for 784 inputs",
        ),
    ],
    ids=["other answer", "other layers", "not finite", "other inputs"],
)
def test_invalid_model_is_not_written(tmp_path: Path, network: Network, metadata: Metadata, expected: str) -> None:
    """A model that loading rejects is not written, and the existing file is unchanged."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(CONTENT)

    with pytest.raises(ArtifactError, match=expected), np.errstate(all="ignore"):
        artifact.save(path, network, metadata)
    assert CONTENT == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())
