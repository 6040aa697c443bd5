"""Tests of service.api.routes.read and of service.api.readings."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.classifier import Classifier
from service.model.artifact import Artifact
from service.model.verdict import ReadingVerdict
from service.reader import Reading
from tests.pictures import draw, encode
from tests.service.api.problems import problem
from tests.service.api.readings import BOX, StubReader, make_reading

ONE_SEVEN = np.hstack([np.asarray(draw(1)), np.asarray(draw(7))])
PICTURE = encode(ONE_SEVEN)
BLANK = encode(draw(ink=255))


@contextmanager
def replaced(client: TestClient, **objects: Any) -> Iterator[None]:
    """Replace objects of the application's state while the context lasts."""
    state = client.app.state.digits  # type: ignore[attr-defined]
    before = {name: getattr(state, name) for name in objects}
    for name, one in objects.items():
        setattr(state, name, one)
    yield
    for name, one in before.items():
        setattr(state, name, one)


def answer_of(client: TestClient, reading: Reading, **params: Any) -> dict[str, Any]:
    """Return the answer of a service whose reader returns this reading."""
    classifier = client.app.state.digits.classifier  # type: ignore[attr-defined]
    with replaced(client, reader=StubReader(classifier, reading)):
        answer: dict[str, Any] = client.post("/read", content=b"picture", params=params).json()
    return answer


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Classifier:
    """Return a classifier with the tiny model."""
    return Classifier.load(tiny_model)


@pytest.mark.parametrize(
    "request_body",
    [
        {"files": {"file": ("17.png", PICTURE, "image/png")}},
        {"files": {"image": PICTURE}},
        {"content": PICTURE, "headers": {"content-type": "image/png"}},
        {"content": PICTURE},
        {"json": {"image": base64.b64encode(PICTURE).decode()}},
        {"json": {"image": "data:image/png;base64," + base64.b64encode(PICTURE).decode()}},
        {
            "content": json.dumps({"image": base64.b64encode(PICTURE).decode()}),
            "headers": {"content-type": "text/plain"},
        },
        {"content": base64.b64encode(PICTURE), "headers": {"content-type": "text/plain"}},
    ],
    ids=["form", "field image", "raw", "no type", "base64", "data URL", "JSON as text", "base64 as text"],
)
def test_picture_in_every_kind_of_body(client: TestClient, bundled: Artifact, request_body: dict[str, Any]) -> None:
    """Forms, raw bodies and JSON get the same answer with exactly the documented fields."""
    response = client.post("/read", **request_body)
    answer = response.json()
    (line,) = answer["lines"]

    assert 200 == response.status_code
    assert {"text", "confidence", "verdict", "lines", "picture_size", "classes", "model"} == set(answer)
    assert {"text", "confidence", "box", "digits"} == set(line)
    assert ("17", "17") == (answer["text"], line["text"])
    assert [200, 400] == answer["picture_size"]
    assert list(range(10)) == answer["classes"]
    assert {"name": "mnist-mlp", "version": bundled.version} == answer["model"]
    for digit, expected in zip(line["digits"], (1, 7), strict=True):
        assert {"digit", "confidence", "probabilities", "verdict", "novelty", "box"} == set(digit)
        assert expected == digit["digit"]
        assert digit["confidence"] == max(digit["probabilities"]) == digit["probabilities"][expected]
        top, left, bottom, right = digit["box"]
        assert 0 <= top < bottom <= 200
        assert 200 * (expected == 7) <= left < right <= 200 + 200 * (expected == 7)


def test_lines_are_joined_by_line_feeds(tiny_client: TestClient, tiny: Classifier) -> None:
    """The answer has the numbers of the reading, and neither `truncated` nor `reason` where they do not apply."""
    reading = make_reading(tiny, 2, 1)
    answer = answer_of(tiny_client, reading)
    digit = str(reading.lines[0].digits[0].prediction.digit)

    assert f"{2 * digit}\n{digit}" == answer["text"]
    assert [2 * digit, digit] == [line["text"] for line in answer["lines"]]
    assert (0.8, "clear", [40, 60]) == (answer["confidence"], answer["verdict"], answer["picture_size"])
    assert [(0.9, list(BOX))] * 2 == [(line["confidence"], line["box"]) for line in answer["lines"]]
    assert [None] * 3 == [one["novelty"] for line in answer["lines"] for one in line["digits"]]
    assert not {"truncated", "reason"} & set(answer)


def test_truncated_reading_has_a_reason(tiny_client: TestClient, tiny: Classifier) -> None:
    """Both fields are present."""
    reading = make_reading(tiny, 1, verdict=ReadingVerdict.AMBIGUOUS, reason="too much", is_truncated=True)
    answer = answer_of(tiny_client, reading)

    assert ("ambiguous", True, "too much") == (answer["verdict"], answer["truncated"], answer["reason"])


def test_reading_without_digits(tiny_client: TestClient, tiny: Classifier) -> None:
    """It is an answer with an empty text and no lines."""
    answer = answer_of(tiny_client, make_reading(tiny, verdict=ReadingVerdict.NOT_DIGITS))

    assert ("", "not_digits", []) == (answer["text"], answer["verdict"], answer["lines"])


def test_explanation_of_each_digit_and_cuts_of_each_line(client: TestClient, classifier: Classifier) -> None:
    """Digits have the explanation of /predict without its geometry and effective weights, lines the partitions."""
    reading = make_reading(classifier, 2)
    answer = answer_of(client, reading, explain=True)
    (line,) = answer["lines"]
    pixels = client.post("/predict", json={"pixels": [[0] * 28] * 28}, params={"explain": True}).json()
    expected = {
        name: value
        for name, value in pixels["explanation"].items()
        if name not in {"normalization", "stencils", "offsets"}
    }

    assert [expected, expected] == [digit["explanation"] for digit in line["digits"]]
    assert [
        {"box": list(BOX), "digits": "7", "score": 1.0},
        {"box": list(BOX), "digits": "11", "score": 0.25},
    ] == line["cuts"]


@pytest.mark.parametrize(
    ("explain", "of_digits", "has_cuts"),
    [("relevance,cuts", ["relevance"], True), ("cuts", None, True), ("scores,input", ["input", "scores"], False)],
)
def test_fields_of_the_explanation(
    tiny_client: TestClient, tiny: Classifier, explain: str, of_digits: list[str] | None, *, has_cuts: bool
) -> None:
    """Those of digits, and the cuts of lines."""
    (line,) = answer_of(tiny_client, make_reading(tiny, 1), explain=explain)["lines"]
    explanation = line["digits"][0].get("explanation")

    assert of_digits == (None if explanation is None else list(explanation))
    assert has_cuts == ("cuts" in line)


def test_stencils_are_for_predict(tiny_client: TestClient) -> None:
    """The detail names the fields of a reading."""
    response = tiny_client.post("/read", content=PICTURE, params={"explain": "stencils"})

    assert (422, "invalid-request") == problem(response)
    assert "cuts" in response.json()["detail"]


def test_length_is_passed_to_the_reader(tiny_client: TestClient, tiny: Classifier) -> None:
    """For one picture, and for each picture of a batch."""
    reader = StubReader(tiny, make_reading(tiny, 1))
    with replaced(tiny_client, reader=reader):
        tiny_client.post("/read", content=b"picture", params={"length": 5})
        tiny_client.post("/read", content=b"picture")
        tiny_client.post("/read/batch", files=[("file", b"picture")] * 2, params={"length": 256})

    assert [5, None, 256, 256] == reader.lengths


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({}, (422, "invalid-request")),
        ({"content": b"hello"}, (415, "unsupported-media-type")),
        ({"content": PICTURE[:100]}, (400, "unreadable-image")),
        ({"content": BLANK}, (422, "no-ink")),
        ({"content": encode(np.zeros((8000, 8000), bool))}, (413, "image-too-large")),
        ({"files": {"picture": PICTURE}}, (422, "invalid-request")),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, (400, "invalid-json")),
        ({"json": []}, (422, "invalid-request")),
        ({"json": {}}, (422, "invalid-request")),
        ({"json": {"image": "", "mood": "good"}}, (422, "invalid-request")),
        ({"json": {"image": 7}}, (422, "invalid-request")),
        ({"content": PICTURE, "params": {"length": 0}}, (422, "invalid-request")),
        ({"content": PICTURE, "params": {"length": 257}}, (422, "invalid-request")),
        ({"content": PICTURE, "params": {"length": "two"}}, (422, "invalid-request")),
    ],
    ids=str,
)
def test_problems(client: TestClient, request_body: dict[str, Any], expected: tuple[int, str]) -> None:
    """Every kind of invalid request has its documented status and code."""
    assert expected == problem(client.post("/read", **request_body))


@pytest.mark.parametrize("pixels", [[[0] * 28] * 28, [[0] * 70] * 70, "none"], ids=["valid", "70x70", "no array"])
def test_pixels_are_for_predict(tiny_client: TestClient, pixels: object) -> None:
    """The message says what each of the two endpoints takes."""
    response = tiny_client.post("/read", json={"pixels": pixels})

    assert (422, "invalid-request") == problem(response)
    assert "/read takes pictures, and /predict takes pixels" in response.json()["detail"]


def test_small_picture_is_read_in_a_thread(tiny_client: TestClient, tiny: Classifier) -> None:
    """There is no event loop in the thread, which a reading could block."""

    class ThreadReader(StubReader):
        def read_picture(self, data: bytes, length: int | None = None) -> Reading:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            return super().read_picture(data, length)

    with replaced(tiny_client, reader=ThreadReader(tiny, make_reading(tiny, 1))):
        statuses = [
            tiny_client.post("/read", content=PICTURE).status_code,
            tiny_client.post("/read/batch", files={"file": PICTURE}).status_code,
        ]

    assert [200, 200] == statuses


def test_openapi_examples(client: TestClient) -> None:
    """The example is answered with its digits, and every body but pixels is documented."""
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/read"]["post"]
    content = operation["requestBody"]["content"]
    examples = content["application/json"]["examples"]

    assert ["77\n7"] == [client.post("/read", json=example["value"]).json()["text"] for example in examples.values()]
    assert {"multipart/form-data", "application/json", "image/*", "application/octet-stream"} == set(content)
    assert "PixelsBody" not in json.dumps(content)
    assert {"length", "explain"} == {parameter["name"] for parameter in operation["parameters"]}
    assert "application/problem+json" in operation["responses"]["422"]["content"]


# --- Batches


def test_batch_results_are_in_order(client: TestClient) -> None:
    """Each picture gets the same answer as alone. An unreadable one does not fail the others."""
    pictures = [PICTURE, b"nothing", BLANK, encode(draw(7))]
    response = client.post("/read/batch", files=[("file", picture) for picture in pictures])
    seventeen, unsupported, blank, seven = response.json()["results"]

    assert 200 == response.status_code
    assert ["reading"] == list(seventeen) == list(seven)
    assert client.post("/read", content=PICTURE).json() == seventeen["reading"]
    assert "7" == seven["reading"]["text"]
    assert ["unsupported-media-type", "no-ink"] == [result["problem"]["code"] for result in (unsupported, blank)]
    assert response.headers["x-request-id"] == blank["problem"]["request_id"]


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"files": [("file", b"x")] * 65}, (413, "too-many-pictures")),
        ({"files": [("picture", b"x")]}, (422, "invalid-request")),
        ({"content": PICTURE}, (422, "invalid-request")),
        ({"files": [("file", PICTURE)], "params": {"length": 0}}, (422, "invalid-request")),
    ],
    ids=["too many pictures", "another field", "raw", "length"],
)
def test_invalid_batches(tiny_client: TestClient, request_body: dict[str, Any], expected: tuple[int, str]) -> None:
    """Too many pictures, no form with a field `file`, or an invalid length."""
    assert expected == problem(tiny_client.post("/read/batch", **request_body))


def test_batch_has_a_body_limit_of_its_own(tiny_client: TestClient) -> None:
    """It may be larger than the body of /read."""
    files = [("file", PICTURE + bytes(60_000)), ("file", PICTURE + bytes(60_000))]

    assert 413 == tiny_client.post("/read", content=bytes(100_001)).status_code
    assert 200 == tiny_client.post("/read/batch", files=files).status_code
