"""Modules that are loaded when the service starts. Import contracts are checked by `make lint` (import-linter)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[1]
_TRAINING = {"training", "sklearn", "scipy", "matplotlib"}
_CLIENT = {"httpx", "rich", "service.client"}


@pytest.mark.parametrize("module", ["service.app", "service.cli.main"])
def test_service_loads_neither_training_nor_client(module: str) -> None:
    """After the import of the app, or of the command, neither training's nor the client's dependencies are loaded."""
    code = f"import sys, {module}; print(*sys.modules)"

    finished = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=True)

    loaded = set(finished.stdout.split())
    assert set() == loaded & (_TRAINING | _CLIENT)
    assert {"service", "fastapi", "numpy"} <= loaded
