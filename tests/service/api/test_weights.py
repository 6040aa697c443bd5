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

from service.api.representation import Representation
from service.api.weights import MEDIA_TYPES, Weights
from service.errors import NoSuchLayer
from service.model import artifact
from service.model.artifact import Artifact
from service.model.network import Layer, Network
from service.types import FloatArray
from tests.conftest import make_metadata, make_network

FORMS = sorted(MEDIA_TYPES)
# Numbers whose shortest decimals are awkward: huge, tiny, subnormal, neighbours of round ones, both zeros.
AWKWARD = [3.4e38, 1e-38, 1e-45, 0.1, np.nextafter(np.float32(0.1), np.float32(1)), 16777217, 1 / 3, -0.0, 1e10, 1e-5]


@pytest.fixture
def model(tiny_model: Path) -> Artifact:
    """Return the tiny model."""
    return artifact.load(tiny_model)


def tensors_of(model: Artifact, *numbers: int) -> dict[str, FloatArray]:
    """Return the tensors of these layers as files name them."""
    layers = model.network.layers
    return {f"layers.{i}.weights": layers[i].weights for i in numbers} | {
        f"layers.{i}.biases": layers[i].biases for i in numbers
    }


def read_binary(form: str, body: bytes) -> dict[str, FloatArray]:
    """Return the tensors in an npz or a safetensors file."""
    if form == "safetensors":
        return safetensors.numpy.load(body)
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        return dict(arrays)


def assert_same(expected: dict[str, FloatArray], actual: dict[str, FloatArray]) -> None:
    """Compare names, shapes, types and every bit."""
    assert set(expected) == set(actual)
    for name, tensor in expected.items():
        assert (tensor.shape, tensor.dtype) == (actual[name].shape, actual[name].dtype)
        assert tensor.tobytes() == actual[name].tobytes()


def test_json_gives_back_the_same_floats(model: Artifact) -> None:
    """Each decimal, read as float32, is the weight bit for bit, beside the facts of its layer."""
    document = json.loads(Weights(model).get("json").body)
    first, second = document["layers"]

    assert {"name": "tiny", "version": model.version} == document["model"]
    assert [(0, "relu", 784, 20), (1, "softmax", 20, 10)] == [
        (layer["index"], layer["activation"], layer["n_in"], layer["n_out"]) for layer in document["layers"]
    ]
    for layer, shown in zip(model.network.layers, (first, second), strict=True):
        assert layer.weights.tobytes() == np.array(shown["weights"], np.float32).tobytes()
        assert layer.biases.tobytes() == np.array(shown["biases"], np.float32).tobytes()


def test_json_has_the_shortest_decimals_of_any_float() -> None:
    """No digit more than it takes to tell a float32 from its neighbours, and every number is JSON."""
    weights = np.zeros((784, len(AWKWARD)), np.float32)
    weights[0] = AWKWARD
    layer = Layer(weights, np.array(AWKWARD, np.float32), "softmax")
    network = Network((layer,), tuple(range(len(AWKWARD))))
    body = Weights(Artifact(network, make_metadata(make_network()), "")).get("json", 0).body
    shown = json.loads(body)

    assert weights.tobytes() == np.array(shown["weights"], np.float32).tobytes()
    assert np.array(AWKWARD, np.float32).tobytes() == np.array(shown["biases"], np.float32).tobytes()
    assert b"0.1,0.10000001," in body
    assert b"0.33333334" in body
    assert b"NaN" not in body


def test_json_of_one_layer_is_the_layer(model: Artifact) -> None:
    """A layer alone looks as it does among the others."""
    weights = Weights(model)
    everything = json.loads(weights.get("json").body)["layers"]

    assert everything == [json.loads(weights.get("json", i).body) for i in (0, 1)]


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_binary_forms_hold_the_same_arrays(model: Artifact, form: str) -> None:
    """Read without pickle, all tensors of the network or of one layer are there, bit for bit."""
    weights = Weights(model)

    assert_same(tensors_of(model, 0, 1), read_binary(form, weights.get(form).body))
    assert_same(tensors_of(model, 0), read_binary(form, weights.get(form, 0).body))
    assert_same(tensors_of(model, 1), read_binary(form, weights.get(form, 1).body))


def test_safetensors_of_everything_is_the_model_file(model: Artifact, tiny_model: Path) -> None:
    """What is downloaded can be served, under the same version."""
    body = Weights(model).get("safetensors").body

    assert tiny_model.read_bytes() == body
    assert model.version == hashlib.sha256(body).hexdigest()[:12]


@pytest.mark.parametrize("index", [None, 0, 1])
@pytest.mark.parametrize("form", FORMS)
def test_every_process_makes_the_same_bytes(tiny_model: Path, form: str, index: int | None) -> None:
    """Two services with one model give the same body and gzip form, so that a strong ETag holds for both."""
    one, other = (Weights(artifact.load(tiny_model)).get(form, index) for _ in range(2))

    assert one.body == other.body
    assert one.gzipped == other.gzipped
    assert one.etag(gzipped=True) == other.etag(gzipped=True)
    assert one.etag(gzipped=False) == other.etag(gzipped=False)


@pytest.mark.parametrize("form", FORMS)
def test_representations_are_made_once(model: Artifact, form: str) -> None:
    """The second request gets what the first one made, gzip form included."""
    weights = Weights(model)
    first = weights.get(form, 1)

    assert weights.get(form, 1) is first
    assert first.gzipped is first.gzipped


def test_requests_at_the_same_time_get_one_representation(model: Artifact) -> None:
    """Threads that ask together do not make it many times over."""
    weights = Weights(model)
    made: list[Representation] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        made.append(weights.get("json"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [made[0]] * 8 == made


def test_npz_carries_no_time_of_day(model: Artifact) -> None:
    """Its members are dated 1980, whenever it is made, for the sake of the ETag."""
    with zipfile.ZipFile(io.BytesIO(Weights(model).get("npz").body)) as archive:
        dates = {member.date_time for member in archive.infolist()}

    assert {(1980, 1, 1, 0, 0, 0)} == dates


def test_json_is_worth_compressing(model: Artifact) -> None:
    """Decimals shrink to less than half."""
    representation = Weights(model).get("json")

    assert len(representation.body) > 2 * len(representation.gzipped)


def test_etags_differ_between_all_representations(model: Artifact) -> None:
    """Form, layer and coding each make another ETag, strong and quoted."""
    weights = Weights(model)
    etags = [
        weights.get(form, index).etag(gzipped=gzipped)
        for form in FORMS
        for index in (None, 0, 1)
        for gzipped in (False, True)
    ]

    assert len(etags) == len(set(etags))
    assert all(etag.startswith('"') and etag.endswith('"') for etag in etags)


def test_etags_differ_between_models(model: Artifact) -> None:
    """Another model has other ETags."""
    network = make_network(21)
    other = Artifact(network, make_metadata(network), "")

    for form in FORMS:
        assert Weights(model).get(form).etag(gzipped=False) != Weights(other).get(form).etag(gzipped=False)


@pytest.mark.parametrize("form", FORMS)
def test_the_media_type_goes_with_the_form(model: Artifact, form: str) -> None:
    """A representation knows what it is served as."""
    assert MEDIA_TYPES[form] == Weights(model).get(form).media_type


@pytest.mark.parametrize("index", [-1, 2, 1000])
def test_a_layer_that_does_not_exist_is_refused(model: Artifact, index: int) -> None:
    """The line says how the layers are numbered, for every form."""
    weights = Weights(model)
    message = f"^there is no layer {index}: the network's are numbered 0 to 1$"

    with pytest.raises(NoSuchLayer, match=message):
        weights.layer(index)
    for form in FORMS:
        with pytest.raises(NoSuchLayer, match=message):
            weights.get(form, index)


@pytest.mark.parametrize("index", [0, 1])
def test_a_layer_is_the_networks_own(model: Artifact, index: int) -> None:
    """Nothing is copied."""
    assert Weights(model).layer(index) is model.network.layers[index]
