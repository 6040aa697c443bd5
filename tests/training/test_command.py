"""The entry point of `digits-train`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from training.command import main

pytestmark = pytest.mark.slow


def test_command_runs_the_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With all dependencies, the arguments are parsed by `training.cli`."""
    monkeypatch.setattr(sys, "argv", ["digits-train", "--help"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert 0 == ended.value.code
    assert "usage: digits-train" in capsys.readouterr().out


def test_missing_extra_is_named() -> None:
    """Without the extra `train`, one line has the command that installs it."""
    program = "import sys; sys.modules['rich'] = None; from training.command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert done.stderr.startswith("digits-train: rich")
    assert done.stderr.endswith("is missing: pip install 'digits-service[train]'\n")
    assert 1 == done.stderr.count("\n")
