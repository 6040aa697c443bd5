"""The commands of `digits-train` that evaluate, convert and study models."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from matplotlib.figure import Figure
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.classifier import Classifier
from service.model import artifact
from service.model.artifact import Artifact
from service.types import FloatArray
from tests.conftest import make_metadata, make_network
from tests.pictures import draw, encode
from tests.training.reports import quick_reports
from tests.training.tiny import AUGMENTED, PLAIN, SCHEDULE, TinyMnist
from training import alpha, checkpoints, higham, mnist, report
from training.cli import main
from training.corruptions import CORRUPTIONS
from training.evaluation import evaluate
from training.export import fold_input_scale, to_classifier
from training.fitting import fit
from training.interchange import from_skops
from training.mnist import Digits
from training.recipes import LECTURE

pytestmark = pytest.mark.slow

RECIPES = {"quick": AUGMENTED, "plain": PLAIN}
# For two digits, of which the tiny MNIST has forty.
FEW = replace(AUGMENTED, name="few", schedule=replace(SCHEDULE, epochs=2, n_validation=10))


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in a temporary folder, with its own cache and quick reports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with quick_reports():
        yield


@pytest.fixture(scope="module")
def model(packed: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the network that was fitted with augmentation."""
    path = tmp_path_factory.mktemp("models") / "packed.safetensors"
    artifact.save(path, packed.network, packed.metadata, packed.detector, packed.segment_detector)
    return path


@pytest.fixture(scope="module")
def inputs(tiny: TinyMnist) -> FloatArray:
    """Return the test digits as inputs."""
    scaled: FloatArray = tiny.digits.test.images.reshape(-1, 784).astype(np.float32) / np.float32(255)
    return scaled


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line of an error."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("digits-train: ")
    return line.removeprefix("digits-train: ")


def test_two_digits_are_fitted_with_one_sigmoid(
    tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For two classes, in any order, the head is one sigmoid unit, and the evaluation is on these classes."""
    command = ["fit", "--recipe", "plain", "--data", str(tiny_directory), "--classes", "8", "3", "8"]

    assert 0 == main(command, parts=tiny.parts, recipes=RECIPES)

    *_, test, written, detector = capsys.readouterr().out.splitlines()
    assert "it has no OOD detector: it answers every picture with one of its digits, never `not_a_digit`" == detector
    fitted = artifact.load(Path("plain-3-8.safetensors"))
    chosen = tiny.digits.test.only([3, 8])
    assert "Network(784 -> 12 relu -> 1 logistic)" == repr(fitted.network)
    assert ((3, 8), [3, 8]) == (fitted.network.classes, fitted.metadata.classes)
    assert f"test accuracy {1 - evaluate(Classifier(fitted), chosen).error.rate:.4f}" == test
    assert written.endswith(", is in plain-3-8.safetensors")
    assert fitted.metadata.figures["training_accuracy"] > 0.8

    assert 0 == main(["evaluate", "--model", "plain-3-8.safetensors", "--data", str(tiny_directory)], parts=tiny.parts)
    assert "error on the 12 MNIST test digits: " in capsys.readouterr().out


def test_model_has_the_name_that_is_given(
    tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--name` names the model; what cannot stand in a URL is refused before the fit."""
    command = ["fit", "--recipe", "plain", "--data", str(tiny_directory), "--output", "named.safetensors", "--name"]

    assert 0 == main([*command, "our-digits_2"], parts=tiny.parts, recipes=RECIPES)
    assert "our-digits_2" == artifact.load(Path("named.safetensors")).metadata.name

    with pytest.raises(SystemExit):
        main([*command, "our/digits"], parts=tiny.parts, recipes=RECIPES)
    assert "a model's name has letters, digits, `.`, `_` and `-`" in capsys.readouterr().err


def test_fit_on_some_classes_has_its_own_checkpoint(
    tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint of other classes is rejected; the fit has an OOD detector."""
    command = ["fit", "--recipe", "few", "--data", str(tiny_directory), "--classes", "3", "7"]
    other = checkpoints.fingerprint(FEW, mnist.checksums(tiny.parts), [3, 8])
    checkpoints.save(Path("few-3-7.safetensors.checkpoint.npz"), checkpoints.INITIAL, other)

    assert 1 == main([*command, "--resume"], parts=tiny.parts, recipes={"few": FEW, "quick": AUGMENTED})
    assert error_line(capsys).startswith("few-3-7.safetensors.checkpoint.npz is of a fit with another recipe")

    own = checkpoints.fingerprint(FEW, mnist.checksums(tiny.parts), [3, 7])
    checkpoints.save(Path("few-3-7.safetensors.checkpoint.npz"), checkpoints.INITIAL, own)
    assert 0 == main([*command, "--resume"], parts=tiny.parts, recipes={"few": FEW, "quick": AUGMENTED})
    fitted = artifact.load(Path("few-3-7.safetensors"))
    assert fitted.detector is not None
    assert ((3, 7), "logistic") == (fitted.network.classes, fitted.network.head)
    written = {path.name for path in Path().iterdir() if path.is_file()}
    assert {"few-3-7.safetensors", "few-3-7.fit.json"} == written


def test_single_class_is_an_error(tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One class, even if named twice, is an error in one line, and nothing is written."""
    command = ["fit", "--data", str(tiny_directory), "--classes", "4", "4"]

    assert 1 == main(command, parts=tiny.parts, recipes=RECIPES)

    assert "--classes 4 is a single class: give two digits or more" == error_line(capsys)
    assert [tiny_directory.name] == [path.name for path in Path().iterdir()]


def test_classes_are_digits(capsys: pytest.CaptureFixture[str]) -> None:
    """Classes are 0 to 9."""
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--classes", "3", "10"])

    assert 2 == ended.value.code
    assert "argument --classes: invalid choice: 10" in capsys.readouterr().err


def test_pictures_without_digits_have_their_own_lines(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For negatives, the rate of `clear` verdicts is printed by folder."""
    for name in ("photos/7_a.png", "letters/A_a.png", "letters/B_a.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(encode(draw(7)))
    Path("letters/C_a.png").write_bytes(encode(draw(7, ink=255)))

    assert 0 == main(["evaluate", "--model", str(model), "--pictures", "."])

    lines = capsys.readouterr().out.splitlines()
    answer = Classifier.load(model).predict_picture(encode(draw(7)))
    taken = 2 if answer.verdict == "clear" else 0
    assert lines[1].startswith("photos ")
    start = f"{'letters':<32} no digits, verdict clear: {taken / 3:.2%} ({taken} of 3; "
    assert start == lines[2][: len(start)]
    assert lines[3].startswith("macro average over 1 folders: ")


def test_reading_is_fitted_anew(
    model: Path, packed: Artifact, tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model file has the same network, and a segment detector and calibration that can be served."""
    command = ["refit-reading", "--data", str(tiny_directory), "--model", str(model), "--output", "new.safetensors"]

    assert 0 == main(command, parts=tiny.parts)

    written = artifact.load(Path("new.safetensors"))
    assert f"{written.network!r}, version {written.version}, is in new.safetensors\n" == capsys.readouterr().out
    for one, other in zip(packed.network.layers, written.network.layers, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
    assert repr(packed.segment_detector) == repr(written.segment_detector)
    assert packed.metadata.figures == written.metadata.figures
    assert packed.metadata.training.settings["schedule"]["n_validation"] == SCHEDULE.n_validation


def test_reading_of_a_model_without_a_schedule(
    packed_plain: Artifact, tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is one line, and no file is written."""
    artifact.save(Path("plain.safetensors"), packed_plain.network, packed_plain.metadata)
    command = ["refit-reading", "--data", str(tiny_directory), "--model", "plain.safetensors", "--output", "new"]

    assert 1 == main(command, parts=tiny.parts)

    assert error_line(capsys)
    assert not Path("new").exists()


def test_report_is_written_with_its_card(
    tiny: TinyMnist, tiny_directory: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes report, figures and card, and every link of the card is a file."""
    command = ["report", "--data", str(tiny_directory), "--model", str(model)]

    assert 0 == main([*command, "--output", "new/report", "--card", "new/README.md"], parts=tiny.parts)

    *_, measured, where, card = capsys.readouterr().out.splitlines()
    packed = artifact.load(model)
    error = evaluate(Classifier(packed), tiny.digits.test).error
    facts, text = json.loads(Path("new/report/report.json").read_text()), Path("new/README.md").read_text()
    assert f"error on the 60 MNIST test digits: {error.rate:.2%}" == measured
    assert "6 figures and report.json are in new/report" == where
    assert "the model card is new/README.md" == card
    assert (error.wrong, packed.version) == (facts["test"]["wrong"], facts["model"]["version"])
    assert list(CORRUPTIONS) == list(facts["corruptions"])
    assert f"version `{packed.version}`" in text
    assert f"{model.stat().st_size / 1e6:.1f} MB" in text
    links = re.findall(r"\]\((.*?)\)", text)
    assert 6 == len(links)
    assert all((Path("new") / link).is_file() for link in links)


@dataclass
class FakeReport:
    """A replacement of `training.report.measure` that records its arguments."""

    calls: list[tuple[Artifact, Artifact, Digits]] = field(default_factory=list)

    def measure(
        self,
        model: Artifact,
        baseline: Artifact,
        test: Digits,
        progress: Callable[[str], None],
        fit_minutes: int | None,  # noqa: ARG002 - as `measure` has it
    ) -> tuple[dict[str, Any], dict[str, Figure]]:
        """Record the arguments and return facts of a minimal report."""
        progress("digits with rain")
        self.calls.append((model, baseline, test))
        return {"test": {"error": 0.25}}, {"rain": Figure()}


@pytest.fixture
def report_calls(monkeypatch: pytest.MonkeyPatch) -> FakeReport:
    """Return the replacement, installed."""
    fake = FakeReport()
    monkeypatch.setattr(report, "measure", fake.measure)
    return fake


def test_baseline_of_the_report_is_the_lectures_network(
    report_calls: FakeReport, tiny: TinyMnist, tiny_directory: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is on the test digits. Without --card no card is written."""
    assert 0 == main(["report", "--data", str(tiny_directory), "--model", str(model)], parts=tiny.parts)

    ((measured, baseline, test),) = report_calls.calls
    assert artifact.load(model).version == measured.version
    lecture = fit(LECTURE, tiny.digits.train, lambda *_: None).classifier
    np.testing.assert_array_equal(lecture.coefs_[0].astype(np.float32), baseline.network.layers[0].weights)
    np.testing.assert_array_equal(tiny.digits.test.images, test.images)
    printed = capsys.readouterr().out
    assert "error on the 60 MNIST test digits: 25.00%\n1 figures and report.json are in report\n" in printed
    assert "model card" not in printed
    assert ["rain.png", "report.json"] == sorted(path.name for path in Path("report").iterdir())
    assert {"report", tiny_directory.name} == {path.name for path in Path().iterdir()}


def test_report_on_two_classes(report_calls: FakeReport, tiny: TinyMnist, tiny_directory: Path) -> None:
    """For a model of two digits, test digits and baseline are of these classes."""
    data = ["--data", str(tiny_directory)]
    main(["fit", "--recipe", "plain", "--classes", "3", "7", *data], parts=tiny.parts, recipes=RECIPES)

    assert 0 == main(["report", "--model", "plain-3-7.safetensors", *data], parts=tiny.parts)

    ((_, baseline, test),) = report_calls.calls
    assert (3, 7) == baseline.network.classes
    assert [3, 7] * 6 == test.labels.tolist()


def test_onnx_gives_the_served_probabilities(
    model: Path, inputs: FloatArray, capsys: pytest.CaptureFixture[str]
) -> None:
    """An ONNX export returns the calibrated probabilities for pixels 0..1."""
    assert 0 == main(["export", "--model", str(model), "--output", "new/model.onnx"])

    packed = artifact.load(model)
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime has no wheels for this Python")
    session = onnxruntime.InferenceSession(Path("new/model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"X": inputs})
    np.testing.assert_allclose(packed.answer(inputs)[0], probabilities, atol=1e-4)
    assert packed.metadata.calibration.temperature != 1
    (printed,) = capsys.readouterr().out.splitlines()
    assert printed.startswith(f"{packed.network!r} is in new/model.onnx: inputs are pixels 0..1")


def test_skops_gives_the_served_probabilities(model: Path, inputs: FloatArray) -> None:
    """A skops export is an MLPClassifier with the calibrated probabilities."""
    assert 0 == main(["export", "--model", str(model), "--output", "model.skops"])

    packed, classifier = artifact.load(model), from_skops(Path("model.skops")).classifier
    np.testing.assert_allclose(packed.answer(inputs)[0], classifier.predict_proba(inputs), atol=1e-4)


def test_export_as_safetensors_is_a_copy(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The copy is equal byte for byte, OOD detector included."""
    assert 0 == main(["export", "--model", str(model), "--output", "copy.safetensors"])

    assert model.read_bytes() == Path("copy.safetensors").read_bytes()
    version = artifact.load(model).version
    assert f"version {version}, is in copy.safetensors" in capsys.readouterr().out


def fitted_elsewhere(tiny: TinyMnist, *, as_text: bool) -> MLPClassifier:
    """Return a classifier as a reader of the lecture has it, fitted on pixels 0..255."""
    labels = tiny.digits.train.labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MLPClassifier((40,), max_iter=60, random_state=1).fit(
            tiny.digits.train.images.reshape(-1, 784).astype(float), labels.astype(str) if as_text else labels
        )


@pytest.mark.parametrize("as_text", [False, True])
def test_skops_file_becomes_a_model_file(
    tiny: TinyMnist,
    tiny_directory: Path,
    capsys: pytest.CaptureFixture[str],
    as_text: bool,  # noqa: FBT001
) -> None:
    """It is evaluated like any other, with the errors of scikit-learn's predictions."""
    classifier = fitted_elsewhere(tiny, as_text=as_text)
    skops.io.dump(classifier, "mine.skops")
    command = ["export", "--from", "mine.skops", "--largest-input", "255", "--output", "mine.safetensors"]

    assert 0 == main(command)
    assert 0 == main(["evaluate", "--model", "mine.safetensors", "--data", str(tiny_directory)], parts=tiny.parts)

    printed = capsys.readouterr().out.splitlines()
    answers = classifier.predict(tiny.digits.test.images.reshape(-1, 784).astype(float)).astype(int)
    wrong = int(np.sum(answers != tiny.digits.test.labels))
    version = artifact.load(Path("mine.safetensors")).version
    assert f"Network(784 -> 40 relu -> 10 softmax), version {version}, is in mine.safetensors" == printed[0]
    assert f"error on the 60 MNIST test digits: {wrong / 60:.2%} ({wrong} of 60; " in printed[3]
    assert wrong < 30


def test_input_scale_has_to_be_known(tiny: TinyMnist, capsys: pytest.CaptureFixture[str]) -> None:
    """A classifier alone does not know it. With 1, the weights are unchanged."""
    classifier = fitted_elsewhere(tiny, as_text=False)
    skops.io.dump(classifier, "mine.skops")
    command = ["export", "--from", "mine.skops", "--output", "mine.safetensors"]

    assert 1 == main(command)
    assert "add --largest-input 255 for raw pixels, or --largest-input 1 for scaled ones" in error_line(capsys)

    assert 0 == main([*command, "--largest-input", "1"])
    layer = artifact.load(Path("mine.safetensors")).network.layers[0]
    np.testing.assert_array_equal(classifier.coefs_[0].astype(np.float32), layer.weights)


def test_pipeline_becomes_a_model_file(tiny: TinyMnist, capsys: pytest.CaptureFixture[str]) -> None:
    """The scale is that on which its scaler was fitted, and the service answers as the pipeline does."""
    images = tiny.digits.train.images
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline = make_pipeline(StandardScaler(), MLPClassifier((12,), max_iter=20, random_state=1)).fit(
            images.reshape(-1, 784).astype(float), tiny.digits.train.labels.astype(float)
        )
    skops.io.dump(pipeline, "mine.skops")

    assert 0 == main(["export", "--from", "mine.skops", "--output", "mine.safetensors"])

    expected = pipeline.predict_proba(images.reshape(-1, 784).astype(float))
    answers = Classifier.load(Path("mine.safetensors")).predict_pixels(images)
    np.testing.assert_allclose(expected, [answer.probabilities for answer in answers], atol=1e-4)
    assert "its inputs were pixels 0..255, by its StandardScaler" == capsys.readouterr().out.splitlines()[0]


def test_skops_file_becomes_onnx(packed: Artifact, inputs: FloatArray) -> None:
    """The inputs of the ONNX file are 0..1, whatever they were."""
    classifier = to_classifier(fold_input_scale(packed.network, 1 / 255))
    skops.io.dump(classifier, "mine.skops")

    assert 0 == main(["export", "--from", "mine.skops", "--largest-input", "255", "--output", "mine.onnx"])

    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime has no wheels for this Python")
    session = onnxruntime.InferenceSession(Path("mine.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"X": inputs})
    np.testing.assert_allclose(classifier.predict_proba(inputs * np.float32(255)), probabilities, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ["--output", "model.pt"],
            "model.pt must end in .onnx, .skops or .safetensors: the suffix determines the format",
        ),
        (["--output", "a file/model.onnx"], "a file/model.onnx cannot be written: "),
        (["--output", "a file/model.safetensors"], "a file/model.safetensors cannot be written: "),
        (["--from", "nowhere.skops", "--output", "m.onnx"], "nowhere.skops cannot be read: No such file or directory"),
        (["--model", "nowhere", "--output", "m.onnx"], "model nowhere cannot be read: "),
    ],
)
def test_errors_of_export_are_one_line(
    model: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    """Every error is one line, and nothing is written."""
    Path("a file").write_text("neither a model nor a folder")

    assert 1 == main(["export", "--model", str(model), *options])

    assert reason == error_line(capsys)[: len(reason)]
    # Libraries make their cache folders when they are first imported.
    assert {"a file"} == {path.name for path in Path().iterdir()} - {"cache"}


@pytest.mark.usefixtures("report_calls")
def test_card_without_a_schedule_fails_before_the_evaluation(
    packed_plain: Artifact, tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That its card cannot be written is an error before the long evaluation."""
    artifact.save(Path("plain"), packed_plain.network, packed_plain.metadata)
    command = ["report", "--data", str(tiny_directory), "--model", "plain", "--card", "card.md"]

    assert 1 == main(command, parts=tiny.parts)

    assert error_line(capsys).startswith("a model card is written for models that were fitted with a schedule")
    assert not Path("card.md").exists()
    assert not Path("report").exists()


def test_model_without_digit_classes_cannot_be_evaluated(
    tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a test digit of its classes there is nothing to evaluate."""
    network = make_network(5, classes=(11, 12, 13))
    artifact.save(Path("others"), network, make_metadata(network))

    assert 1 == main(["evaluate", "--data", str(tiny_directory), "--model", "others"], parts=tiny.parts)

    assert error_line(capsys).startswith("MNIST's test digits are none of this model's classes, [11, 12, 13]")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "nowhere"], "model nowhere cannot be read: "),
        (["--output", "a file"], "a file/report.json cannot be written: "),
    ],
)
@pytest.mark.usefixtures("report_calls")
def test_errors_of_report_are_one_line(  # noqa: PLR0913, PLR0917 - a command and where it runs
    tiny: TinyMnist,
    tiny_directory: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    reason: str,
) -> None:
    """Every error is one line."""
    Path("a file").write_text("neither a model nor a folder")
    command = ["report", "--data", str(tiny_directory), "--model", str(model), *options]

    assert 1 == main(command, parts=tiny.parts)

    assert reason == error_line(capsys)[: len(reason)]


def test_alpha_study_prints_and_draws(
    tiny: TinyMnist, tiny_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each alpha has its line. Numbers and figures are in the folder."""
    assert 0 == main(["alpha-study", "--data", str(tiny_directory)], parts=tiny.parts)

    *lines, last = capsys.readouterr().out.splitlines()
    effects = json.loads(Path("alpha/report.json").read_text())["effects"]
    assert list(alpha.ALPHAS) == [effect["alpha"] for effect in effects]
    assert [
        f"alpha {effect['alpha']:<8g} training accuracy {effect['training_accuracy']:.2%}, "
        f"validation accuracy {effect['validation_accuracy']:.2%}; norm of the weights {effect['weight_norm']:.2f}"
        for effect in effects
    ] == lines
    assert effects[-1]["weight_norm"] < effects[0]["weight_norm"]
    assert "figures and report.json are in alpha" == last
    assert ["alpha.png", "alpha_boundaries.png", "report.json"] == sorted(p.name for p in Path("alpha").iterdir())


def test_higham_prints_and_draws(capsys: pytest.CaptureFixture[str]) -> None:
    """The result is printed. Numbers and figures are in the folder."""
    assert 0 == main(["higham", "--steps", "1500", "--seed", "2"])

    *_, learned, last = capsys.readouterr().out.splitlines()
    trained = higham.train(1_500, seed=2)
    facts = json.loads(Path("higham/report.json").read_text())
    right = higham.n_correct(trained.parameters)
    assert {"seed": 2, "steps": 1_500, "cost": round(trained.costs[1_500], 6), "right": right} == facts
    assert f"cost {trained.costs[1_500]:.1e}, {right} of 10 points correctly classified" == learned
    assert "figures and report.json are in higham" == last
    assert ["cost.png", "regions.png", "report.json"] == sorted(path.name for path in Path("higham").iterdir())


def test_higham_has_the_papers_steps_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The defaults are a million steps and seed 5."""
    with pytest.raises(SystemExit):
        main(["higham", "--help"])

    text = " ".join(capsys.readouterr().out.split())
    assert "default 1000000, as in the paper" in text
    assert "of the initial parameters and the order of the points; default 5" in text


@pytest.mark.parametrize("options", [["--steps", "0"], ["--seed", "-1"]])
def test_higham_rejects_arguments_out_of_range(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    """Zero steps, or a negative seed, is an error in one line."""
    assert 1 == main(["higham", *options])

    assert "--steps must be 1 or more, --seed 0 or more" == error_line(capsys)
