"""Tests of service.api.request_context."""

from __future__ import annotations

import pytest

from service.api.request_context import is_probe, open_request_context, request_context_of, route_path_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def make_scope(path: str = "/predict", root_path: str = "", **headers: str) -> dict[str, object]:
    """Return the ASGI scope of a request."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "path": path, "root_path": root_path, "headers": raw}


def test_context_is_stored_in_the_scope() -> None:
    """Every layer that has the scope shares one context."""
    scope = make_scope()
    context = open_request_context(scope)
    context.problem_codes.append("no-ink")

    assert context is request_context_of(scope)
    assert ["no-ink"] == request_context_of(scope).problem_codes


def test_request_without_an_id_gets_a_random_one() -> None:
    """16 hex digits, another one for each request."""
    first, second = (open_request_context(make_scope()).request_id for _ in range(2))

    assert first != second
    assert 16 == len(f"{int(first, 16):016x}") == len(first)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_request_id": "mine-1"}, "mine-1"),
        ({"traceparent": f"00-{TRACE}-{PARENT}-01"}, TRACE),
        ({"traceparent": f"01-{TRACE}-{PARENT}-01-more"}, TRACE),
        ({"x_request_id": "mine-1", "traceparent": f"00-{TRACE}-{PARENT}-01"}, "mine-1"),
        ({"x_request_id": "not mine", "traceparent": f"00-{TRACE}-{PARENT}-01"}, TRACE),
    ],
)
def test_request_id_comes_from_the_client_or_its_trace(headers: dict[str, str], expected: str) -> None:
    """A valid X-Request-ID first, then the trace id of W3C traceparent."""
    assert expected == open_request_context(make_scope(**headers)).request_id


@pytest.mark.parametrize(
    "traceparent",
    ["", "nonsense", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE.upper()}-{PARENT}-01"],
)
def test_invalid_traceparent_is_ignored(traceparent: str) -> None:
    """The request gets a random id."""
    assert 16 == len(open_request_context(make_scope(traceparent=traceparent)).request_id)


@pytest.mark.parametrize(
    ("path", "root_path", "expected"),
    [
        ("/predict", "", "/predict"),
        ("/digits/predict", "/digits", "/predict"),
        ("/predict", "/digits", "/predict"),
        ("/digitsx/predict", "/digits", "/digitsx/predict"),
    ],
)
def test_route_path_has_no_root_path(path: str, root_path: str, expected: str) -> None:
    """Whether or not the proxy strips its prefix, routes match the same path."""
    assert expected == route_path_of(make_scope(path, root_path))


def test_probes() -> None:
    """Liveness and readiness paths are probes, other paths are not."""
    assert [True, True, False] == [is_probe(path) for path in ("/readyz", "/v2/health/live", "/predict")]
