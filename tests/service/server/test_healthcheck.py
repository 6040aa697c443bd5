"""Tests of service.server.healthcheck."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

from service.server import healthcheck
from tests import servers

ROOT = Path(__file__).parents[3]


def make_app(status: int) -> FastAPI:
    """Return an application whose /health has this status."""
    app = FastAPI()
    app.add_api_route("/health", lambda: None, status_code=status)
    return app


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 8000),
        ({"PORT": "8080"}, 8080),
        ({"DIGITS_PORT": "9000", "PORT": "8080"}, 9000),
        ({"DIGITS_PORT": "", "PORT": "8080"}, 8080),
        ({"digits_port": "9000"}, 9000),
    ],
    ids=["default", "PORT", "both", "DIGITS_PORT empty", "lower case"],
)
def test_port_is_that_of_the_settings(environment: dict[str, str], expected: int) -> None:
    """DIGITS_PORT, else PORT, else 8000, in any case; an empty variable counts as unset."""
    assert [("127.0.0.1", expected)] == healthcheck.addresses(environment)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", ["127.0.0.1"]),
        ("0.0.0.0", ["127.0.0.1"]),
        ("::", ["::1", "127.0.0.1"]),
        ("10.0.0.5, fd00::5", ["10.0.0.5", "fd00::5"]),
    ],
)
def test_host_is_that_of_the_settings(host: str, expected: list[str]) -> None:
    """The service answers at its own addresses, and at the loopback address if it listens on all."""
    assert [(address, 8000) for address in expected] == healthcheck.addresses({"DIGITS_HOST": host})


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "192.0.2.1.invalid,127.0.0.1"])
def test_service_is_found_whatever_its_host(host: str) -> None:
    """The first address that answers counts; here it is that of IPv4 alone."""
    with servers.in_thread(make_app(200)) as address:
        assert 0 == healthcheck.main({"DIGITS_HOST": host, "DIGITS_PORT": address.rpartition(":")[2]})


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_exit_status_is_that_of_the_health(status: int, expected: int, capsys: pytest.CaptureFixture[str]) -> None:
    """200 is healthy, any other status is not, and stderr has it."""
    with servers.in_thread(make_app(status)) as address:
        found = healthcheck.main({"PORT": address.rpartition(":")[2], "http_proxy": "http://192.0.2.1"})

    assert expected == found
    assert ("" if expected == 0 else "unhealthy: /health answers 503\n") == capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"DIGITS_PORT": "1"}, "127.0.0.1, port 1: "),
        ({"DIGITS_PORT": "http"}, "invalid literal"),
        ({"DIGITS_HOST": ","}, "there is no address\n"),
    ],
)
def test_no_answer_is_unhealthy(environment: dict[str, str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing listens, and with settings that are invalid, it prints a line and no traceback."""
    assert 1 == healthcheck.main(environment)
    assert capsys.readouterr().err.startswith(f"unhealthy: {reason}")


@pytest.mark.slow
def test_it_starts_fast() -> None:
    """It loads neither the web framework nor numpy, which would take a second of processor every ten seconds."""
    code = "import service.server.healthcheck, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert not {"numpy", "fastapi", "pydantic", "uvicorn", "asyncio"} & set(loaded.split())
