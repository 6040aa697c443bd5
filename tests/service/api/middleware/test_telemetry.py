"""Tests of service.api.middleware.telemetry."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from service.api import problems
from service.api.metrics import Metrics
from service.api.middleware.telemetry import Telemetry
from tests.pictures import draw, encode


def facts(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the facts in the log lines of requests."""
    return [record.facts for record in caplog.records if hasattr(record, "facts")]


def test_request_id_of_the_client_is_kept(tiny_client: TestClient) -> None:
    """In the response header and in the problem."""
    response = tiny_client.get("/nowhere", headers={"X-Request-ID": "trace-7:a"})

    assert "trace-7:a" == response.headers["x-request-id"]
    assert "trace-7:a" == response.json()["request_id"]


@pytest.mark.parametrize("request_id", ["", "a b", "é", "a" * 129])
def test_invalid_request_id_is_replaced(tiny_client: TestClient, request_id: str) -> None:
    """An id that is empty or too long, or that could forge a log line, becomes a random one."""
    response = tiny_client.get("/livez", headers=[(b"X-Request-ID", request_id.encode())])

    assert 16 == len(response.headers["x-request-id"])


def test_request_is_logged_in_one_line(tiny_client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """With request id, method, path, status, duration and client, without the picture."""
    caplog.set_level(logging.INFO, "service")
    response = tiny_client.post("/predict?top_k=3", content=encode(draw(4)))
    (line,) = facts(caplog)

    assert {"request_id", "method", "path", "status", "milliseconds", "client"} == set(line)
    assert (response.headers["x-request-id"], "POST", "/predict", 200, "testclient") == (
        line["request_id"],
        line["method"],
        line["path"],
        line["status"],
        line["client"],
    )
    assert 0 < line["milliseconds"] < 60_000


def test_problem_code_is_logged(tiny_client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """Without the detail of the problem."""
    caplog.set_level(logging.INFO, "service")
    tiny_client.post("/predict", content=b"secret")
    (line,) = facts(caplog)

    assert (415, ["unsupported-media-type"]) == (line["status"], line["codes"])
    assert "secret" not in json.dumps(line)


def test_path_cannot_forge_a_log_line(tiny_client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """Line breaks and quotes in a path stay percent-encoded."""
    caplog.set_level(logging.INFO, "service")
    tiny_client.get("/a%0Ab%22")

    assert "/a%0Ab%22" == facts(caplog)[0]["path"]
    assert "GET /a%0Ab%22 404" == caplog.messages[0]


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_probes_are_logged_at_debug_level(
    tiny_client: TestClient, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    """They would drown the other lines."""
    caplog.set_level(level, "service")
    tiny_client.get("/readyz")

    assert (level == logging.DEBUG) == bool(facts(caplog))


def make_app(metrics: Metrics) -> FastAPI:
    """Return an application with two failing routes."""
    app = FastAPI()
    problems.install_exception_handlers(app)
    app.add_middleware(Telemetry, metrics=metrics)

    @app.get("/disconnect")
    async def disconnect() -> None:
        raise ClientDisconnect

    @app.get("/late")
    async def late() -> StreamingResponse:
        def body() -> Iterator[bytes]:
            yield b"half"
            message = "too late"
            raise RuntimeError(message)

        return StreamingResponse(body())

    return app


def test_disconnect_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with nginx's status 499, at level info."""
    caplog.set_level(logging.INFO, "service")
    client = TestClient(make_app(Metrics()), raise_server_exceptions=False)
    client.get("/disconnect")

    assert [499] == [line["status"] for line in facts(caplog)]
    assert ["INFO"] == [record.levelname for record in caplog.records]


def test_error_after_the_head_aborts_the_response(caplog: pytest.LogCaptureFixture) -> None:
    """The status is sent already. The error is logged and counted, and the request is no longer in flight."""
    metrics = Metrics()
    with pytest.raises(RuntimeError, match="too late"):
        TestClient(make_app(metrics)).get("/late")

    exposition = metrics.render("")[0].decode()
    assert "failed" in caplog.text
    assert "digits_http_requests_in_flight 0.0" in exposition
    assert 'digits_refusals_total{code="internal-error"} 1.0' in exposition


# --- Traces

TRACED = """
import json, sys
from pathlib import Path
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from service.app import create_app
from service.settings import Settings
from tests.pictures import draw, encode

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
parent = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
with TestClient(create_app(Settings(model=Path(sys.argv[1])))) as client:
    client.get("/readyz")
    client.post("/predict", content=encode(draw(4)), headers=parent)
spans = exporter.get_finished_spans()
print(json.dumps([[span.name, f"{span.context.trace_id:032x}", span.parent and span.parent.span_id] for span in spans]))
"""


@pytest.mark.slow
def test_trace_has_a_span_for_each_stage(tiny_model: Path) -> None:
    """Spans belong to the client's trace. Probes have none."""
    # In a subprocess, since a tracer provider cannot be replaced.
    result = subprocess.run(
        [sys.executable, "-c", TRACED, str(tiny_model)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": "."},
    )
    spans = json.loads(result.stdout)
    names = [name for name, _, _ in spans]

    assert {"4bf92f3577b34da6a3ce929d0e0e4736"} == {trace_id for _, trace_id, _ in spans}
    assert {"decode", "normalize", "infer", "POST /predict"} <= set(names)
    assert None not in [parent for _, _, parent in spans]
