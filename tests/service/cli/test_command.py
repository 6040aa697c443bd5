"""Tests of service.cli.command and service.cli.requests, through `digits predict`."""

from __future__ import annotations

import csv
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service.cli.main import main
from service.settings import bundled_model
from tests import servers
from tests.pictures import draw, heic
from tests.service.client.answers import make_problem

pytestmark = pytest.mark.slow

SECONDS = 30
COMMAND = [sys.executable, "-m", "service"]
ROOT = bundled_model().parents[1]


# --- Files and errors


def test_errors_of_files_do_not_stop_the_others(
    unanswerable: list[Path], seven: Path, three: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each error is one line on stderr with the file, the other files are answered, and the status is 1."""
    text, blank, missing = unanswerable
    status = main(["predict", *map(str, [seven, missing, text, blank, three])])
    out, err = capsys.readouterr()
    errors = err.splitlines()

    assert 1 == status
    assert 2 == len(out.splitlines())
    assert 3 == len(errors)
    assert f"digits: {missing}: No such file or directory" == errors[0]
    assert errors[1].startswith(f"digits: {text}: this is not a picture in an accepted format")
    assert errors[2].startswith(f"digits: {blank}: ")


def test_file_name_that_is_not_utf_8_is_escaped(
    tmp_path: Path, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File names are bytes, which Python decodes to lone surrogates where they are not UTF-8."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    Path(path).write_bytes(seven.read_bytes())
    status = main(["predict", "--csv", path])
    out, err = capsys.readouterr()

    assert (0, "") == (status, err)
    assert r"/\udcff.png,7," in out


def test_predict_obeys_the_settings(
    monkeypatch: pytest.MonkeyPatch, seven: Path, three: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limits on pixels and on formats are those of the environment."""
    monkeypatch.setenv("DIGITS_MAX_PIXELS", "1000")
    monkeypatch.setenv("DIGITS_FORMATS", "png,heic")
    status = main(["predict", str(seven), str(three)])
    out, err = capsys.readouterr()
    errors = err.splitlines()

    assert (1, "", 2) == (status, out, len(errors))
    assert errors[0].startswith(f"digits: {seven}: the picture has 200 x 200")
    assert f"digits: {three}: JPEG pictures are not accepted here: send PNG or HEIC" == errors[1]


def test_skipped_files_are_listed_at_the_end(seven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is a line per reason with at most ten names, and the status is 0."""
    for i in range(12):
        (tmp_path / f"{i:02}.txt").touch()
    (tmp_path / "._seven.png").touch()
    status = main(["predict", str(tmp_path)])
    out, err = capsys.readouterr()

    assert (0, 1) == (status, len(out.splitlines()))
    assert f"digits: 1 skipped, metadata files of macOS: {tmp_path}/._seven.png" == err.splitlines()[0]
    assert err.splitlines()[1].startswith("digits: 12 skipped, the suffix is not that of a picture: ")
    assert err.endswith("/09.txt and 2 more\n")
    assert seven.name in out


def test_heic_in_a_folder_is_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Phones write the suffix in upper case."""
    (tmp_path / "IMG_0001.HEIC").write_bytes(heic(draw(7).convert("RGB")))

    assert 0 == main(["predict", str(tmp_path)])
    assert "IMG_0001.HEIC: 7 " in capsys.readouterr().out


def test_empty_folder_is_one_line_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No CSV header is printed."""
    status = main(["predict", "--csv", str(tmp_path)])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith(f"digits: {tmp_path}: no file in this folder ends in ")


def test_errors_are_lines_of_json(unanswerable: list[Path], seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error takes the place of the answer, so every file has a line."""
    status = main(["predict", "--json", *map(str, unanswerable), str(seven)])
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]

    assert (1, "") == (status, err)
    assert [str(file) for file in [*unanswerable, seven]] == [row["file"] for row in rows]
    assert [{"file", "error"}] * 3 == [set(row) for row in rows[:3]]
    assert "No such file or directory" == rows[2]["error"]


def test_errors_are_rows_of_csv(unanswerable: list[Path], seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors have a column of their own; the other columns are empty."""
    status = main(["predict", "--csv", *map(str, unanswerable), str(seven)])
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(out.splitlines()))

    assert (1, "") == (status, err)
    assert [(str(file), "") for file in unanswerable] == [(row["file"], row["digit"]) for row in rows[:3]]
    assert "No such file or directory" == rows[2]["error"]
    assert ("7", "") == (rows[3]["digit"], rows[3]["error"])


# --- By processes and by a service


@pytest.mark.usefixtures("tiny_model_is_set")
@pytest.mark.parametrize("command", [["predict"], ["read", "--length", "1"]], ids=" ".join)
def test_output_does_not_depend_on_the_predictor(
    scans: Path, address: str, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """One process, the default pool, and a service print the same bytes."""
    printed = []
    for options in (["--workers", "1"], [], ["--url", address]):
        status = main([*command, "--json", *options, str(scans)])
        printed.append((status, *capfd.readouterr()))

    assert [printed[0]] * 3 == printed
    assert (1, 65, "") == (printed[0][0], len(printed[0][1].splitlines()), printed[0][2])


def test_missing_files_are_not_sent_to_the_service(
    unanswerable: list[Path], seven: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file has a line with its error, in the order of the arguments."""
    missing = unanswerable[2]
    status = main(["predict", "--json", "--url", address, str(missing), str(seven), str(missing)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert 1 == status
    assert ["No such file or directory", None, "No such file or directory"] == [row.get("error") for row in rows]


def test_unreachable_service_is_one_line_on_stderr(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with status 1 after the retries of the client."""
    status = main(["predict", "--url", "http://127.0.0.1:1", str(seven)])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith("digits: http://127.0.0.1:1/predict does not answer: ")


@pytest.fixture
def echoing_service() -> Iterator[str]:
    """Return the URL of a service whose 401 has the header Authorization as its detail."""

    async def unauthorized(request: Request) -> JSONResponse:
        return JSONResponse(make_problem(401, request.headers.get("Authorization", "no key")), 401)

    with servers.in_thread(Starlette(routes=[Route("/predict", unauthorized, methods=["POST"])])) as address:
        yield address


def test_api_key_is_read_from_the_file_or_the_environment(
    echoing_service: str,
    seven: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The file takes precedence."""
    file = tmp_path / "key"
    file.write_text("of-the-file\n")
    printed = []
    for variable, options in (("", []), ("of-the-environment", []), ("other", ["--api-key-file", str(file)])):
        monkeypatch.setenv("DIGITS_API_KEY", variable)
        main(["predict", "--url", echoing_service, *options, str(seven)])
        printed.append(capsys.readouterr().err)

    assert [
        f"digits: {key} (invalid-request, request r1)\n" for key in ("no key", "Bearer of-the-environment")
    ] == printed[:2]
    assert "digits: Bearer of-the-file (invalid-request, request r1)\n" == printed[2]


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["missing", "not UTF-8"])
def test_unreadable_api_key_file_is_one_line_on_stderr(
    tmp_path: Path, seven: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """The message has the file."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    status = main(["predict", "--url", "http://digits", "--api-key-file", str(file), str(seven)])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith(f"digits: --api-key-file {file} cannot be read: ")


# --- Terminals, pipes and signals


@pytest.mark.usefixtures("tiny_model_is_set")
def test_progress_bar_is_shown_on_a_terminal(scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is on stderr if that is a terminal, and does not change stdout."""
    arguments = ["predict", "--csv", "--workers", "1", str(scans)]
    command = [*COMMAND, *arguments]
    terminal, other_end = pty.openpty()
    shown = b""
    with (
        (tmp_path / "table.csv").open("wb") as table,
        subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TERM": "xterm"}, stdout=table, stderr=other_end),
    ):
        os.close(other_end)
        # On Linux, reading fails when the other end is closed.
        with suppress(OSError):
            while chunk := os.read(terminal, 65536):
                shown += chunk
    os.close(terminal)
    main(arguments)

    assert b"65/65" in shown
    assert ((tmp_path / "table.csv").read_text(), "") == capfd.readouterr()


def test_closed_pipe_is_not_an_error(scans: Path, tiny_model: Path) -> None:
    """Nothing is printed to stderr when the reader closes stdout, as `head` does, also with a process pool."""
    environment = os.environ | {"DIGITS_MODEL": str(tiny_model), "PYTHONUNBUFFERED": "1"}
    command = [*COMMAND, "predict", "--csv", "--workers", "2", str(scans)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        header = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        status = process.wait(SECONDS)

    assert b"file,digit,confidence,verdict,novelty,error\n" == header
    assert (1, b"") == (status, errors)


@pytest.fixture
def blocked(tmp_path: Path, tiny_model: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Return a running command whose workers block on reading a pipe, and the write end of the pipe."""
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    # Background jobs ignore SIGINT, and their child processes would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*COMMAND, "predict", "--workers", "2", str(pipe), str(pipe)],
        cwd=ROOT,
        env=os.environ | {"DIGITS_MODEL": str(tiny_model)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        signal.signal(signal.SIGINT, before)
        end = os.open(pipe, os.O_WRONLY)  # blocks until there is a reader
        yield process, end
        os.close(end)
        process.kill()


def has_no_reader(end: int) -> bool:
    """Wait until a pipe has no reader, and return whether that happened before the timeout."""
    poll = select.poll()
    poll.register(end, 0)  # errors only
    return bool(poll.poll(SECONDS * 1000))


def test_ctrl_c_ends_all_processes(blocked: tuple[subprocess.Popen[bytes], int]) -> None:
    """SIGINT to the process group prints one line without a traceback, and the exit status is 130."""
    process, end = blocked
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=SECONDS)

    assert (130, b"digits: interrupted\n") == (process.returncode, errors)
    assert has_no_reader(end)


def test_workers_exit_when_the_command_is_killed(blocked: tuple[subprocess.Popen[bytes], int]) -> None:
    """After SIGKILL the command cannot terminate its workers; they watch it and exit by themselves."""
    process, end = blocked
    process.kill()

    assert has_no_reader(end)
