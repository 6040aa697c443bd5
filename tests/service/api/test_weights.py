"""Tests of service.api.weights."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from service.api.representations import Representation
from service.api.weights import MEDIA_TYPES, Weights
from service.errors import NoSuchLayer
from service.model import artifact
from service.model.artifact import Artifact
from service.model.network import Layer, Network
from service.types import FloatArray
from tests.conftest import make_metadata, make_network

FORMATS = sorted(MEDIA_TYPES)
# Hard cases of shortest decimals: huge, tiny, subnormal, neighbours of round numbers, negative zero.
AWKWARD = [3.4e38, 1e-38, 1e-45, 0.1, np.nextafter(np.float32(0.1), np.float32(1)), 16777217, 1 / 3, -0.0, 1e10, 1e-5]


@pytest.fixture
def model(tiny_model: Path) -> Artifact:
    """Return the tiny model."""
    return artifact.load(tiny_model)


def tensors_of(model: Artifact, *numbers: int) -> dict[str, FloatArray]:
    """Return the tensors of these layers by their names in files."""
    layers = model.network.layers
    return {f"layers.{i}.weights": layers[i].weights for i in numbers} | {
        f"layers.{i}.biases": layers[i].biases for i in numbers
    }


def read_binary(file_format: str, body: bytes) -> dict[str, FloatArray]:
    """Return the tensors in an npz or a safetensors file."""
    if file_format == "safetensors":
        return safetensors.numpy.load(body)
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return dict(arrays)


def assert_identical(expected: dict[str, FloatArray], actual: dict[str, FloatArray]) -> None:
    """Compare names, shapes, dtypes and all bits."""
    assert set(expected) == set(actual)
    for name, tensor in expected.items():
        assert (tensor.shape, tensor.dtype) == (actual[name].shape, actual[name].dtype)
        assert tensor.tobytes() == actual[name].tobytes()


def test_json_round_trips_floats(model: Artifact) -> None:
    """Each decimal, parsed as float32, is the weight bit for bit. Each layer has its metadata."""
    document = json.loads(Weights(model).get("json").body)
    first, second = document["layers"]

    assert {"name": "tiny", "version": model.version} == document["model"]
    assert [(0, "relu", 784, 20), (1, "softmax", 20, 10)] == [
        (layer["index"], layer["activation"], layer["n_in"], layer["n_out"]) for layer in document["layers"]
    ]
    for layer, content in zip(model.network.layers, (first, second), strict=True):
        assert layer.weights.tobytes() == np.array(content["weights"], np.float32).tobytes()
        assert layer.biases.tobytes() == np.array(content["biases"], np.float32).tobytes()


def test_json_has_the_shortest_decimals() -> None:
    """Just enough digits to distinguish a float32 from its neighbours. Every number is valid JSON."""
    weights = np.zeros((784, len(AWKWARD)), np.float32)
    weights[0] = AWKWARD
    layer = Layer(weights, np.array(AWKWARD, np.float32), "softmax")
    network = Network((layer,), tuple(range(len(AWKWARD))))
    body = Weights(Artifact(network, make_metadata(make_network()), "")).get("json", 0).body
    content = json.loads(body)

    assert weights.tobytes() == np.array(content["weights"], np.float32).tobytes()
    assert np.array(AWKWARD, np.float32).tobytes() == np.array(content["biases"], np.float32).tobytes()
    assert b"0.1,0.10000001," in body
    assert b"0.33333334" in body
    assert b"NaN" not in body


def test_json_of_one_layer(model: Artifact) -> None:
    """Equals the layer within the JSON of the whole network."""
    weights = Weights(model)
    layers = json.loads(weights.get("json").body)["layers"]

    assert layers == [json.loads(weights.get("json", i).body) for i in (0, 1)]


@pytest.mark.parametrize("file_format", ["npz", "safetensors"])
def test_binary_formats_contain_the_same_arrays(model: Artifact, file_format: str) -> None:
    """All tensors of the network or of one layer, bit for bit, without pickle."""
    weights = Weights(model)

    assert_identical(tensors_of(model, 0, 1), read_binary(file_format, weights.get(file_format).body))
    assert_identical(tensors_of(model, 0), read_binary(file_format, weights.get(file_format, 0).body))
    assert_identical(tensors_of(model, 1), read_binary(file_format, weights.get(file_format, 1).body))


def test_safetensors_of_the_network_is_the_model_file(model: Artifact, tiny_model: Path) -> None:
    """The download can be served, and has the same version."""
    body = Weights(model).get("safetensors").body

    assert tiny_model.read_bytes() == body
    assert model.version == hashlib.sha256(body).hexdigest()[:12]


@pytest.mark.parametrize("index", [None, 0])
@pytest.mark.parametrize("file_format", FORMATS)
def test_serialisation_is_reproducible(tiny_model: Path, file_format: str, index: int | None) -> None:
    """Two processes with the same model have the same body, gzip form and strong ETags."""
    one, other = (Weights(artifact.load(tiny_model)).get(file_format, index) for _ in range(2))

    assert one.body == other.body
    assert one.gzipped == other.gzipped
    assert one.etag(gzipped=True) == other.etag(gzipped=True)
    assert one.etag(gzipped=False) == other.etag(gzipped=False)


def test_representations_are_cached(model: Artifact) -> None:
    """With their gzip form."""
    weights = Weights(model)
    first = weights.get("npz", 1)

    assert weights.get("npz", 1) is first
    assert first.gzipped is first.gzipped


def test_concurrent_requests_share_one_representation(model: Artifact) -> None:
    """Threads that request it at the same time do not serialise it several times."""
    weights = Weights(model)
    received: list[Representation] = []
    barrier = threading.Barrier(8)

    def get() -> None:
        barrier.wait()
        received.append(weights.get("json"))

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [received[0]] * 8 == received


def test_npz_has_no_timestamps(model: Artifact) -> None:
    """Its members are dated 1980, so that the ETag is reproducible."""
    with zipfile.ZipFile(io.BytesIO(Weights(model).get("npz").body)) as archive:
        dates = {member.date_time for member in archive.infolist()}

    assert {(1980, 1, 1, 0, 0, 0)} == dates


def test_gzip_halves_json(model: Artifact) -> None:
    """Decimals compress to less than half."""
    representation = Weights(model).get("json")

    assert len(representation.body) > 2 * len(representation.gzipped)


def test_etags_differ_between_all_representations(model: Artifact) -> None:
    """Each format, layer and coding has another strong ETag."""
    weights = Weights(model)
    etags = [
        weights.get(file_format, index).etag(gzipped=gzipped)
        for file_format in FORMATS
        for index in (None, 0, 1)
        for gzipped in (False, True)
    ]

    assert len(etags) == len(set(etags))
    assert all(etag.startswith('"') and etag.endswith('"') for etag in etags)


def test_etags_differ_between_models(model: Artifact) -> None:
    """Another model has other ETags."""
    network = make_network(21)
    other = Artifact(network, make_metadata(network), "")

    for file_format in FORMATS:
        assert Weights(model).get(file_format).etag(gzipped=False) != Weights(other).get(file_format).etag(
            gzipped=False
        )


def test_media_types(model: Artifact) -> None:
    """Each format has its media type."""
    assert MEDIA_TYPES == {file_format: Weights(model).get(file_format).media_type for file_format in FORMATS}


@pytest.mark.parametrize("index", [-1, 2])
def test_layer_index_out_of_range(model: Artifact, index: int) -> None:
    """The message has the range, for every format."""
    weights = Weights(model)
    message = f"^there is no layer {index}: the network's are numbered 0 to 1$"

    with pytest.raises(NoSuchLayer, match=message):
        weights.layer(index)
    for file_format in FORMATS:
        with pytest.raises(NoSuchLayer, match=message):
            weights.get(file_format, index)


def test_layer_is_not_copied(model: Artifact) -> None:
    """It is the layer of the network itself."""
    assert Weights(model).layer(1) is model.network.layers[1]
