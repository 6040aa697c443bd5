"""Tests of service.api.routes.predict and of its request bodies."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.classifier import Classifier
from service.model import artifact
from service.model.artifact import Artifact
from service.settings import Settings
from tests.conftest import make_detector, make_metadata, make_network
from tests.pictures import draw, encode
from tests.service.api.problems import problem

PICTURE = encode(draw(4))
PIXELS = np.zeros((28, 28), int)
PIXELS[4:24, 13:16] = 255
JSON = {"content-type": "application/json"}
EXPLAINED = ["input", "activations", "scores", "temperature", "relevance", "normalization", "stencils", "offsets"]


@pytest.mark.parametrize(
    "request_body",
    [
        {"files": {"file": ("four.png", PICTURE, "image/png")}},
        {"files": {"other": b"x", "file": PICTURE}},
        {"content": PICTURE, "headers": {"content-type": "image/png"}},
        {"content": PICTURE, "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": PICTURE},
        {"json": {"image": base64.b64encode(PICTURE).decode()}},
        {"json": {"image": base64.encodebytes(PICTURE).decode()}},
        {"json": {"image": "data:image/png;base64," + base64.b64encode(PICTURE).decode()}},
        {
            "content": json.dumps({"image": base64.b64encode(PICTURE).decode()}),
            "headers": {"content-type": "Application/JSON; charset=utf-8"},
        },
    ],
    ids=[
        "form", "form, two fields", "raw", "curl's default", "no type", "base64", "base64 in lines", "data URL",
        "JSON with charset",
    ],
)  # fmt: skip
def test_picture_in_every_kind_of_body(client: TestClient, bundled: Artifact, request_body: dict[str, Any]) -> None:
    """Forms, raw bodies and JSON get the same answer with exactly the documented fields."""
    response = client.post("/predict", **request_body)
    answer = response.json()

    assert 200 == response.status_code
    assert {"digit", "confidence", "probabilities", "classes", "verdict", "novelty", "model"} == set(answer)
    assert 4 == answer["digit"]
    assert list(range(10)) == answer["classes"]
    assert answer["confidence"] == max(answer["probabilities"]) == answer["probabilities"][4]
    assert pytest.approx(1, abs=1e-12) == sum(answer["probabilities"])
    assert "clear" == answer["verdict"]
    assert {"name": "mnist-mlp", "version": bundled.version} == answer["model"]


@pytest.mark.parametrize(
    "request_body", [{"content": PICTURE}, {"json": {"pixels": PIXELS.tolist()}}], ids=["picture", "pixels"]
)
def test_ood_score(watchful_client: TestClient, watchful_model: Path, request_body: dict[str, Any]) -> None:
    """With an OOD detector the answer has the novelty and the verdict of the classifier."""
    classifier = Classifier.load(watchful_model)
    if "content" in request_body:
        expected = classifier.predict_picture(PICTURE)
    else:
        (expected,) = classifier.predict_pixels(PIXELS[None])

    answer = watchful_client.post("/predict", **request_body).json()

    assert expected.novelty is not None
    assert (pytest.approx(expected.novelty), expected.verdict) == (answer["novelty"], answer["verdict"])


def test_out_of_distribution_picture_is_answered(tmp_path: Path) -> None:
    """The verdict is not_a_digit. The answer still has the most probable digit."""
    network = make_network(5)
    detector = make_detector(network)
    metadata = make_metadata(network, detector)
    calibration = metadata.calibration.model_copy(update={"novel_from": 0.0})
    model = tmp_path / "model.safetensors"
    artifact.save(model, network, metadata.model_copy(update={"calibration": calibration}), detector)

    with TestClient(create_app(Settings(model=model))) as client:
        response = client.post("/predict", content=PICTURE)

    assert (200, "not_a_digit") == (response.status_code, response.json()["verdict"])
    assert response.json()["digit"] in range(10)


def test_ood_score_is_null_without_a_detector(tiny_client: TestClient) -> None:
    """The field is present."""
    answer = tiny_client.post("/predict", content=PICTURE).json()

    assert "novelty" in answer
    assert answer["novelty"] is None


def test_pixels_are_not_normalised(client: TestClient) -> None:
    """They are the input of the network, and `normalization` is null."""
    answer = client.post("/predict", json={"pixels": PIXELS.tolist()}, params={"explain": True}).json()

    assert 1 == answer["digit"]
    np.testing.assert_allclose(answer["explanation"]["input"], PIXELS / 255, atol=1e-6)
    assert answer["explanation"]["normalization"] is None


def test_large_body_is_parsed_in_a_thread(client: TestClient) -> None:
    """A form or JSON over MAX_INLINE_BYTES gets the same answer."""
    large = PICTURE + bytes(300_000)
    bodies: list[dict[str, Any]] = [
        {"files": {"file": large}},
        {"json": {"image": base64.b64encode(large).decode()}},
    ]

    assert [4, 4] == [client.post("/predict", **body).json()["digit"] for body in bodies]


def test_top_k(client: TestClient) -> None:
    """The most probable classes in descending order, the answer first."""
    answer = client.post("/predict", content=PICTURE, params={"top_k": 3}).json()
    probabilities = [ranked["probability"] for ranked in answer["top"]]

    assert 3 == len(answer["top"])
    assert {"digit": answer["digit"], "probability": answer["confidence"]} == answer["top"][0]
    assert sorted(answer["probabilities"], reverse=True)[:3] == probabilities


def test_explanation_reproduces_the_answer(client: TestClient, bundled: Artifact) -> None:
    """The weights applied to the returned input give the returned activations, logits and probabilities."""
    picture = encode(draw(4, ink=255, paper=0, size=(120, 100)))
    answer = client.post("/predict", content=picture, params={"explain": True}).json()
    explanation = answer["explanation"]
    signal = np.array(explanation["input"]).reshape(1, 784)
    for layer, activation in zip(bundled.network.layers[:-1], explanation["activations"], strict=False):
        signal = np.maximum(signal @ layer.weights + layer.biases, 0)
        np.testing.assert_allclose(activation, signal[0], atol=1e-4)
    head = bundled.network.layers[-1]
    scores = (signal @ head.weights + head.biases)[0]
    exponentials = np.exp(scores / explanation["temperature"])

    np.testing.assert_allclose(explanation["scores"], scores, atol=1e-4)
    np.testing.assert_allclose(answer["probabilities"], exponentials / exponentials.sum(), atol=1e-4)
    assert len(bundled.network.layers) == len(explanation["activations"])
    assert (28, 28) == np.array(explanation["relevance"]).shape
    assert "light-on-dark" == explanation["normalization"]["polarity"]
    assert [100, 120] == explanation["normalization"]["size"]
    top, left, bottom, right = explanation["normalization"]["ink_box"]
    assert 17 <= top < bottom <= 84
    assert 36 <= left < right <= 84


def test_effective_weights_and_biases_give_the_logits(client: TestClient) -> None:
    """Each logit is sum(stencil * input) + offset: the network is locally linear."""
    explanation = client.post("/predict", content=PICTURE, params={"explain": True}).json()["explanation"]
    sums = np.tensordot(np.array(explanation["stencils"]), np.array(explanation["input"]), 2)

    assert (10, 28, 28) == np.shape(explanation["stencils"])
    np.testing.assert_allclose(sums + explanation["offsets"], explanation["scores"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("explain", "expected"),
    [
        ("true", EXPLAINED),
        ("1", EXPLAINED),
        ("relevance", ["relevance"]),
        ("stencils,relevance", ["relevance", "stencils"]),
        ("relevance,relevance,normalization", ["relevance", "normalization"]),
        (",".join(EXPLAINED), EXPLAINED),
    ],
)
@pytest.mark.parametrize(
    "body", [{"content": PICTURE}, {"json": {"pixels": PIXELS.tolist()}}], ids=["picture", "pixels"]
)
def test_fields_of_the_explanation(client: TestClient, body: dict[str, Any], explain: str, expected: list[str]) -> None:
    """Those that are chosen have the values that they have among all."""
    everything = client.post("/predict?explain=true", **body).json()
    chosen = client.post("/predict", params={"explain": explain}, **body).json()

    assert expected == list(chosen["explanation"])
    assert {name: everything["explanation"][name] for name in expected} == chosen["explanation"]
    assert everything | {"explanation": None} == chosen | {"explanation": None}


@pytest.mark.parametrize("explain", ["false", "0", "no"])
def test_no_explanation(client: TestClient, explain: str) -> None:
    """The field is absent."""
    assert "explanation" not in client.post("/predict", content=PICTURE, params={"explain": explain}).json()


@pytest.mark.parametrize("explain", ["", "stencil", "relevance,", "relevance, stencils", "cuts", "true,relevance"])
def test_unknown_field_of_the_explanation(client: TestClient, explain: str) -> None:
    """The detail names the fields."""
    response = client.post("/predict", content=PICTURE, params={"explain": explain})

    assert (422, "invalid-request") == problem(response)
    assert "relevance|scores|stencils" in response.json()["detail"]


def test_explanation_is_compressed(client: TestClient) -> None:
    """To less than half, where the client accepts it."""
    plain, compressed = (
        client.post("/predict?explain=true", content=PICTURE, headers={"accept-encoding": encoding})
        for encoding in ("identity", "gzip")
    )

    assert (None, "gzip") == (plain.headers.get("content-encoding"), compressed.headers["content-encoding"])
    assert int(compressed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert plain.json() == compressed.json()


def test_error_lists_the_accepted_formats(tiny_model: Path) -> None:
    """Those of the setting, not all that the decoder supports."""
    with TestClient(create_app(Settings(model=tiny_model, formats=("PNG", "AVIF")))) as client:
        rejected = [client.post("/predict", content=content) for content in (encode(draw(), "JPEG"), b"hello")]
        accepted = client.post("/predict", content=PICTURE)

    assert [415, 415, 200] == [response.status_code for response in (*rejected, accepted)]
    assert [
        "JPEG pictures are not accepted here: send PNG or AVIF",
        "this is not a picture in an accepted format: send PNG or AVIF",
    ] == [response.json()["detail"] for response in rejected]


def test_no_effective_weights_for_curved_activations(tmp_path: Path) -> None:
    """With tanh, not piecewise linear, `stencils` and `offsets` are null. The rest of the explanation is not."""
    network = make_network(5, activation="tanh")
    model = tmp_path / "model.safetensors"
    artifact.save(model, network, make_metadata(network))

    with TestClient(create_app(Settings(model=model))) as client:
        explanation = client.post("/predict", content=PICTURE, params={"explain": True}).json()["explanation"]

    assert (None, None) == (explanation["stencils"], explanation["offsets"])
    assert (28, 28) == np.shape(explanation["relevance"])


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({}, (422, "invalid-request")),
        ({"content": b"hello"}, (415, "unsupported-media-type")),
        ({"content": PICTURE[:100]}, (400, "unreadable-image")),
        ({"content": encode(draw(paper=200, ink=200))}, (422, "no-ink")),
        ({"content": encode(np.zeros((8000, 8000), bool))}, (413, "image-too-large")),
        ({"files": {"picture": PICTURE}}, (422, "invalid-request")),
        ({"files": [("file", PICTURE), ("file", PICTURE)]}, (422, "invalid-request")),
        ({"files": {"file": b""}}, (422, "invalid-request")),
        ({"files": {"file": ("", b"")}}, (422, "invalid-request")),
        ({"json": {"image": ""}}, (422, "invalid-request")),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, (422, "invalid-request")),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, (422, "invalid-request")),
        (
            {"content": b"--b\r\n\r\nx", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            (422, "invalid-request"),
        ),
        (
            {"content": b"--b--\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            (422, "invalid-request"),
        ),
        ({"content": b"{", "headers": JSON}, (400, "invalid-json")),
        ({"content": b"x", "headers": JSON}, (400, "invalid-json")),
        ({"content": b"{"}, (400, "invalid-json")),
        ({"content": b"[" * 100_000, "headers": JSON}, (422, "invalid-request")),
        ({"json": {"pixels": [[0] * 71] * 71}}, (422, "invalid-request")),
        ({"files": [("other", b"")] * 101 + [("file", PICTURE)]}, (413, "too-many-pictures")),
        ({"json": []}, (422, "invalid-request")),
        ({"json": {}}, (422, "invalid-request")),
        ({"json": {"image": "", "pixels": []}}, (422, "invalid-request")),
        ({"json": {"image": 7}}, (422, "invalid-request")),
        ({"json": {"image": "not base64!"}}, (422, "invalid-request")),
        ({"json": {"image": "é"}}, (422, "invalid-request")),
        ({"json": {"image": "data:image/svg+xml,%3Csvg/%3E"}}, (422, "invalid-request")),
        ({"json": {"image": base64.b64encode(b"hello").decode()}}, (415, "unsupported-media-type")),
        ({"json": {"pixels": [[0] * 28] * 27}}, (422, "invalid-request")),
        ({"json": {"pixels": [[0] * 28] * 27 + [[0] * 27]}}, (422, "invalid-request")),
        ({"json": {"pixels": [[0] * 27] * 28}}, (422, "invalid-request")),
        ({"json": {"pixels": [[0.5] * 28] * 28}}, (422, "invalid-request")),
        ({"json": {"pixels": [["7"] * 28] * 28}}, (422, "invalid-request")),
        ({"json": {"pixels": [[256] * 28] * 28}}, (422, "invalid-request")),
        ({"json": {"pixels": [[-1] * 28] * 28}}, (422, "invalid-request")),
        ({"json": {"pixels": [[10**30] * 28] * 28}}, (422, "invalid-request")),
        ({"content": PICTURE, "params": {"top_k": 0}}, (422, "invalid-request")),
    ],
    ids=str,
)
def test_problems(client: TestClient, request_body: dict[str, Any], expected: tuple[int, str]) -> None:
    """Every kind of invalid request has its documented status and code."""
    assert expected == problem(client.post("/predict", **request_body))


def test_routing_errors_are_problems(client: TestClient) -> None:
    """Unknown paths and methods have the same format."""
    assert (404, "not-found") == problem(client.get("/nowhere"))
    response = client.get("/predict")
    assert (405, "method-not-allowed") == problem(response)
    assert "POST" == response.headers["allow"]
    assert "GET /predict: use POST" == response.json()["detail"]
    assert "PUT /docs: use GET or HEAD" == client.put("/docs").json()["detail"]


@pytest.mark.parametrize(
    "request_body",
    [{"files": {"file": ("", b"")}}, {"files": {"image": b""}}, {"json": {"image": ""}}, {"json": {"image": "data:,"}},
     {"content": b"image="}],
    ids=["no file in a form", "empty file", "empty string", "empty canvas", "empty field"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/predict", "/read"])
def test_no_file_was_chosen(tiny_client: TestClient, path: str, request_body: dict[str, Any]) -> None:
    """The detail says so, instead of calling nothing an unaccepted format."""
    response = tiny_client.post(path, **request_body)

    assert (422, "invalid-request") == problem(response)
    assert "no file was chosen: the picture has 0 bytes" == response.json()["detail"]


@pytest.mark.parametrize("path", ["/predict/batch", "/read/batch"])
def test_no_file_was_chosen_in_a_batch(tiny_client: TestClient, path: str) -> None:
    """It is the problem of one result."""
    results = tiny_client.post(path, files=[("file", ("", b"")), ("file", PICTURE)]).json()["results"]

    assert (422, "invalid-request") == (results[0]["problem"]["status"], results[0]["problem"]["code"])
    assert "problem" not in results[1]


def test_blank_pixels_are_answered(client: TestClient) -> None:
    """Unlike a blank picture, a blank array is valid."""
    assert 200 == client.post("/predict", json={"pixels": [[0] * 28] * 28}).status_code


def test_openapi_examples(client: TestClient) -> None:
    """Each example is answered with its digit."""
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/predict"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    answers = [client.post("/predict", json=example["value"]).json()["digit"] for example in examples.values()]

    assert [7, 7] == answers
    assert "application/problem+json" in operation["responses"]["422"]["content"]
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in json.dumps(document)


# --- Batches


def test_batch_results_are_in_order(client: TestClient) -> None:
    """Each picture gets the same answer as alone. An unreadable one does not fail the others."""
    pictures = [encode(draw(7)), b"nothing", encode(np.full((40, 40), 255, np.uint8)), PICTURE]
    response = client.post("/predict/batch", files=[("file", picture) for picture in pictures])
    seven, unsupported, blank, four = response.json()["results"]

    assert 200 == response.status_code
    assert ["prediction"] == list(seven) == list(four)
    alone = client.post("/predict", content=PICTURE).json()
    assert alone.pop("probabilities") == pytest.approx(four["prediction"].pop("probabilities"), abs=1e-6)
    assert alone | {"confidence": None, "novelty": None} == four["prediction"] | {"confidence": None, "novelty": None}
    assert 7 == seven["prediction"]["digit"]
    assert ["unsupported-media-type", "no-ink"] == [result["problem"]["code"] for result in (unsupported, blank)]
    assert {"type", "title", "status", "detail", "code", "request_id"} == set(blank["problem"])
    assert response.headers["x-request-id"] == blank["problem"]["request_id"]


def test_batch_of_problems(tiny_client: TestClient) -> None:
    """All results may be problems."""
    response = tiny_client.post("/predict/batch", files=[("file", b"nothing")] * 2)

    assert [["problem"], ["problem"]] == [list(result) for result in response.json()["results"]]


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"files": [("file", b"x")] * 65}, (413, "too-many-pictures")),
        ({"files": [("file", b"x")] * 165}, (413, "too-many-pictures")),
        ({"files": [("picture", b"x")]}, (422, "invalid-request")),
        ({"content": PICTURE}, (422, "invalid-request")),
        ({"json": {"image": ""}}, (422, "invalid-request")),
    ],
    ids=["too many pictures", "too many parts", "another field", "raw", "JSON"],
)
def test_invalid_batches(tiny_client: TestClient, request_body: dict[str, Any], expected: tuple[int, str]) -> None:
    """Too many pictures, or no form with a field `file`."""
    assert expected == problem(tiny_client.post("/predict/batch", **request_body))


def test_batch_has_a_body_limit_of_its_own(tiny_client: TestClient) -> None:
    """It may be larger than the body of /predict."""
    files = [("file", PICTURE + bytes(60_000)), ("file", PICTURE + bytes(60_000))]

    assert 200 == tiny_client.post("/predict/batch", files=files).status_code
