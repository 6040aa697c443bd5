"""Tests of service.cli.predict."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.main import main

pytestmark = pytest.mark.slow


def test_predict_prints_a_line_for_each_file(seven: Path, three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line has file, digit, confidence and verdict; lines are in the order of the arguments."""
    status = main(["predict", str(three), str(seven), str(three)])
    lines = capsys.readouterr().out.splitlines()

    assert 0 == status
    assert [(three, 3), (seven, 7), (three, 3)] == [
        (Path(file), int(digit)) for file, digit in (re.split(": | ", line)[:2] for line in lines)
    ]
    assert all(re.fullmatch(r".+: \d \(\d+\.\d%, (clear|ambiguous)\)", line) for line in lines)


def test_predict_writes_the_steps(
    seven: Path, unanswerable: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--steps writes a picture of each processing step of each valid file; the results are printed as usual."""
    folder = tmp_path / "steps"
    status = main(["predict", str(seven), str(unanswerable[1]), "--steps", str(folder)])
    names = ("picture", "view", "strength", "components", "digit", "strokes", "input")

    assert 1 == status
    assert [f"seven_1_{number}_{name}.png" for number, name in enumerate(names, 1)] == sorted(
        path.name for path in folder.iterdir()
    )
    assert "seven.png: 7" in capsys.readouterr().out


def test_predict_prints_json(seven: Path, three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is one object per line, with the fields of `/predict` on probabilities."""
    status = main(["predict", "--json", str(seven), str(three)])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert 0 == status
    assert [(str(seven), 7), (str(three), 3)] == [(answer["file"], answer["digit"]) for answer in answers]
    for answer in answers:
        assert ["file", "digit", "confidence", "verdict", "novelty", "probabilities"] == list(answer)
        assert 10 == len(answer["probabilities"])
        assert pytest.approx(1) == sum(answer["probabilities"])
        assert max(answer["probabilities"]) == answer["confidence"] == answer["probabilities"][answer["digit"]]


def test_predict_prints_csv(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is a header and a row per file, with the numbers of the JSON output."""
    status = main(["predict", "--csv", str(seven)])
    table = capsys.readouterr().out
    main(["predict", "--json", str(seven)])
    answer = json.loads(capsys.readouterr().out)
    row = ",".join(str(answer[column]) for column in ("file", "digit", "confidence", "verdict", "novelty"))

    assert 0 == status
    assert f"file,digit,confidence,verdict,novelty,error\n{row},\n" == table


@pytest.mark.parametrize(("command", "with_url"), [("predict", False), ("read", True)])
def test_dash_reads_standard_input(seven: Path, address: str, command: str, *, with_url: bool) -> None:
    """A pipe, in this process and with --url."""
    arguments = [sys.executable, "-m", "service", command, "--json", "-", *(["--url", address] if with_url else [])]
    finished = subprocess.run(arguments, input=seven.read_bytes(), capture_output=True, check=False)

    assert (0, b"") == (finished.returncode, finished.stderr)
    assert "/dev/stdin" == json.loads(finished.stdout)["file"]


def test_steps_of_standard_input_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pictures would have no name."""
    status = main(["predict", "-", "--steps", str(tmp_path)])

    assert 1 == status
    assert "digits: --steps names its pictures after the file" in capsys.readouterr().err
