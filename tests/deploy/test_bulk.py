"""Tests of deploy.ray.bulk on a local Ray cluster, and of its parts without one."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from service.classifier import Classifier, Prediction
from service.errors import BodyTooLarge, PictureError
from service.reader import Reader
from service.settings import bundled_model

pytest.importorskip("ray", reason="make test-ray installs Ray and runs these")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from deploy.ray.bulk import main  # noqa: E402 - skipped without Ray
from deploy.ray.output import Output, OutputError, without  # noqa: E402
from deploy.ray.pictures import InputError, MissingFile, PictureFiles, UnreadableFile, find_pictures  # noqa: E402
from deploy.ray.rows import SCHEMA, answer_table  # noqa: E402

ROOT = Path(__file__).parents[2]
NUMBERS = ROOT / "docs" / "numbers.png"
N_PICTURES = 300
N_ROWS = 20
MAX_BYTES = 100_000
# Bad files by name, with the code of their row. `None` is a link to nothing.
BAD_FILES: dict[str, tuple[bytes | None, str]] = {
    "cut.png": (b"", "unreadable-image"),  # its bytes are cut off below
    "empty.png": (b"", "invalid-request"),
    "large.png": (bytes(MAX_BYTES + 1), "image-too-large"),
    "missing.png": (None, "not-found"),
    "text.png": (b"not a picture", "unsupported-media-type"),
}


# Runs until its standard input is closed.
CLUSTER = """
import sys, ray
limits = {"num_cpus": 2, "object_store_memory": 80 * 1024 * 1024}
context = ray.init(**limits, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


def draw(path: Path, digit: int, shift: int) -> None:
    """Write a picture of a printed digit, at a place of its own."""
    image = Image.new("L", (160, 160), 255)
    ImageDraw.Draw(image).text((30 + shift % 40, 10 + shift % 7), str(digit), fill=0, font_size=110)
    image.save(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of pictures in folders, with a bad file of each kind among them, and one that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(N_PICTURES - len(BAD_FILES)):
        (folder / str(number % 3)).mkdir(exist_ok=True)
        draw(folder / str(number % 3) / f"{number:03d}.png", number % 10, number)
    for name, (content, _) in BAD_FILES.items():
        if content is None:
            (folder / "1" / name).symlink_to("nowhere")
        else:
            (folder / "1" / name).write_bytes(content)
    (folder / "1" / "cut.png").write_bytes((folder / "0" / "000.png").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Return a classifier with the bundled model."""
    return Classifier.load(bundled_model())


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Return the environment of commands, with a folder for Ray's sockets, whose paths must be short."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        own = {
            "DIGITS_MAX_BYTES": str(MAX_BYTES),
            "RAY_TMPDIR": folder,
            # Without the token, Ray writes one to the home directory. A command that joins a cluster names the mode.
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_AUTH_MODE": "token",
        }
        yield {name: value for name, value in os.environ.items() if not name.startswith(("DIGITS_", "RAY_"))} | own


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run a cluster of two CPUs, and return the environment of commands that use it."""
    # In a process of its own, since a process knows only one token, and other modules have other clusters.
    with (
        tempfile.TemporaryDirectory(prefix="ray-") as folder,
        subprocess.Popen(
            [sys.executable, "-c", CLUSTER, folder],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        yield environment | {"RAY_ADDRESS": process.stdout.readline().strip()}
        process.communicate()


def command(*arguments: object) -> list[str]:
    """Return the command line of a bulk job."""
    return [sys.executable, "-m", "deploy.ray.bulk", *map(str, arguments)]


def bulk(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a bulk job to its end."""
    return subprocess.run(
        command(*arguments), env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def parts(output: Path) -> dict[str, int]:
    """Return the finished files of an output, with the times at which they were written."""
    return {path.name: path.stat().st_mtime_ns for path in output.glob("*.parquet")}


def test_killed_job_continues(pictures: Path, cluster: dict[str, str], classifier: Classifier, tmp_path: Path) -> None:
    """After SIGKILL in the middle, a second run adds the missing rows: none is lost, doubled or written again."""
    output = tmp_path / "rows"
    with subprocess.Popen(
        command(pictures, output, "--rows", N_ROWS),
        env=cluster,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as killed:
        deadline = time.monotonic() + 200
        while len(parts(output)) < 3 and killed.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    before = parts(output)
    resumed = bulk(cluster, pictures, output, "--rows", N_ROWS)
    table = pq.read_table(output)
    rows = {row["path"]: row for row in table.to_pylist()}
    files = {path.relative_to(pictures).as_posix(): path for path in pictures.rglob("*.png")}

    assert -signal.SIGKILL == killed.returncode
    assert 3 <= len(before) < N_PICTURES / N_ROWS
    assert 0 == resumed.returncode, resumed.stderr
    # An actor may finish its part in the moment between the driver's end and its own.
    assert (first := re.match(rf"{N_PICTURES} pictures, (\d+) of them done before", resumed.stdout))
    assert len(before) * N_ROWS <= int(first[1]) < N_PICTURES
    assert sorted(files) == sorted(table["path"].to_pylist())
    assert SCHEMA.names == table.schema.names
    assert before == {name: written for name, written in parts(output).items() if name in before}
    assert [] == [path for path in output.iterdir() if path.name.startswith(".")]
    errors = {path: row["error"] for path, row in rows.items() if row["error"] is not None}
    assert {f"1/{name}": code for name, (_, code) in BAD_FILES.items()} == errors
    assert {classifier.model.version} == set(table["model"].to_pylist())
    for path in ("0/000.png", "1/001.png", "2/002.png"):
        expected = classifier.predict_picture(files[path].read_bytes())
        assert (expected.digit, expected.verdict) == (rows[path]["digit"], rows[path]["verdict"])
        assert pytest.approx(expected.confidence, abs=1e-5) == rows[path]["confidence"]


def test_finished_job_does_nothing(pictures: Path, cluster: dict[str, str], tmp_path: Path) -> None:
    """A run after the last one writes nothing, and one on more pictures writes only theirs."""
    few = tmp_path / "few.csv"
    few.write_text("path\n" + "".join(f"{pictures}/0/{number:03d}.png\n" for number in (0, 3, 6)))
    output = tmp_path / "rows"
    first = bulk(cluster, few, output)
    before = parts(output)
    second = bulk(cluster, few, output)
    with few.open("a") as table:
        table.write(f"{pictures}/0/009.png\n")
    third = bulk(cluster, few, output)

    assert (0, 0, 0) == (first.returncode, second.returncode, third.returncode), third.stderr
    assert "3 pictures, 3 of them done before\n" == second.stdout
    assert "4 pictures, 3 of them done before" in third.stdout
    assert 4 == pq.read_table(output).num_rows
    assert before.items() < parts(output).items()


def test_reads_on_a_cluster_of_its_own(environment: dict[str, str], tmp_path: Path, tiny_model: Path) -> None:
    """Without a cluster there is a local one. --read reads numbers, with the model of --model, from a Parquet table."""
    table = tmp_path / "table.parquet"
    (tmp_path / "numbers.png").write_bytes(NUMBERS.read_bytes())
    pq.write_table(pa.table({"path": ["numbers.png", "missing.png"], "label": [1, 2]}), table)
    done = bulk(environment, table, tmp_path / "rows", "--read", "--model", tiny_model)
    rows = {row["path"]: row for row in pq.read_table(tmp_path / "rows").to_pylist()}
    model = Classifier.load(tiny_model)
    expected = Reader(model).read_picture(NUMBERS.read_bytes())

    assert 0 == done.returncode, done.stderr
    assert "2 rows written, 1 of them with an error: 1 not-found\n" in done.stdout
    assert (expected.text, expected.verdict) == (rows["numbers.png"]["text"], rows["numbers.png"]["verdict"])
    assert {"not-found"} == {row["error"] for row in rows.values()} - {None}
    assert {model.model.version} == {row["model"] for row in rows.values()}


def test_rows_have_the_fields_of_predict(classifier: Classifier) -> None:
    """A row has the digit, its confidence, OOD score and verdict; the columns of readings and errors are null."""
    content = (ROOT / "docs" / "seven.jpg").read_bytes()
    (row,) = answer_table(classifier, "predict", ["a"], [content]).to_pylist()
    expected = classifier.predict_picture(content)

    assert {
        "path": "a",
        "digit": 7,
        "confidence": expected.confidence,
        "novelty": expected.novelty,
        "verdict": "clear",
        "model": classifier.model.version,
    } == {name: value for name, value in row.items() if value is not None}


def test_rows_have_the_fields_of_read(classifier: Classifier) -> None:
    """A row has the text and the lines with their boxes; the columns of single digits and errors are null."""
    (row,) = answer_table(classifier, "read", ["a"], [NUMBERS.read_bytes()]).to_pylist()
    expected = Reader(classifier).read_picture(NUMBERS.read_bytes())

    assert "2024\n17" == row["text"]
    assert [
        {"text": line.text, "confidence": line.confidence, "box": list(line.box)} for line in expected.lines
    ] == row["lines"]
    assert (expected.confidence, "clear", False) == (row["confidence"], row["verdict"], row["truncated"])
    assert (None, None, None) == (row["digit"], row["error"], row["reason"])


class Defective(Classifier):
    """A classifier with a defect that one picture shows."""

    def predict_pictures(self, pictures: Sequence[bytes]) -> list[Prediction | PictureError]:
        """Raise RuntimeError when one of the pictures is `defect`."""
        if b"defect" in pictures:
            message = "as no picture should"
            raise RuntimeError(message)
        return super().predict_pictures(pictures)


def test_defect_is_the_error_of_one_row(classifier: Classifier) -> None:
    """An exception that no picture should raise is an internal error of its row, and the others have answers."""
    seven = (ROOT / "docs" / "seven.jpg").read_bytes()
    table = answer_table(Defective(classifier.model), "predict", ["a", "b", "c"], [seven, b"defect", seven])

    assert [7, None, 7] == table["digit"].to_pylist()
    assert [None, "internal-error", None] == table["error"].to_pylist()
    assert "RuntimeError: as no picture should" == table["detail"][1].as_py()


def test_files_that_cannot_be_read_are_rows(classifier: Classifier) -> None:
    """What is wrong with a file is the error of its row, with the code of the API or one of the file's own."""
    errors = [MissingFile("none"), UnreadableFile("denied"), BodyTooLarge("long")]
    table = answer_table(classifier, "read", ["a", "b", "c", "d"], [*errors, b""])

    assert ["not-found", "unreadable-file", "image-too-large", "invalid-request"] == table["error"].to_pylist()
    assert ["none", "denied", "long"] == table["detail"].to_pylist()[:3]
    assert [None] * 4 == table["verdict"].to_pylist()


def test_folder_is_listed(tmp_path: Path) -> None:
    """The suffix decides, at any depth; metadata of macOS is left out; a name that is not UTF-8 is escaped."""
    for name in ("b.JPG", "a/c d#.png", "a/notes.txt", "a/._c.png", "__MACOSX/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / os.fsdecode(b"\xff.png")).touch()
    found = find_pictures(str(tmp_path))

    assert ["\\xff.png", "a/c d#.png", "b.JPG"] == found.paths.to_pylist()
    assert (str(tmp_path), 3) == (found.root, found.n_skipped)
    assert found.paths == find_pictures(f"{tmp_path}/a/..").paths


def test_tables_are_read(tmp_path: Path) -> None:
    """A path that a table has twice counts once. Values are text, whatever they look like."""
    (tmp_path / "table.csv").write_text("label,path\n1,007\n2,NA\n3,007\n")
    pq.write_table(pa.table({"path": pa.array(["b", "a"], pa.string())}), tmp_path / "table.parquet")
    csv, parquet = find_pictures(str(tmp_path / "table.csv")), find_pictures((tmp_path / "table.parquet").as_uri())

    assert ["007", "NA"] == csv.paths.to_pylist()
    assert ["a", "b"] == parquet.paths.to_pylist()
    assert (str(tmp_path), tmp_path.as_uri()) == (csv.root, parquet.root)


def test_wrong_inputs_are_named(tmp_path: Path) -> None:
    """What is neither a folder nor a table with paths is an InputError with the reason."""
    (tmp_path / "names.csv").write_text("name\na\n")
    (tmp_path / "empty.csv").write_text("path,label\na,1\n,2\n")
    (tmp_path / "broken.parquet").write_text("path")
    pq.write_table(pa.table({"name": ["a"]}), tmp_path / "names.parquet")
    pq.write_table(pa.table({"path": [1]}), tmp_path / "numbers.parquet")
    pq.write_table(pa.table({"path": pa.array([None], pa.string())}), tmp_path / "null.parquet")
    (tmp_path / "seven.png").touch()
    reasons = {
        "nowhere": "no such folder or file",
        "names.csv": "no column `path`",
        "names.parquet": "no column `path`",
        "numbers.parquet": "int64, not strings",
        "empty.csv": "1 rows have no path",
        "null.parquet": "1 rows have no path",
        "broken.parquet": "broken.parquet",
        "seven.png": "digits predict",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=reason):
            find_pictures(str(tmp_path / name))
    with pytest.raises(InputError, match="nosuch"):
        find_pictures("nosuch://bucket/pictures")


def test_files_are_read_in_their_order(tmp_path: Path) -> None:
    """Paths are relative, absolute or URIs. A file that cannot be read is an error at its place, and ends nothing."""
    (tmp_path / "a b#.png").write_bytes(b"ab")
    (tmp_path / "long.png").write_bytes(bytes(11))
    os.mkfifo(tmp_path / "pipe.png")
    paths = ["a b#.png", str(tmp_path / "a b#.png"), (tmp_path / "a b#.png").as_uri()]
    wrong = ["no.png", "long.png", "pipe.png", ".", "nosuch://x/y.png", "nul\0.png"]
    expected = [MissingFile, BodyTooLarge, UnreadableFile, UnreadableFile, UnreadableFile, UnreadableFile]
    for root in (str(tmp_path), tmp_path.as_uri()):
        *read, last = PictureFiles(root, 10).read_all([*paths, *wrong, paths[0]])

        assert [b"ab"] * 3 == read[:3]
        assert expected == [type(error) for error in read[3:]]
        assert b"ab" == last


def test_output_belongs_to_one_job(tmp_path: Path) -> None:
    """Other pictures, another question or another model would mix rows that do not belong together."""
    job = {"input": "/pictures", "question": "predict", "model": "abc"}
    output = Output(str(tmp_path / "new" / "rows"))

    assert [] == output.open(job).to_pylist()
    assert [] == output.open(job).to_pylist()
    with pytest.raises(OutputError, match="of model abc, not def: choose another output"):
        output.open(job | {"model": "def"})
    with pytest.raises(OutputError, match="of input /pictures, not /others; of question predict, not read"):
        output.open(job | {"input": "/others", "question": "read"})


def test_output_of_something_else_is_kept(tmp_path: Path) -> None:
    """Parquet files of another program are not taken for finished parts."""
    pq.write_table(pa.table({"path": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(OutputError, match="something else"):
        Output(str(tmp_path)).open({"model": "abc"})
    with pytest.raises(OutputError, match="nosuch"):
        Output("nosuch://bucket/rows")
    with pytest.raises(OutputError, match=r"other\.parquet"):
        Output(str(tmp_path / "other.parquet")).open({"model": "abc"})


def test_damaged_output_is_named(tmp_path: Path) -> None:
    """A finished part that is damaged, as a power failure may leave it, is named rather than ignored."""
    output = Output(str(tmp_path))
    output.open({})
    (tmp_path / "part-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(OutputError, match=r"part-1\.parquet"):
        output.open({})
    (tmp_path / "_job.json").write_bytes(b"")
    with pytest.raises(OutputError, match=str(tmp_path)):
        output.open({})


def test_part_written_twice_is_there_once(tmp_path: Path) -> None:
    """A part replaces itself, and half-written files are removed."""
    output = Output(str(tmp_path))
    output.open({})
    table = pa.table({"path": ["a", "b"]})
    output.write(["a", "b"], table)
    output.write(["a", "b"], table)
    (tmp_path / ".tmp-half").write_bytes(b"PAR1")
    done = output.open({})

    assert ["a", "b"] == done.to_pylist()
    assert ["c"] == without(pa.chunked_array([["a", "c"]], pa.large_string()), done).to_pylist()
    assert Counter({".json": 1, ".parquet": 1}) == Counter(path.suffix for path in tmp_path.iterdir())


def test_errors_are_one_line(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the caller can put right ends the command before Ray is started, with status 1."""
    (tmp_path / "few.csv").write_text("path\na.png\n")
    Output(str(tmp_path / "rows")).open({"input": str(tmp_path), "question": "predict", "model": "abc"})
    statuses = [
        main([str(tmp_path / "none"), str(tmp_path / "rows")]),
        main([str(tmp_path / "few.csv"), str(tmp_path / "rows"), "--model", str(tiny_model)]),
        main([str(tmp_path / "few.csv"), str(tmp_path / "rows"), "--model", str(tmp_path / "none")]),
    ]
    first, second, third = capsys.readouterr().err.splitlines()

    assert [1, 1, 1] == statuses
    assert "no such folder or file" in first
    assert "its rows are of model abc, not" in second
    assert "cannot be read" in third
    with pytest.raises(SystemExit):
        main([str(tmp_path / "few.csv"), str(tmp_path / "rows"), "--rows", "0"])


def test_empty_folder_has_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without pictures is no error."""
    (tmp_path / "pictures").mkdir()
    status = main([str(tmp_path / "pictures"), str(tmp_path / "rows")])

    assert 0 == status
    assert "0 pictures, 0 of them done before\n" == capsys.readouterr().out
