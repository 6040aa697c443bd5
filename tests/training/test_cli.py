"""The command `digits-train`: its output, its files and its exit status."""

from __future__ import annotations

import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.model import artifact
from service.model.artifact import Artifact
from tests.training.conftest import Reported
from tests.training.mirrors import Mirror, interrupts, responds_with, unreachable
from tests.training.tiny import AUGMENTED, PLAIN, SCHEDULE, InterruptedSchedule, TinyMnist
from training import checkpoints, fit_time, mnist
from training.cli import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECIPES = {"quick": AUGMENTED, "plain": PLAIN}


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a temporary folder, with its own cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, even where the shell of the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_fetch_fit_and_evaluate(
    tiny: TinyMnist, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three commands with their defaults download MNIST, fit a model, and evaluate it."""
    cache = tmp_path / "cache" / "digits" / "mnist"

    assert 0 == main(["fetch"], parts=tiny.parts, mirrors=[mirror.url])
    assert f"MNIST is in {cache}: 4 files downloaded, 4 verified" == capsys.readouterr().out.splitlines()[-1]

    assert 0 == main(["fit"], parts=tiny.parts, recipes=RECIPES)
    *_, training, validation, test, written = capsys.readouterr().out.splitlines()
    model = artifact.load(tmp_path / "augmented.safetensors")
    figures = model.metadata.figures
    assert f"training accuracy {figures['training_accuracy']:.4f}" == training
    assert f"validation accuracy {figures['validation_accuracy']:.4f}" == validation
    assert f"test accuracy {figures['test_accuracy']:.4f}" == test
    assert f"{model.network!r}, version {model.version}, is in augmented.safetensors" == written
    assert tiny.parts["test_images"].sha256 == model.metadata.training.data["t10k-images-idx3-ubyte"]

    assert 0 == main(["evaluate", "--model", "augmented.safetensors"], parts=tiny.parts)
    described, measured = capsys.readouterr().out.splitlines()
    wrong = round(60 * (1 - figures["test_accuracy"]))
    start = f"error on the 60 MNIST test digits: {wrong / 60:.2%} ({wrong} of 60; "
    assert f"{model.network!r}, version {model.version}" == described
    assert start == measured[: len(start)]


def test_fit_shows_its_epochs(
    tiny: TinyMnist, tiny_directory: Path, packed: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """Progress ends at the last epoch, and the same fit writes the same file. Only --resume reads a checkpoint."""
    output = Path("new", "model.safetensors")
    # Unasked, a fit does not go on from what lies about.
    output.parent.mkdir()
    output.with_name("model.safetensors.checkpoint.npz").write_bytes(b"of another day")

    assert 0 == main(fit_command(tiny_directory, output), parts=tiny.parts, recipes=RECIPES)

    printed = capsys.readouterr().out
    assert "epoch 4/4  loss " in printed
    assert "validation error " in printed
    assert packed.to_bytes() == output.read_bytes()
    assert [output.with_suffix(".fit.json"), output] == sorted(output.parent.iterdir())


def fit_command(data: Path, output: Path, *options: str) -> list[str]:
    """Return the arguments of a fit."""
    return ["fit", "--data", str(data), "--output", str(output), *options]


def fingerprint(tiny: TinyMnist) -> str:
    """Return the fingerprint of the command's default fit."""
    return checkpoints.fingerprint(AUGMENTED, mnist.checksums(tiny.parts))


def test_interrupted_fit_is_resumed(
    tiny: TinyMnist, tiny_directory: Path, packed: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends a fit with 130, one line, and a checkpoint. Resumed, the fit gives the same model."""
    output, checkpoint = Path("m.safetensors"), Path("m.safetensors.checkpoint.npz")
    interrupted = replace(AUGMENTED, schedule=InterruptedSchedule(**vars(SCHEDULE)))

    status = main(fit_command(tiny_directory, output), parts=tiny.parts, recipes={"quick": interrupted})

    assert 130 == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-train: interrupted; no file is partially written")
    assert "--resume" in line
    assert [checkpoint] == sorted(path for path in Path().iterdir() if path.is_file())
    assert 3 == len(checkpoints.load(checkpoint, fingerprint(tiny)).losses)

    assert 0 == main(fit_command(tiny_directory, output, "--resume"), parts=tiny.parts, recipes=RECIPES)
    assert packed.to_bytes() == output.read_bytes()
    assert [output.with_suffix(".fit.json"), output] == sorted(path for path in Path().iterdir() if path.is_file())


def test_resumed_fit_starts_at_its_checkpoint(tiny: TinyMnist, tiny_directory: Path, augmented_fit: Reported) -> None:
    """The history of the resumed fit starts with that of the checkpoint, and its duration is included."""
    output = Path("m.safetensors")
    earlier = replace(augmented_fit.checkpoints[2], losses=[7.0, 8.0, 9.0], seconds=600.0)
    checkpoints.save(Path("m.safetensors.checkpoint.npz"), earlier, fingerprint(tiny))

    assert 0 == main(fit_command(tiny_directory, output, "--resume"), parts=tiny.parts, recipes=RECIPES)

    resumed = artifact.load(output)
    assert [7.0, 8.0, 9.0] == resumed.metadata.training.losses[:3]
    assert (4, 10) == (len(resumed.metadata.training.losses), fit_time.minutes(output, resumed))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--output", "none"], "none.checkpoint.npz does not exist: there is nothing to resume"),
        ([], "augmented.safetensors.checkpoint.npz is of a fit with another recipe, seed or data"),
        (["--output", "damaged"], "damaged.checkpoint.npz is damaged"),
    ],
    ids=["missing", "of another fit", "damaged"],
)
def test_checkpoint_that_cannot_be_resumed_is_one_line(
    tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    """Without a valid checkpoint of this fit the command fails with one line, and no file changes."""
    checkpoints.save(Path("augmented.safetensors.checkpoint.npz"), checkpoints.INITIAL, "another fit")
    Path("damaged.checkpoint.npz").write_bytes(b"damaged")
    before = sorted(Path().iterdir())

    status = main(["fit", "--resume", "--data", str(tiny_directory), *options], parts=tiny.parts, recipes=RECIPES)

    (line,) = capsys.readouterr().err.splitlines()
    assert 1 == status
    assert line.startswith(f"digits-train: {reason}")
    assert before == sorted(Path().iterdir())


def test_plain_fit_writes_its_output(
    tiny: TinyMnist, tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe is chosen by name, and scikit-learn's iterations are printed."""
    output = tmp_path / "new" / "model.safetensors"

    status = main(
        ["fit", "--recipe", "plain", "--data", str(tiny_directory), "--output", str(output)],
        parts=tiny.parts,
        recipes=RECIPES,
    )

    assert 0 == status
    assert "Iteration 20, loss = " in capsys.readouterr().out
    assert "plain" == artifact.load(output).metadata.training.recipe
    assert [output.with_suffix(".fit.json"), output] == sorted(output.parent.iterdir())


def test_fetch_again_downloads_nothing(
    tiny: TinyMnist, tiny_directory: Path, mirror: Mirror, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files that are present are verified, and not downloaded."""
    assert 0 == main(["fetch", "--data", str(tiny_directory)], parts=tiny.parts, mirrors=[mirror.url])
    assert [] == mirror.requests
    assert f"MNIST is in {tiny_directory}: 0 files downloaded, 4 verified" in capsys.readouterr().out


def test_fetch_shows_each_file(tiny: TinyMnist, mirror: Mirror, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of the four files has its progress bar."""
    main(["fetch", "--data", "mnist"], parts=tiny.parts, mirrors=[mirror.url])

    printed = capsys.readouterr().out
    assert list(tiny.contents) == [name for name in tiny.contents if name in printed]


def test_evaluate_uses_the_bundled_model_by_default(
    tiny: TinyMnist, tiny_directory: Path, bundled: artifact.Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --model, the served model is evaluated."""
    assert 0 == main(["evaluate", "--data", str(tiny_directory)], parts=tiny.parts)
    assert f"{bundled.network!r}, version {bundled.version}" == capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        pytest.param(["evaluate"], "cache/digits/mnist has no train-images", id="no data by default"),
        pytest.param(["evaluate", "--data", "damaged"], "damaged/train-images-idx3-ubyte.gz cannot be", id="damaged"),
        pytest.param(
            ["evaluate", "--data", "mnist", "--model", "nowhere"], "model nowhere cannot be read", id="no model"
        ),
        pytest.param(
            ["fit", "--recipe", "plain", "--data", "mnist", "--output", "a file/model"],
            "a file/model cannot be written",
            id="no place for the model",
        ),
        pytest.param(
            ["fit", "--data", "mnist", "--output", "a file/model"],
            "a file/model.checkpoint.npz cannot be written",
            id="no place for the checkpoint",
        ),
        pytest.param(["fetch", "--data", "a file"], "cannot write a file: File exists", id="no folder"),
        pytest.param(["fetch", "--data", "new"], "no mirror serves train-images-idx3-ubyte.gz: ", id="no mirror"),
    ],
)
def test_errors_are_one_line(  # noqa: PLR0913, PLR0917 - a command and where it runs
    tiny: TinyMnist,
    tiny_directory: Path,
    mirror: Mirror,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    reason: str,
) -> None:
    """Every error is one line, with exit status 1."""
    assert tmp_path / "mnist" == tiny_directory
    Path("a file").write_text("neither a model nor a folder")
    (tiny.write(Path("damaged")) / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    mirror.answers["train-images-idx3-ubyte.gz"] = responds_with(503)

    status = main(argv, parts=tiny.parts, mirrors=[unreachable(), mirror.url], recipes=RECIPES)

    (line,) = capsys.readouterr().err.splitlines()
    assert 1 == status
    assert line.startswith("digits-train: ")
    assert reason in line


@pytest.mark.usefixtures("_ctrl_c")
def test_interrupted_fetch_leaves_no_partial_file(
    tiny: TinyMnist, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while downloading ends the command with 130 and one line. Complete files stay."""
    folder = tmp_path / "mnist"
    released = threading.Event()

    def begun() -> bool:
        return any(path.stat().st_size for path in folder.glob(".t10k-images*"))

    mirror.answers["t10k-images-idx3-ubyte.gz"] = interrupts(begun, released)

    status = main(["fetch", "--data", "mnist"], parts=tiny.parts, mirrors=[mirror.url])
    released.set()

    assert 130 == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-train: interrupted; no file is partially written")
    assert ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"] == sorted(
        path.name for path in folder.iterdir()
    )


def test_help_names_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of `fit` has the purpose of each recipe."""
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help"])

    printed = " ".join(capsys.readouterr().out.split())
    assert 0 == ended.value.code
    assert "lecture: exactly the fit of the lecture" in printed
    assert "quick: a good network" in printed


@pytest.mark.parametrize("argv", [[], ["fit", "--recipe", "nonsense"]])
def test_wrong_usage_is_explained(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A missing command, or an unknown recipe, ends with status 2 and the usage."""
    with pytest.raises(SystemExit) as ended:
        main(argv)

    assert 2 == ended.value.code
    assert capsys.readouterr().err.startswith("usage: digits-train")


def test_module_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m training` is `digits-train`, with its exit status."""
    monkeypatch.setattr(sys, "argv", ["digits-train", "evaluate", "--data", "nowhere"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("training", run_name="__main__")

    assert 1 == ended.value.code
    assert capsys.readouterr().err.startswith("digits-train: nowhere has no ")


def test_importing_the_module_runs_nothing() -> None:
    """The worker process of a fit imports `training.__main__`, and must not run the command."""
    assert "main" in runpy.run_module("training", run_name="__mp_main__")


def test_commands_start_without_scikit_learn() -> None:
    """The import of scikit-learn takes a second, so `training.cli` does not import it."""
    code = "import sys, training.cli; print('sklearn' in sys.modules)"

    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "False" == finished.stdout.strip()
