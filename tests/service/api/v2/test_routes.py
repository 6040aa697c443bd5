"""Tests of service.api.v2.routes, with the protocol's own client too."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.http as triton
from fastapi.testclient import TestClient
from tritonclient.utils import InferenceServerException

from service import __version__
from service.api import bodies
from service.app import create_app
from service.model.artifact import Artifact
from service.settings import Settings
from tests import servers
from tests.pictures import draw, encode

PICTURES = [encode(draw(digit)) for digit in (4, 7, 0)]
MODEL = "mnist-mlp"
INFER = f"/v2/models/{MODEL}/infer"
UNREADABLE = encode(draw(4))[:200]


@pytest.fixture
def digits() -> npt.NDArray[np.uint8]:
    """Return three inputs in MNIST form."""
    return np.random.default_rng(0).integers(0, 256, (3, 28, 28)).astype(np.uint8)


def predicted(client: TestClient, digits: npt.NDArray[np.uint8]) -> list[list[float]]:
    """Return what /predict answers each digit, which is not normalised again."""
    return [client.post("/predict", json={"pixels": digit.tolist()}).json()["probabilities"] for digit in digits]


def ask(client: TestClient, *, outputs: list[dict[str, Any]] | None = None, **tensor: Any) -> Any:
    """Return the response to one tensor in JSON."""
    body: dict[str, Any] = {"inputs": [{"name": "any", **tensor}]}
    return client.post(INFER, json=body if outputs is None else {**body, "outputs": outputs})


# --- What there is


def test_the_server_is_told(client: TestClient) -> None:
    """Name, version and extensions."""
    assert {"name": "digits", "version": __version__, "extensions": ["classification", "binary_tensor_data"]} == (
        client.get("/v2").json()
    )


def test_health_is_told(client: TestClient) -> None:
    """Live and ready, as probes of the protocol ask."""
    assert {"live": True} == client.get("/v2/health/live").json()
    assert {"live": True, "ready": True} == client.get("/v2/health/ready").json()


def test_a_server_that_drains_is_not_ready(tiny_client: TestClient) -> None:
    """503, so that requests go elsewhere; the model says the same."""
    state = tiny_client.app.state.digits  # type: ignore[attr-defined]
    state.ready = False
    try:
        answers = [tiny_client.get(path) for path in ("/v2/health/ready", "/v2/models/tiny/ready")]
    finally:
        state.ready = True

    assert [(503, False), (503, False)] == [(answer.status_code, answer.json()["ready"]) for answer in answers]


@pytest.mark.parametrize("version", [False, True])
def test_the_model_is_told(client: TestClient, bundled: Artifact, *, version: bool) -> None:
    """What it takes and gives, by name and with its version."""
    path = f"/v2/models/{MODEL}" + (f"/versions/{bundled.version}" if version else "")

    assert {"name": MODEL, "ready": True} == client.get(f"{path}/ready").json()
    assert {
        "name": MODEL,
        "versions": [bundled.version],
        "platform": "sklearn_safetensors",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 784]}],
        "outputs": [
            {"name": "predict", "datatype": "INT64", "shape": [-1]},
            {"name": "predict_proba", "datatype": "FP32", "shape": [-1, 10]},
        ],
    } == client.get(path).json()


@pytest.mark.parametrize("path", ["/v2/models/other", f"/v2/models/{MODEL}/versions/1", "/v2/models/other/ready"])
def test_another_model_is_not_served(client: TestClient, path: str) -> None:
    """404, with the name of the model that is, in the protocol's form of an error."""
    response = client.get(path)

    assert 404 == response.status_code
    assert ["error"] == list(response.json())
    assert MODEL in response.json()["error"]
    assert "x-request-id" in response.headers


# --- In JSON


@pytest.mark.parametrize(("datatype", "full_ink"), [("UINT8", 255), ("INT64", 255), ("FP32", 1), ("FP64", 1)])
@pytest.mark.parametrize("shape", [[3, 784], [3, 28, 28]], ids=str)
def test_digits_get_the_answers_of_predict(
    client: TestClient, digits: npt.NDArray[np.uint8], datatype: str, full_ink: int, shape: list[int]
) -> None:
    """Whatever the datatype and shape, flat or nested, the probabilities are those of /predict."""
    values = digits if full_ink == 255 else digits / 255
    expected = predicted(client, digits)

    for data in (values.reshape(shape).tolist(), values.ravel().tolist()):
        labels, shares = ask(client, datatype=datatype, shape=shape, data=data).json()["outputs"]
        assert ("predict", "INT64", [3]) == (labels["name"], labels["datatype"], labels["shape"])
        assert ("predict_proba", "FP32", [3, 10]) == (shares["name"], shares["datatype"], shares["shape"])
        assert pytest.approx(np.ravel(expected), abs=1e-6) == shares["data"]
        assert [int(np.argmax(row)) for row in expected] == labels["data"]


def test_many_digits_get_the_same_answers(client: TestClient, digits: npt.NDArray[np.uint8]) -> None:
    """So many that a thread begins for them, which is not worth it for few."""
    many = np.concatenate(20 * [digits])
    answer = ask(client, datatype="UINT8", shape=[60, 784], data=many.reshape(60, 784).tolist()).json()

    expected = np.array(20 * predicted(client, digits))

    assert expected.ravel() == pytest.approx(np.array(answer["outputs"][1]["data"]), abs=1e-5)


def test_a_large_body_gets_the_same_answers(client: TestClient, digits: npt.NDArray[np.uint8]) -> None:
    """Of one that a thread takes apart as well as reads."""
    n = bodies.LARGE // digits[0].size + 3
    many = np.resize(digits, (n, 784))
    tensor = {"name": "x", "datatype": "UINT8", "shape": [n, 784], "parameters": {"binary_data_size": many.size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = client.post(f"/v2/models/{MODEL}/infer", content=head + many.tobytes(), headers=headers).json()

    expected = np.resize(np.array(predicted(client, digits)), (n, 10))

    assert expected.ravel() == pytest.approx(np.array(answer["outputs"][1]["data"]), abs=1e-5)


def test_pictures_get_the_answers_of_predict(client: TestClient) -> None:
    """Encoded pictures as base64 are normalised like those of /predict."""
    data = [base64.b64encode(picture).decode() for picture in PICTURES]
    answer = ask(client, datatype="BYTES", shape=[3], data=data).json()
    expected = [client.post("/predict", content=picture).json()["probabilities"] for picture in PICTURES]

    assert [4, 7, 0] == answer["outputs"][0]["data"]
    assert pytest.approx(np.ravel(expected), abs=1e-6) == answer["outputs"][1]["data"]


def test_the_id_comes_back(client: TestClient, bundled: Artifact) -> None:
    """The answer names model, version and the id of the question; without one there is none."""
    body = {"id": "q1", "inputs": [{"name": "x", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}]}
    path = f"/v2/models/{MODEL}/versions/{bundled.version}/infer"
    answers = [client.post(path, json=question).json() for question in (body, {"inputs": body["inputs"]})]

    assert [(MODEL, bundled.version, "q1"), (MODEL, bundled.version, None)] == [
        (answer["model_name"], answer["model_version"], answer.get("id")) for answer in answers
    ]


def test_only_what_is_asked_for_comes_back(client: TestClient) -> None:
    """Requested outputs are honoured, in their order."""
    names = [["predict"], ["predict_proba", "predict"]]
    tensor = {"datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}
    answers = [ask(client, outputs=[{"name": name} for name in wanted], **tensor).json() for wanted in names]

    assert names == [[output["name"] for output in answer["outputs"]] for answer in answers]


def test_all_comes_back_where_nothing_is_asked_for(client: TestClient) -> None:
    """An empty list of outputs is none, as for Triton."""
    answer = ask(client, outputs=[], datatype="UINT8", shape=[1, 784], data=[0] * 784).json()

    assert ["predict", "predict_proba"] == [output["name"] for output in answer["outputs"]]


def test_the_best_classes_can_be_had(client: TestClient) -> None:
    """`classification` gives the n best of each row as value:index:label."""
    data = [base64.b64encode(PICTURES[1]).decode()]
    outputs = [{"name": "predict_proba", "parameters": {"classification": 2}}]
    (output,) = ask(client, outputs=outputs, datatype="BYTES", shape=[1], data=data).json()["outputs"]
    top = client.post("/predict?top_k=2", content=PICTURES[1]).json()["top"]

    assert ("BYTES", [1, 2]) == (output["datatype"], output["shape"])
    assert [f"{one['probability']:.6f}:{one['digit']}:{one['digit']}" for one in top] == output["data"]


@pytest.mark.parametrize(
    ("tensor", "status", "reason"),
    [
        ({"datatype": "UINT8", "shape": [1, 10], "data": [0] * 10}, 422, "send [n, 784] or [n, 28, 28]"),
        ({"datatype": "UINT8", "shape": [784], "data": [0] * 784}, 422, "send [n, 784] or [n, 28, 28]"),
        ({"datatype": "FP32", "shape": [1, 784], "data": [255.0] * 784}, 422, "from 0, background, to 1, ink"),
        ({"datatype": "INT64", "shape": [1, 784], "data": [-1] * 784}, 422, "from 0, background, to 255, ink"),
        ({"datatype": "FP32", "shape": [1, 784]}, 422, "neither data"),
        ({"datatype": "BYTES", "shape": [1, 2], "data": ["", ""]}, 422, "send [n] or [n, 1]"),
        ({"datatype": "BYTES", "shape": [1], "data": ["not base64!"]}, 422, "base64"),
        ({"datatype": "BYTES", "shape": [1], "data": [base64.b64encode(UNREADABLE).decode()]}, 400, "truncated"),
        ({"datatype": "BYTES", "shape": [65], "data": [""] * 65}, 413, "at most 64"),
        ({"datatype": 1, "shape": [1], "data": []}, 422, "inputs/0/datatype"),
        ({"datatype": "UINT8", "shape": [10**4000] * 1000, "data": []}, 422, "inputs/0/shape"),
        (
            {"datatype": "BYTES", "shape": [1], "data": [""], "parameters": {"binary_data_size": 4}},
            422,
            "0 bytes are behind",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    client: TestClient, tensor: dict[str, Any], status: int, reason: str
) -> None:
    """Every refusal is an `error` that tells what to send."""
    response = ask(client, **tensor)

    assert status == response.status_code
    assert ["error"] == list(response.json())
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ([{"name": "other"}], "ask for predict or predict_proba"),
        ([{"name": "predict", "parameters": {"classification": 1}}], "classification is for predict_proba"),
        ([{"name": "predict_proba", "parameters": {"classification": 0}}], "from 1 on"),
        ([{"name": "predict_proba"}] * 1000, "outputs: "),
        ([{"name": "predict_proba", "parameters": {"classification": True}}], "from 1 on"),
        ([{"name": "predict_proba", "parameters": {"classification": "2"}}], "from 1 on"),
    ],
)
def test_outputs_that_there_are_not_are_refused(client: TestClient, outputs: list[dict[str, Any]], reason: str) -> None:
    """The error names those that there are."""
    response = ask(client, outputs=outputs, datatype="UINT8", shape=[1, 784], data=[0] * 784)

    assert 422 == response.status_code
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 422),
        (b'{"inputs": []}', 422),
        (b"null", 422),
        (b'{"id": "\\ud800", "inputs": [{"name": "x", "shape": [0, 784], "datatype": "UINT8", "data": []}]}', 400),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["\\ud800"]}]}', 400),
    ],
)
def test_a_body_that_is_no_question_is_refused(client: TestClient, body: bytes, status: int) -> None:
    """Whatever is sent, the answer has the protocol's form."""
    response = client.post(INFER, content=body)

    assert status == response.status_code
    assert ["error"] == list(response.json())


def test_no_digits_get_no_answers(client: TestClient) -> None:
    """An empty batch is answered with empty tensors."""
    answer = ask(client, datatype="UINT8", shape=[0, 784], data=[]).json()

    assert [[0], [0, 10]] == [output["shape"] for output in answer["outputs"]]
    assert [[], []] == [output["data"] for output in answer["outputs"]]


def test_the_example_of_the_api_page_works(client: TestClient) -> None:
    """Pasted as it is, it is answered with the 7 that it shows."""
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]

    assert [7] == client.post(INFER, json=body["example"]).json()["outputs"][0]["data"]


# --- The real client


@pytest.fixture(scope="module")
def real() -> Iterator[triton.InferenceServerClient]:
    """Return NVIDIA's client, connected to the service."""
    with (
        servers.in_thread(create_app(Settings())) as address,
        triton.InferenceServerClient(address.removeprefix("http://")) as client,
    ):
        yield client


def test_triton_finds_the_model(real: triton.InferenceServerClient) -> None:
    """Health and metadata are as that client expects them."""
    assert real.is_server_live()
    assert real.is_server_ready()
    assert real.is_model_ready(MODEL)
    assert not real.is_model_ready("other")
    assert "digits" == real.get_server_metadata()["name"]
    assert MODEL == real.get_model_metadata(MODEL)["name"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_triton_gets_the_answers_of_predict(
    real: triton.InferenceServerClient,
    client: TestClient,
    digits: npt.NDArray[np.uint8],
    *,
    binary_in: bool,
    binary_out: bool,
) -> None:
    """In JSON and in the binary extension, which that client uses by default."""
    values = (digits / 255).astype(np.float32).reshape(3, 784)
    given = triton.InferInput("image", [3, 784], "FP32")
    given.set_data_from_numpy(values, binary_data=binary_in)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("predict", "predict_proba")]
    answer = real.infer(MODEL, [given], outputs=wanted, request_id="r1")
    expected = np.array(predicted(client, digits))

    assert "r1" == answer.get_response()["id"]
    assert pytest.approx(expected, abs=1e-6) == answer.as_numpy("predict_proba")
    assert expected.argmax(axis=1).tolist() == answer.as_numpy("predict").tolist()


def test_triton_sends_pictures(real: triton.InferenceServerClient) -> None:
    """Encoded pictures as BYTES, all outputs by default."""
    given = triton.InferInput("image", [3], "BYTES")
    given.set_data_from_numpy(np.array(PICTURES, object))
    answer = real.infer(MODEL, [given])

    assert [4, 7, 0] == answer.as_numpy("predict").tolist()
    assert (3, 10) == answer.as_numpy("predict_proba").shape


def test_triton_gets_the_best_classes(real: triton.InferenceServerClient) -> None:
    """`class_count` of that client is the extension `classification`."""
    given = triton.InferInput("image", [1, 1], "BYTES")
    given.set_data_from_numpy(np.array([[PICTURES[0]]], object))
    answer = real.infer(MODEL, [given], outputs=[triton.InferRequestedOutput("predict_proba", class_count=3)])
    (best, _, _) = answer.as_numpy("predict_proba")[0].tolist()

    assert b":4:4" == best[-4:]


def test_triton_understands_refusals(real: triton.InferenceServerClient) -> None:
    """The error that its user sees is ours."""
    given = triton.InferInput("image", [1, 3], "FP32")
    given.set_data_from_numpy(np.zeros((1, 3), np.float32))

    with pytest.raises(InferenceServerException, match=r"send \[n, 784\]"):
        real.infer(MODEL, [given])


def test_too_many_digits_are_refused(client: TestClient) -> None:
    """More digits than MNIST has for testing would take much memory at once."""
    parameters = {"binary_data_size": 10_001 * 784}
    given = {"name": "x", "datatype": "UINT8", "shape": [10_001, 784], "parameters": parameters}
    text = json.dumps({"inputs": [given]}).encode()
    response = client.post(
        INFER,
        content=text + bytes(10_001 * 784),
        headers={"inference-header-content-length": str(len(text))},
    )

    assert 413 == response.status_code
    assert "send at most 10,000 at once" in response.json()["error"]


def test_bytes_that_do_not_match_their_size_are_refused(client: TestClient) -> None:
    """The size that is named must be that of what is behind the JSON."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 784], "parameters": {"binary_data_size": 3136}}
    head = json.dumps({"inputs": [tensor]}).encode()
    response = client.post(INFER, content=head + bytes(8), headers={"Inference-Header-Content-Length": str(len(head))})

    assert 422 == response.status_code
    assert "8 bytes are behind the JSON" in response.json()["error"]
