"""The model card has the figures of the report, links to its images, and valid front matter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from service.model.artifact import Artifact
from tests.training.reports import quick_reports
from tests.training.tiny import AUGMENTED, TinyMnist
from training import card
from training.errors import TrainingError
from training.pruning import prune
from training.recipes import QUICK
from training.report import measure

SIZE = 3_210_987
FIGURES = "../figures"


@dataclass(frozen=True)
class Written:
    """A card, and the report and the model that it describes."""

    text: str
    facts: dict[str, Any]
    figures: Sequence[str]
    model: Artifact

    @property
    def front(self) -> list[str]:
        """Lines of the front matter."""
        rule, *lines = self.text.splitlines()
        assert "---" == rule
        return lines[: lines.index("---")]

    @property
    def body(self) -> str:
        """The text after the front matter."""
        return self.text.split("\n---\n", 1)[1]

    def rows(self, heading: str) -> dict[str, str]:
        """Return the rows of the table with this heading, by their first cell."""
        table = self.body.split(f"\n{heading}\n|---", 1)[1].split("\n\n", 1)[0]
        parted = [row.strip("|").split("|", 1) for row in table.splitlines()[1:]]
        return {first.strip(): rest.strip() for first, rest in parted}


@pytest.fixture(scope="module")
def written(packed: Artifact, packed_plain: Artifact, tiny: TinyMnist) -> Written:
    """Return the card of the network that was fitted with augmentation."""
    with quick_reports():
        facts, plots = measure(packed, packed_plain, tiny.digits.test, fit_minutes=62)
    model = replace(packed, sha256="0123456789abcdef" * 4)
    return Written(card.write(model, facts, SIZE, FIGURES), facts, list(plots), model)


def test_front_matter_is_yaml(written: Written) -> None:
    """Every line is a key with a plain value, a list, or a flat mapping, indented by two blanks per level."""
    plain = r"[A-Za-z0-9][\w .-]*"
    flat = rf"\{{{plain}: {plain}(?:, {plain}: {plain})*\}}"
    listed = rf"\[(?:{plain}|{flat})(?:, {plain})*\]"
    line = re.compile(rf"( *)(- )?[a-z_-]+:(?: (?:{plain}|{flat}|{listed}))?")

    depth = 0
    for text in written.front:
        found = line.fullmatch(text)
        assert found, text
        indent = len(found[1])
        assert 0 == indent % 2
        # Deeper only under a key without a value; an item of a list counts as one level more.
        assert indent <= depth
        depth = indent + 2 * bool(found[2]) + 2 * text.endswith(":")


def test_front_matter_has_the_fields_of_the_hub(written: Written) -> None:
    """Licence, library, task and data set are set, and the accuracy is that on the test digits."""
    front = [line.strip() for line in written.front]

    assert {
        "license: mit",
        "library_name: sklearn",
        "pipeline_tag: image-classification",
        "datasets: [mnist]",
        f"- name: {written.model.metadata.name}",
    } <= set(front)
    assert f"metrics: [{{type: accuracy, value: {1 - written.facts['test']['error']:.4f}}}]" in front


def test_card_has_no_placeholders(written: Written) -> None:
    """The text has no braces, no None, no NaN and no infinity."""
    assert [] == re.findall(r"[{}]|\bNone\b|\bnan\b|\binf\b", written.body)
    assert [] == re.findall(r"{[a-z_]+}", written.text)
    assert written.text.endswith("\n")


def test_model_is_described(written: Written) -> None:
    """Name, version, architecture, size, recipe, schedule and calibration are the model's."""
    network, training = written.model.network, written.model.metadata.training
    text = " ".join(written.body.split())

    assert f"# {written.model.metadata.name} " in text
    assert "version `0123456789ab`" in text
    assert "784 → 24 relu → 10 softmax" in text
    assert f"{network.n_parameters:,} parameters, 3.2 MB" in text
    assert "--recipe augmented " in text
    assert "on MNIST's training digits without 40 validation digits, plus 50% synthetic digits." in text
    assert "fitted for 4 epochs" in text
    assert (
        "In the last 50% of the epochs, the augmentation is weaker, and the weights after each of the last 50% are "
        "averaged."
    ) in text
    assert f"The fit took 62 minutes ({training.machine})." in text
    temperature = written.facts["probabilities"]["temperature"]
    assert (
        f"The temperature, {temperature:.2f}, and the thresholds of the verdict were fitted on the 40 validation"
        in text
    )
    assert "On MNIST's 60 test digits (held out; not used for model selection):" in text


def test_distortions_are_those_of_the_schedule(written: Written) -> None:
    """The card names what the augmentation does, and what it does not do is left out."""
    text = " ".join(written.body.split())
    assert "in each epoch: rotation, shear, scaling and elastic distortion." in text
    assert "enlarged to pictures" not in text

    settings = written.model.metadata.training.settings
    schedule = settings["schedule"] | {"augmentation": {"rotation": 5, "shear": 0}, "picture_share": 0.25}
    training = written.model.metadata.training.model_copy(update={"settings": settings | {"schedule": schedule}})
    metadata = written.model.metadata.model_copy(update={"training": training})
    other = card.write(replace(written.model, metadata=metadata), written.facts, SIZE, FIGURES)

    assert "in each epoch: rotation. In each epoch, 25% of the digits are enlarged" in " ".join(other.split())


def test_fit_without_distortions_has_no_sentence_about_them(written: Written) -> None:
    """Where the augmentation does nothing that the card describes, the card is written without it."""
    settings = written.model.metadata.training.settings
    schedule = settings["schedule"] | {"augmentation": {"rotation": 0, "shift": 1}}
    training = written.model.metadata.training.model_copy(update={"settings": settings | {"schedule": schedule}})
    model = replace(written.model, metadata=written.model.metadata.model_copy(update={"training": training}))

    assert "Data augmentation" not in card.write(model, written.facts, SIZE, FIGURES)


def test_card_says_when_the_recipe_has_changed(written: Written) -> None:
    """A model whose recipe has another schedule today is not what its command fits now."""
    assert "The recipe has changed since" not in written.text

    for recipe, is_changed in ((AUGMENTED, True), (QUICK, False)):
        update = {"recipe": "quick", "settings": recipe.settings()}
        training = written.model.metadata.training.model_copy(update=update)
        model = replace(written.model, metadata=written.model.metadata.model_copy(update={"training": training}))

        text = card.write(model, written.facts, SIZE, FIGURES)

        assert is_changed == ("The recipe has changed since: today's fits another network." in text)


def test_unknown_fit_time_is_left_out(written: Written) -> None:
    """Without a duration of the fit the card does not mention it."""
    text = card.write(written.model, written.facts | {"fit": {"minutes": None}}, SIZE, FIGURES)

    assert "The fit took" not in text


def test_pruned_units_are_counted(written: Written) -> None:
    """The card has the number of dead units, or no such sentence without one."""
    first, *rest = written.model.network.layers
    biases = first.biases.copy()
    biases[:4] = -1e6
    network, _ = prune(replace(written.model.network, layers=(replace(first, biases=biases), *rest)), None)
    text = " ".join(card.write(replace(written.model, network=network), written.facts, SIZE, FIGURES).split())

    assert (
        "The fitted network is 784 → 24 → 10. Of its 24 hidden units, 4 are dead: their output is 0 for every picture. "
        "Interval bound propagation"
    ) in text
    assert "Interval bound propagation" not in written.body


def test_measured_figures_are_the_reports(written: Written) -> None:
    """Errors, calibration and scores in the table are those of the report."""
    test, probabilities, verdict = (written.facts[part] for part in ("test", "probabilities", "verdict"))
    before, after = probabilities["before_temperature"], probabilities["after_temperature"]
    low, high = test["interval"]
    error = f"{test['error']:.2%} ({test['wrong']} of 60; 95 % interval {low:.2%} to {high:.2%})"

    coverage = f"{verdict['clear']:.1%} of all (coverage)"
    selective = f"selective prediction: error of the answers with the verdict `clear`, {coverage}"

    rows = written.rows("| measured | |")

    chance, limit = (after[f"expected_calibration_error_by_chance{end}"] for end in ("", "_95"))
    assert {
        "error": error,
        selective: f"{verdict['error_of_clear']:.2%}",
        "expected calibration error, 15 bins, before and after temperature scaling": (
            f"{before['expected_calibration_error']:.2%}, {after['expected_calibration_error']:.2%}"
        ),
        "the same for a perfectly calibrated model with these confidences, by chance": (
            f"{chance:.2%}, in 95 % of cases below {limit:.2%}"
        ),
        "negative log-likelihood, Brier score": f"{after['negative_log_likelihood']:.4f}, {after['brier_score']:.4f}",
        "error on the 40 validation digits": f"{1 - written.model.metadata.figures['validation_accuracy']:.2%}",
    } == {name: cell.strip(" |") for name, cell in rows.items()}


def test_negatives_are_listed_by_kind(written: Written) -> None:
    """Each kind of negatives has its row."""
    kinds = written.facts["verdict"]["not_clear_of_what_is_no_digit"]

    assert {kind: f"{share:.1%}" for kind, share in kinds.items()} == written.rows(
        "| out-of-distribution pictures | not `clear` |"
    )


def test_corruptions_are_listed_by_kind(written: Written) -> None:
    """Each corruption has a row with both errors, and the last row has the means."""
    expected = {kind: (row["error"], row["baseline_error"]) for kind, row in written.facts["corruptions"].items()}
    expected["mean"] = written.facts["mean_corrupted_error"], written.facts["mean_corrupted_baseline_error"]

    assert {kind: f"{own:.1%} | {lecture:.1%}" for kind, (own, lecture) in expected.items()} == written.rows(
        "| corruption | error | baseline error |"
    )


def test_rows_of_tables_have_equal_lengths(written: Written) -> None:
    """In every table, each row has as many cells as the heading."""
    tables = re.findall(r"(?:^\|.*\n)+", written.body, re.MULTILINE)

    assert 4 == len(tables)
    for table in tables:
        assert 1 == len({row.count("|") for row in table.splitlines()})


def test_links_are_the_figures_of_the_report(written: Written) -> None:
    """The card links to every figure of the report, and to no other file."""
    links = re.findall(r"!?\[[^\]]*\]\(([^)]*)\)", written.body)

    assert sorted(f"{FIGURES}/{name}.png" for name in written.figures) == sorted(links)


def test_card_without_synthetic_digits(written: Written) -> None:
    """A fit without synthetic digits is described without them."""
    training = written.model.metadata.training
    schedule = {**training.settings["schedule"], "synthetic_share": 0.0}
    plain = training.model_copy(update={"settings": {**training.settings, "schedule": schedule}})
    model = replace(written.model, metadata=written.model.metadata.model_copy(update={"training": plain}))

    text = card.write(model, written.facts, SIZE, FIGURES)

    assert "without 40 validation digits. Data augmentation" in " ".join(text.split())
    assert "% synthetic digits" not in text


def test_model_without_a_schedule_has_no_card(packed_plain: Artifact, written: Written) -> None:
    """The card describes a schedule, so a model without one is an error."""
    with pytest.raises(TrainingError, match="fitted with a schedule"):
        card.write(packed_plain, written.facts, SIZE, FIGURES)


def test_card_reads_the_settings_of_a_former_release(written: Written) -> None:
    """A model file with the field names of release 0.1 gets the same card."""
    training = written.model.metadata.training
    names = {"synthetic_share": "drawn", "averaging_phase": "settling", "final_strength": "settled"}
    today = training.settings["schedule"]
    schedule = {names.get(name, name): value for name, value in today.items() if name != "final_phase"}
    former = training.model_copy(update={"settings": {**training.settings, "schedule": schedule}})
    model = replace(written.model, metadata=written.model.metadata.model_copy(update={"training": former}))

    assert written.text == card.write(model, written.facts, SIZE, FIGURES)
