"""Fuzzing: a short run of the hostile requests that `python -m benchmarks.fuzz` sends for hours."""

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
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_hostile_requests_cause_no_internal_error(tiny_client: TestClient, kind: str, seed: int) -> None:
    """Every response is below 500, and every error has a reason."""
    case = KINDS[kind](Random(seed))  # noqa: S311 - reproducible
    headers = [(name.encode(), value.encode("latin-1")) for name, value in case.headers]

    response = tiny_client.request(
        case.method, case.path.replace("{model}", "tiny"), headers=headers, content=case.body, follow_redirects=False
    )

    assert 500 > response.status_code
    if response.status_code >= 400:
        assert response.json().get("detail") or response.json().get("error")


def test_corpus_has_all_formats() -> None:
    """Every accepted format is mutated, and each original is readable."""
    assert set(FORMATS) == {decode(data, 1_000_000).format for data in PICTURES.values()}
