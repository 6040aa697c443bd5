"""A report contains the measured figures of a model, and is stored as JSON and PNG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import confusion_matrix, log_loss

from service.classifier import Classifier
from service.errors import NoInk
from service.model.artifact import Artifact
from service.model.verdict import Verdict
from tests.pictures import encode
from tests.training.conftest import Reported
from tests.training.reports import N_NEGATIVES, quick_reports
from tests.training.tiny import TinyMnist, draw_digits
from training import report
from training.corruptions import CORRUPTIONS
from training.errors import TrainingError
from training.evaluation import Error, evaluate
from training.mnist import Digits
from training.reliability import bins, brier_score, calibration_error_by_chance, expected_calibration_error
from training.report import N_STEPS, corrupted_error, measure, not_clear, reference, save

KINDS = ["figures", "scribbles", "several digits", "turned digits", "blobs", "noise", "stripes"]
N_TEST = 40
# Fewer than there are test digits, so that they are sampled.
N_CORRUPTED = 13


@dataclass(frozen=True, eq=False)
class Made:
    """A report, its figures, the reported progress, and the folder where it is saved."""

    facts: dict[str, Any]
    plots: dict[str, Figure]
    progress: Sequence[str]
    directory: Path


@pytest.fixture(scope="module")
def test_digits(tiny: TinyMnist) -> Digits:
    """Return some test digits, two of them mislabelled, so that there are errors."""
    some = tiny.digits.test[:N_TEST]
    return Digits(some.images, np.where(np.arange(N_TEST) < 2, 5, some.labels))


@pytest.fixture(scope="module")
def made(
    packed: Artifact, packed_plain: Artifact, test_digits: Digits, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    """Return the report of the network fitted with augmentation, with the lecture's as baseline."""
    progress: list[str] = []
    with quick_reports(N_CORRUPTED):
        facts, plots = measure(packed, packed_plain, test_digits, progress.append)
    directory = tmp_path_factory.mktemp("reports") / "new" / "report"
    save(directory, facts, plots)
    return Made(facts, plots, progress, directory)


def with_calibration(model: Artifact, **update: float | None) -> Artifact:
    """Return the model with a changed calibration."""
    calibration = model.metadata.calibration.model_copy(update=update)
    return replace(model, metadata=model.metadata.model_copy(update={"calibration": calibration}))


def test_report_names_the_model(packed: Artifact, made: Made) -> None:
    """The report has the name and the version of the model."""
    assert {"name": packed.metadata.name, "version": packed.version} == made.facts["model"]


def test_errors_are_those_of_scikit_learn(augmented_fit: Reported, test_digits: Digits, made: Made) -> None:
    """Error, errors by digit and confusion matrix are those of MLPClassifier's predictions."""
    answers = augmented_fit.fitted.classifier.predict(test_digits.images.reshape(-1, 784).astype(np.float32) / 255)
    wrong = answers != test_digits.labels
    error = Error(int(wrong.sum()), N_TEST)

    test = made.facts["test"]

    assert (error.wrong, error.n, error.rate, list(error.interval)) == (
        test["wrong"],
        test["n"],
        test["error"],
        test["interval"],
    )
    assert test["wrong"] >= 2
    assert confusion_matrix(test_digits.labels, answers, labels=range(10)).tolist() == test["confusion"]
    assert {str(digit): int(np.sum(wrong[test_digits.labels == digit])) for digit in range(10)} == {
        digit: row["wrong"] for digit, row in test["by_digit"].items()
    }
    assert {str(digit): int(np.sum(test_digits.labels == digit)) for digit in range(10)} == {
        digit: row["n"] for digit, row in test["by_digit"].items()
    }


def test_reliability_bins_are_of_the_served_probabilities(packed: Artifact, test_digits: Digits, made: Made) -> None:
    """The report has the bins of the reliability diagram."""
    expected = [asdict(one) for one in bins(evaluate(Classifier(packed), test_digits))]

    assert expected == made.facts["reliability"]


def test_reference_describes_the_answers(packed: Artifact, test_digits: Digits, made: Made) -> None:
    """Monitoring compares with the mean confidence, the mean OOD score and the share of each digit."""
    predictions = Classifier(packed).predict_pixels(test_digits.images)
    reference = made.facts["reference"]

    assert pytest.approx(np.mean([one.confidence for one in predictions])) == reference["confidence"]
    assert pytest.approx(np.mean([one.novelty for one in predictions])) == reference["novelty"]
    assert {str(digit): sum(one.digit == digit for one in predictions) / N_TEST for digit in range(10)} == (
        pytest.approx(reference["digits"])
    )


def test_reference_of_a_model_without_ood_detector(packed_plain: Artifact, test_digits: Digits) -> None:
    """It has no OOD score."""
    assert reference(evaluate(Classifier(packed_plain), test_digits))["novelty"] is None


def test_probabilities_are_scored_before_and_after_the_temperature(
    packed: Artifact, augmented_fit: Reported, test_digits: Digits, made: Made
) -> None:
    """Before temperature scaling they are those of predict_proba, after it the served ones."""
    plain = augmented_fit.fitted.classifier.predict_proba(test_digits.images.reshape(-1, 784).astype(np.float32) / 255)
    served = evaluate(Classifier(packed), test_digits)

    found = made.facts["probabilities"]

    before, after = found["before_temperature"], found["after_temperature"]
    assert packed.metadata.calibration.temperature == found["temperature"] != 1
    assert pytest.approx(log_loss(test_digits.labels, plain), rel=1e-4) == before["negative_log_likelihood"]
    expected = log_loss(test_digits.labels, served.probabilities)
    assert pytest.approx(expected, rel=1e-4) == after["negative_log_likelihood"]
    assert before["negative_log_likelihood"] != after["negative_log_likelihood"]
    uncalibrated = evaluate(Classifier(with_calibration(packed, temperature=1.0)), test_digits)
    with quick_reports():
        for answers, scores in ((uncalibrated, before), (served, after)):
            mean, limit = calibration_error_by_chance(answers)
            assert {
                "negative_log_likelihood": scores["negative_log_likelihood"],
                "brier_score": brier_score(answers),
                "expected_calibration_error": expected_calibration_error(answers),
                "expected_calibration_error_by_chance": mean,
                "expected_calibration_error_by_chance_95": limit,
            } == scores


def test_verdicts_are_counted(packed: Artifact, test_digits: Digits, made: Made) -> None:
    """The share of `clear` verdicts and the error of these answers are those of the classifier's predictions."""
    predictions = Classifier(packed).predict_pixels(test_digits.images)
    labels = test_digits.labels.tolist()
    clear = [(p.digit, label) for p, label in zip(predictions, labels, strict=True) if p.verdict is Verdict.CLEAR]

    verdict = made.facts["verdict"]

    assert 0 < len(clear) < N_TEST
    assert pytest.approx(len(clear) / N_TEST) == verdict["clear"]
    assert pytest.approx(np.mean([digit != label for digit, label in clear])) == verdict["error_of_clear"]


def test_negatives_are_counted_by_kind(made: Made) -> None:
    """Each kind of negatives has its number of images, and the share of them that is not clear."""
    found = made.facts["verdict"]["not_clear_of_what_is_no_digit"]

    assert KINDS == list(found)
    for kind, share in found.items():
        n = N_NEGATIVES * {"figures": 4, "scribbles": 2, "several digits": 2}.get(kind, 1)
        assert 0 <= share <= 1
        assert pytest.approx(round(share * n)) == share * n
    assert len(set(found.values())) > 1


def test_every_corruption_has_its_errors(made: Made) -> None:
    """Each corruption has the errors of model and baseline on a sample of the digits, and the report their means."""
    found = made.facts["corruptions"]

    assert list(CORRUPTIONS) == list(found)
    for row in found.values():
        assert {"error", "baseline_error"} == set(row)
        for share in row.values():
            assert 0 <= share <= 1
            assert pytest.approx(round(share * N_CORRUPTED)) == share * N_CORRUPTED
    assert pytest.approx(np.mean([row["error"] for row in found.values()])) == made.facts["mean_corrupted_error"]
    assert (
        pytest.approx(np.mean([row["baseline_error"] for row in found.values()]))
        == made.facts["mean_corrupted_baseline_error"]
    )
    assert any(row["error"] != row["baseline_error"] for row in found.values())


def test_corrupted_digits_are_the_test_digits(
    monkeypatch: pytest.MonkeyPatch, packed: Artifact, packed_plain: Artifact, test_digits: Digits
) -> None:
    """With a sample as large as the test set, the errors are those on all test digits."""
    kinds = ("rotation", "stripes")
    monkeypatch.setattr(report, "CORRUPTIONS", {kind: CORRUPTIONS[kind] for kind in kinds})
    some = test_digits[:12]
    with quick_reports(n_corrupted=12):
        facts, _ = measure(packed, packed_plain, some)

    expected = {
        kind: {
            "error": corrupted_error(Classifier(packed), some, kind).rate,
            "baseline_error": corrupted_error(Classifier(packed_plain), some, kind).rate,
        }
        for kind in kinds
    }
    assert expected == facts["corruptions"]
    assert any(row["error"] != row["baseline_error"] for row in expected.values())


def test_progress_is_reported(made: Made) -> None:
    """`progress` is called before each step."""
    corruptions = [f"digits with {name}" for name in CORRUPTIONS]
    expected = ["test digits", "out-of-distribution images", "pictures of two digits", *corruptions, "rows of digits"]

    assert expected == made.progress
    assert len(expected) == N_STEPS


def test_figures_show_the_model(packed: Artifact, test_digits: Digits, made: Made) -> None:
    """There are six figures, with the learning curves, errors, weights and reliability of the model."""
    assert ["weights", "learning", "confusion", "reliability", "coverage", "misread"] == list(made.plots)
    loss, error = made.plots["learning"].axes[0].get_lines()
    assert packed.metadata.training.losses == np.asarray(loss.get_ydata()).tolist()
    assert packed.metadata.training.validation_errors == np.asarray(error.get_ydata()).tolist()
    assert made.facts["test"]["wrong"] == sum(len(axes.get_images()) for axes in made.plots["misread"].axes)
    (first, *_) = made.plots["weights"].axes
    expected = packed.network.layers[0].weights[:, 0].reshape(28, 28)
    np.testing.assert_allclose(expected, np.asarray(first.get_images()[0].get_array()))
    above, _ = made.plots["reliability"].axes
    _, *lines = above.get_lines()
    # The first curve is at temperature 1.
    models = (with_calibration(packed, temperature=1.0), packed)
    confidences = [[b.confidence for b in bins(evaluate(Classifier(model), test_digits))] for model in models]
    assert confidences == [np.asarray(line.get_xdata()).tolist() for line in lines]
    assert confidences[0] != confidences[1]


def test_report_is_reproducible(
    made: Made, packed: Artifact, packed_plain: Artifact, test_digits: Digits, tmp_path: Path
) -> None:
    """The same model and digits give the same files, byte for byte, with or without `progress`."""
    with quick_reports(N_CORRUPTED):
        save(tmp_path, *measure(packed, packed_plain, test_digits))

    first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (made.directory, tmp_path)
    )
    assert 7 == len(first)
    assert first == second


def test_report_on_two_classes(packed_plain: Artifact, tiny: TinyMnist) -> None:
    """A model of two digits with a sigmoid head has a report on these digits."""
    layer = packed_plain.network.layers[-1]
    sigmoid = replace(
        layer,
        weights=layer.weights[:, [7]] - layer.weights[:, [3]],
        biases=layer.biases[[7]] - layer.biases[[3]],
        activation="logistic",
    )
    network = replace(packed_plain.network, layers=(*packed_plain.network.layers[:-1], sigmoid), classes=(3, 7))
    model = replace(packed_plain, network=network)

    with quick_reports(n_corrupted=2):
        facts, plots = measure(model, model, tiny.digits.test.only([3, 7]))

    assert ["3", "7"] == list(facts["test"]["by_digit"])
    assert (2, 2) == np.shape(facts["test"]["confusion"])
    assert all(row["error"] == row["baseline_error"] for row in facts["corruptions"].values())
    assert 6 == len(plots)


KIND = draw_digits(6, seed=3).images


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        pytest.param({"novel_from": 0.0}, 1.0, id="all are no digits"),
        pytest.param({"novel_from": None, "ambiguous_below": 1.0}, 1.0, id="all are ambiguous"),
        pytest.param({"novel_from": None, "ambiguous_below": 0.0}, 0.0, id="all are clear"),
    ],
)
def test_not_clear_are_the_other_two_verdicts(
    packed: Artifact, update: dict[str, float | None], expected: float
) -> None:
    """The verdicts `ambiguous` and `not_a_digit` count as not clear, for each kind."""
    classifier = Classifier(with_calibration(packed, **update))

    assert {"some": expected, "others": expected} == not_clear(classifier, {"some": KIND, "others": KIND[:1]})


def test_kind_without_images_is_left_out(packed: Artifact) -> None:
    """A kind without images has no share. The turned digits are such a kind where a model has no 3, 4 or 7."""
    assert ["some"] == list(not_clear(Classifier(packed), {"some": KIND, "none": KIND[:0]}))


def test_not_clear_is_a_share(packed: Artifact) -> None:
    """With half of the images clear, the share is 0.5."""
    confidences = sorted(p.confidence for p in Classifier(packed).predict_pixels(KIND))
    between = (confidences[2] + confidences[3]) / 2
    classifier = Classifier(with_calibration(packed, novel_from=None, ambiguous_below=between))

    assert {"digits": 0.5} == not_clear(classifier, {"digits": KIND})


def test_rejected_picture_is_an_error(packed: Artifact) -> None:
    """A corruption that leaves a blank picture is an error, whatever the label."""
    blank = np.zeros((28, 28), np.uint8)
    digits = Digits(np.stack([blank] * 10), np.arange(10))
    with pytest.raises(NoInk):
        Classifier(packed).predict_picture(encode(blank))

    assert Error(10, 10) == corrupted_error(Classifier(packed), digits, "shift")


def test_corrupted_digits_are_sent_as_pictures(packed: Artifact) -> None:
    """The answers are those to PNGs, and all digits share one stream of random numbers."""
    digits = draw_digits(20, seed=9)
    classifier, rng = Classifier(packed), np.random.default_rng(20)
    pictures = [encode(CORRUPTIONS["rotation"](image, rng)) for image in digits.images]
    answers = [classifier.predict_picture(picture).digit for picture in pictures]

    assert Error(0, 20) == corrupted_error(classifier, Digits(digits.images, np.array(answers)), "rotation")
    others = np.where(np.arange(20) < 7, (np.array(answers) + 1) % 10, answers)
    assert Error(7, 20) == corrupted_error(classifier, Digits(digits.images, others), "rotation")


def test_saved_report_is_json(made: Made) -> None:
    """`report.json` contains all facts, rounded, without NaN and infinity."""
    text = (made.directory / "report.json").read_text()

    stored = json.loads(text, parse_constant=pytest.fail)

    assert text.endswith("}\n")
    assert set(made.facts) == set(stored)
    assert made.facts["test"]["confusion"] == stored["test"]["confusion"]
    assert round(made.facts["mean_corrupted_error"], 6) == stored["mean_corrupted_error"]
    assert [round(end, 6) for end in made.facts["test"]["interval"]] == stored["test"]["interval"]


def test_floats_are_rounded_at_any_depth(tmp_path: Path) -> None:
    """Floats in dictionaries and lists are rounded, other values are unchanged."""
    facts = {"a": 1 / 3, "b": {"c": [2 / 3, 7, "1.23456789"]}, "d": None, "e": [{"f": 1e-9}], "g": True}

    save(tmp_path, facts, {})

    expected = {"a": 0.333333, "b": {"c": [0.666667, 7, "1.23456789"]}, "d": None, "e": [{"f": 0.0}], "g": True}
    assert expected == json.loads((tmp_path / "report.json").read_text())


def test_figures_are_saved_as_png(made: Made) -> None:
    """Each figure is a PNG by its name, without the version of matplotlib."""
    names = sorted(["report.json", *[f"{name}.png" for name in made.plots]])

    assert names == sorted(path.name for path in made.directory.iterdir())
    for name, figure in made.plots.items():
        with Image.open(made.directory / f"{name}.png") as image:
            assert ("PNG", figure.get_size_inches().tolist()) == (image.format, [side / 100 for side in image.size])
            assert "Software" not in image.info


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """The error names the file that cannot be written."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(TrainingError, match=f"{tmp_path}/taken/report.json cannot be written: ") as caught:
        save(tmp_path / "taken", {}, {})

    assert isinstance(caught.value.__cause__, OSError)


def test_figure_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The error names the figure in whose place there is a folder."""
    (tmp_path / "weights.png").mkdir()

    with pytest.raises(TrainingError, match=f"{tmp_path}/weights.png cannot be written: Is a directory"):
        save(tmp_path, {}, {"weights": Figure()})
