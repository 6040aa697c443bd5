"""Tests of service.client.exchange, through a client whose transport is a list of outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from service.client import Answer, DigitClient, InvalidInput, NoAnswer, Problem, ProblemError, UnexpectedAnswer
from tests.service.client.answers import make_answer, make_problem

Outcome = httpx.Response | httpx.RequestError
WELL = httpx.Response(200, json=make_answer())
OVERLOADED = httpx.Response(503, json=make_problem(503, "too busy", "overloaded"))


class Service:
    """Gives one outcome after the other, and keeps what it is asked and for how long it is left alone."""

    def __init__(self, *outcomes: Outcome) -> None:
        """Be asked once for each outcome."""
        self.outcomes = list(outcomes)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Take a request and give the next outcome."""
        self.requests.append(request)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, httpx.RequestError):
            raise outcome
        # A response of its own, since reading uses one up.
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)

    def client(self, retries: int = 3) -> DigitClient:
        """Return a client of this service, whose pauses are as long as they can get."""
        return DigitClient(
            "http://digits/api",
            retries=retries,
            transport=httpx.MockTransport(self),
            sleep=self.pauses.append,
            random=lambda: 1.0,
        )


def pictures_in(request: httpx.Request) -> int:
    """Return the number of fields `file` in a form."""
    return request.content.count(b'name="file"')


# --- What is asked


def test_a_picture_is_the_body() -> None:
    """POST to the path below that of the address, with the bytes as they are."""
    service = Service(WELL)
    answer = service.client().predict(b"picture")
    (request,) = service.requests

    assert Answer.model_validate(make_answer()) == answer
    assert ("POST", "http://digits/api/predict") == (request.method, str(request.url))
    assert (b"picture", "application/octet-stream") == (request.content, request.headers["Content-Type"])


def test_pixels_are_json() -> None:
    """28 rows of 28 integers."""
    service = Service(WELL)
    service.client().predict_pixels(np.eye(28, dtype=np.uint8))

    assert {"pixels": np.eye(28, dtype=int).tolist()} == json.loads(service.requests[0].content)


def test_the_most_probable_classes_are_asked_for() -> None:
    """As ?top_k, for pictures and for pixels; they are in the answer."""
    ranked = [{"digit": 7, "probability": 0.9}]
    service = Service(*[httpx.Response(200, json=make_answer() | {"top": ranked})] * 2)
    first = service.client().predict(b"picture", top_k=1)
    second = service.client().predict_pixels(np.zeros((28, 28), int), top_k=1)

    assert ["top_k=1"] * 2 == [request.url.query.decode() for request in service.requests]
    assert first.top is not None
    assert ranked == [top.model_dump() for top in first.top]
    assert first == second


def test_nothing_is_sent_of_what_is_no_picture() -> None:
    """The mistake is told before the service is troubled."""
    service = Service()

    with pytest.raises(InvalidInput):
        service.client().predict(np.zeros((28, 28)))
    assert [] == service.requests


# --- Asking again


@pytest.mark.parametrize(
    "outcome",
    [
        OVERLOADED,
        httpx.Response(429),
        httpx.Response(502, html="<h1>Bad gateway</h1>"),
        httpx.Response(504),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("nobody there"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("disconnected"),
    ],
    ids=lambda outcome: getattr(outcome, "status_code", type(outcome).__name__),
)
def test_what_may_pass_is_asked_again(outcome: Outcome) -> None:
    """After pauses, each twice the one before, until the service answers."""
    service = Service(outcome, outcome, outcome, WELL)
    answer = service.client().predict(b"picture")

    assert 7 == answer.digit
    assert [0.25, 0.5, 1.0] == service.pauses
    assert [b"picture"] * 4 == [request.content for request in service.requests]


def test_pauses_are_spread() -> None:
    """By chance down to half, so that not all clients return at once."""
    service = Service(OVERLOADED, WELL)
    with DigitClient(
        "http://digits", transport=httpx.MockTransport(service), sleep=service.pauses.append, random=lambda: 0.0
    ) as client:
        client.predict(b"picture")

    assert [0.125] == service.pauses


def test_pauses_do_not_grow_for_ever() -> None:
    """Half a minute is the longest."""
    service = Service(*[OVERLOADED] * 10, WELL)
    service.client(retries=10).predict(b"picture")

    assert [16.0, 30.0, 30.0, 30.0] == service.pauses[6:]


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
    ids=["seconds", "date", "past", "no clock", "no zone", "unreadable"],
)
def test_the_service_says_when_to_return(headers: dict[str, str], expected: float) -> None:
    """Retry-After is in seconds, or a date by the service's own clock; what cannot be read does no harm."""
    service = Service(httpx.Response(503, headers=headers, json=make_problem(503)), WELL)
    service.client().predict(b"picture")

    assert [expected] == service.pauses


@pytest.mark.parametrize("seconds", ["31", "9" * 400])
def test_nobody_waits_for_longer_than_half_a_minute(seconds: str) -> None:
    """When the service wants to be left alone for longer, its refusal is raised at once."""
    service = Service(httpx.Response(503, headers={"Retry-After": seconds}, json=make_problem(503)))

    with pytest.raises(ProblemError):
        service.client().predict(b"picture")
    assert [] == service.pauses


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
def test_what_stays_as_it_is_is_asked_once(outcome: Outcome) -> None:
    """A refusal, a defect, and an answer that takes longer than the caller waits."""
    service = Service(outcome)

    with pytest.raises((ProblemError, NoAnswer)):
        service.client().predict(b"picture")
    assert [] == service.pauses


def test_the_last_error_is_raised() -> None:
    """When retries are used up, with the reason of the transport behind it."""
    last = httpx.ConnectError("refused")
    service = Service(OVERLOADED, last)

    with pytest.raises(NoAnswer, match="http://digits/api/predict does not answer: refused") as caught:
        service.client(retries=1).predict(b"picture")
    assert last is caught.value.__cause__


def test_an_error_without_words_is_told_by_its_name() -> None:
    """Some errors of the transport have no message."""
    service = Service(httpx.ReadTimeout(""))

    with pytest.raises(NoAnswer, match="does not answer: ReadTimeout"):
        service.client().predict(b"picture")


# --- What comes back


def test_a_problem_is_raised_with_all_it_says() -> None:
    """Code, status, title, detail and the id of the request."""
    service = Service(httpx.Response(422, json=make_problem(422, "draw something", "no-ink")))

    with pytest.raises(ProblemError) as caught:
        service.client().predict(b"picture")
    assert Problem.model_validate(make_problem(422, "draw something", "no-ink")) == caught.value.problem


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(200, html="<h1>Welcome</h1>"), "200 OK (text/html; charset=utf-8) with nothing that"),
        (httpx.Response(200, json=[7]), "200 OK (application/json)"),
        (httpx.Response(404, html="<h1>Not found</h1>"), "404 Not Found (text/html; charset=utf-8)"),
        (httpx.Response(418, json={"detail": "tea"}), "418 I'm a teapot (application/json)"),
        (httpx.Response(308, headers={"Location": "https://digits/"}), "(no content type), which points to https://di"),
    ],
    ids=["page", "other service", "page of an error", "other error", "redirect"],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.predict(b"picture"),
        lambda client: client.predict_batch([b"picture"]),
        lambda client: client.model(),
        lambda client: client.health(),
    ],
    ids=["predict", "predict_batch", "model", "health"],
)
def test_what_is_not_this_service_is_told(
    response: httpx.Response, said: str, ask: Callable[[DigitClient], Any]
) -> None:
    """The error says who answered what, and asks whether the address is right."""
    service = Service(response)

    with pytest.raises(UnexpectedAnswer) as caught:
        ask(service.client())
    assert said in str(caught.value)
    assert response.status_code == caught.value.status


@pytest.mark.parametrize("status", [200, 503])
def test_health_is_an_answer_also_when_it_is_bad(status: int) -> None:
    """And the question is put once."""
    facts = {"status": "unavailable", "model": None}
    service = Service(httpx.Response(status, json=facts))

    assert facts == service.client().health()
    assert (["/api/health"], []) == ([request.url.path for request in service.requests], service.pauses)


def test_the_model_is_what_the_service_tells_of_it() -> None:
    """All of it."""
    service = Service(httpx.Response(200, json={"name": "tiny", "figures": {"error": 0.01}}))

    assert {"name": "tiny", "figures": {"error": 0.01}} == service.client().model()


# --- Batches


def batch_of(*digits: int) -> httpx.Response:
    """Return the response to a batch."""
    return httpx.Response(200, json={"results": [{"prediction": make_answer(digit)} for digit in digits]})


def test_a_batch_is_a_form() -> None:
    """The field `file` repeated; the outcomes are in the order sent."""
    problem = make_problem(400, "damaged", "unreadable-image")
    answered = httpx.Response(200, json={"results": [{"prediction": make_answer()}, {"problem": problem}]})
    service = Service(answered)
    outcomes = service.client().predict_batch([b"one", b"two"])
    (request,) = service.requests

    assert [Answer.model_validate(make_answer()), Problem.model_validate(problem)] == outcomes
    assert "/api/predict/batch" == request.url.path
    assert request.content.index(b"one") < request.content.index(b"two")
    assert 2 == pictures_in(request)


def test_no_pictures_are_no_request() -> None:
    """There is nothing to ask."""
    assert [] == Service().client().predict_batch([])


def test_many_pictures_are_several_requests() -> None:
    """Of 64 at most, whose outcomes follow one another."""
    service = Service(batch_of(*range(64)), batch_of(64, 65))
    outcomes = service.client().predict_batch(b"picture" for _ in range(66))

    assert [64, 2] == [pictures_in(request) for request in service.requests]
    assert list(range(66)) == [outcome.digit for outcome in outcomes if isinstance(outcome, Answer)]


@pytest.mark.parametrize(
    "refusal",
    [httpx.Response(413, json=make_problem(413, "too many")), httpx.Response(413, html="<h1>Too large</h1>")],
    ids=["service", "proxy"],
)
def test_a_batch_that_is_too_large_is_halved(refusal: httpx.Response) -> None:
    """Whoever allows less than usual, the service or a proxy before it, is sent less."""
    service = Service(refusal, batch_of(0), refusal, batch_of(1), batch_of(2))
    outcomes = service.client().predict_batch([b"picture"] * 3)

    assert [3, 1, 2, 1, 1] == [pictures_in(request) for request in service.requests]
    assert [0, 1, 2] == [outcome.digit for outcome in outcomes if isinstance(outcome, Answer)]


def test_a_picture_that_is_too_large_does_not_stop_the_others() -> None:
    """Its problem is its outcome."""
    problem = make_problem(413, "too large", "image-too-large")
    service = Service(httpx.Response(413, json=problem), httpx.Response(413, json=problem), batch_of(1))
    outcomes = service.client().predict_batch([b"large", b"small"])

    assert [Problem.model_validate(problem), Answer.model_validate(make_answer(1))] == outcomes


def test_a_proxy_that_lets_no_picture_through_is_told() -> None:
    """There is no problem of the service to hand on."""
    with pytest.raises(UnexpectedAnswer, match="413"):
        Service(httpx.Response(413, html="<h1>Too large</h1>")).client().predict_batch([b"picture"])


def test_a_refusal_of_the_whole_batch_is_raised() -> None:
    """A wrong key concerns no single picture."""
    with pytest.raises(ProblemError, match="who are you"):
        Service(httpx.Response(401, json=make_problem(401, "who are you"))).client().predict_batch([b"picture"])


def test_results_of_another_number_are_no_answer() -> None:
    """Nobody could tell which belongs to which picture."""
    with pytest.raises(UnexpectedAnswer, match="1 results for 2 pictures"):
        Service(batch_of(7)).client().predict_batch([b"one", b"two"])
