"""Tests of service.api.request_context."""

from __future__ import annotations

import pytest

from service.api.request_context import is_probe, open_request_context, path_of, request_context_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def make_scope(path: str = "/predict", root_path: str = "", **headers: str) -> dict[str, object]:
    """Return what a server says of a request."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "path": path, "root_path": root_path, "headers": raw}


def test_the_record_of_a_request_is_found_again() -> None:
    """Whoever holds the scope finds what was noted."""
    scope = make_scope()
    record = open_request_context(scope)
    record.codes.append("no-ink")

    assert record is request_context_of(scope)
    assert ["no-ink"] == request_context_of(scope).codes


def test_every_request_without_an_id_gets_its_own() -> None:
    """Sixteen hex digits, no two alike."""
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
def test_the_id_is_the_caller_s_else_that_of_its_trace(headers: dict[str, str], expected: str) -> None:
    """X-Request-ID comes first where it is acceptable, then W3C traceparent."""
    assert expected == open_request_context(make_scope(**headers)).request_id


@pytest.mark.parametrize(
    "traceparent",
    ["", "nonsense", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE.upper()}-{PARENT}-01"],
)
def test_a_traceparent_that_is_none_is_left_alone(traceparent: str) -> None:
    """A header that breaks the W3C form gives no id."""
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
def test_the_path_is_the_one_that_routes_see(path: str, root_path: str, expected: str) -> None:
    """A proxy's prefix is taken off, whether the proxy took it off or not."""
    assert expected == path_of(make_scope(path, root_path))


def test_probes_are_known() -> None:
    """What monitors ask is told from what clients ask."""
    assert [True, True, False] == [is_probe(path) for path in ("/readyz", "/v2/health/live", "/predict")]
