"""Tests of training.command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from training.command import main


def test_the_command_is_that_of_the_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With everything installed the arguments go to the command line's parser."""
    monkeypatch.setattr(sys, "argv", ["digits-train", "--help"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert 0 == ended.value.code
    assert "usage: digits-train" in capsys.readouterr().out


def test_a_missing_extra_is_named() -> None:
    """Where only the service is installed, one line says what to install."""
    program = "import sys; sys.modules['rich'] = None; from training.command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert 1 == done.returncode
    assert done.stderr.startswith("digits-train: rich")
    assert done.stderr.endswith("is missing: pip install 'digits-service[train]'\n")
    assert 1 == done.stderr.count("\n")
