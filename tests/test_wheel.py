"""The wheel has all that the service needs, and its types reach who installs it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from service import __version__

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[1]
_PROGRAM = """\
from pathlib import Path

from service.client import Answer, DigitClient

with DigitClient("http://localhost:8000") as client:
    answer: Answer = client.predict(Path("seven.jpg"))
    digit: {type} = answer.digit
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with what the wheel installs."""
    wheels = pytest.importorskip("hatchling.builders.wheel")
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = wheels.WheelBuilder(str(_ROOT)).build(directory=str(folder))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_wheel_is_complete(wheel: Path) -> None:
    """Model, report, pages and the marker of types are in it; the version and the commands are right."""
    for name in (
        "digits.safetensors",
        "report/report.json",
        "web/index.html",
        "swagger/vendor/swagger-ui-bundle.js",
        "py.typed",
    ):
        assert (wheel / "service" / name).is_file(), name
    information = wheel / f"digits_service-{__version__}.dist-info"
    assert "digits = service.cli.main:main" in (information / "entry_points.txt").read_text()


def test_wheel_explains_every_problem(wheel: Path, tmp_path: Path) -> None:
    """Installed, without docs/ beside it, the service has a page for each code."""
    program = (
        "from service.api import error_pages, problems; print(error_pages.read_pages().keys() ^ problems.STATUSES)"
    )
    environment = os.environ | {"PYTHONPATH": str(wheel)}

    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)

    assert "set()" == finished.stdout.strip()


@pytest.mark.parametrize(("annotated", "status"), [("int", 0), ("str", 1)])
def test_types_of_the_client_are_checked(wheel: Path, tmp_path: Path, annotated: str, status: int) -> None:
    """Mypy accepts a program that uses the client well, and refuses one that takes the digit for a string."""
    (tmp_path / "program.py").write_text(_PROGRAM.format(type=annotated))
    # Reading the types of what the client imports takes most of a minute, and is remembered from run to run.
    cache = _ROOT / ".mypy_cache" / "wheel"
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), "program.py"]
    environment = os.environ | {"PYTHONPATH": str(wheel)}

    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert status == finished.returncode, finished.stdout + finished.stderr
    assert ("Incompatible types in assignment" in finished.stdout) == bool(status)
