"""Tests of service.api.v2.routes, also with Triton's client."""

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


def probabilities_of_predict(client: TestClient, digits: npt.NDArray[np.uint8]) -> list[list[float]]:
    """Return the probabilities of /predict for each digit as pixels."""
    return [client.post("/predict", json={"pixels": digit.tolist()}).json()["probabilities"] for digit in digits]


def infer(client: TestClient, *, outputs: list[dict[str, Any]] | None = None, **tensor: Any) -> Any:
    """Return the response to an inference request with one tensor in JSON."""
    body: dict[str, Any] = {"inputs": [{"name": "any", **tensor}]}
    return client.post(INFER, json=body if outputs is None else {**body, "outputs": outputs})


# --- Metadata and health


def test_server_metadata(client: TestClient) -> None:
    """Name, version and extensions."""
    assert {"name": "digits", "version": __version__, "extensions": ["classification", "binary_tensor_data"]} == (
        client.get("/v2").json()
    )


def test_health(client: TestClient) -> None:
    """Liveness and readiness in the format of the protocol."""
    assert {"live": True} == client.get("/v2/health/live").json()
    assert {"live": True, "ready": True} == client.get("/v2/health/ready").json()


def test_draining_server_is_not_ready(tiny_client: TestClient) -> None:
    """Readiness of server and model is 503."""
    state = tiny_client.app.state.digits  # type: ignore[attr-defined]
    state.ready = False
    try:
        responses = [tiny_client.get(path) for path in ("/v2/health/ready", "/v2/models/tiny/ready")]
    finally:
        state.ready = True

    assert [(503, False), (503, False)] == [(response.status_code, response.json()["ready"]) for response in responses]


@pytest.mark.parametrize("version", [False, True])
def test_model_metadata(client: TestClient, bundled: Artifact, *, version: bool) -> None:
    """Inputs and outputs, with and without the version in the path."""
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
def test_unknown_model(client: TestClient, path: str) -> None:
    """404 as an `error` with the name of the served model."""
    response = client.get(path)

    assert 404 == response.status_code
    assert ["error"] == list(response.json())
    assert MODEL in response.json()["error"]
    assert "x-request-id" in response.headers


# --- In JSON


@pytest.mark.parametrize(
    ("datatype", "full_ink", "shape"),
    [
        ("UINT8", 255, [3, 784]),
        ("INT64", 255, [3, 28, 28]),
        ("FP32", 1, [3, 784]),
        ("FP64", 1, [3, 28, 28]),
        ("FP32", 1, [3, 1, 28, 28]),
        ("UINT8", 255, [3, 28, 28, 1]),
    ],
)
def test_digits_get_the_probabilities_of_predict(
    client: TestClient, digits: npt.NDArray[np.uint8], datatype: str, full_ink: int, shape: list[int]
) -> None:
    """For every datatype and shape, as a flat and as a nested list."""
    values = digits if full_ink == 255 else digits / 255
    expected = probabilities_of_predict(client, digits)

    for data in (values.reshape(shape).tolist(), values.ravel().tolist()):
        labels, probabilities = infer(client, datatype=datatype, shape=shape, data=data).json()["outputs"]
        assert ("predict", "INT64", [3]) == (labels["name"], labels["datatype"], labels["shape"])
        assert ("predict_proba", "FP32", [3, 10]) == (
            probabilities["name"],
            probabilities["datatype"],
            probabilities["shape"],
        )
        assert pytest.approx(np.ravel(expected), abs=1e-6) == probabilities["data"]
        assert [int(np.argmax(row)) for row in expected] == labels["data"]


def test_many_digits_are_inferred_in_a_thread(client: TestClient, digits: npt.NDArray[np.uint8]) -> None:
    """The answers equal those of few digits."""
    many = np.concatenate(20 * [digits])
    answer = infer(client, datatype="UINT8", shape=[60, 784], data=many.reshape(60, 784).tolist()).json()

    expected = np.array(20 * probabilities_of_predict(client, digits))

    assert expected.ravel() == pytest.approx(np.array(answer["outputs"][1]["data"]), abs=1e-5)


def test_large_body_is_parsed_in_a_thread(client: TestClient, digits: npt.NDArray[np.uint8]) -> None:
    """A body over MAX_INLINE_BYTES gets the same answers."""
    n = bodies.MAX_INLINE_BYTES // digits[0].size + 3
    many = np.resize(digits, (n, 784))
    tensor = {"name": "x", "datatype": "UINT8", "shape": [n, 784], "parameters": {"binary_data_size": many.size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = client.post(f"/v2/models/{MODEL}/infer", content=head + many.tobytes(), headers=headers).json()

    expected = np.resize(np.array(probabilities_of_predict(client, digits)), (n, 10))

    assert expected.ravel() == pytest.approx(np.array(answer["outputs"][1]["data"]), abs=1e-5)


def test_pictures_get_the_probabilities_of_predict(client: TestClient) -> None:
    """Encoded pictures in base64 are normalised like those of /predict."""
    data = [base64.b64encode(picture).decode() for picture in PICTURES]
    answer = infer(client, datatype="BYTES", shape=[3], data=data).json()
    expected = [client.post("/predict", content=picture).json()["probabilities"] for picture in PICTURES]

    assert [4, 7, 0] == answer["outputs"][0]["data"]
    assert pytest.approx(np.ravel(expected), abs=1e-6) == answer["outputs"][1]["data"]


def test_request_id_is_returned(client: TestClient, bundled: Artifact) -> None:
    """The response has the model, its version, and the id of the request, if any."""
    body = {"id": "q1", "inputs": [{"name": "x", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}]}
    path = f"/v2/models/{MODEL}/versions/{bundled.version}/infer"
    answers = [client.post(path, json=request).json() for request in (body, {"inputs": body["inputs"]})]

    assert [(MODEL, bundled.version, "q1"), (MODEL, bundled.version, None)] == [
        (answer["model_name"], answer["model_version"], answer.get("id")) for answer in answers
    ]


def test_requested_outputs(client: TestClient) -> None:
    """Only these are returned, in their order."""
    names = [["predict"], ["predict_proba", "predict"]]
    tensor = {"datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}
    answers = [infer(client, outputs=[{"name": name} for name in requested], **tensor).json() for requested in names]

    assert names == [[output["name"] for output in answer["outputs"]] for answer in answers]


def test_empty_list_of_outputs_means_all(client: TestClient) -> None:
    """As in Triton."""
    answer = infer(client, outputs=[], datatype="UINT8", shape=[1, 784], data=[0] * 784).json()

    assert ["predict", "predict_proba"] == [output["name"] for output in answer["outputs"]]


def test_classification_extension(client: TestClient) -> None:
    """The n most probable classes of each row as value:index:label."""
    data = [base64.b64encode(PICTURES[1]).decode()]
    outputs = [{"name": "predict_proba", "parameters": {"classification": 2}}]
    (output,) = infer(client, outputs=outputs, datatype="BYTES", shape=[1], data=data).json()["outputs"]
    top = client.post("/predict?top_k=2", content=PICTURES[1]).json()["top"]

    assert ("BYTES", [1, 2]) == (output["datatype"], output["shape"])
    assert [f"{ranked['probability']:.6f}:{ranked['digit']}:{ranked['digit']}" for ranked in top] == output["data"]


def test_null_is_treated_as_absent(client: TestClient) -> None:
    """Generated clients send null for every optional field and parameter that is not set."""
    tensor = {"name": "x", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}
    outputs = [{"name": "predict"}, {"name": "predict_proba"}]
    null_outputs = [
        {"name": "predict", "parameters": None},
        {"name": "predict_proba", "parameters": {"classification": None, "binary_data": None}},
    ]
    bodies = [
        {"inputs": [tensor]},
        {"id": None, "parameters": None, "inputs": [{**tensor, "parameters": None}], "outputs": None},
        {
            "parameters": {"binary_data_output": None, "other": None},
            "inputs": [{**tensor, "parameters": {"binary_data_size": None, "content_type": None}}],
            "outputs": outputs,
        },
        {"inputs": [tensor], "outputs": null_outputs},
    ]
    expected, *answers = [client.post(INFER, json=body).json() for body in bodies]

    assert ["predict", "predict_proba"] == [output["name"] for output in expected["outputs"]]
    assert [expected] * 3 == answers


@pytest.mark.parametrize("parameters", [[], "none", {"binary_data_size": []}])
def test_parameters_of_other_types(client: TestClient, parameters: object) -> None:
    """They are refused."""
    assert 422 == infer(client, datatype="UINT8", shape=[1, 784], data=[0] * 784, parameters=parameters).status_code


@pytest.mark.parametrize(
    ("tensor", "status", "reason"),
    [
        (
            {"datatype": "UINT8", "shape": [1, 10], "data": [0] * 10},
            422,
            "send [n, 784], [n, 28, 28], [n, 1, ",
        ),
        (
            {"datatype": "UINT8", "shape": [784], "data": [0] * 784},
            422,
            "send [n, 784], [n, 28, 28], [n, 1, ",
        ),
        ({"datatype": "UINT8", "shape": [1, 28, 28, 3], "data": [0] * 2352}, 422, "[1, 28, 28, 3]: send [n, 784]"),
        ({"datatype": "FP32", "shape": [1, 784], "data": [255.0] * 784}, 422, "from 0 (background) to 1 (ink)"),
        ({"datatype": "INT64", "shape": [1, 784], "data": [-1] * 784}, 422, "from 0 (background) to 255 (ink)"),
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
            "0 bytes come after",
        ),
    ],
)
def test_invalid_inputs(client: TestClient, tensor: dict[str, Any], status: int, reason: str) -> None:
    """Each is an `error` with the reason."""
    response = infer(client, **tensor)

    assert status == response.status_code
    assert ["error"] == list(response.json())
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ([{"name": "other"}], "request predict or predict_proba"),
        ([{"name": "predict", "parameters": {"classification": 1}}], "classification applies to predict_proba"),
        ([{"name": "predict_proba", "parameters": {"classification": 0}}], "from 1 on"),
        ([{"name": "predict_proba"}] * 1000, "outputs: "),
        ([{"name": "predict_proba", "parameters": {"classification": True}}], "from 1 on"),
        ([{"name": "predict_proba", "parameters": {"classification": "2"}}], "from 1 on"),
    ],
)
def test_invalid_outputs(client: TestClient, outputs: list[dict[str, Any]], reason: str) -> None:
    """The error has the valid values."""
    response = infer(client, outputs=outputs, datatype="UINT8", shape=[1, 784], data=[0] * 784)

    assert 422 == response.status_code
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 422),
        (b'{"inputs": []}', 422),
        (b'{"id": "\\ud800", "inputs": [{"name": "x", "shape": [0, 784], "datatype": "UINT8", "data": []}]}', 400),
    ],
)
def test_invalid_bodies(client: TestClient, body: bytes, status: int) -> None:
    """The error has the format of the protocol."""
    response = client.post(INFER, content=body)

    assert status == response.status_code
    assert ["error"] == list(response.json())


def test_empty_batch(client: TestClient) -> None:
    """It is answered with empty tensors."""
    answer = infer(client, datatype="UINT8", shape=[0, 784], data=[]).json()

    assert [[0], [0, 10]] == [output["shape"] for output in answer["outputs"]]
    assert [[], []] == [output["data"] for output in answer["outputs"]]


def test_openapi_example(client: TestClient) -> None:
    """It is answered with 7."""
    document = client.get("/openapi.json").json()
    body = document["paths"]["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]["application/json"]

    assert [7] == client.post(INFER, json=body["example"]).json()["outputs"][0]["data"]


# --- Triton's client


@pytest.fixture(scope="module")
def triton_client() -> Iterator[triton.InferenceServerClient]:
    """Return NVIDIA's client, connected to a real server."""
    with (
        servers.in_thread(create_app(Settings())) as address,
        triton.InferenceServerClient(address.removeprefix("http://")) as client,
    ):
        yield client


def test_triton_health_and_metadata(triton_client: triton.InferenceServerClient) -> None:
    """They have the format that the client expects."""
    assert triton_client.is_server_live()
    assert triton_client.is_server_ready()
    assert triton_client.is_model_ready(MODEL)
    assert not triton_client.is_model_ready("other")
    assert "digits" == triton_client.get_server_metadata()["name"]
    assert MODEL == triton_client.get_model_metadata(MODEL)["name"]


@pytest.mark.parametrize(("binary_in", "binary_out"), [(True, False), (False, True)])
def test_triton_gets_the_probabilities_of_predict(
    triton_client: triton.InferenceServerClient,
    client: TestClient,
    digits: npt.NDArray[np.uint8],
    *,
    binary_in: bool,
    binary_out: bool,
) -> None:
    """In JSON and as binary tensor data."""
    values = (digits / 255).astype(np.float32).reshape(3, 784)
    tensor = triton.InferInput("image", [3, 784], "FP32")
    tensor.set_data_from_numpy(values, binary_data=binary_in)
    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("predict", "predict_proba")]
    answer = triton_client.infer(MODEL, [tensor], outputs=outputs, request_id="r1")
    expected = np.array(probabilities_of_predict(client, digits))

    assert "r1" == answer.get_response()["id"]
    assert pytest.approx(expected, abs=1e-6) == answer.as_numpy("predict_proba")
    assert expected.argmax(axis=1).tolist() == answer.as_numpy("predict").tolist()


def test_triton_sends_pictures(triton_client: triton.InferenceServerClient) -> None:
    """As BYTES in binary tensor data. All outputs are returned by default."""
    tensor = triton.InferInput("image", [3], "BYTES")
    tensor.set_data_from_numpy(np.array(PICTURES, object))
    answer = triton_client.infer(MODEL, [tensor])

    assert [4, 7, 0] == answer.as_numpy("predict").tolist()
    assert (3, 10) == answer.as_numpy("predict_proba").shape


def test_triton_class_count(triton_client: triton.InferenceServerClient) -> None:
    """`class_count` of the client is the extension `classification`."""
    tensor = triton.InferInput("image", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[PICTURES[0]]], object))
    answer = triton_client.infer(MODEL, [tensor], outputs=[triton.InferRequestedOutput("predict_proba", class_count=3)])
    (best, _, _) = answer.as_numpy("predict_proba")[0].tolist()

    assert b":4:4" == best[-4:]


def test_triton_reports_errors(triton_client: triton.InferenceServerClient) -> None:
    """Its exception has the message of the service."""
    tensor = triton.InferInput("image", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 3), np.float32))

    with pytest.raises(InferenceServerException, match=r"send \[n, 784\]"):
        triton_client.infer(MODEL, [tensor])


def test_too_many_digits(client: TestClient) -> None:
    """More digits than the MNIST test set would take too much memory."""
    parameters = {"binary_data_size": 10_001 * 784}
    tensor = {"name": "x", "datatype": "UINT8", "shape": [10_001, 784], "parameters": parameters}
    text = json.dumps({"inputs": [tensor]}).encode()
    response = client.post(
        INFER,
        content=text + bytes(10_001 * 784),
        headers={"inference-header-content-length": str(len(text))},
    )

    assert 413 == response.status_code
    assert "send at most 10,000 per request" in response.json()["error"]


def test_binary_data_size_has_to_match(client: TestClient) -> None:
    """It has to equal the number of bytes after the JSON."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 784], "parameters": {"binary_data_size": 3136}}
    head = json.dumps({"inputs": [tensor]}).encode()
    response = client.post(INFER, content=head + bytes(8), headers={"Inference-Header-Content-Length": str(len(head))})

    assert 422 == response.status_code
    assert "8 bytes come after the JSON" in response.json()["error"]
