"""Tests of service.middleware.limits."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi.testclient import TestClient

from tests.pictures import draw, encode


def test_a_declared_length_over_the_limit_is_refused_unread(tiny_client: TestClient) -> None:
    """A Content-Length over the limit is answered 413 as a problem with the request's id."""
    response = tiny_client.post("/predict", content=bytes(100_001))

    assert 413 == response.status_code
    assert "application/problem+json" == response.headers["content-type"]
    assert "image-too-large" == response.json()["code"]
    assert "100,000" in response.json()["detail"]
    assert response.headers["x-request-id"] == response.json()["request_id"]


def test_a_body_without_length_is_refused_where_it_gets_too_long(tiny_client: TestClient) -> None:
    """A chunked body is read up to the limit and not beyond it."""
    n_sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal n_sent
        for _ in range(1_000):
            n_sent += 10_000
            yield bytes(10_000)

    response = tiny_client.post("/predict", content=chunks())

    assert 413 == response.status_code
    assert "image-too-large" == response.json()["code"]


def test_a_body_of_just_the_limit_is_read(tiny_client: TestClient) -> None:
    """The limit itself is allowed: the picture with padding behind it is answered."""
    picture = encode(draw())

    response = tiny_client.post("/predict", content=picture + bytes(100_000 - len(picture)))

    assert 200 == response.status_code
