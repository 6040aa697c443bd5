"""Requests that mean no good: a little of what `python -m benchmarks.fuzz` sends for long."""

from __future__ import annotations

from random import Random

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.hostile import KINDS, PICTURES
from service.images.decoding import decode
from service.types import FORMATS


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_no_request_is_answered_with_a_defect(tiny_client: TestClient, kind: str, seed: int) -> None:
    """Whatever is sent is answered, or refused with a problem."""
    case = KINDS[kind](Random(seed))  # noqa: S311 - to be had again
    headers = [(name.encode(), value.encode("latin-1")) for name, value in case.headers]

    response = tiny_client.request(
        case.method, case.path.replace("{model}", "tiny"), headers=headers, content=case.body, follow_redirects=False
    )

    assert 500 > response.status_code
    if response.status_code >= 400:
        assert response.json().get("detail") or response.json().get("error")


def test_all_formats_are_among_the_mutated() -> None:
    """Every accepted format is there, and each picture is read before it is damaged."""
    assert set(FORMATS) == {decode(data, 1_000_000).format for data in PICTURES.values()}
