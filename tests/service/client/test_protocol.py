"""Tests of service.client.protocol, through a client whose transport returns canned responses and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
import safetensors.numpy

from service.client import (
    Answer,
    DigitClient,
    InvalidInput,
    NoAnswer,
    Problem,
    ProblemError,
    ReadingAnswer,
    UnexpectedAnswer,
)
from tests.service.client.answers import make_answer, make_problem, make_reading

Outcome = httpx.Response | httpx.RequestError
ANSWER = httpx.Response(200, json=make_answer())
OVERLOADED = httpx.Response(503, json=make_problem(503, "too busy", "overloaded"))


class Service:
    """A mock service: returns or raises one outcome per request, and records requests and sleeps."""

    def __init__(self, *outcomes: Outcome) -> None:
        """Expect at most one request per outcome."""
        self.outcomes = list(outcomes)
        self.requests: list[httpx.Request] = []
        self.sleeps: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Record a request and return, or raise, the next outcome."""
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, httpx.RequestError):
            raise outcome
        # A new response each time, since reading consumes it.
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)

    def client(self, retries: int = 3) -> DigitClient:
        """Return a client of this service, with the maximum jitter."""
        return DigitClient(
            "http://digits/api",
            retries=retries,
            transport=httpx.MockTransport(self),
            sleep=self.sleeps.append,
            random=lambda: 1.0,
        )


def pictures_in(request: httpx.Request) -> int:
    """Return the number of `file` fields of a form."""
    return request.content.count(b'name="file"')


# --- Requests


def test_picture_is_sent_as_body() -> None:
    """The request is a POST to a path below the base URL, with the bytes unchanged."""
    service = Service(ANSWER)
    answer = service.client().predict(b"picture")
    (request,) = service.requests

    assert Answer.model_validate(make_answer()) == answer
    assert ("POST", "http://digits/api/predict") == (request.method, str(request.url))
    assert (b"picture", "application/octet-stream") == (request.content, request.headers["Content-Type"])


def test_picture_to_read_is_sent_as_body() -> None:
    """It is sent to another path, and the answer is a reading."""
    service = Service(*[httpx.Response(200, json=make_reading())] * 2)
    answers = [service.client().read(b"picture"), service.client().read(b"picture", length=3)]
    first, second = service.requests

    assert [ReadingAnswer.model_validate(make_reading())] * 2 == answers
    assert ("POST", "http://digits/api/read") == (first.method, str(first.url))
    assert "length=3" == second.url.query.decode()
    assert (b"picture", "application/octet-stream") == (first.content, first.headers["Content-Type"])


def test_pixels_are_sent_as_json() -> None:
    """The body has 28 rows of 28 integers."""
    service = Service(ANSWER)
    service.client().predict_pixels(np.eye(28, dtype=np.uint8))

    assert {"pixels": np.eye(28, dtype=int).tolist()} == json.loads(service.requests[0].content)


def test_top_k_is_a_query_parameter() -> None:
    """It is sent for pictures and for pixels, and the answer has the most probable classes."""
    ranked = [{"digit": 7, "probability": 0.9}]
    service = Service(*[httpx.Response(200, json=make_answer() | {"top": ranked})] * 2)
    first = service.client().predict(b"picture", top_k=1)
    second = service.client().predict_pixels(np.zeros((28, 28), int), top_k=1)

    assert ["top_k=1"] * 2 == [request.url.query.decode() for request in service.requests]
    assert first.top is not None
    assert ranked == [top.model_dump() for top in first.top]
    assert first == second


def test_invalid_picture_is_not_sent() -> None:
    """InvalidInput is raised before any request."""
    service = Service()

    with pytest.raises(InvalidInput):
        service.client().predict(np.zeros((28, 28)))
    assert [] == service.requests


def test_weights_are_those_of_the_network() -> None:
    """In the order of the layers. The file has further tensors, of the OOD detector and of the reader."""
    tensors = {f"layers.{i}.{kind}": np.full(1, i, np.float32) for i in range(12) for kind in ("weights", "biases")}
    others = {"novelty.layers.0.weights": np.ones(1), "mean": np.ones(2), "segments": np.ones(3)}
    service = Service(httpx.Response(200, content=safetensors.numpy.save(others | tensors)))

    layers = service.client().weights()

    assert [(i, i) for i in range(12)] == [(layer.weights.item(), layer.biases.item()) for layer in layers]


@pytest.mark.parametrize("content", [b"<h1>Hello</h1>", safetensors.numpy.save({"a": np.zeros(1), "b": np.zeros(1)})])
def test_weights_that_are_none(content: bytes) -> None:
    """A body of another kind, or with other tensors, is not of this service."""
    service = Service(httpx.Response(200, content=content))

    with pytest.raises(UnexpectedAnswer, match="not of this service"):
        service.client().weights()
    assert "http://digits/api/model/weights?format=safetensors" == str(service.requests[0].url)


# --- Retries


@pytest.mark.parametrize(
    "outcome",
    [
        OVERLOADED,
        httpx.Response(429),
        httpx.Response(502, html="<h1>Bad gateway</h1>"),
        httpx.Response(504),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("timed out"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("disconnected"),
    ],
    ids=lambda outcome: getattr(outcome, "status_code", type(outcome).__name__),
)
def test_transient_failures_are_retried(outcome: Outcome) -> None:
    """Each backoff is twice the previous one, until the service answers."""
    service = Service(outcome, outcome, outcome, ANSWER)
    answer = service.client().predict(b"picture")

    assert 7 == answer.digit
    assert [0.25, 0.5, 1.0] == service.sleeps
    assert [b"picture"] * 4 == [request.content for request in service.requests]


def test_backoff_has_jitter() -> None:
    """The jitter shortens the backoff to half at most, so that clients do not retry in step."""
    service = Service(OVERLOADED, ANSWER)
    with DigitClient(
        "http://digits", transport=httpx.MockTransport(service), sleep=service.sleeps.append, random=lambda: 0.0
    ) as client:
        client.predict(b"picture")

    assert [0.125] == service.sleeps


def test_backoff_is_capped() -> None:
    """The longest backoff is 30 seconds."""
    service = Service(*[OVERLOADED] * 10, ANSWER)
    service.client(retries=10).predict(b"picture")

    assert [16.0, 30.0, 30.0, 30.0] == service.sleeps[6:]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.25),
        (
            {"Retry-After": "Sun, 22 Nov 2026 10:00:09 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"},
            9.25,
        ),
        ({"Retry-After": "Sun, 22 Nov 2026 09:00:00 GMT", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 0.25),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:09 GMT"}, 0.25),
        ({"Retry-After": "Sun, 22 Nov 2026 10:00:09 -0000", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 0.25),
        ({"Retry-After": "soon"}, 0.25),
    ],
    ids=["seconds", "date", "past", "no Date", "no zone", "malformed"],
)
def test_retry_after_is_obeyed(headers: dict[str, str], expected: float) -> None:
    """Retry-After is in seconds, or a date relative to the header Date; a malformed one is ignored."""
    service = Service(httpx.Response(503, headers=headers, json=make_problem(503)), ANSWER)
    service.client().predict(b"picture")

    assert [expected] == service.sleeps


@pytest.mark.parametrize("seconds", ["31", "9" * 400])
def test_long_retry_after_is_not_waited_for(seconds: str) -> None:
    """With a Retry-After of more than 30 seconds the error is raised at once."""
    service = Service(httpx.Response(503, headers={"Retry-After": seconds}, json=make_problem(503)))

    with pytest.raises(ProblemError):
        service.client().predict(b"picture")
    assert [] == service.sleeps


@pytest.mark.parametrize(
    "outcome",
    [
        httpx.Response(400, json=make_problem(400)),
        httpx.Response(500, json=make_problem(500)),
        httpx.ReadTimeout("timed out"),
        httpx.DecodingError("no gzip"),
    ],
    ids=lambda outcome: getattr(outcome, "status_code", type(outcome).__name__),
)
def test_permanent_failures_are_not_retried(outcome: Outcome) -> None:
    """Client errors, server errors, read timeouts and undecodable responses are raised at once."""
    service = Service(outcome)

    with pytest.raises((ProblemError, NoAnswer)):
        service.client().predict(b"picture")
    assert [] == service.sleeps


def test_last_error_is_raised_after_the_retries() -> None:
    """The transport error is its cause."""
    last = httpx.ConnectError("refused")
    service = Service(OVERLOADED, last)

    with pytest.raises(NoAnswer, match="http://digits/api/predict does not answer: refused") as caught:
        service.client(retries=1).predict(b"picture")
    assert last is caught.value.__cause__


def test_error_without_message_is_reported_by_type() -> None:
    """Some transport errors have an empty message."""
    service = Service(httpx.ReadTimeout(""))

    with pytest.raises(NoAnswer, match="does not answer: ReadTimeout"):
        service.client().predict(b"picture")


# --- Responses


def test_problem_error_has_the_whole_problem() -> None:
    """Code, status, title, detail and request id are those of the response."""
    service = Service(httpx.Response(422, json=make_problem(422, "draw something", "no-ink")))

    with pytest.raises(ProblemError) as caught:
        service.client().predict(b"picture")
    assert Problem.model_validate(make_problem(422, "draw something", "no-ink")) == caught.value.problem


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (httpx.Response(200, html="<h1>Welcome</h1>"), "200 OK (text/html; charset=utf-8) with a body that is not"),
        (httpx.Response(200, json=[7]), "200 OK (application/json)"),
        (httpx.Response(404, html="<h1>Not found</h1>"), "404 Not Found (text/html; charset=utf-8)"),
        (httpx.Response(418, json={"detail": "tea"}), "418 I'm a teapot (application/json)"),
        (httpx.Response(308, headers={"Location": "https://digits/"}), "(no content type), redirecting to https://di"),
    ],
    ids=["page", "other JSON", "error page", "other error", "redirect"],
)
def test_response_of_another_server_raises_unexpected_answer(response: httpx.Response, expected: str) -> None:
    """The message has the status, the content type and the redirect of the response."""
    with pytest.raises(UnexpectedAnswer) as caught:
        Service(response).client().predict(b"picture")
    assert expected in str(caught.value)
    assert response.status_code == caught.value.status


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.predict_pixels(np.zeros((28, 28), int)),
        lambda client: client.predict_batch([b"picture"]),
        lambda client: client.read(b"picture"),
        lambda client: client.read_batch([b"picture"]),
        lambda client: client.model(),
        lambda client: client.health(),
    ],
    ids=["predict_pixels", "predict_batch", "read", "read_batch", "model", "health"],
)
def test_every_method_raises_unexpected_answer(status: int, call: Callable[[DigitClient], Any]) -> None:
    """Every method checks the status and parses the body."""
    with pytest.raises(UnexpectedAnswer):
        call(Service(httpx.Response(status, html="<h1>Welcome</h1>")).client())


@pytest.mark.parametrize("status", [200, 503])
def test_health_is_returned_for_status_200_and_503(status: int) -> None:
    """It is requested once, without retries."""
    facts = {"status": "unavailable", "model": None}
    service = Service(httpx.Response(status, json=facts))

    assert facts == service.client().health()
    assert (["/api/health"], []) == ([request.url.path for request in service.requests], service.sleeps)


def test_model_returns_the_whole_body() -> None:
    """No field of the description is dropped."""
    service = Service(httpx.Response(200, json={"name": "tiny", "figures": {"error": 0.01}}))

    assert {"name": "tiny", "figures": {"error": 0.01}} == service.client().model()


# --- Batches


def batch_of(*digits: int) -> httpx.Response:
    """Return the response to a batch, one answer per digit."""
    return httpx.Response(200, json={"results": [{"prediction": make_answer(digit)} for digit in digits]})


def test_batch_is_sent_as_a_form() -> None:
    """The form repeats the field `file`; the results are in its order."""
    problem = make_problem(400, "damaged", "unreadable-image")
    answered = httpx.Response(200, json={"results": [{"prediction": make_answer()}, {"problem": problem}]})
    service = Service(answered)
    outcomes = service.client().predict_batch([b"one", b"two"])
    (request,) = service.requests

    assert [Answer.model_validate(make_answer()), Problem.model_validate(problem)] == outcomes
    assert "/api/predict/batch" == request.url.path
    assert request.content.index(b"one") < request.content.index(b"two")
    assert 2 == pictures_in(request)


def test_batch_to_read_is_sent_as_a_form() -> None:
    """The results are readings and problems, also after the batch is bisected; the length goes with each request."""
    problem = make_problem(400, "damaged", "unreadable-image")
    too_large = httpx.Response(413, json=make_problem(413))
    first, second = ({"reading": make_reading("1")}, {"problem": problem})
    service = Service(too_large, *(httpx.Response(200, json={"results": [one]}) for one in (first, second)))
    outcomes = service.client().read_batch([b"one", b"two"], length=1)

    assert [ReadingAnswer.model_validate(make_reading("1")), Problem.model_validate(problem)] == outcomes
    assert [2, 1, 1] == [pictures_in(request) for request in service.requests]
    assert {"http://digits/api/read/batch?length=1"} == {str(request.url) for request in service.requests}


def test_empty_batch_sends_no_request() -> None:
    """The result is an empty list."""
    assert [] == Service().client().predict_batch([])


def test_large_batch_is_split_into_requests() -> None:
    """Each request has at most 64 pictures; the results are concatenated."""
    service = Service(batch_of(*range(64)), batch_of(64, 65))
    outcomes = service.client().predict_batch(b"picture" for _ in range(66))

    assert [64, 2] == [pictures_in(request) for request in service.requests]
    assert list(range(66)) == [outcome.digit for outcome in outcomes if isinstance(outcome, Answer)]


@pytest.mark.parametrize(
    "too_large",
    [httpx.Response(413, json=make_problem(413, "too many")), httpx.Response(413, html="<h1>Too large</h1>")],
    ids=["service", "proxy"],
)
def test_batch_is_bisected_on_status_413(too_large: httpx.Response) -> None:
    """The service, or a proxy in front of it, may have a smaller limit than the default."""
    service = Service(too_large, batch_of(0), too_large, batch_of(1), batch_of(2))
    outcomes = service.client().predict_batch([b"picture"] * 3)

    assert [3, 1, 2, 1, 1] == [pictures_in(request) for request in service.requests]
    assert [0, 1, 2] == [outcome.digit for outcome in outcomes if isinstance(outcome, Answer)]


def test_too_large_picture_is_a_problem_of_its_own() -> None:
    """The other pictures of the batch are answered."""
    problem = make_problem(413, "too large", "image-too-large")
    service = Service(httpx.Response(413, json=problem), httpx.Response(413, json=problem), batch_of(1))
    outcomes = service.client().predict_batch([b"large", b"small"])

    assert [Problem.model_validate(problem), Answer.model_validate(make_answer(1))] == outcomes


def test_status_413_of_a_proxy_for_one_picture_is_raised() -> None:
    """The response has no problem that could be the picture's result."""
    with pytest.raises(UnexpectedAnswer, match="413"):
        Service(httpx.Response(413, html="<h1>Too large</h1>")).client().predict_batch([b"picture"])


def test_other_errors_of_a_batch_are_raised() -> None:
    """A wrong API key is not the problem of a single picture."""
    with pytest.raises(ProblemError, match="who are you"):
        Service(httpx.Response(401, json=make_problem(401, "who are you"))).client().predict_batch([b"picture"])


def test_wrong_number_of_results_raises_unexpected_answer() -> None:
    """The results could not be assigned to the pictures."""
    with pytest.raises(UnexpectedAnswer, match="1 results for 2 pictures"):
        Service(batch_of(7)).client().predict_batch([b"one", b"two"])
