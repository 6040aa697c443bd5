"""What the README and the reference of the client show is run, against the service as `digits serve` starts it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import servers

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parent.parent
_README = (_ROOT / "README.md").read_text()
_CLIENT = (_ROOT / "docs" / "client.md").read_text()
_BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", _README + _CLIENT, re.MULTILINE | re.DOTALL)
_CALLS = [block for language, block in _BLOCKS if language == "sh" and "curl" in block]
_INTERPRETERS = {"python": [sys.executable, "-c"], "js": ["node", "--input-type=module", "-e"]}
_PROGRAMS = [(language, block) for language, block in _BLOCKS if language in _INTERPRETERS]
_SERVER = "http://localhost:8000"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Return the address of a service that runs in a process of its own."""
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"
    environment = os.environ | {"DIGITS_PORT": str(port), "DIGITS_LOG_LEVEL": "warning"}
    with subprocess.Popen([sys.executable, "-m", "service", "serve"], cwd=_ROOT, env=environment) as process:
        try:
            for _ in range(200):
                try:
                    httpx.get(f"{address}/readyz").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.05)
            yield address
        finally:
            process.terminate()


def run(command: list[str], folder: Path) -> str:
    """Return what a command prints when run in a copy of what a reader has, and fail with what it complains of."""
    (folder / "docs").mkdir()
    for name in ("seven.jpg", "numbers.png"):
        shutil.copy(_ROOT / "docs" / name, folder / "docs")
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("block", _CALLS)
def test_every_curl_is_answered(server: str, tmp_path: Path, block: str) -> None:
    """No call fails, each that asks for a digit gets 7, and each that asks for every digit gets those of two lines."""
    strict = "set -euo pipefail\n" + block.replace("curl ", "curl -fsS ").replace(_SERVER, server)
    answers = run(["bash", "-c", strict], tmp_path)

    expected = '"text":"2024\\n17"' if "/read" in block else '"digit":7,"confidence"'
    assert len(re.findall("/predict|/read", block)) == answers.count(expected)
    for name in re.findall(r"-o (\S+)", block):
        assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize(("language", "program"), _PROGRAMS)
def test_every_program_reads_its_picture(server: str, tmp_path: Path, language: str, program: str) -> None:
    """The programs in Python and JavaScript print the digits, their confidence and the verdict."""
    command = _INTERPRETERS[language]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    program = program.replace(_SERVER, server).replace(_SERVER.removeprefix("http://"), server.removeprefix("http://"))
    printed = run([*command, program], tmp_path).split()

    digits = ["2024", "17"] if "client.read(" in program else ["7"]
    confidence, *verdict = printed[len(digits) :]

    assert digits == printed[: len(digits)]
    assert 0.5 < float(confidence) <= 1
    # The Open Inference Protocol knows no verdict.
    assert ([] if "tritonclient" in program else ["clear"]) == verdict


def test_there_are_programs_in_both_languages() -> None:
    """Else the test above would run none."""
    assert set(_INTERPRETERS) == {language for language, _ in _PROGRAMS}


def test_the_answer_shown_has_the_members_of_a_real_one(server: str) -> None:
    """The JSON in the README has the same members, of the same types, as the service's answer."""
    shown = json.loads(next(block for language, block in _BLOCKS if language == "json"))
    real = httpx.post(f"{server}/predict", content=(_ROOT / "docs" / "seven.jpg").read_bytes()).json()

    assert {name: type(value) for name, value in real.items()} == {name: type(value) for name, value in shown.items()}
    assert real["model"].keys() == shown["model"].keys()


def test_every_endpoint_is_listed(server: str) -> None:
    """The table of endpoints has each path of the API; those under /v2 are their protocol's."""
    paths = httpx.get(f"{server}/openapi.json").json()["paths"]

    assert "`/v2/...`" in _README
    ours = [path for path in paths if not path.startswith("/v2")]
    assert [] == [path for path in ours if path.replace("{index}", "{i}") + "`" not in _README]


def test_every_code_is_listed() -> None:
    """The table of errors has each code that the service answers."""
    source = (_ROOT / "service" / "api" / "problems.py").read_text()
    codes = set(re.findall(r'HTTPStatus\.\w+, "([a-z-]+)"', source))

    assert {"no-ink", "internal-error"} < codes
    assert [] == [code for code in sorted(codes) if f"`{code}`" not in _README]
