"""Tests of service.server.run, in subprocesses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.cli.main import main
from service.server import healthcheck
from tests import servers
from tests.pictures import draw, encode

pytestmark = pytest.mark.slow

PICTURE = encode(draw(4))
_PS = ["ps", "-ww", "-o", "pid=,args=", "--ppid"]


@pytest.mark.usefixtures("own_logs")
def test_port_in_use_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line has the address and the variables to set."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("DIGITS_PORT", str(port))
        status = main(["serve"])

    assert 1 == status
    assert (
        f"digits: cannot listen on 127.0.0.1, port {port}: Address already in use: set DIGITS_HOST or DIGITS_PORT\n"
        == capsys.readouterr().err
    )


@pytest.mark.usefixtures("own_logs")
def test_foreign_address_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An address of another machine cannot be bound."""
    monkeypatch.setenv("DIGITS_HOST", "2001:db8::1")

    assert 1 == main(["serve"])
    assert capsys.readouterr().err.startswith("digits: cannot listen on 2001:db8::1, port 8000: ")


class LoadGenerator:
    """Sends requests from several threads until the connection is refused."""

    def __init__(self, address: str, n: int) -> None:
        self.address = address
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._send_requests) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all threads have been refused."""
        for thread in self._threads:
            thread.join(60)

    def _send_requests(self) -> None:
        with httpx.Client() as client:
            while True:
                try:
                    self.statuses.append(client.post(f"{self.address}/predict", content=PICTURE).status_code)
                except httpx.ConnectError:
                    return
                except httpx.TransportError:
                    # The connection was in the listen queue when the socket was closed: no worker accepted it.
                    continue


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the path of the service's log."""
    return tmp_path / "log"


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def process(
    request: pytest.FixtureRequest, tiny_model: Path, log: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Return base URL and process of a service with the tiny model."""
    variables = {
        "DIGITS_MODEL": str(tiny_model),
        "DIGITS_WORKERS": str(request.param),
        "DIGITS_DRAIN_SECONDS": "0.5",
    }
    with log.open("wb") as stderr, servers.process(variables, stderr) as running:
        yield running


def test_graceful_shutdown_under_load_loses_no_request(process: tuple[str, subprocess.Popen[bytes]], log: Path) -> None:
    """Every accepted request gets its response, and the process exits with status 0.

    On a busy machine some requests may be shed with 503.
    """
    address, server = process
    load = LoadGenerator(address, 4)
    while len(load.statuses) < 100:
        assert server.poll() is None
        time.sleep(0.01)
    server.send_signal(signal.SIGTERM)
    load.join()
    status = server.wait(60)
    logged = [
        line["status"] for line in map(json.loads, log.read_text().splitlines()) if line.get("path") == "/predict"
    ]

    assert 0 == status
    assert len(logged) == len(load.statuses) >= 100
    assert {200} <= set(load.statuses) == set(logged) <= {200, 503}


def test_readiness_fails_before_the_server_stops(process: tuple[str, subprocess.Popen[bytes]]) -> None:
    """After SIGTERM /readyz is 503, while requests are still answered."""
    address, server = process
    with httpx.Client(base_url=address) as client:
        ready = client.get("/readyz").status_code
        server.send_signal(signal.SIGTERM)
        while (draining := client.get("/readyz").status_code) == ready:
            assert server.poll() is None
        answered = client.post("/predict", content=PICTURE).status_code

    assert (200, 503, 200) == (ready, draining, answered)
    assert 0 == server.wait(60)


def test_killed_worker_is_replaced(tiny_model: Path) -> None:
    """The other worker continues to serve, and the number of workers is restored."""
    with servers.process({"DIGITS_MODEL": str(tiny_model), "DIGITS_WORKERS": "2"}) as (address, server):
        workers = _children(server.pid)
        os.kill(workers[0], signal.SIGKILL)
        with httpx.Client(base_url=address, transport=httpx.HTTPTransport(retries=3)) as client:
            while workers[0] in _children(server.pid) or len(_children(server.pid)) < 2:
                assert client.get("/livez").status_code == 200
                time.sleep(0.05)

    assert 2 == len(workers)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(("host", "workers"), [("::", "1"), ("127.0.0.1,::1", "2")])
def test_service_answers_on_ipv6_and_ipv4(tiny_model: Path, log: Path, host: str, workers: str) -> None:
    """With one process and with several, and the log has the addresses in one line."""
    variables = {"DIGITS_MODEL": str(tiny_model), "DIGITS_HOST": host, "DIGITS_WORKERS": workers}
    with log.open("wb") as stderr, servers.process(variables, stderr) as (address, _):
        port = address.rpartition(":")[2]
        # A worker listens on one socket after the other: the second address may be refused for a moment.
        with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
            statuses = [client.get(f"http://{one}:{port}/livez").status_code for one in ("127.0.0.1", "[::1]")]
        healthy = healthcheck.main({"DIGITS_HOST": host, "DIGITS_PORT": port})
    (running,) = [line for line in log.read_text().splitlines() if "running on" in line]

    assert [200, 200] == statuses
    assert 0 == healthy
    assert f"[::]:{port}" in running or f"http://127.0.0.1:{port}, http://[::1]:{port}" in running


def test_misspelt_setting_is_a_warning(tiny_model: Path, log: Path) -> None:
    """The service starts, and its log names the setting once, without the value."""
    variables = {"DIGITS_MODEL": str(tiny_model), "DIGITS_APIKEYS": "secret", "DIGITS_WORKERS": "2"}
    with log.open("wb") as stderr, servers.process(variables, stderr):
        pass
    lines = [json.loads(line) for line in log.read_text().splitlines()]

    assert ["DIGITS_APIKEYS is not a setting and has no effect: did you mean DIGITS_API_KEYS?"] == [
        line["message"] for line in lines if line["level"] == "warning"
    ]
    assert "secret" not in log.read_text()


def _children(pid: int) -> list[int]:
    """Return the worker processes of a server."""
    listed = subprocess.run([*_PS, str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line]
