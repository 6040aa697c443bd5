"""Tests of service.model.artifact."""

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
from service.model.artifact import Artifact, KnownAnswer, Metadata, Training
from service.model.calibration import Calibration, novelty
from service.model.network import Layer, Network
from service.settings import bundled_model
from service.types import PIXELS
from tests.conftest import make_detector, make_metadata, make_network

TINY = make_network(2)
TINY_METADATA = make_metadata(TINY)
CONTENT = artifact.serialize(TINY, TINY_METADATA)
WATCHFUL = make_detector(TINY, 3)
WATCHFUL_METADATA = make_metadata(TINY, WATCHFUL)
HEADER_END = 8 + int.from_bytes(CONTENT[:8], "little")


def refusal(path: Path, content: bytes) -> str:
    """Write a file, see that it is refused by one line that names it, and return the rest of that line."""
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        artifact.load(path)
    message = str(caught.value)
    start = f"model {path} "
    assert message.startswith(start)
    assert "\n" not in message
    return message.removeprefix(start)


def file_of(tensors: dict[str, npt.NDArray[Any]], metadata: str, **header: str) -> bytes:
    """Return a model file of these parts with the right checksum."""
    blank = {"format_version": "1", "checksum": "0" * 64, "metadata": metadata} | header
    return with_checksum(safetensors.numpy.save(tensors, blank))


def with_checksum(content: bytes) -> bytes:
    """Return a file with its checksum in place of 64 zeros."""
    place = b'"checksum":"'
    return content.replace(place + b"0" * 64, place + hashlib.sha256(content).hexdigest().encode(), 1)


def raw(header: object, data: bytes = b"") -> bytes:
    """Return a file with the outer form of safetensors, whatever its header, and the right checksum if it has one."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return with_checksum(len(text).to_bytes(8, "little") + text + data)


def tensors_of(network: Network, detector: Network | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return a network's tensors, and its detector's, as the file names them."""
    named: dict[str, npt.NDArray[Any]] = {}
    for prefix, layers in (("layers", network.layers), ("novelty", detector.layers if detector else ())):
        for i, layer in enumerate(layers):
            named |= {f"{prefix}.{i}.weights": layer.weights, f"{prefix}.{i}.biases": layer.biases}
    return named


def doctored(**changes: Any) -> str:
    """Return the tiny model's metadata as JSON, with other values in places."""
    return json.dumps(TINY_METADATA.model_dump() | changes)


def watchful(**changes: Any) -> str:
    """Return the metadata of the tiny model with a detector likewise."""
    return json.dumps(WATCHFUL_METADATA.model_dump() | changes)


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
def test_what_is_saved_is_loaded(tmp_path: Path, network: Network) -> None:
    """Weights come back bit for bit, metadata equal, and the version is the start of the file's SHA-256."""
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
        (TINY, WATCHFUL),
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
    """Its weights come back bit for bit, and it tells two classes apart, whatever the network's."""
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


def test_a_model_without_detector_has_none(tiny_model: Path) -> None:
    """It tells the novelty of no digit."""
    model = artifact.load(tiny_model)
    probabilities, novelties = model.answer(np.zeros((3, PIXELS), np.float32))

    assert model.detector is None
    assert ((3, 10), [None] * 3) == (probabilities.shape, novelties)


def test_answers_are_of_both_networks(watchful_model: Path) -> None:
    """Probabilities are the network's at the temperature, novelties the detector's, a plain number a digit."""
    model = artifact.load(watchful_model)
    inputs = np.random.default_rng(0).random((5, PIXELS), np.float32)
    features, scores = model.network.feedforward(inputs)  # One hidden layer: its activations are the features.
    assert model.detector is not None

    probabilities, novelties = model.answer(inputs)

    np.testing.assert_array_equal(model.network.probabilities(scores, 1.5), probabilities)
    assert novelty(model.detector, features).tolist() == novelties
    assert [float] * 5 == [type(unlike) for unlike in novelties]
    assert ((0, 10), 0) == (model.answer(inputs[:0])[0].shape, len(model.answer(inputs[:0])[1]))


def test_a_file_of_before_there_were_detectors_is_read() -> None:
    """Metadata that lack what came later have nothing to say of it."""
    fields = TINY_METADATA.model_dump()
    del fields["novelty_activations"], fields["known_answer"]["novelty"], fields["calibration"]["novel_from"]
    fields["training"] = {"recipe": "none", "seed": None, "settings": {}, "data": {}, "libraries": {}}
    model = Artifact.from_bytes(file_of(tensors_of(TINY), json.dumps(fields)))

    assert model.detector is None
    assert TINY_METADATA == model.metadata
    assert ([], []) == (model.metadata.training.losses, model.metadata.training.validation_errors)
    # It is given away as it was read, since its version is that of its bytes.
    content = model.to_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert fields == json.loads(header["__metadata__"]["metadata"])


def test_metadata_of_all_kinds_come_back() -> None:
    """Text of any script, nested settings, missing seeds and numbers to the last digit."""
    metadata = TINY_METADATA.model_copy(
        update={
            "name": 'Ziffern "0\u20119" \u6570\u5b57\n',
            "training": Training(
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


def test_the_same_model_is_the_same_file() -> None:
    """Writing twice, or reading and writing again, gives the same bytes and so the same version."""
    again = {artifact.serialize(TINY, TINY_METADATA) for _ in range(20)}

    assert {CONTENT} == again
    assert CONTENT == Artifact.from_bytes(CONTENT).to_bytes()
    content = artifact.serialize(TINY, WATCHFUL_METADATA, WATCHFUL)
    assert content == Artifact.from_bytes(content).to_bytes() != CONTENT


def test_the_bundled_model_is_written_as_it_was_read(bundled: Artifact) -> None:
    """What `/model/weights` gives away as safetensors is the file itself, with its version."""
    assert hashlib.sha256(bundled_model().read_bytes()).hexdigest() == hashlib.sha256(bundled.to_bytes()).hexdigest()


def test_the_file_is_plain_safetensors(watchful_model: Path) -> None:
    """Anybody can read it with the library alone: the documented tensors and three strings."""
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


def test_the_checksum_is_the_documented_one() -> None:
    """It is the SHA-256 of the file with its own 64 digits set to zero."""
    checksum = json.loads(CONTENT[8:HEADER_END])["__metadata__"]["checksum"]

    assert hashlib.sha256(CONTENT.replace(checksum.encode(), b"0" * 64)).hexdigest() == checksum


def test_loaded_weights_cannot_be_changed(watchful_model: Path) -> None:
    """What many requests share is read-only."""
    model = artifact.load(watchful_model)
    assert model.detector is not None

    for network in (model.network, model.detector):
        with pytest.raises(ValueError, match="read-only"):
            network.layers[0].weights[0, 0] = 1


def test_the_known_answer_is_scaled_like_any_digit() -> None:
    """Its 0 to 255 become 0 to 1 in a row of 784."""
    known = KnownAnswer(pixels=[0, 51, 255] + [0] * 781, probabilities=[0.5, 0.5])

    assert (1, PIXELS) == known.inputs.shape
    assert np.float32 == known.inputs.dtype
    assert pytest.approx([0, 0.2, 1]) == known.inputs[0, :3].tolist()


def test_the_known_answer_depends_on_the_temperature() -> None:
    """The probabilities that are checked are the calibrated ones that clients get."""
    cooler = TINY_METADATA.model_copy(update={"calibration": Calibration(temperature=0.5, ambiguous_below=0.6)})

    Artifact(TINY, TINY_METADATA, "").check_known_answer()
    with pytest.raises(ArtifactError, match="known-answer test"):
        Artifact(TINY, cooler, "").check_known_answer()


# --- Files that are refused


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The line says which file, why, and which variable names another."""
    path = tmp_path / "none.safetensors"
    expected = f"model {path} cannot be read: No such file or directory; set DIGITS_MODEL to a model file"

    with pytest.raises(ArtifactError, match=f"^{re.escape(expected)}$"):
        artifact.load(path)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A folder is no model."""
    expected = f"model {tmp_path} cannot be read: Is a directory; set DIGITS_MODEL to a model file"

    with pytest.raises(ArtifactError, match=f"^{re.escape(expected)}$"):
        artifact.load(tmp_path)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, HEADER_END - 9, HEADER_END, HEADER_END + 1, len(CONTENT) - 1])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int) -> None:
    """Cut off anywhere, in its length, its header or its weights."""
    expected = "truncated" if length < HEADER_END - 8 else "checksum"

    assert expected in refusal(tmp_path / "short", CONTENT[:length])


def test_a_longer_file_is_refused(tmp_path: Path) -> None:
    """Something after the end is damage too."""
    assert "checksum" in refusal(tmp_path / "long", CONTENT + b"\x00")


@pytest.mark.parametrize("part", ["length and header", "data"])
def test_every_damaged_byte_is_noticed(tmp_path: Path, part: str) -> None:
    """A byte that is different, wherever it lies and however it differs, makes the file another one."""
    start, end = (0, HEADER_END) if part == "length and header" else (HEADER_END, len(CONTENT))
    places = sorted({*range(start, min(start + 40, end)), *np.linspace(start, end - 1, 160, dtype=int).tolist()})
    rng = np.random.default_rng(0)
    for place in places:
        damaged = bytearray(CONTENT)
        damaged[place] ^= int(rng.integers(1, 256))
        line = refusal(tmp_path / "damaged", bytes(damaged))

        assert re.match("does not match its checksum|is not a model|has format version", line), (place, line)


def test_every_damaged_bit_of_the_checksum_is_noticed(tmp_path: Path) -> None:
    """The one part that the checksum does not cover is compared itself, capital letters and all."""
    start = CONTENT.index(b'"checksum":"') + len(b'"checksum":"')
    for place in range(start, start + 64):
        for bit in (0, 5):
            damaged = bytearray(CONTENT)
            damaged[place] ^= 1 << bit

            assert re.search("checksum|truncated", refusal(tmp_path / "damaged", bytes(damaged)))


@pytest.mark.parametrize(
    "content",
    [
        b'{"weights": [1, 2, 3]}',
        b"\x80\x04\x95 this was a pickle",
        b"\x93NUMPY\x01\x00",
        bytes(1000),
        b"\xff" * 1000,
        b"\x10\x00\x00\x00\x00\x00\x00\x00" + b"[" * 200_000,
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        safetensors.numpy.save({"w": np.zeros((2, 2), np.float32)}),
        raw([1, 2, 3]),
        raw("text"),
        raw({"__metadata__": ["checksum"]}),
        raw({"__metadata__": "checksum"}),
        raw({"__metadata__": None}),
    ],
    ids=[
        "JSON",
        "pickle",
        "npy",
        "zeros",
        "ones",
        "no end",
        "deep",
        "safetensors without strings",
        "list",
        "text",
        "list of strings",
        "string",
        "null",
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    """Files of other kinds, and safetensors that are nobody's model of digits."""
    assert "is not a model of this service, or is truncated" == refusal(tmp_path / "foreign", content)


@pytest.mark.parametrize(
    ("strings", "expected"),
    [
        ({"format": "pt"}, "has format version none; this release reads 1: train it anew, or update"),
        ({"format_version": "2"}, "has format version 2; this release reads 1: train it anew, or update"),
        ({"format_version": "1"}, "does not match its checksum: it is damaged, get it anew"),
        ({"format_version": 1, "checksum": 7}, "does not match its checksum: it is damaged, get it anew"),
        (
            {"format_version": "1", "checksum": "\ud800" * 64},
            "does not match its checksum: it is damaged, get it anew",
        ),
    ],
    ids=["somebody else's", "another version", "no checksum", "numbers", "no characters"],
)
def test_safetensors_of_others_are_refused(tmp_path: Path, strings: dict[str, Any], expected: str) -> None:
    """The line tells another format from damage."""
    assert expected == refusal(tmp_path / "foreign", raw({"__metadata__": strings}))


def test_another_format_version_is_refused_whatever_its_checksum(tmp_path: Path) -> None:
    """A whole file of a later release is not called damaged."""
    content = file_of(tensors_of(TINY), doctored(), format_version="2")

    assert "has format version 2; this release reads 1: train it anew, or update" == refusal(tmp_path / "m", content)


def test_the_helper_makes_files_that_are_accepted() -> None:
    """What the tests below find wrong is what they have changed, not the file around it."""
    assert TINY_METADATA == Artifact.from_bytes(file_of(tensors_of(TINY), doctored())).metadata


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
            {"layers.0.weights": WEIGHTS.T.copy()},
            "layers.0 has weights (2, 784) and biases (2,), for 784 inputs",
        ),
        (
            {"layers.0.weights": WEIGHTS.reshape(28, 28, 2)},
            "layers.0 has weights (28, 28, 2) and biases (2,), for 784 inputs",
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
            {"layers.0.biases": np.zeros((1, 2), np.float32)},
            "layers.0 has weights (784, 2) and biases (1, 2), for 784 inputs",
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
        ({"layers.0.biases": BIASES.astype(np.float16)}, "layers.0 is float16, not float32"),
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
        "transposed",
        "three axes",
        "three axes that join",
        "one axis",
        "too many biases",
        "biases with two axes",
        "layers that do not join",
        "head of nine",
        "float64",
        "float16",
        "integers",
        "NaN",
        "infinity",
        "one too many",
        "one missing",
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, npt.NDArray[Any] | None], expected: str
) -> None:
    """Shapes, types, names and values are checked, and the line says which is wrong."""
    tensors = {name: tensor for name, tensor in (tensors_of(TINY) | changes).items() if tensor is not None}

    assert f"is not a model of this service: {expected}" == refusal(tmp_path / "m", file_of(tensors, doctored()))


FIRST, LAST = WATCHFUL.layers
NOVELTY_NAMES = ["novelty.0.biases", "novelty.0.weights", "novelty.1.biases", "novelty.1.weights"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"novelty.0.weights": np.zeros((3, 3), np.float32)},
            "novelty.0 has weights (3, 3) and biases (3,), for 2 inputs",
        ),
        (
            {"novelty.0.weights": np.zeros((PIXELS, 3), np.float32)},
            "novelty.0 has weights (784, 3) and biases (3,), for 2 inputs",
        ),
        ({"novelty.0.weights": FIRST.weights.ravel()}, "novelty.0 has weights (6,) and biases (3,), for 2 inputs"),
        (
            {"novelty.0.biases": np.zeros(2, np.float32)},
            "novelty.0 has weights (2, 3) and biases (2,), for 2 inputs",
        ),
        (
            {"novelty.1.weights": np.zeros((2, 1), np.float32)},
            "novelty.1 has weights (2, 1) and biases (1,), for 3 inputs",
        ),
        (
            {"novelty.1.weights": np.zeros((3, 2), np.float32), "novelty.1.biases": np.zeros(2, np.float32)},
            "its head has 2 units for 2 classes",
        ),
        ({"novelty.0.weights": FIRST.weights.astype(np.float64)}, "novelty.0 is float64, not float32"),
        ({"novelty.1.biases": np.zeros(1, np.int32)}, "novelty.1 is int32, not float32"),
        ({"novelty.1.weights": LAST.weights * np.float32(np.nan)}, "novelty.1 has weights that are not finite"),
        ({"novelty.0.biases": np.full(3, np.inf, np.float32)}, "novelty.0 has weights that are not finite"),
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
        "for pixels",
        "one axis",
        "too few biases",
        "layers that do not join",
        "head of two",
        "float64",
        "integers",
        "NaN",
        "infinity",
        "one too many",
        "one missing",
        "none",
    ],
)
def test_tensors_of_a_detector_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, npt.NDArray[Any] | None], expected: str
) -> None:
    """They are checked as the network's are, and the line says which is wrong."""
    tensors = {name: t for name, t in (tensors_of(TINY, WATCHFUL) | changes).items() if t is not None}
    line = refusal(tmp_path / "m", file_of(tensors, watchful()))

    assert f"is not a model of this service: {expected}" == line


def test_the_helper_makes_detectors_that_are_accepted() -> None:
    """What the tests above and below find wrong is what they have changed."""
    content = file_of(tensors_of(TINY, WATCHFUL), watchful())

    assert WATCHFUL_METADATA == Artifact.from_bytes(content).metadata


def test_a_detector_that_the_metadata_do_not_name_is_refused(tmp_path: Path) -> None:
    """Tensors that nobody asks for are foreign."""
    expected = f"is not a model of this service: its tensors are {[*NAMES, *NOVELTY_NAMES]}, not {NAMES}"

    assert expected == refusal(tmp_path / "m", file_of(tensors_of(TINY, WATCHFUL), doctored()))


@pytest.mark.parametrize(
    "activations", [["swish", "logistic"], ["relu", "relu"], ["logistic", "tanh"], ["relu", "Logistic"]], ids=repr
)
def test_unknown_activations_of_a_detector_are_refused(tmp_path: Path, activations: list[str]) -> None:
    """Only what the network can compute, each in its place."""
    expected = f"is not a model of this service: it has activations {activations}"
    metadata = watchful(novelty_activations=activations)

    assert expected == refusal(tmp_path / "m", file_of(tensors_of(TINY, WATCHFUL), metadata))


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3"])
def test_types_that_numpy_lacks_are_refused(tmp_path: Path, dtype: str) -> None:
    """Half-sized floats of other libraries are named instead of failing on."""
    size = {"BF16": 2, "F8_E4M3": 1}[dtype]
    header = {
        "__metadata__": {"checksum": "0" * 64, "format_version": "1", "metadata": doctored()},
        "layers.0.weights": {"dtype": dtype, "shape": [4], "data_offsets": [0, 4 * size]},
    }
    expected = f"is not a model of this service: it has tensors of type '{dtype}', which numpy lacks"

    assert expected == refusal(tmp_path / "m", raw(header, bytes(4 * size)))


def test_a_header_that_does_not_fit_its_data_is_refused(tmp_path: Path) -> None:
    """Offsets that lie beyond the data are found by the library, and its reason is passed on in one line."""
    header = {
        "__metadata__": {"checksum": "0" * 64, "format_version": "1", "metadata": doctored()},
        "layers.0.weights": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
    }

    assert refusal(tmp_path / "m", raw(header, bytes(8))).startswith("is not a model of this service: ")


def test_a_logistic_head_is_for_two_classes(tmp_path: Path) -> None:
    """One unit cannot tell three classes apart."""
    network = make_network(2, head="logistic", classes=(0, 1))
    changes = {"activations": ["relu", "logistic"], "classes": [0, 1, 2]}
    expected = "is not a model of this service: a logistic head tells two classes apart, not 3"

    assert expected == refusal(tmp_path / "m", file_of(tensors_of(network), doctored(**changes)))


def test_a_logistic_head_has_one_unit(tmp_path: Path) -> None:
    """Two units belong to a softmax."""
    network = make_network(2, classes=(0, 1))
    changes = {"activations": ["relu", "logistic"], "classes": [0, 1]}
    expected = "is not a model of this service: its head has 2 units for 2 classes"

    assert expected == refusal(tmp_path / "m", file_of(tensors_of(network), doctored(**changes)))


@pytest.mark.parametrize(
    "activations", [["swish", "softmax"], ["relu", "relu"], ["softmax", "softmax"], ["relu", "Softmax"]], ids=repr
)
def test_unknown_activations_are_refused(tmp_path: Path, activations: list[str]) -> None:
    """Only what the network can compute, each in its place."""
    expected = f"is not a model of this service: it has activations {activations}"

    assert expected == refusal(tmp_path / "m", file_of(tensors_of(TINY), doctored(activations=activations)))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("", "metadata: Invalid JSON"),
        ("{", "metadata: Invalid JSON"),
        ("[]", "metadata: Input should be an object"),
        ("{}", "metadata.name: Field required"),
        (doctored(owner="me"), "metadata.owner: Extra inputs are not permitted"),
        (doctored(classes=[0]), "metadata.classes: List should have at least 2 items"),
        (doctored(activations=[]), "metadata.activations: List should have at least 1 item"),
        (doctored(figures={"loss": float("nan")}), "metadata.figures.loss: Input should be a finite number"),
        (
            doctored(calibration={"temperature": 0, "ambiguous_below": 0.5}),
            "metadata.calibration.temperature: Input should be greater than 0",
        ),
        (
            doctored(calibration={"temperature": 1, "ambiguous_below": 0.5, "novel_from": 1.5}),
            "metadata.calibration.novel_from: Input should be less than or equal to 1",
        ),
        (
            doctored(known_answer={"pixels": [0] * 783, "probabilities": []}),
            "metadata.known_answer.pixels: List should have at least 784 items",
        ),
        (
            doctored(known_answer={"pixels": [0] * 783 + [256], "probabilities": []}),
            "metadata.known_answer.pixels.783: Input should be less than or equal to 255",
        ),
        (
            doctored(known_answer={"pixels": [10**400] + [0] * 783, "probabilities": []}),
            "metadata.known_answer.pixels.0: Input should be less than or equal to 255",
        ),
    ],
    ids=[
        "nothing",
        "half",
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
def test_metadata_that_make_no_sense_are_refused(tmp_path: Path, metadata: str, expected: str) -> None:
    """The line names the first field that is wrong, and only that."""
    line = refusal(tmp_path / "m", file_of(tensors_of(TINY), metadata))

    assert line.startswith(f"is not a model of this service: {expected}")


@pytest.mark.parametrize("field", sorted(set(Metadata.model_fields) - {"novelty_activations"}))
def test_every_field_is_required(tmp_path: Path, field: str) -> None:
    """Metadata that lack one are refused by its name, but for what came later."""
    fields = TINY_METADATA.model_dump()
    del fields[field]
    expected = f"is not a model of this service: metadata.{field}: Field required"

    assert expected == refusal(tmp_path / "m", file_of(tensors_of(TINY), json.dumps(fields)))


def shifted(change: Callable[[list[float]], list[float]]) -> Metadata:
    """Return the tiny model's metadata with another known answer."""
    known = TINY_METADATA.known_answer
    return TINY_METADATA.model_copy(
        update={"known_answer": known.model_copy(update={"probabilities": change(known.probabilities)})}
    )


@pytest.mark.parametrize(
    "metadata",
    [
        shifted(lambda p: [p[0] + 2e-4, *p[1:]]),
        shifted(lambda p: [*p[1:], p[0]]),
        shifted(lambda p: p[:9]),
        shifted(lambda p: [*p, 0.0]),
        shifted(lambda _: []),
    ],
    ids=["a little off", "other order", "one too few", "one too many", "none"],
)
def test_a_wrong_known_answer_is_refused(tmp_path: Path, metadata: Metadata) -> None:
    """A network that does not give the probabilities that the file knows is not served."""
    expected = "fails its known-answer test: the probabilities of the digit it carries come out differently"

    assert expected == refusal(tmp_path / "m", artifact.serialize(TINY, metadata))


def known_to_have(unlike: float | None, metadata: Metadata = WATCHFUL_METADATA) -> Metadata:
    """Return metadata with another novelty of the known answer."""
    known = metadata.known_answer.model_copy(update={"novelty": unlike})
    return metadata.model_copy(update={"known_answer": known})


NOVELTY = WATCHFUL_METADATA.known_answer.novelty or 0


@pytest.mark.parametrize("unlike", [NOVELTY + 2e-4, NOVELTY - 2e-4, 1 - NOVELTY, 0.0, None], ids=repr)
def test_a_wrong_known_novelty_is_refused(tmp_path: Path, unlike: float | None) -> None:
    """A detector that does not give the novelty that the file knows, or none, is not served."""
    content = artifact.serialize(TINY, known_to_have(unlike), WATCHFUL)

    assert refusal(tmp_path / "m", content).startswith("fails its known-answer test: ")


@pytest.mark.parametrize("unlike", [0.0, 0.5])
def test_a_known_novelty_without_a_detector_is_refused(tmp_path: Path, unlike: float) -> None:
    """A file that knows a novelty has lost the network that tells it."""
    content = artifact.serialize(TINY, known_to_have(unlike, TINY_METADATA))

    assert refusal(tmp_path / "m", content).startswith("fails its known-answer test: ")


def test_a_detector_without_a_known_novelty_is_refused(tmp_path: Path) -> None:
    """Half of such a model would be served untested, even where its novelty is 0."""
    lowest = Layer(LAST.weights, np.full(1, -1e30, np.float32), LAST.activation)
    content = artifact.serialize(TINY, known_to_have(None), Network((FIRST, lowest), (0, 1)))

    assert refusal(tmp_path / "m", content).startswith("fails its known-answer test: ")


def test_other_processors_round_differently() -> None:
    """Probabilities and a novelty that differ in the last digits of float32 are the known ones."""
    metadata = shifted(lambda p: [p[0] + 5e-5, *p[1:]])
    nearly = known_to_have(NOVELTY + 5e-5)

    assert metadata == Artifact.from_bytes(artifact.serialize(TINY, metadata)).metadata
    assert nearly == Artifact.from_bytes(artifact.serialize(TINY, nearly, WATCHFUL)).metadata


def test_weights_that_overflow_are_refused(tmp_path: Path) -> None:
    """Finite weights whose sums are not finite fail the known answer, without a word from numpy."""
    layers = (Layer(np.full((PIXELS, 2), 3e38, np.float32), BIASES, "relu"), TINY.layers[1])

    assert "known-answer test" in refusal(
        tmp_path / "m", artifact.serialize(Network(layers, TINY.classes), TINY_METADATA)
    )


def test_a_detector_that_overflows_is_refused(tmp_path: Path) -> None:
    """Finite weights whose sums are not finite fail the known answer, without a word from numpy."""
    layers = (Layer(np.full((2, 3), 3e38, np.float32), FIRST.biases, "identity"), LAST)
    network = Network((Layer(np.full((PIXELS, 2), 1.0, np.float32), BIASES, "relu"), TINY.layers[1]), TINY.classes)
    detector = Network(layers, (0, 1))
    with np.errstate(all="ignore"):
        metadata = known_to_have(0.5, make_metadata(network, detector))

    assert "known-answer test" in refusal(tmp_path / "m", artifact.serialize(network, metadata, detector))


# --- Saving


def test_saving_makes_folders_and_a_readable_file(tmp_path: Path) -> None:
    """The file can be read by whoever runs the service, and nothing else is left beside it."""
    path = tmp_path / "new" / "folder" / "model.safetensors"
    artifact.save(path, TINY, TINY_METADATA)

    assert CONTENT == path.read_bytes()
    assert 0o644 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_a_detector_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    """Saving refuses a detector for another network, and one that the metadata do not name."""
    path = tmp_path / "model.safetensors"

    for detector, metadata in (
        (make_detector(make_network(3), 3), WATCHFUL_METADATA),
        (WATCHFUL, TINY_METADATA),
        (None, WATCHFUL_METADATA),
    ):
        with pytest.raises(ArtifactError, match="is not a model of this service: "):
            artifact.save(path, TINY, metadata, detector)
    assert [] == list(tmp_path.iterdir())


def test_saving_replaces_what_was_there(tmp_path: Path) -> None:
    """A reader of the old file goes on reading it whole: the new one is another file under its name."""
    path = tmp_path / "model.safetensors"
    artifact.save(path, make_network(1), make_metadata(make_network(1)))
    before = path.read_bytes()
    with path.open("rb") as reader:
        start = reader.read(100)
        artifact.save(path, TINY, TINY_METADATA)

        assert before == start + reader.read()
    assert CONTENT == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_a_folder_in_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    """Where the file cannot take its name, the one it was written to is removed."""
    path = tmp_path / "model.safetensors"
    (path / "inside").mkdir(parents=True)

    with pytest.raises(ArtifactError, match=f"^{re.escape(str(path))} cannot be written: "):
        artifact.save(path, TINY, TINY_METADATA)
    assert [path] == list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    """A path that leads through a file cannot be written."""
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    path = blocker / "model.safetensors"

    with pytest.raises(ArtifactError, match=f"^{re.escape(str(path))} cannot be written: [^\n]+$"):
        artifact.save(path, TINY, TINY_METADATA)
    assert "in the way" == blocker.read_text()


@pytest.mark.parametrize(
    ("network", "metadata", "expected"),
    [
        (make_network(3), shifted(lambda p: p), "known-answer test"),
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
def test_a_model_that_could_not_be_read_is_not_written(
    tmp_path: Path, network: Network, metadata: Metadata, expected: str
) -> None:
    """Saving refuses what loading would, and leaves the file that was there alone."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(CONTENT)

    with pytest.raises(ArtifactError, match=expected), np.errstate(all="ignore"):
        artifact.save(path, network, metadata)
    assert CONTENT == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())
