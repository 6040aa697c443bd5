"""Tests of service.api.routes.model."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.model import artifact
from service.model.artifact import Artifact
from service.settings import Settings


def test_model_tells_what_is_served(client: TestClient, bundled: Artifact) -> None:
    """The description has the version, the shapes and the figures of the model file."""
    model = client.get("/model").json()

    assert bundled.version == model["version"]
    assert [layer.n_out for layer in bundled.network.layers] == [layer["n_out"] for layer in model["layers"]]
    assert "softmax" == model["head"]
    assert sum(layer["n_in"] * layer["n_out"] + layer["n_out"] for layer in model["layers"]) == model["n_parameters"]
    assert bundled.metadata.figures == model["figures"]
    calibration = bundled.metadata.calibration
    thresholds = (calibration.temperature, calibration.ambiguous_below, calibration.novel_from)
    assert thresholds == (model["temperature"], model["ambiguous_below"], model["novel_from"])


def test_model_tells_from_where_on_there_is_no_digit(tiny_client: TestClient, watchful_client: TestClient) -> None:
    """The threshold of novelty is told where there is one, and null where the model cannot tell."""
    assert 0.7 == watchful_client.get("/model").json()["novel_from"]
    answer = tiny_client.get("/model").json()
    assert "novel_from" in answer
    assert answer["novel_from"] is None


def test_weights_come_as_json(client: TestClient, bundled: Artifact) -> None:
    """JSON gives back the very float32 numbers of every layer."""
    response = client.get("/model/weights")
    layers = response.json()["layers"]

    assert "application/json" == response.headers["content-type"]
    for layer, shown in zip(bundled.network.layers, layers, strict=True):
        np.testing.assert_array_equal(np.array(shown["weights"], np.float32), layer.weights)
        np.testing.assert_array_equal(np.array(shown["biases"], np.float32), layer.biases)


def test_weights_come_in_binary_forms(tiny_client: TestClient) -> None:
    """Both npz and safetensors are had by `format` and by `Accept`, with the same arrays."""
    npz = np.load(io.BytesIO(tiny_client.get("/model/weights", params={"format": "npz"}).content), allow_pickle=False)
    response = tiny_client.get("/model/weights", headers={"accept": "application/vnd.safetensors"})
    tensors = safetensors.numpy.load(response.content)

    assert set(tensors) == set(npz)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, npz[name])


def test_one_layer_can_be_had_alone(tiny_client: TestClient) -> None:
    """A layer has the same content alone as among all."""
    layers = tiny_client.get("/model/weights").json()["layers"]

    assert layers[1] == tiny_client.get("/model/weights/1").json()
    assert {"layers.1.weights", "layers.1.biases"} == set(
        safetensors.numpy.load(tiny_client.get("/model/weights/1", params={"format": "safetensors"}).content)
    )


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("text/html, application/*;q=0.5", "application/json"),
        ("application/json;q=0.1, application/x-npz;q=0.8", "application/x-npz"),
        ("application/json;q=x, application/x-npz", "application/x-npz"),
        ("application/vnd.safetensors, application/json", "application/json"),
    ],
)
def test_accept_decides_by_weight(tiny_client: TestClient, accept: str, expected: str) -> None:
    """The form of the greatest weight is sent, JSON where several are alike."""
    assert expected == tiny_client.get("/model/weights", headers={"accept": accept}).headers["content-type"]


def test_an_accept_without_any_of_the_forms_is_refused(tiny_client: TestClient) -> None:
    """A client that accepts none of the forms gets 406 with their names."""
    response = tiny_client.get("/model/weights", headers={"accept": "text/html"})

    assert 406 == response.status_code
    assert "not-acceptable" == response.json()["code"]
    assert "application/x-npz" in response.json()["detail"]


def test_gzip_is_sent_to_who_accepts_it(tiny_client: TestClient) -> None:
    """The compressed body is that of the plain one, under a tag of its own, and caches are told to tell them apart."""
    plain = tiny_client.get("/model/weights", headers={"accept-encoding": "identity"})
    refused = tiny_client.get("/model/weights", headers={"accept-encoding": "gzip;q=0"})
    with tiny_client.stream("GET", "/model/weights", headers={"accept-encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())

    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert "gzip" == packed.headers["content-encoding"]
    assert plain.content == gzip.decompress(raw)
    assert plain.headers["etag"] != packed.headers["etag"]
    assert "Accept, Accept-Encoding" == plain.headers["vary"]


@pytest.mark.parametrize("path", ["/model/weights", "/model/weights/0", "/model/weights/0/image"])
def test_a_copy_that_is_current_is_not_sent_again(tiny_client: TestClient, path: str) -> None:
    """If-None-Match with the tag is answered 304 without a body, with another tag in full."""
    tag = tiny_client.get(path).headers["etag"]
    current = tiny_client.get(path, headers={"if-none-match": f'"other", {tag}'})

    assert 304 == current.status_code
    assert b"" == current.content
    assert tag == current.headers["etag"]
    assert 200 == tiny_client.get(path, headers={"if-none-match": '"other"'}).status_code


@pytest.mark.parametrize("path", ["/model", "/model/weights", "/model/weights/0", "/model/weights/0/image"])
def test_size_and_etag_can_be_had_alone(tiny_client: TestClient, path: str) -> None:
    """HEAD has the headers that GET has."""
    head, get = tiny_client.head(path), tiny_client.get(path)

    assert 200 == head.status_code
    assert [get.headers.get(name) for name in ("etag", "content-length", "content-type")] == (
        [head.headers.get(name) for name in ("etag", "content-length", "content-type")]
    )


def test_first_layer_is_drawn(tiny_client: TestClient) -> None:
    """The picture has the tiles that were asked for."""
    response = tiny_client.get("/model/weights/0/image", params={"rows": 2, "columns": 3, "first": 5})
    image = Image.open(io.BytesIO(response.content))

    assert "image/png" == response.headers["content-type"]
    assert (3 * 112 + 2 * 4, 2 * 112 + 4) == image.size


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/model/weights/2", 404),
        ("/model/weights/-1", 404),
        ("/model/weights/x", 422),
        ("/model/weights?format=pickle", 422),
        ("/model/weights/2/image", 404),
        ("/model/weights/1/image", 422),
        ("/model/weights/0/image?first=20", 422),
        ("/model/weights/0/image?rows=17", 422),
        ("/model/weights/0/image?columns=0", 422),
    ],
)
def test_what_there_is_not_to_see_is_a_problem(tiny_client: TestClient, path: str, status: int) -> None:
    """Unknown layers and forms, and layers that are no pictures, are refused."""
    response = tiny_client.get(path)

    assert status == response.status_code
    assert "application/problem+json" == response.headers["content-type"]


def test_the_report_of_the_served_model_is_shown(tmp_path: Path, tiny_model: Path) -> None:
    """Facts and drawings that lie beside a model are sent, with tags."""
    model = tmp_path / "model.safetensors"
    model.write_bytes(tiny_model.read_bytes())
    folder = tmp_path / "report"
    folder.mkdir()
    facts = {"model": {"version": artifact.load(model).version}}
    (folder / "report.json").write_text(json.dumps(facts))
    Image.new("L", (3, 2)).save(folder / "misread.png")
    with TestClient(create_app(Settings(model=model))) as client:
        told = client.get("/model").json()["report"]
        shown, drawn = client.get("/model/report"), client.get("/model/report/misread.png")

    assert told is True
    assert facts == shown.json()
    assert "image/png" == drawn.headers["content-type"]
    assert (3, 2) == Image.open(io.BytesIO(drawn.content)).size
    assert "etag" in shown.headers
    assert "content-encoding" not in drawn.headers


@pytest.mark.parametrize("path", ["/model/report", "/model/report/misread.png"])
def test_a_model_without_a_report_says_so(tiny_client: TestClient, path: str) -> None:
    """Who brings a model of their own need not measure it."""
    response = tiny_client.get(path)

    assert (404, "not-found") == (response.status_code, response.json()["code"])
    assert "digits-train report" in response.json()["detail"]
    assert tiny_client.get("/model").json()["report"] is False
