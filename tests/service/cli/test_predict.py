"""Tests of service.cli.predict."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
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

from service.app import create_app
from service.cli.main import main
from service.settings import Settings, bundled_model
from tests import servers
from tests.pictures import draw, encode, heic
from tests.service.client.answers import make_problem

SECONDS = 30
COMMAND = [sys.executable, "-m", "service", "predict"]
ROOT = bundled_model().parents[1]


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """Return a file with a picture of a 7."""
    path = tmp_path / "seven.png"
    path.write_bytes(encode(draw(7)))
    return path


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Return a file with a picture of a 3 on which nothing depends but its digit."""
    path = tmp_path / "three.jpg"
    path.write_bytes(encode(draw(3), "JPEG"))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> list[Path]:
    """Return a text, a blank picture, and a file that does not exist."""
    text, blank, missing = (tmp_path / name for name in ("notes.txt", "blank.png", "none.png"))
    text.write_text("seven")
    blank.write_bytes(encode(draw(ink=255)))
    return [text, blank, missing]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 65 pictures, of which two cannot be answered."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "more").mkdir()
    for i in range(65):
        path = folder / ("more" if i % 3 else "") / f"{i:02}.png"
        path.write_bytes(encode(draw(i % 10, size=(60, 60), width=0.06 + i / 1000)))
    (folder / "06.png").write_bytes(encode(draw(ink=255)))
    (folder / "more" / "08.png").write_bytes(encode(draw(8))[:-20])
    return folder


@pytest.fixture(scope="module")
def address(tiny_model: Path) -> Iterator[str]:
    """Return the address of the service with the tiny model."""
    with servers.in_thread(create_app(Settings(model=tiny_model))) as address:
        yield address


# --- What is shown


def test_predict_prints_a_line_for_each_file(seven: Path, three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, digit, confidence and verdict, in the order asked."""
    status = main(["predict", str(three), str(seven), str(three)])
    lines = capsys.readouterr().out.splitlines()

    assert 0 == status
    assert [(three, 3), (seven, 7), (three, 3)] == [
        (Path(file), int(digit)) for file, digit in (re.split(": | ", line)[:2] for line in lines)
    ]
    assert all(re.fullmatch(r".+: \d \(\d+\.\d%, (clear|ambiguous)\)", line) for line in lines)


def test_predict_writes_the_steps(
    seven: Path, bad: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --steps, the folder gets a picture of each step, of each file that can be read; what is read is shown."""
    folder = tmp_path / "steps"
    status = main(["predict", str(seven), str(bad[1]), "--steps", str(folder)])
    names = ("picture", "view", "strength", "components", "digit", "strokes", "input")

    assert 1 == status
    assert [f"seven_1_{number}_{name}.png" for number, name in enumerate(names, 1)] == sorted(
        path.name for path in folder.iterdir()
    )
    assert "seven.png: 7" in capsys.readouterr().out


def test_predict_prints_json(seven: Path, three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, with everything that `/predict` says of probabilities."""
    status = main(["predict", "--json", str(seven), str(three)])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert 0 == status
    assert [(str(seven), 7), (str(three), 3)] == [(answer["file"], answer["digit"]) for answer in answers]
    for answer in answers:
        assert ["file", "digit", "confidence", "verdict", "novelty", "probabilities"] == list(answer)
        assert 10 == len(answer["probabilities"])
        assert pytest.approx(1) == sum(answer["probabilities"])
        assert max(answer["probabilities"]) == answer["confidence"] == answer["probabilities"][answer["digit"]]


def test_predict_prints_a_table(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A header and a row for each file, with the numbers that JSON has."""
    status = main(["predict", "--csv", str(seven)])
    table = capsys.readouterr().out
    main(["predict", "--json", str(seven)])
    answer = json.loads(capsys.readouterr().out)
    row = ",".join(str(answer[column]) for column in ("file", "digit", "confidence", "verdict", "novelty"))

    assert 0 == status
    assert f"file,digit,confidence,verdict,novelty,error\n{row},\n" == table


def test_files_that_cannot_be_answered_do_not_stop_the_others(
    bad: list[Path], seven: Path, three: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each such file gets one line that names it, the others their answer, and the status tells."""
    text, blank, missing = bad
    status = main(["predict", *map(str, [seven, missing, text, blank, three])])
    out, err = capsys.readouterr()
    complaints = err.splitlines()

    assert 1 == status
    assert 2 == len(out.splitlines())
    assert 3 == len(complaints)
    assert f"digits: {missing}: No such file or directory" == complaints[0]
    assert complaints[1].startswith(f"digits: {text}: this is not a picture in an accepted format")
    assert complaints[2].startswith(f"digits: {blank}: ")


def test_errors_are_rows_of_json(bad: list[Path], seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They stand where the answer would, so that no row is missing."""
    status = main(["predict", "--json", *map(str, bad), str(seven)])
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]

    assert (1, "") == (status, err)
    assert [str(file) for file in [*bad, seven]] == [row["file"] for row in rows]
    assert [{"file", "error"}] * 3 == [set(row) for row in rows[:3]]
    assert "No such file or directory" == rows[2]["error"]


def test_errors_are_rows_of_a_table(bad: list[Path], seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They have their own column, and the others are empty."""
    status = main(["predict", "--csv", *map(str, bad), str(seven)])
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(out.splitlines()))

    assert (1, "") == (status, err)
    assert [(str(file), "") for file in bad] == [(row["file"], row["digit"]) for row in rows[:3]]
    assert "No such file or directory" == rows[2]["error"]
    assert ("7", "") == (rows[3]["digit"], rows[3]["error"])


def test_a_name_that_is_no_text_is_shown(tmp_path: Path, seven: Path) -> None:
    """With what cannot be written escaped; file names are bytes."""
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(odd)).write_bytes(seven.read_bytes())
    done = subprocess.run([*COMMAND, "--csv", odd], cwd=ROOT, capture_output=True, check=False)

    assert (0, b"") == (done.returncode, done.stderr)
    assert rb"/\udcff.png,7," in done.stdout


def test_predict_obeys_the_settings(
    monkeypatch: pytest.MonkeyPatch, seven: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit on pixels holds on the command line too."""
    monkeypatch.setenv("DIGITS_MAX_PIXELS", "1000")
    status = main(["predict", str(seven)])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith(f"digits: {seven}: the picture has 200 x 200")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_predict_reads_no_other_formats(
    monkeypatch: pytest.MonkeyPatch, seven: Path, three: Path, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    """The formats that are set hold on the command line too, in every process."""
    monkeypatch.setenv("DIGITS_FORMATS", "png,heic")
    status = main(["predict", "--workers", workers, str(seven), str(three)])
    out, err = capsys.readouterr()

    assert (1, 1) == (status, len(out.splitlines()))
    assert f"digits: {three}: JPEG pictures are not accepted here: send PNG and HEIC\n" == err


def test_what_was_left_out_is_named_at_the_end(seven: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each reason, with no more than ten names; it is no failure."""
    for i in range(12):
        (tmp_path / f"{i:02}.txt").touch()
    (tmp_path / "._seven.png").touch()
    status = main(["predict", str(tmp_path)])
    out, err = capsys.readouterr()

    assert (0, 1) == (status, len(out.splitlines()))
    assert f"digits: 1 left out, macOS made it beside the picture: {tmp_path}/._seven.png" == err.splitlines()[0]
    assert err.splitlines()[1].startswith("digits: 12 left out, the suffix is not that of a picture: ")
    assert err.endswith("/09.txt and 2 more\n")
    assert seven.name in out


def test_a_heic_is_found_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a phone writes it, whatever the case of its suffix."""
    (tmp_path / "IMG_0001.HEIC").write_bytes(heic(draw(7).convert("RGB")))

    assert 0 == main(["predict", str(tmp_path)])
    assert "IMG_0001.HEIC: 7 " in capsys.readouterr().out


def test_nothing_found_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And no header of a table."""
    status = main(["predict", "--csv", str(tmp_path)])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith(f"digits: {tmp_path}: no file in this folder ends in ")


# --- Here and there


@pytest.fixture
def tiny_model_is_set(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the model that the services of these tests have."""
    monkeypatch.setenv("DIGITS_MODEL", str(tiny_model))


@pytest.mark.usefixtures("tiny_model_is_set")
@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_a_folder_is_the_same_table_whoever_reads_it(
    scans: Path, address: str, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One process or two, here or a service: the same bytes."""
    shown = []
    for options in (["--workers", "1"], ["--workers", "2"], [], ["--url", address]):
        status = main(["predict", form, *options, str(scans)])
        shown.append((status, *capfd.readouterr()))

    assert [shown[0]] * 4 == shown
    assert (1, 65 + (form == "--csv"), "") == (shown[0][0], len(shown[0][1].splitlines()), shown[0][2])


def test_a_service_is_not_asked_for_what_cannot_be_read(
    bad: list[Path], seven: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files that are not there have their row all the same, at their place."""
    missing = bad[2]
    status = main(["predict", "--json", "--url", address, str(missing), str(seven), str(missing)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert 1 == status
    assert ["No such file or directory", None, "No such file or directory"] == [row.get("error") for row in rows]


def test_a_service_that_is_not_there_is_one_clear_line(seven: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After it was asked a few times."""
    status = main(["predict", "--url", "http://127.0.0.1:1", str(seven)])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith("digits: http://127.0.0.1:1/predict does not answer: ")


@pytest.fixture
def guarded() -> Iterator[str]:
    """Return the address of a service that shows the key in its refusal."""

    async def refuse(request: Request) -> JSONResponse:
        return JSONResponse(make_problem(401, request.headers.get("Authorization", "no key")), 401)

    with servers.in_thread(Starlette(routes=[Route("/predict", refuse, methods=["POST"])])) as address:
        yield address


def test_the_key_is_that_of_the_file_or_of_the_environment(
    guarded: str, seven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is meant where both are there."""
    file = tmp_path / "key"
    file.write_text("of-the-file\n")
    said = []
    for variable, options in (("", []), ("of-the-environment", []), ("other", ["--api-key-file", str(file)])):
        monkeypatch.setenv("DIGITS_API_KEY", variable)
        main(["predict", "--url", guarded, *options, str(seven)])
        said.append(capsys.readouterr().err)

    assert [
        f"digits: {key} (invalid-request, request r1)\n" for key in ("no key", "Bearer of-the-environment")
    ] == said[:2]
    assert "digits: Bearer of-the-file (invalid-request, request r1)\n" == said[2]


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["missing", "no text"])
def test_a_key_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, seven: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    """It names the file."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    status = main(["predict", "--url", "http://digits", "--api-key-file", str(file), str(seven)])
    out, err = capsys.readouterr()

    assert (1, "", 1) == (status, out, len(err.splitlines()))
    assert err.startswith(f"digits: --api-key-file {file} cannot be read: ")


@pytest.mark.parametrize(
    "options", [["--workers", "0"], ["--workers", "-1"], ["--workers", "two"], ["--csv", "--json"]], ids=" ".join
)
def test_wrong_options_show_how_it_goes(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As commands do: usage on stderr, status 2."""
    with pytest.raises(SystemExit) as caught:
        main(["predict", *options, "seven.png"])

    assert 2 == caught.value.code
    assert capsys.readouterr().err.startswith("usage: digits predict")


# --- Terminals, pipes and signals


def test_progress_is_shown_on_a_terminal(scans: Path, tiny_model: Path, tmp_path: Path) -> None:
    """On stderr, while the table goes where it is sent; nothing of it where stderr is no terminal."""
    environment = os.environ | {"DIGITS_MODEL": str(tiny_model), "TERM": "xterm"}
    command = [*COMMAND, "--csv", "--workers", "1", str(scans)]
    terminal, other_end = pty.openpty()
    shown = b""
    with (
        (tmp_path / "table.csv").open("wb") as table,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=table, stderr=other_end),
    ):
        os.close(other_end)
        # Linux tells with an error that the command has closed its end.
        with suppress(OSError):
            while chunk := os.read(terminal, 65536):
                shown += chunk
    os.close(terminal)
    quiet = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)

    assert b"65/65" in shown
    assert ((tmp_path / "table.csv").read_bytes(), b"") == (quiet.stdout, quiet.stderr)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_reader_who_has_seen_enough_is_no_error(scans: Path, tiny_model: Path, workers: str) -> None:
    """Nothing is complained of when the output is closed, as `head` does."""
    environment = os.environ | {"DIGITS_MODEL": str(tiny_model), "PYTHONUNBUFFERED": "1"}
    command = [*COMMAND, "--csv", "--workers", workers, str(scans)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        header = process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()
        status = process.wait(SECONDS)

    assert b"file,digit,confidence,verdict,novelty,error\n" == header
    assert (1, b"") == (status, complaints)


@pytest.fixture
def stuck(tmp_path: Path, tiny_model: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Return the command with a process that reads for ever, and what that reads, which is gone when it is."""
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    # Where tests run in the background, Ctrl-C is ignored, and what they start would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*COMMAND, "--workers", "2", str(pipe), str(pipe)],
        cwd=ROOT,
        env=os.environ | {"DIGITS_MODEL": str(tiny_model)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        signal.signal(signal.SIGINT, before)
        end = os.open(pipe, os.O_WRONLY)  # waits for a reader
        yield process, end
        os.close(end)
        process.kill()


def nobody_reads(end: int) -> bool:
    """Wait until nobody reads a pipe any more, and say whether that came to pass."""
    poll = select.poll()
    poll.register(end, 0)  # which leaves errors
    return bool(poll.poll(SECONDS * 1000))


def test_ctrl_c_ends_all_processes(stuck: tuple[subprocess.Popen[bytes], int]) -> None:
    """A terminal interrupts all of them; there is one line, no traceback, and the status of an interruption."""
    process, end = stuck
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(timeout=SECONDS)

    assert (130, b"digits: interrupted\n") == (process.returncode, complaints)
    assert nobody_reads(end)


def test_no_process_outlives_the_command(stuck: tuple[subprocess.Popen[bytes], int]) -> None:
    """Even when it is killed and can tell nobody."""
    process, end = stuck
    process.kill()

    assert nobody_reads(end)
