"""A report says what is true of a model, and can be stored."""

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
from service.model.calibration import Verdict
from tests.pictures import encode
from tests.training.conftest import Reported
from tests.training.reports import N_NEGATIVES, quick_reports
from tests.training.tiny import TinyMnist, draw_digits
from training import report
from training.corruptions import CORRUPTIONS
from training.errors import TrainingError
from training.evaluation import Error, ask
from training.mnist import Digits
from training.reliability import bins, brier_score, chance_calibration_error, expected_calibration_error
from training.report import corrupted_error, measure, not_clear, save

KINDS = ["figures", "scribbles", "several digits", "turned digits", "blobs", "noise", "stripes"]
N_TEST = 40
# Fewer than there are test digits, so that a draw is made.
N_DAMAGED = 7


@dataclass(frozen=True, eq=False)
class Made:
    """A report, its figures, what was said meanwhile, and the folder where it was saved."""

    facts: dict[str, Any]
    drawings: dict[str, Figure]
    progress: Sequence[str]
    directory: Path


@pytest.fixture(scope="module")
def test_digits(tiny: TinyMnist) -> Digits:
    """Return some test digits, two of them mislabelled, so that there are mistakes."""
    some = tiny.digits.test[:N_TEST]
    return Digits(some.images, np.where(np.arange(N_TEST) < 2, 5, some.labels))


@pytest.fixture(scope="module")
def made(
    packed: Artifact, packed_plain: Artifact, test_digits: Digits, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    """Return the report on the network that was fitted on bent digits, beside the lecture's."""
    progress: list[str] = []
    with quick_reports(N_DAMAGED):
        facts, drawings = measure(packed, packed_plain, test_digits, progress.append)
    directory = tmp_path_factory.mktemp("reports") / "new" / "report"
    save(directory, facts, drawings)
    return Made(facts, drawings, progress, directory)


def with_calibration(model: Artifact, **update: float | None) -> Artifact:
    """Return the model with other numbers in its calibration."""
    calibration = model.metadata.calibration.model_copy(update=update)
    return replace(model, metadata=model.metadata.model_copy(update={"calibration": calibration}))


def test_report_names_the_model(packed: Artifact, made: Made) -> None:
    """It belongs to one version of one model."""
    assert {"name": packed.metadata.name, "version": packed.version} == made.facts["model"]


def test_errors_are_those_of_scikit_learn(bent_fit: Reported, test_digits: Digits, made: Made) -> None:
    """What is misread in all, of each digit and for which other, is as MLPClassifier answers."""
    answers = bent_fit.fitted.classifier.predict(test_digits.images.reshape(-1, 784).astype(np.float32) / 255)
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


def test_reliability_is_told_by_confidence(packed: Artifact, test_digits: Digits, made: Made) -> None:
    """The bins of the drawing are in the report as numbers, those of the served probabilities."""
    expected = [asdict(one) for one in bins(ask(Classifier(packed), test_digits))]

    assert expected == made.facts["reliability"]


def test_probabilities_are_scored_before_and_after_the_temperature(
    packed: Artifact, bent_fit: Reported, test_digits: Digits, made: Made
) -> None:
    """Before are those of predict_proba, after those that are served; each has its scores, and those of chance."""
    plain = bent_fit.fitted.classifier.predict_proba(test_digits.images.reshape(-1, 784).astype(np.float32) / 255)
    served = ask(Classifier(packed), test_digits)

    found = made.facts["probabilities"]

    before, after = found["before_temperature"], found["after_temperature"]
    assert packed.metadata.calibration.temperature == found["temperature"] != 1
    assert pytest.approx(log_loss(test_digits.labels, plain), rel=1e-4) == before["negative_log_likelihood"]
    expected = log_loss(test_digits.labels, served.probabilities)
    assert pytest.approx(expected, rel=1e-4) == after["negative_log_likelihood"]
    assert before["negative_log_likelihood"] != after["negative_log_likelihood"]
    uncalibrated = ask(Classifier(with_calibration(packed, temperature=1.0)), test_digits)
    with quick_reports():
        for answers, scores in ((uncalibrated, before), (served, after)):
            mean, limit = chance_calibration_error(answers)
            assert {
                "negative_log_likelihood": scores["negative_log_likelihood"],
                "brier_score": brier_score(answers),
                "expected_calibration_error": expected_calibration_error(answers),
                "expected_calibration_error_by_chance": mean,
                "expected_calibration_error_by_chance_95": limit,
            } == scores


def test_verdicts_are_counted(packed: Artifact, test_digits: Digits, made: Made) -> None:
    """What share is clear, and what share of that is wrong, is counted over the classifier's own answers."""
    predictions = Classifier(packed).predict_pixels(test_digits.images)
    labels = test_digits.labels.tolist()
    clear = [(p.digit, label) for p, label in zip(predictions, labels, strict=True) if p.verdict is Verdict.CLEAR]

    verdict = made.facts["verdict"]

    assert 0 < len(clear) < N_TEST
    assert pytest.approx(len(clear) / N_TEST) == verdict["clear"]
    assert pytest.approx(np.mean([digit != label for digit, label in clear])) == verdict["error_of_clear"]


def test_what_is_no_digit_is_counted_by_kind(made: Made) -> None:
    """Of each kind so many are made as are asked for, three times as many figures, and the share not clear is told."""
    found = made.facts["verdict"]["not_clear_of_what_is_no_digit"]

    assert KINDS == list(found)
    for kind, share in found.items():
        n = N_NEGATIVES * {"figures": 3, "scribbles": 2, "several digits": 2}.get(kind, 1)
        assert 0 <= share <= 1
        assert pytest.approx(round(share * n)) == share * n
    assert len(set(found.values())) > 1


def test_every_damage_has_its_errors(made: Made) -> None:
    """Of each kind of damage both models' errors are told, over so many of the digits, and their means."""
    found = made.facts["corruptions"]

    assert list(CORRUPTIONS) == list(found)
    for row in found.values():
        assert {"error", "baseline_error"} == set(row)
        for share in row.values():
            assert 0 <= share <= 1
            assert pytest.approx(round(share * N_DAMAGED)) == share * N_DAMAGED
    assert pytest.approx(np.mean([row["error"] for row in found.values()])) == made.facts["mean_corrupted_error"]
    assert (
        pytest.approx(np.mean([row["baseline_error"] for row in found.values()]))
        == made.facts["mean_corrupted_baseline_error"]
    )
    assert any(row["error"] != row["baseline_error"] for row in found.values())


def test_damaged_are_the_test_digits(
    monkeypatch: pytest.MonkeyPatch, packed: Artifact, packed_plain: Artifact, test_digits: Digits
) -> None:
    """Where no more digits are damaged than there are, the errors are those on all of them, each model's its own."""
    kinds = ("rotation", "stripes")
    monkeypatch.setattr(report, "CORRUPTIONS", {kind: CORRUPTIONS[kind] for kind in kinds})
    some = test_digits[:12]
    with quick_reports(n_damaged=12):
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


def test_progress_is_told(made: Made) -> None:
    """Each step is said before it begins."""
    expected = ["test digits", "what is no digit", *[f"digits with {name}" for name in CORRUPTIONS]]

    assert expected == made.progress


def test_drawings_show_the_model(packed: Artifact, test_digits: Digits, made: Made) -> None:
    """There are six figures; the history is that of the fit, and the misread digits are as many as are counted."""
    assert ["weights", "learning", "confusion", "reliability", "coverage", "misread"] == list(made.drawings)
    loss, error = made.drawings["learning"].axes[0].get_lines()
    assert packed.metadata.training.losses == np.asarray(loss.get_ydata()).tolist()
    assert packed.metadata.training.validation_errors == np.asarray(error.get_ydata()).tolist()
    assert made.facts["test"]["wrong"] == sum(len(axes.get_images()) for axes in made.drawings["misread"].axes)
    (first, *_) = made.drawings["weights"].axes
    expected = packed.network.layers[0].weights[:, 0].reshape(28, 28)
    np.testing.assert_allclose(expected, np.asarray(first.get_images()[0].get_array()))
    above, _ = made.drawings["reliability"].axes
    _, *lines = above.get_lines()
    # The first is that at temperature 1.
    models = (with_calibration(packed, temperature=1.0), packed)
    confidences = [[b.confidence for b in bins(ask(Classifier(model), test_digits))] for model in models]
    assert confidences == [np.asarray(line.get_xdata()).tolist() for line in lines]
    assert confidences[0] != confidences[1]


def test_the_same_report_comes_out_twice(
    packed: Artifact, packed_plain: Artifact, test_digits: Digits, made: Made, tmp_path: Path
) -> None:
    """Nothing is left to chance, and nobody has to listen to the progress: all files are the same."""
    with quick_reports(N_DAMAGED):
        save(tmp_path, *measure(packed, packed_plain, test_digits))

    once, again = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (made.directory, tmp_path))
    assert 7 == len(once)
    assert once == again


def test_two_digits_are_reported_alike(packed_plain: Artifact, tiny: TinyMnist) -> None:
    """A model of two digits with a single sigmoid unit has a report, by its own digits."""
    layer = packed_plain.network.layers[-1]
    sigmoid = replace(
        layer,
        weights=layer.weights[:, [7]] - layer.weights[:, [3]],
        biases=layer.biases[[7]] - layer.biases[[3]],
        activation="logistic",
    )
    network = replace(packed_plain.network, layers=(*packed_plain.network.layers[:-1], sigmoid), classes=(3, 7))
    model = replace(packed_plain, network=network)

    with quick_reports(n_damaged=2):
        facts, drawings = measure(model, model, tiny.digits.test.only([3, 7]))

    assert ["3", "7"] == list(facts["test"]["by_digit"])
    assert (2, 2) == np.shape(facts["test"]["confusion"])
    assert all(row["error"] == row["baseline_error"] for row in facts["corruptions"].values())
    assert 6 == len(drawings)


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
    """What is ambiguous and what is said to be no digit is not clear, kind by kind."""
    classifier = Classifier(with_calibration(packed, **update))

    assert {"some": expected, "others": expected} == not_clear(classifier, {"some": KIND, "others": KIND[:1]})


def test_kind_without_images_is_left_out(packed: Artifact) -> None:
    """Of nothing there is no share: digits that cannot be turned, for a model that does not know them."""
    assert ["some"] == list(not_clear(Classifier(packed), {"some": KIND, "none": KIND[:0]}))


def test_not_clear_is_a_share(packed: Artifact) -> None:
    """Of images of which half are clear, half are not."""
    confidences = sorted(p.confidence for p in Classifier(packed).predict_pixels(KIND))
    between = (confidences[2] + confidences[3]) / 2
    classifier = Classifier(with_calibration(packed, novel_from=None, ambiguous_below=between))

    assert {"digits": 0.5} == not_clear(classifier, {"digits": KIND})


def test_refused_pictures_are_misread(packed: Artifact) -> None:
    """A digit that vanishes is refused, and counts as misread whatever its label."""
    blank = np.zeros((28, 28), np.uint8)
    digits = Digits(np.stack([blank] * 10), np.arange(10))
    with pytest.raises(NoInk):
        Classifier(packed).predict_picture(encode(blank))

    assert Error(10, 10) == corrupted_error(Classifier(packed), digits, "shift")


def test_damaged_digits_are_sent_as_pictures(packed: Artifact) -> None:
    """Wrong are those whose damaged picture is answered otherwise than their label, one stream of chance for all."""
    digits = draw_digits(20, seed=9)
    classifier, rng = Classifier(packed), np.random.default_rng(20)
    pictures = [encode(CORRUPTIONS["rotation"](image, rng)) for image in digits.images]
    answers = [classifier.predict_picture(picture).digit for picture in pictures]

    assert Error(0, 20) == corrupted_error(classifier, Digits(digits.images, np.array(answers)), "rotation")
    others = np.where(np.arange(20) < 7, (np.array(answers) + 1) % 10, answers)
    assert Error(7, 20) == corrupted_error(classifier, Digits(digits.images, others), "rotation")


def test_saved_report_is_json(made: Made) -> None:
    """`report.json` holds all facts, rounded; nothing in it is not a number."""
    text = (made.directory / "report.json").read_text()

    stored = json.loads(text, parse_constant=pytest.fail)

    assert text.endswith("}\n")
    assert set(made.facts) == set(stored)
    assert made.facts["test"]["confusion"] == stored["test"]["confusion"]
    assert round(made.facts["mean_corrupted_error"], 6) == stored["mean_corrupted_error"]
    assert [round(end, 6) for end in made.facts["test"]["interval"]] == stored["test"]["interval"]


def test_values_are_rounded_wherever_they_stand(tmp_path: Path) -> None:
    """Fractions are rounded in dictionaries and lists alike; whole numbers, text, truth and nothing stay."""
    facts = {"a": 1 / 3, "b": {"c": [2 / 3, 7, "1.23456789"]}, "d": None, "e": [{"f": 1e-9}], "g": True}

    save(tmp_path, facts, {})

    expected = {"a": 0.333333, "b": {"c": [0.666667, 7, "1.23456789"]}, "d": None, "e": [{"f": 0.0}], "g": True}
    assert expected == json.loads((tmp_path / "report.json").read_text())


def test_drawings_are_saved_as_png(made: Made) -> None:
    """Each figure is a PNG by its name, without the name and version of a library in it."""
    names = sorted(["report.json", *[f"{name}.png" for name in made.drawings]])

    assert names == sorted(path.name for path in made.directory.iterdir())
    for name, drawing in made.drawings.items():
        with Image.open(made.directory / f"{name}.png") as image:
            assert ("PNG", drawing.get_size_inches().tolist()) == (image.format, [side / 100 for side in image.size])
            assert "Software" not in image.info


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """Where a file is in the way, the error names what cannot be written."""
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(TrainingError, match=f"{tmp_path}/taken/report.json cannot be written: ") as caught:
        save(tmp_path / "taken", {}, {})

    assert isinstance(caught.value.__cause__, OSError)


def test_drawing_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A folder in the place of a figure is named."""
    (tmp_path / "weights.png").mkdir()

    with pytest.raises(TrainingError, match=f"{tmp_path}/weights.png cannot be written: Is a directory"):
        save(tmp_path, {}, {"weights": Figure()})
