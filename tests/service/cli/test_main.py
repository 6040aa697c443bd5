"""Tests of service.cli."""

from __future__ import annotations

import json
import logging
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service import __version__
from service.cli.main import main
from service.model import artifact
from service.settings import Settings, bundled_model

SECONDS = 30


@pytest.fixture
def damaged(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set a model file with one wrong bit, and return it."""
    path = tmp_path / "damaged.safetensors"
    content = bytearray(tiny_model.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    monkeypatch.setenv("DIGITS_MODEL", str(path))
    return path


# --- info


def test_info_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Which file, which version, its architecture and all that is known of it, without the known answer's pixels."""
    status = main(["info"])
    facts = json.loads(capsys.readouterr().out)
    model = artifact.load(bundled_model())

    assert 0 == status
    assert (str(bundled_model()), model.version) == (facts["file"], facts["version"])
    assert repr(model.network) == facts["network"]
    assert model.metadata.figures == facts["figures"]
    assert set(type(model.metadata).model_fields) - {"known_answer"} == set(facts) - {"file", "version", "network"}


def test_info_tells_of_the_model_that_is_set(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DIGITS_MODEL chooses it."""
    monkeypatch.setenv("DIGITS_MODEL", str(tiny_model))

    assert 0 == main(["info"])
    assert "tiny" == json.loads(capsys.readouterr().out)["name"]


# --- What goes wrong


@pytest.mark.parametrize("command", [["serve"], ["predict", "any.png"], ["info"]], ids=lambda command: command[0])
def test_a_damaged_model_is_one_clear_line(
    damaged: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """No command starts with it, and the line names the file."""
    status = main(command)
    out, err = capsys.readouterr()

    assert (1, "") == (status, out)
    assert f"digits: model {damaged} does not match its checksum: it is damaged, get it anew\n" == err


@pytest.mark.parametrize("command", [["serve"], ["predict", "any.png"], ["info"]], ids=lambda command: command[0])
def test_a_wrong_setting_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """No command starts with it, and the line names the variable."""
    monkeypatch.setenv("DIGITS_PORT", "http")
    status = main(command)
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith("digits: DIGITS_PORT: ")


@pytest.mark.parametrize("arguments", [[], ["predict"], ["train"], ["serve", "--port", "1"]], ids=repr)
def test_a_wrong_command_shows_how_it_goes(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As commands do: usage on stderr, status 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert 2 == caught.value.code
    assert capsys.readouterr().err.startswith("usage: digits")


# --- What it says of itself


def test_help_lists_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """Each setting's variable stands in the help beside what it means."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    text = capsys.readouterr().out

    assert 0 == caught.value.code
    for name, field in Settings.model_fields.items():
        assert re.search(rf"^  DIGITS_{name.upper()} +{re.escape(field.description or '?')}$", text, re.MULTILINE)


def test_version_is_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    """The name of the command and the version of the package."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert 0 == caught.value.code
    assert f"digits {__version__}\n" == capsys.readouterr().out


def test_python_m_service_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m service` reads its arguments and leaves with its status."""
    monkeypatch.setattr(sys, "argv", ["service", "info"])

    with pytest.raises(SystemExit) as caught:
        runpy.run_module("service", run_name="__main__")
    assert 0 == caught.value.code
    assert str(bundled_model()) == json.loads(capsys.readouterr().out)["file"]


# --- serve


@pytest.fixture
def own_signals_and_logs() -> Iterator[None]:
    """Give back what a server in this process takes: SIGTERM, and uvicorn's loggers."""
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "uvicorn.access")]
    before = [(logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate = propagate


@pytest.mark.usefixtures("own_signals_and_logs")
def test_serve_answers_until_it_is_told_to_stop(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    """The service listens where the settings say, with the model they name, and SIGTERM ends it well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("DIGITS_PORT", str(port))
    monkeypatch.setenv("DIGITS_MODEL", str(tiny_model))
    monkeypatch.setenv("DIGITS_LOG_LEVEL", "critical")
    answers: list[httpx.Response] = []

    def ask_and_stop() -> None:
        try:
            # Retries go on, at growing intervals, until somebody listens.
            with httpx.Client(transport=httpx.HTTPTransport(retries=6)) as client:
                answers.append(client.get(f"http://127.0.0.1:{port}/health"))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    client = threading.Thread(target=ask_and_stop)
    client.start()
    status = main(["serve"])
    client.join()
    (health,) = answers

    assert 0 == status
    assert "tiny" == health.json()["model"]["name"]
    assert "server" not in health.headers


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Return `python -m service serve` on a free port, in a process of its own that does not outlive the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve"],
        cwd=bundled_model().parents[1],
        env=os.environ | {"DIGITS_PORT": "0", "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as process:
        yield process
        process.kill()


def test_a_process_serves_and_shuts_down(process: subprocess.Popen[str]) -> None:
    """It says where it listens, answers there, and ends with status 0 after it has shut down in order."""
    assert process.stderr is not None
    address, log = "", ""
    impatient = threading.Timer(SECONDS, process.kill)
    impatient.start()
    while not address and (line := process.stderr.readline()):
        log += line
        address = "".join(re.findall(r"running on (http://127\.0\.0\.1:\d+)", line))
    impatient.cancel()
    assert address, log
    health = httpx.get(f"{address}/health")
    process.send_signal(signal.SIGTERM)
    status = process.wait(SECONDS)
    log += process.stderr.read()

    assert (200, "ok") == (health.status_code, health.json()["status"])
    assert 0 == status
    assert "Application shutdown complete" in log
    assert "Traceback" not in log
