"""Tests of service.api.routes.predict and of the bodies that it takes."""

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

PICTURE = encode(draw(4))
PIXELS = np.zeros((28, 28), int)
PIXELS[4:24, 13:16] = 255
JSON = {"content-type": "application/json"}


def problem(response: Any) -> tuple[int, str]:
    """Return status and code of a problem, having checked its form."""
    body = response.json()

    assert "application/problem+json" == response.headers["content-type"]
    assert {"type", "title", "status", "detail", "code", "request_id"} == set(body)
    assert response.status_code == body["status"]
    assert response.headers["x-request-id"] == body["request_id"]
    return response.status_code, body["code"]


@pytest.mark.parametrize(
    "request_body",
    [
        {"files": {"file": ("four.png", PICTURE, "image/png")}},
        {"files": {"file": ("four", PICTURE, "text/plain")}},
        {"files": {"other": b"x", "file": PICTURE}},
        {"content": PICTURE, "headers": {"content-type": "image/png"}},
        {"content": PICTURE, "headers": {"content-type": "image/jpeg"}},
        {"content": PICTURE, "headers": {"content-type": "application/octet-stream"}},
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
        "form", "form, wrong type", "form, two fields", "raw", "raw, wrong type", "octet-stream", "curl's default",
        "no type", "base64", "base64 in lines", "data URL", "JSON with charset",
    ],
)  # fmt: skip
def test_a_picture_is_answered_in_every_form(
    client: TestClient, bundled: Artifact, request_body: dict[str, Any]
) -> None:
    """Forms, raw bodies of any type and JSON get the same answer with exactly the documented members."""
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
def test_novelty_is_told_where_it_is_known(
    watchful_client: TestClient, watchful_model: Path, request_body: dict[str, Any]
) -> None:
    """A model with a detector answers with the novelty that the classifier finds, and the verdict that follows."""
    classifier = Classifier.load(watchful_model)
    if "content" in request_body:
        expected = classifier.predict_picture(PICTURE)
    else:
        (expected,) = classifier.predict_pixels(PIXELS[None])

    answer = watchful_client.post("/predict", **request_body).json()

    assert expected.novelty is not None
    assert (pytest.approx(expected.novelty), expected.verdict) == (answer["novelty"], answer["verdict"])


def test_what_is_no_digit_gets_an_answer(tmp_path: Path) -> None:
    """Its verdict says that it is none, and the digit that it would be is told all the same."""
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


def test_novelty_that_is_not_known_is_null(tiny_client: TestClient) -> None:
    """A model that cannot tell says so, and does not leave it out."""
    answer = tiny_client.post("/predict", content=PICTURE).json()

    assert "novelty" in answer
    assert answer["novelty"] is None


def test_pixels_are_taken_as_they_are(client: TestClient) -> None:
    """Pixels reach the network unchanged, and there is no normalization to report."""
    answer = client.post("/predict", json={"pixels": PIXELS.tolist()}, params={"explain": True}).json()

    assert 1 == answer["digit"]
    np.testing.assert_allclose(answer["explanation"]["input"], PIXELS / 255, atol=1e-6)
    assert answer["explanation"]["normalization"] is None


def test_a_large_body_is_taken_apart_elsewhere(client: TestClient) -> None:
    """As a form or in base64, a picture of more than the event loop takes apart itself gets its answer."""
    large = PICTURE + bytes(300_000)
    bodies: list[dict[str, Any]] = [
        {"files": {"file": large}},
        {"json": {"image": base64.b64encode(large).decode()}},
    ]

    assert [4, 4] == [client.post("/predict", **body).json()["digit"] for body in bodies]


def test_top_k_lists_the_best_first(client: TestClient) -> None:
    """`top_k` adds that many classes with falling probability, the answer first."""
    answer = client.post("/predict", content=PICTURE, params={"top_k": 3}).json()
    chances = [ranked["probability"] for ranked in answer["top"]]

    assert 3 == len(answer["top"])
    assert {"digit": answer["digit"], "probability": answer["confidence"]} == answer["top"][0]
    assert sorted(answer["probabilities"], reverse=True)[:3] == chances


def test_an_explanation_leads_from_the_picture_to_the_answer(client: TestClient, bundled: Artifact) -> None:
    """From the input that is returned, the weights give the activations, the scores and the probabilities returned."""
    picture = encode(draw(4, ink=255, paper=0, size=(120, 100)))
    answer = client.post("/predict", content=picture, params={"explain": True}).json()
    explanation = answer["explanation"]
    signal = np.array(explanation["input"]).reshape(1, 784)
    for layer, activation in zip(bundled.network.layers[:-1], explanation["activations"], strict=False):
        signal = np.maximum(signal @ layer.weights + layer.biases, 0)
        np.testing.assert_allclose(activation, signal[0], atol=1e-4)
    head = bundled.network.layers[-1]
    scores = (signal @ head.weights + head.biases)[0]
    powers = np.exp(scores / explanation["temperature"])

    np.testing.assert_allclose(explanation["scores"], scores, atol=1e-4)
    np.testing.assert_allclose(answer["probabilities"], powers / powers.sum(), atol=1e-4)
    assert len(bundled.network.layers) == len(explanation["activations"])
    assert (28, 28) == np.array(explanation["relevance"]).shape
    assert "light-on-dark" == explanation["normalization"]["polarity"]
    assert [100, 120] == explanation["normalization"]["size"]
    top, left, bottom, right = explanation["normalization"]["ink_box"]
    assert 17 <= top < bottom <= 84
    assert 36 <= left < right <= 84


def test_stencils_and_offsets_give_the_scores(client: TestClient) -> None:
    """Stencil times the input that is returned, summed, plus offset is each score."""
    explanation = client.post("/predict", content=PICTURE, params={"explain": True}).json()["explanation"]
    sums = np.tensordot(np.array(explanation["stencils"]), np.array(explanation["input"]), 2)

    assert (10, 28, 28) == np.shape(explanation["stencils"])
    np.testing.assert_allclose(sums + explanation["offsets"], explanation["scores"], rtol=0, atol=1e-4)


def test_the_formats_that_are_accepted_are_listed(tiny_model: Path) -> None:
    """Those that the service is set to accept, whatever else could be read."""
    with TestClient(create_app(Settings(model=tiny_model, formats=("PNG", "AVIF")))) as client:
        refused = [client.post("/predict", content=content) for content in (encode(draw(), "JPEG"), b"hello")]
        read = client.post("/predict", content=PICTURE)

    assert [415, 415, 200] == [response.status_code for response in (*refused, read)]
    assert [
        "JPEG pictures are not accepted here: send PNG and AVIF",
        "this is not a picture in an accepted format: send PNG and AVIF",
    ] == [response.json()["detail"] for response in refused]


def test_curved_activations_have_no_stencils(tmp_path: Path) -> None:
    """The answer says so with null, and explains all else."""
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
        ({"files": {"file": b""}}, (415, "unsupported-media-type")),
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
        ({"content": b"\xff", "headers": JSON}, (400, "invalid-json")),
        ({"content": b"[" * 5_000, "headers": JSON}, (400, "invalid-json")),
        ({"content": b"[" * 100_000, "headers": JSON}, (422, "invalid-request")),
        ({"json": {"pixels": [[0] * 71] * 71}}, (422, "invalid-request")),
        ({"content": b'{"image": "\\ud800"}', "headers": JSON}, (400, "invalid-json")),
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
        ({"content": PICTURE, "params": {"explain": "maybe"}}, (422, "invalid-request")),
    ],
    ids=str,
)
def test_what_cannot_be_answered_gets_its_problem(
    client: TestClient, request_body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Every kind of bad request has the status and code of the contract."""
    assert expected == problem(client.post("/predict", **request_body))


def test_routing_errors_are_problems_too(client: TestClient) -> None:
    """Unknown paths and methods are answered in the same form."""
    assert (404, "not-found") == problem(client.get("/nowhere"))
    response = client.get("/predict")
    assert (405, "method-not-allowed") == problem(response)
    assert "POST" == response.headers["allow"]


def test_blank_pixels_get_an_answer(client: TestClient) -> None:
    """An array is taken as it is, even when it is blank."""
    assert 200 == client.post("/predict", json={"pixels": [[0] * 28] * 28}).status_code


def test_the_examples_on_the_openapi_page_work(client: TestClient) -> None:
    """Each documented example is answered with the digit it shows, and the page itself is served."""
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/predict"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    answers = [client.post("/predict", json=example["value"]).json()["digit"] for example in examples.values()]

    assert [7, 7] == answers
    assert "application/problem+json" in operation["responses"]["422"]["content"]
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in json.dumps(document)
    assert 200 == client.get("/docs").status_code


# --- Many at once


def test_a_batch_is_answered_in_its_order(client: TestClient) -> None:
    """Each picture gets the answer that it gets alone; one that cannot be read does not fail the others."""
    pictures = [encode(draw(7)), b"nothing", encode(np.full((40, 40), 255, np.uint8)), PICTURE]
    response = client.post("/predict/batch", files=[("file", picture) for picture in pictures])
    seven, unsupported, blank, four = response.json()["results"]

    assert 200 == response.status_code
    assert ["prediction"] == list(seven) == list(four)
    alone = client.post("/predict", content=PICTURE).json()
    assert alone.pop("probabilities") == pytest.approx(four["prediction"].pop("probabilities"), abs=1e-6)
    assert alone | {"confidence": None, "novelty": None} == four["prediction"] | {"confidence": None, "novelty": None}
    assert 7 == seven["prediction"]["digit"]
    assert ["unsupported-media-type", "no-ink"] == [one["problem"]["code"] for one in (unsupported, blank)]
    assert {"type", "title", "status", "detail", "code", "request_id"} == set(blank["problem"])
    assert response.headers["x-request-id"] == blank["problem"]["request_id"]


def test_a_batch_of_nothing_readable_is_answered(tiny_client: TestClient) -> None:
    """All of the results may be problems."""
    response = tiny_client.post("/predict/batch", files=[("file", b"nothing")] * 2)

    assert [["problem"], ["problem"]] == [list(result) for result in response.json()["results"]]


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"files": [("file", b"x")] * 65}, (413, "too-many-pictures")),
        ({"files": [("file", b"x")] * 165}, (413, "too-many-pictures")),
        ({"files": [("image", b"x")]}, (422, "invalid-request")),
        ({"content": PICTURE}, (422, "invalid-request")),
        ({"json": {"image": ""}}, (422, "invalid-request")),
    ],
    ids=["too many", "far too many", "another field", "raw", "JSON"],
)
def test_a_batch_that_is_none_is_refused(
    tiny_client: TestClient, request_body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """More pictures than allowed, or none in the field `file` of a form."""
    assert expected == problem(tiny_client.post("/predict/batch", **request_body))


def test_a_batch_may_be_larger_than_a_picture(tiny_client: TestClient) -> None:
    """Its body has a limit of its own."""
    files = [("file", PICTURE + bytes(60_000)), ("file", PICTURE + bytes(60_000))]

    assert 200 == tiny_client.post("/predict/batch", files=files).status_code
