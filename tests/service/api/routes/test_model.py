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


def test_model_metadata(client: TestClient, bundled: Artifact) -> None:
    """Version, shapes, calibration and evaluation metrics are those of the model file."""
    model = client.get("/model").json()

    assert bundled.version == model["version"]
    assert [layer.n_out for layer in bundled.network.layers] == [layer["n_out"] for layer in model["layers"]]
    assert "softmax" == model["head"]
    assert sum(layer["n_in"] * layer["n_out"] + layer["n_out"] for layer in model["layers"]) == model["n_parameters"]
    assert bundled.metadata.figures == model["figures"]
    calibration = bundled.metadata.calibration
    thresholds = (calibration.temperature, calibration.ambiguous_below, calibration.novel_from)
    assert thresholds == (model["temperature"], model["ambiguous_below"], model["novel_from"])


def test_ood_threshold(tiny_client: TestClient, watchful_client: TestClient) -> None:
    """It is null for a model without an OOD detector."""
    assert 0.7 == watchful_client.get("/model").json()["novel_from"]
    metadata = tiny_client.get("/model").json()
    assert "novel_from" in metadata
    assert metadata["novel_from"] is None


def test_weights_as_json(tiny_client: TestClient, tiny_model: Path) -> None:
    """JSON round-trips the float32 values of every layer."""
    response = tiny_client.get("/model/weights")
    layers = response.json()["layers"]

    assert "application/json" == response.headers["content-type"]
    for layer, content in zip(artifact.load(tiny_model).network.layers, layers, strict=True):
        np.testing.assert_array_equal(np.array(content["weights"], np.float32), layer.weights)
        np.testing.assert_array_equal(np.array(content["biases"], np.float32), layer.biases)


def test_weights_in_binary_formats(tiny_client: TestClient) -> None:
    """Formats npz by `format` and safetensors by `Accept` have the same arrays."""
    npz = np.load(io.BytesIO(tiny_client.get("/model/weights", params={"format": "npz"}).content), allow_pickle=False)
    response = tiny_client.get("/model/weights", headers={"accept": "application/vnd.safetensors"})
    tensors = safetensors.numpy.load(response.content)

    assert set(tensors) == set(npz)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, npz[name])


def test_weights_of_one_layer(tiny_client: TestClient) -> None:
    """Equal the layer within all weights."""
    layers = tiny_client.get("/model/weights").json()["layers"]

    assert layers[1] == tiny_client.get("/model/weights/1").json()
    assert {"layers.1.weights", "layers.1.biases"} == set(
        safetensors.numpy.load(tiny_client.get("/model/weights/1", params={"format": "safetensors"}).content)
    )


@pytest.mark.parametrize("form", ["json", "safetensors"])
def test_weights_of_some_units(tiny_client: TestClient, form: str) -> None:
    """`units` chooses columns, `inputs` rows, in the order in which they are named."""
    layer = tiny_client.get("/model/weights/1").json()
    weights, biases = np.array(layer["weights"], np.float32), np.array(layer["biases"], np.float32)
    units, inputs = [7, 2], [3, 0, 11]

    for params, expected in (
        ({"units": "7,2"}, (weights[:, units], biases[units])),
        ({"inputs": "3,0,11"}, (weights[inputs], biases)),
        ({"units": "7,2", "inputs": "3,0,11"}, (weights[inputs][:, units], biases[units])),
    ):
        response = tiny_client.get("/model/weights/1", params={**params, "format": form})
        if form == "json":
            found = (np.array(response.json()[name], np.float32) for name in ("weights", "biases"))
        else:
            tensors = safetensors.numpy.load(response.content)
            found = (tensors[f"layers.1.{name}"] for name in ("weights", "biases"))
        for own, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(own, other)


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
def test_content_negotiation(tiny_client: TestClient, accept: str, expected: str) -> None:
    """The format with the highest quality, JSON in case of a tie."""
    assert expected == tiny_client.get("/model/weights", headers={"accept": accept}).headers["content-type"]


def test_not_acceptable(tiny_client: TestClient) -> None:
    """A client that accepts none of the formats gets 406 with their names."""
    response = tiny_client.get("/model/weights", headers={"accept": "text/html"})

    assert 406 == response.status_code
    assert "not-acceptable" == response.json()["code"]
    assert "application/x-npz" in response.json()["detail"]


def test_gzip(tiny_client: TestClient) -> None:
    """Only for clients that accept it, with an ETag of its own and `Vary`."""
    plain = tiny_client.get("/model/weights", headers={"accept-encoding": "identity"})
    excluded = tiny_client.get("/model/weights", headers={"accept-encoding": "gzip;q=0"})
    with tiny_client.stream("GET", "/model/weights", headers={"accept-encoding": "gzip"}) as gzipped:
        raw = b"".join(gzipped.iter_raw())

    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in excluded.headers
    assert "gzip" == gzipped.headers["content-encoding"]
    assert plain.content == gzip.decompress(raw)
    assert plain.headers["etag"] != gzipped.headers["etag"]
    assert "Accept, Accept-Encoding" == plain.headers["vary"]


@pytest.mark.parametrize("path", ["/model/weights", "/model/weights/0/image"])
def test_conditional_request(tiny_client: TestClient, path: str) -> None:
    """If-None-Match with the current ETag is 304 without a body, with another ETag 200."""
    etag = tiny_client.get(path).headers["etag"]
    current = tiny_client.get(path, headers={"if-none-match": f'"other", {etag}'})

    assert 304 == current.status_code
    assert b"" == current.content
    assert etag == current.headers["etag"]
    assert 200 == tiny_client.get(path, headers={"if-none-match": '"other"'}).status_code


@pytest.mark.parametrize("path", ["/model", "/model/weights", "/model/weights/0", "/model/weights/0/image"])
def test_head(tiny_client: TestClient, path: str) -> None:
    """HEAD has the headers of GET."""
    head, get = tiny_client.head(path), tiny_client.get(path)

    assert 200 == head.status_code
    assert [get.headers.get(name) for name in ("etag", "content-length", "content-type")] == (
        [head.headers.get(name) for name in ("etag", "content-length", "content-type")]
    )


def test_weight_image(tiny_client: TestClient) -> None:
    """It has the requested number of tiles."""
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
        ("/model/weights/1?units=0,10", 422),
        ("/model/weights/1?inputs=20", 422),
        ("/model/weights/1?units=0,", 422),
        ("/model/weights/1?unit=0", 422),
        ("/model/weights/2?units=0", 404),
        ("/model/weights/2/image", 404),
        ("/model/weights/1/image", 422),
        ("/model/weights/0/image?first=20", 422),
        ("/model/weights/0/image?rows=17", 422),
        ("/model/weights/0/image?columns=0", 422),
    ],
)
def test_invalid_requests(tiny_client: TestClient, path: str, status: int) -> None:
    """Unknown layers and formats, and layers that cannot be drawn, are problems."""
    response = tiny_client.get(path)

    assert status == response.status_code
    assert "application/problem+json" == response.headers["content-type"]


def test_report(tmp_path: Path, tiny_model: Path) -> None:
    """JSON and figures beside the model file are served with ETags."""
    model = tmp_path / "model.safetensors"
    model.write_bytes(tiny_model.read_bytes())
    folder = tmp_path / "report"
    folder.mkdir()
    content = {"model": {"version": artifact.load(model).version}}
    (folder / "report.json").write_text(json.dumps(content))
    Image.new("L", (3, 2)).save(folder / "misread.png")
    with TestClient(create_app(Settings(model=model))) as client:
        has_report = client.get("/model").json()["report"]
        report, figure = client.get("/model/report"), client.get("/model/report/misread.png")

    assert has_report is True
    assert content == report.json()
    assert "image/png" == figure.headers["content-type"]
    assert (3, 2) == Image.open(io.BytesIO(figure.content)).size
    assert "etag" in report.headers
    assert "content-encoding" not in figure.headers


@pytest.mark.parametrize("path", ["/model/report", "/model/report/misread.png"])
def test_model_without_a_report(tiny_client: TestClient, path: str) -> None:
    """404 with the command that writes a report."""
    response = tiny_client.get(path)

    assert (404, "not-found") == (response.status_code, response.json()["code"])
    assert "digits-train report" in response.json()["detail"]
    assert tiny_client.get("/model").json()["report"] is False
