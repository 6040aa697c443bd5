"""Tests of service.cli.main."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
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
from tests import servers

pytestmark = pytest.mark.slow

SECONDS = 30


@pytest.fixture
def damaged(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set DIGITS_MODEL to a model file with one flipped bit, and return the file."""
    path = tmp_path / "damaged.safetensors"
    content = bytearray(tiny_model.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    monkeypatch.setenv("DIGITS_MODEL", str(path))
    return path


# --- info


def test_info_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the file, version, network and metadata of the model, without the known answer."""
    status = main(["info"])
    printed = json.loads(capsys.readouterr().out)
    model = artifact.load(bundled_model())

    assert 0 == status
    assert (str(bundled_model()), model.version) == (printed["file"], printed["version"])
    assert repr(model.network) == printed["network"]
    assert model.metadata.figures == printed["figures"]
    assert set(type(model.metadata).model_fields) - {"known_answer"} == set(printed) - {"file", "version", "network"}


def test_info_describes_the_configured_model(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DIGITS_MODEL selects the model file."""
    monkeypatch.setenv("DIGITS_MODEL", str(tiny_model))

    assert 0 == main(["info"])
    assert "tiny" == json.loads(capsys.readouterr().out)["name"]


# --- Errors


@pytest.mark.parametrize(
    "command", [["serve"], ["predict", "any.png"], ["read", "any.png"], ["info"]], ids=lambda command: command[0]
)
def test_damaged_model_is_one_line_on_stderr(
    damaged: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Every command exits with status 1, and the message has the file."""
    status = main(command)
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith(f"digits: model {damaged} does not match its checksum: ")


def test_invalid_setting_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings are read before any command runs; the message has the variable."""
    monkeypatch.setenv("DIGITS_PORT", "http")
    status = main(["info"])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith("digits: DIGITS_PORT: ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["predict"],
        ["predict", "--workers", "0", "seven.png"],
        ["predict", "--workers", "two", "seven.png"],
        ["predict", "--csv", "--json", "seven.png"],
        ["predict", "--steps", "steps", "--url", "http://digits", "seven.png"],
        ["predict", "--length", "1", "seven.png"],
        ["read"],
        ["read", "--length", "0", "seven.png"],
        ["read", "--length", "257", "seven.png"],
        ["read", "--length", "two", "seven.png"],
    ],
    ids=" ".join,
)
def test_invalid_arguments_print_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The usage is on stderr, and the exit status is 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert 2 == caught.value.code
    assert capsys.readouterr().err.startswith("usage: digits")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--workers", "0", "seven.png"], "--workers: must be 1 or more, not 0"),
        (["read", "--length", "257", "seven.png"], "--length: must be 1 to 256, not 257"),
    ],
    ids=["workers", "length"],
)
def test_number_out_of_range_is_reported_with_its_limits(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the option and the value."""
    with pytest.raises(SystemExit):
        main(arguments)

    assert message in capsys.readouterr().err


# --- Help and version


def test_help_lists_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """Each environment variable is listed with the description of its setting."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    text = capsys.readouterr().out

    assert 0 == caught.value.code
    for name, field in Settings.model_fields.items():
        assert re.search(rf"^  DIGITS_{name.upper()} +{re.escape(field.description or '?')}$", text, re.MULTILINE)


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the name of the command and the version."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert 0 == caught.value.code
    assert f"digits {__version__}\n" == capsys.readouterr().out


def test_python_m_service_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m service` parses sys.argv and exits with the status of the command."""
    monkeypatch.setattr(sys, "argv", ["service", "info"])

    with pytest.raises(SystemExit) as caught:
        runpy.run_module("service", run_name="__main__")
    assert 0 == caught.value.code
    assert str(bundled_model()) == json.loads(capsys.readouterr().out)["file"]


# --- serve


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Restore the handler of SIGTERM, which a server in this process changes."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("own_signals", "own_logs")
def test_serve_answers_until_sigterm(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    """The service uses the configured port and model, and returns status 0 after SIGTERM."""
    port = servers.free_port()
    monkeypatch.setenv("DIGITS_PORT", str(port))
    monkeypatch.setenv("DIGITS_MODEL", str(tiny_model))
    monkeypatch.setenv("DIGITS_LOG_LEVEL", "critical")
    answers: list[httpx.Response] = []

    def ask_and_stop() -> None:
        try:
            # Retries with backoff until the server listens.
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
def process(tiny_model: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a process of `python -m service serve` on a free port, and kill it after the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve"],
        cwd=bundled_model().parents[1],
        env=os.environ | {"DIGITS_PORT": "0", "DIGITS_MODEL": str(tiny_model), "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        bufsize=1,
    ) as process:
        yield process
        process.kill()


def test_process_logs_its_address_and_shuts_down(process: subprocess.Popen[str]) -> None:
    """The log has the address of port 0 and a complete shutdown after SIGTERM, and the exit status is 0."""
    assert process.stderr is not None
    address, log = "", ""
    timeout = threading.Timer(SECONDS, process.kill)
    timeout.start()
    while not address and (line := process.stderr.readline()):
        log += line
        address = "".join(re.findall(r"running on (http://127\.0\.0\.1:\d+)", line))
    timeout.cancel()
    assert address, log
    health = httpx.get(f"{address}/health")
    process.send_signal(signal.SIGTERM)
    status = process.wait(SECONDS)
    log += process.stderr.read()

    assert (200, "ok") == (health.status_code, health.json()["status"])
    assert 0 == status
    assert "Application shutdown complete" in log
    assert "Traceback" not in log
