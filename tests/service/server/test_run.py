"""Tests of service.server.run, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.cli.main import main
from tests import servers
from tests.pictures import draw, encode

PICTURE = encode(draw(4))
_PS = ["ps", "-ww", "-o", "pid=,args=", "--ppid"]


def test_a_taken_port_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A second start says in one line which address is taken, and what to set."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("DIGITS_PORT", str(port))
        status = main(["serve"])

    assert 1 == status
    assert (
        f"digits: cannot listen on 127.0.0.1, port {port}: Address already in use: set DIGITS_HOST or DIGITS_PORT\n"
        == capsys.readouterr().err
    )


def test_an_address_of_nobody_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is an address that this machine does not have."""
    monkeypatch.setenv("DIGITS_HOST", "2001:db8::1")

    assert 1 == main(["serve"])
    assert capsys.readouterr().err.startswith("digits: cannot listen on 2001:db8::1, port 8000: ")


class Askers:
    """Ask a service, from several threads, until nobody listens any more."""

    def __init__(self, address: str, n: int) -> None:
        self.address = address
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until there is nobody to ask any more."""
        for thread in self._threads:
            thread.join(60)

    def _ask(self) -> None:
        with httpx.Client() as client:
            while True:
                try:
                    self.statuses.append(client.post(f"{self.address}/predict", content=PICTURE).status_code)
                except httpx.ConnectError:
                    return
                except httpx.TransportError:
                    # The connection was still in the system's line when nobody listened any more: the service never
                    # saw it, as its log shows.
                    continue


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the file that a service's log goes to."""
    return tmp_path / "log"


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def process(
    request: pytest.FixtureRequest, tiny_model: Path, log: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Return the address and the process of a service with the tiny model."""
    variables = {
        "DIGITS_MODEL": str(tiny_model),
        "DIGITS_WORKERS": str(request.param),
        "DIGITS_DRAIN_SECONDS": "0.5",
    }
    with log.open("wb") as stderr, servers.process(variables, stderr) as found:
        yield found


def test_a_stop_under_load_loses_nothing(process: tuple[str, subprocess.Popen[bytes]], log: Path) -> None:
    """Every request that was taken is answered, the answer gets there, and the process ends with status 0.

    On a machine with much else to do, that a request came too soon may be an answer, too.
    """
    address, server = process
    askers = Askers(address, 4)
    while len(askers.statuses) < 100:
        assert server.poll() is None
    server.send_signal(signal.SIGTERM)
    askers.join()
    status = server.wait(60)
    taken = [line["status"] for line in map(json.loads, log.read_text().splitlines()) if line.get("path") == "/predict"]

    assert 0 == status
    assert len(taken) == len(askers.statuses) >= 100
    assert {200} <= set(askers.statuses) == set(taken) <= {200, 503}


def test_readiness_fails_before_the_end(process: tuple[str, subprocess.Popen[bytes]]) -> None:
    """After SIGTERM probes see that it is not ready, while it still answers."""
    address, server = process
    with httpx.Client(base_url=address) as client:
        ready = client.get("/readyz").status_code
        server.send_signal(signal.SIGTERM)
        while (draining := client.get("/readyz").status_code) == ready:
            assert server.poll() is None
        answered = client.post("/predict", content=PICTURE).status_code

    assert (200, 503, 200) == (ready, draining, answered)
    assert 0 == server.wait(60)


def test_a_killed_worker_is_replaced(tiny_model: Path) -> None:
    """The others go on answering, and there are as many as before."""
    with servers.process({"DIGITS_MODEL": str(tiny_model), "DIGITS_WORKERS": "2"}) as (address, server):
        workers = _children(server.pid)
        os.kill(workers[0], signal.SIGKILL)
        with httpx.Client(base_url=address, transport=httpx.HTTPTransport(retries=3)) as client:
            while workers[0] in _children(server.pid) or len(_children(server.pid)) < 2:
                assert client.get("/livez").status_code == 200

    assert 2 == len(workers)


def _children(pid: int) -> list[int]:
    """Return the worker processes of a server."""
    listed = subprocess.run([*_PS, str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line]
