"""The command `digits-train`, from the shell's point of view: what it prints, writes and returns."""

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
from tests.training.mirrors import Mirror, interrupts, refuses, unreachable
from tests.training.tiny import BENT, PLAIN, SCHEDULE, InterruptedSchedule, TinyMnist
from training import checkpoints, fit_time, mnist
from training.cli import main

ROOT = Path(__file__).parents[2]
RECIPES = {"quick": BENT, "plain": PLAIN}


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder of the test's own, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def _ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, even where the shell that runs the tests has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_fetch_fit_and_evaluate(
    tiny: TinyMnist, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From nothing to a model that is measured, with the defaults of every command, in three commands."""
    cache = tmp_path / "cache" / "digits" / "mnist"

    assert 0 == main(["fetch"], parts=tiny.parts, mirrors=[mirror.url])
    assert f"MNIST is in {cache}: 4 files downloaded, 4 verified" == capsys.readouterr().out.splitlines()[-1]

    assert 0 == main(["fit"], parts=tiny.parts, recipes=RECIPES)
    *_, training, validation, test, written = capsys.readouterr().out.splitlines()
    model = artifact.load(tmp_path / "bent.safetensors")
    figures = model.metadata.figures
    assert f"training accuracy {figures['training_accuracy']:.4f}" == training
    assert f"validation accuracy {figures['validation_accuracy']:.4f}" == validation
    assert f"test accuracy {figures['test_accuracy']:.4f}" == test
    assert f"{model.network!r}, version {model.version}, is in bent.safetensors" == written
    assert tiny.parts["test_images"].sha256 == model.metadata.training.data["t10k-images-idx3-ubyte"]

    assert 0 == main(["evaluate", "--model", "bent.safetensors"], parts=tiny.parts)
    described, measured = capsys.readouterr().out.splitlines()
    wrong = round(60 * (1 - figures["test_accuracy"]))
    start = f"error on the 60 MNIST test digits: {wrong / 60:.2%} ({wrong} of 60; "
    assert f"{model.network!r}, version {model.version}" == described
    assert start == measured[: len(start)]


def test_bent_fit_shows_its_epochs(
    tiny: TinyMnist, tiny_directory: Path, packed: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """Progress ends at the last epoch, with loss and validation error, and the same fit writes the same model."""
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
    """Return what the command's fits with the default recipe are known by."""
    return checkpoints.fingerprint(BENT, mnist.checksums(tiny.parts))


def test_interrupted_fit_goes_on(
    tiny: TinyMnist, tiny_directory: Path, packed: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends a fit with 130 and one line; its checkpoint stays, and with it the fit ends in the same model."""
    output, checkpoint = Path("m.safetensors"), Path("m.safetensors.checkpoint.npz")
    interrupted = replace(BENT, schedule=InterruptedSchedule(**vars(SCHEDULE)))

    status = main(fit_command(tiny_directory, output), parts=tiny.parts, recipes={"quick": interrupted})

    assert 130 == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-train: interrupted; no file is left half-written")
    assert "--resume" in line
    assert [checkpoint] == sorted(path for path in Path().iterdir() if path.is_file())
    assert 3 == len(checkpoints.load(checkpoint, fingerprint(tiny)).losses)

    assert 0 == main(fit_command(tiny_directory, output, "--resume"), parts=tiny.parts, recipes=RECIPES)
    assert packed.to_bytes() == output.read_bytes()
    assert [output.with_suffix(".fit.json"), output] == sorted(path for path in Path().iterdir() if path.is_file())


def test_resumed_fit_starts_at_its_checkpoint(tiny: TinyMnist, tiny_directory: Path, bent_fit: Reported) -> None:
    """What was done before the interruption is not done again: its history is the checkpoint's."""
    output = Path("m.safetensors")
    earlier = replace(bent_fit.checkpoints[2], losses=[7.0, 8.0, 9.0], seconds=600.0)
    checkpoints.save(Path("m.safetensors.checkpoint.npz"), earlier, fingerprint(tiny))

    assert 0 == main(fit_command(tiny_directory, output, "--resume"), parts=tiny.parts, recipes=RECIPES)

    resumed = artifact.load(output)
    assert [7.0, 8.0, 9.0] == resumed.metadata.training.losses[:3]
    assert (4, 10) == (len(resumed.metadata.training.losses), fit_time.minutes(output, resumed))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--output", "none"], "none.checkpoint.npz does not exist: there is nothing to resume"),
        (["--recipe", "plain", "--output", "none"], "none.checkpoint.npz does not exist: there is nothing to resume"),
        ([], "bent.safetensors.checkpoint.npz is of a fit with another recipe, seed or data"),
        (["--output", "damaged"], "damaged.checkpoint.npz is damaged"),
    ],
    ids=["no checkpoint", "a recipe without any", "of another fit", "damaged"],
)
def test_checkpoint_that_cannot_be_gone_on_with_is_one_line(
    tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    """Without a checkpoint of this very fit there is nothing to go on with; one line says so, and nothing is lost."""
    checkpoints.save(Path("bent.safetensors.checkpoint.npz"), checkpoints.START, "another fit")
    Path("damaged.checkpoint.npz").write_bytes(b"damaged")
    before = sorted(Path().iterdir())

    status = main(["fit", "--resume", "--data", str(tiny_directory), *options], parts=tiny.parts, recipes=RECIPES)

    (line,) = capsys.readouterr().err.splitlines()
    assert 1 == status
    assert line.startswith(f"digits-train: {reason}")
    assert before == sorted(Path().iterdir())


def test_plain_fit_writes_where_it_is_told(
    tiny: TinyMnist, tiny_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recipe is chosen by name, shows scikit-learn's iterations, and its model goes to the file that is named."""
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
    """What is there is verified and not downloaded again."""
    assert 0 == main(["fetch", "--data", str(tiny_directory)], parts=tiny.parts, mirrors=[mirror.url])
    assert [] == mirror.requests
    assert f"MNIST is in {tiny_directory}: 0 files downloaded, 4 verified" in capsys.readouterr().out


def test_fetch_shows_each_file(tiny: TinyMnist, mirror: Mirror, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of the four files has its bar."""
    main(["fetch", "--data", "mnist"], parts=tiny.parts, mirrors=[mirror.url])

    printed = capsys.readouterr().out
    assert list(tiny.contents) == [name for name in tiny.contents if name in printed]


def test_evaluate_measures_the_served_model_by_default(
    tiny: TinyMnist, tiny_directory: Path, bundled: artifact.Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a model file, the model that is served is measured."""
    assert 0 == main(["evaluate", "--data", str(tiny_directory)], parts=tiny.parts)
    assert f"{bundled.network!r}, version {bundled.version}" == capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        pytest.param(["fit", "--data", "nowhere"], "nowhere holds no train-images", id="no data"),
        pytest.param(["evaluate"], "cache/digits/mnist holds no train-images", id="no data by default"),
        pytest.param(["evaluate", "--data", "damaged"], "damaged/train-images-idx3-ubyte.gz cannot be", id="damaged"),
        pytest.param(
            ["evaluate", "--data", "mnist", "--model", "nowhere"], "model nowhere cannot be read", id="no model"
        ),
        pytest.param(
            ["evaluate", "--data", "mnist", "--model", "a file"], "model a file is not a model", id="foreign model"
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
    """Whatever is wrong is said in one line, and the command fails."""
    assert tmp_path / "mnist" == tiny_directory
    Path("a file").write_text("neither a model nor a folder")
    (tiny.write(Path("damaged")) / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    mirror.answers["train-images-idx3-ubyte.gz"] = refuses(503)

    status = main(argv, parts=tiny.parts, mirrors=[unreachable(), mirror.url], recipes=RECIPES)

    (line,) = capsys.readouterr().err.splitlines()
    assert 1 == status
    assert line.startswith("digits-train: ")
    assert reason in line


@pytest.mark.usefixtures("_ctrl_c")
def test_interrupted_fetch_leaves_nothing_half_written(
    tiny: TinyMnist, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of a file ends the command with 130 and one line; whole files stay."""
    folder = tmp_path / "mnist"
    released = threading.Event()

    def begun() -> bool:
        return any(path.stat().st_size for path in folder.glob(".t10k-images*"))

    mirror.answers["t10k-images-idx3-ubyte.gz"] = interrupts(begun, released)

    status = main(["fetch", "--data", "mnist"], parts=tiny.parts, mirrors=[mirror.url])
    released.set()

    assert 130 == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-train: interrupted; no file is left half-written")
    assert ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"] == sorted(
        path.name for path in folder.iterdir()
    )


def test_help_names_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of `fit` says what each recipe is for."""
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help"])

    printed = " ".join(capsys.readouterr().out.split())
    assert 0 == ended.value.code
    assert "lecture: the fit of the lecture" in printed
    assert "quick: a good network" in printed


@pytest.mark.parametrize("argv", [[], ["fit", "--recipe", "nonsense"], ["nonsense"]])
def test_wrong_usage_is_explained(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command that does not exist, or a recipe, ends with 2 and the usage."""
    with pytest.raises(SystemExit) as ended:
        main(argv)

    assert 2 == ended.value.code
    assert capsys.readouterr().err.startswith("usage: digits-train")


def test_module_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m training` is `digits-train`, and its status that of the command."""
    monkeypatch.setattr(sys, "argv", ["digits-train", "evaluate", "--data", "nowhere"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("training", run_name="__main__")

    assert 1 == ended.value.code
    assert capsys.readouterr().err.startswith("digits-train: nowhere holds no ")


def test_importing_the_module_runs_nothing() -> None:
    """The process that bends digits imports `training.__main__` too, and must not start the command again."""
    assert "main" in runpy.run_module("training", run_name="__mp_main__")


def test_commands_start_without_scikit_learn() -> None:
    """The command itself imports no scikit-learn, which takes a second."""
    code = "import sys, training.cli; print('sklearn' in sys.modules)"

    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "False" == finished.stdout.strip()


def test_lecture_is_reproduced_to_the_digit(mnist_directory: Path) -> None:
    """The lecture's recipe on the real MNIST scores 0.9868 on the training and 0.9700 on the test digits."""
    assert 0 == main(["fit", "--recipe", "lecture", "--data", str(mnist_directory)])

    figures = artifact.load(Path("lecture.safetensors")).metadata.figures
    assert pytest.approx({"training_accuracy": 0.9868, "test_accuracy": 0.9700}, abs=1e-3) == figures
