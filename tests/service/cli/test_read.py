"""Tests of service.cli.read."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service.cli.main import main
from tests import servers
from tests.pictures import draw, encode
from tests.service.client.answers import make_reading

pytestmark = pytest.mark.slow


@pytest.fixture
def two_lines(tmp_path: Path) -> Path:
    """Return a PNG file with a 1 and a 7, and a 4 below them."""
    path = tmp_path / "two.png"
    first = np.hstack([np.asarray(draw(1)), np.asarray(draw(7))])
    second = np.hstack([np.asarray(draw(4)), np.full((200, 200), 255, np.uint8)])
    path.write_bytes(encode(np.vstack([first, second])))
    return path


def test_read_prints_a_line_for_each_file(two_lines: Path, seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line has file, digits, confidence and verdict. The lines of a picture are joined by slashes."""
    status = main(["read", str(two_lines), str(seven)])
    lines = capsys.readouterr().out.splitlines()

    assert 0 == status
    assert [f"{two_lines}: 17 / 4", f"{seven}: 7"] == [line.partition(" (")[0] for line in lines]
    assert all(re.search(r" \(\d+\.\d%, (clear|ambiguous)", line) for line in lines)


def test_read_prints_json(two_lines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is one object per file, with the fields of `/read` on the picture."""
    status = main(["read", "--json", str(two_lines)])
    answer = json.loads(capsys.readouterr().out)

    assert 0 == status
    assert ["file", "text", "confidence", "verdict", "lines", "picture_size"] == list(answer)[:6]
    assert (str(two_lines), "17\n4", [400, 400]) == (answer["file"], answer["text"], answer["picture_size"])
    assert ["17", "4"] == [line["text"] for line in answer["lines"]]
    assert [1, 7] == [digit["digit"] for digit in answer["lines"][0]["digits"]]


def test_read_prints_csv(two_lines: Path, unanswerable: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """There is a header and a row per file. An error has a column of its own."""
    status = main(["read", "--csv", str(two_lines), str(unanswerable[2])])
    table = capsys.readouterr().out
    rows = list(csv.DictReader(table.splitlines()))

    assert 1 == status
    assert table.startswith("file,text,confidence,verdict,error\n")
    assert ["17 / 4", ""] == [row["text"] for row in rows]
    assert ["", "No such file or directory"] == [row["error"] for row in rows]


@pytest.fixture
def service() -> Iterator[str]:
    """Return the URL of a service that answers with the body it is sent, and its query as the reason."""

    async def read(request: Request) -> JSONResponse:
        return JSONResponse(json.loads(await request.body()) | {"reason": str(request.query_params) or None})

    with servers.in_thread(Starlette(routes=[Route("/read", read, methods=["POST"])])) as address:
        yield address


def test_length_is_sent_and_the_reason_is_printed(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is printed after the verdict."""
    path = tmp_path / "two.png"
    path.write_text(json.dumps(make_reading("17\n4") | {"verdict": "ambiguous"}))
    status = main(["read", "--url", service, "--length", "4", str(path)])

    assert (0, f"{path}: 17 / 4 (80.0%, ambiguous, length=4)\n") == (status, capsys.readouterr().out)


def test_picture_without_digits_is_no_error(service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a line with the verdict, and the exit status is 0."""
    path = tmp_path / "none.png"
    path.write_text(json.dumps(make_reading("") | {"verdict": "not_digits", "confidence": 0.0}))
    status = main(["read", "--url", service, str(path)])

    assert (0, f"{path}: no digits (0.0%, not_digits)\n") == (status, capsys.readouterr().out)
