"""What is loaded when the service starts. Which module may import which is checked by `make lint` (import-linter)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_TRAINING = {"training", "sklearn", "scipy", "matplotlib"}
_ASKING_AND_DRAWING = {"httpx", "rich", "service.client"}


@pytest.mark.parametrize("module", ["service.app", "service.cli.main"])
def test_serving_loads_nothing_that_it_does_not_need(module: str) -> None:
    """A fresh interpreter that imports the app, or the command, has loaded neither training nor what asks and draws."""
    code = f"import sys, {module}; print(*sys.modules)"

    finished = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)

    loaded = set(finished.stdout.split())
    assert set() == loaded & (_TRAINING | _ASKING_AND_DRAWING)
    assert {"service", "fastapi", "numpy"} <= loaded
