"""The model card has every figure of the report, links to its drawings, and front matter that can be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from service.model.artifact import Artifact
from tests.training.reports import quick_reports
from tests.training.tiny import TinyMnist
from training import card
from training.errors import TrainingError
from training.pruning import prune
from training.report import measure

SIZE = 3_210_987
DRAWINGS = "../drawn"


@dataclass(frozen=True)
class Written:
    """A card, and the report that it is of."""

    text: str
    facts: dict[str, Any]
    drawings: Sequence[str]
    model: Artifact

    @property
    def front(self) -> list[str]:
        """Lines between the first two rules."""
        rule, *lines = self.text.splitlines()
        assert "---" == rule
        return lines[: lines.index("---")]

    @property
    def body(self) -> str:
        """Everything after them."""
        return self.text.split("\n---\n", 1)[1]

    def rows(self, heading: str) -> dict[str, str]:
        """Return the cells of the table under this heading, by their first."""
        table = self.body.split(f"\n{heading}\n|---", 1)[1].split("\n\n", 1)[0]
        parted = [row.strip("|").split("|", 1) for row in table.splitlines()[1:]]
        return {first.strip(): rest.strip() for first, rest in parted}


@pytest.fixture(scope="module")
def written(packed: Artifact, packed_plain: Artifact, tiny: TinyMnist) -> Written:
    """Return the card of the network that was fitted on bent digits."""
    with quick_reports():
        facts, drawings = measure(packed, packed_plain, tiny.digits.test, fit_minutes=62)
    model = replace(packed, sha256="0123456789abcdef" * 4)
    return Written(card.write(model, facts, SIZE, DRAWINGS), facts, list(drawings), model)


def test_front_matter_is_yaml(written: Written) -> None:
    """Every line is a key with a plain value, a list of them or a flat mapping, and nesting is by two blanks."""
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


def test_front_matter_says_what_the_hub_asks(written: Written) -> None:
    """Licence, library, task and data are named, and the accuracy is that of the test digits."""
    front = [line.strip() for line in written.front]

    assert {
        "license: mit",
        "library_name: sklearn",
        "pipeline_tag: image-classification",
        "datasets: [mnist]",
        f"- name: {written.model.metadata.name}",
    } <= set(front)
    assert f"metrics: [{{type: accuracy, value: {1 - written.facts['test']['error']:.4f}}}]" in front


def test_nothing_is_left_to_fill_in(written: Written) -> None:
    """The text has no braces, no None and nothing that is not a number."""
    assert [] == re.findall(r"[{}]|\bNone\b|\bnan\b|\binf\b", written.body)
    assert [] == re.findall(r"{[a-z_]+}", written.text)
    assert written.text.endswith("\n")


def test_model_is_described(written: Written) -> None:
    """Name, version, architecture, size, recipe and history are the model's."""
    network, training = written.model.network, written.model.metadata.training
    text = " ".join(written.body.split())

    assert f"# {written.model.metadata.name} " in text
    assert "version `0123456789ab`" in text
    assert "784 → 24 relu → 10 softmax" in text
    assert f"{network.n_parameters:,} parameters, 3.2 MB" in text
    assert "--recipe bent " in text
    assert "on MNIST's training digits, less 40 of them, and 50% as many drawn by program, all" in text
    assert "in each of 4 epochs" in text
    assert "In the last 50% of the epochs" in text
    assert f"The fit took 62 minutes ({training.machine})." in text
    temperature = written.facts["probabilities"]["temperature"]
    assert f"The other 40 training digits chose the temperature, {temperature:.2f}," in text


def test_unknown_fit_time_is_left_out(written: Written) -> None:
    """A report that does not know how long the fit took makes a card that does not speak of it."""
    text = card.write(written.model, written.facts | {"fit": {"minutes": None}}, SIZE, DRAWINGS)

    assert "The fit took" not in text


def test_what_was_pruned_is_said(written: Written) -> None:
    """How many units the file does without stands in the card; nothing where it has all of them."""
    first, *rest = written.model.network.layers
    biases = first.biases.copy()
    biases[:4] = -1e6
    network, _ = prune(replace(written.model.network, layers=(replace(first, biases=biases), *rest)), None)
    text = " ".join(card.write(replace(written.model, network=network), written.facts, SIZE, DRAWINGS).split())

    assert "Of its 24 hidden units, 4 are off whatever the picture, as interval bounds prove: the file does" in text
    assert "interval bounds" not in written.body


def test_measured_figures_are_the_reports(written: Written) -> None:
    """Errors, calibration and scores stand in the table as they were measured."""
    test, probabilities, verdict = (written.facts[part] for part in ("test", "probabilities", "verdict"))
    before, after = probabilities["before_temperature"], probabilities["after_temperature"]
    low, high = test["interval"]
    error = f"{test['error']:.2%} ({test['wrong']} of 60; 95 % interval {low:.2%} to {high:.2%})"

    rows = written.rows("| measured | |")

    chance, limit = (after[f"expected_calibration_error_by_chance{end}"] for end in ("", "_95"))
    assert {
        "error": error,
        f"error of the answers with the verdict `clear`, {verdict['clear']:.1%} of all": (
            f"{verdict['error_of_clear']:.2%}"
        ),
        "expected calibration error, 15 bins, before and after the temperature": (
            f"{before['expected_calibration_error']:.2%}, {after['expected_calibration_error']:.2%}"
        ),
        "the same of a perfectly calibrated model with these confidences, by chance": (
            f"{chance:.2%}, in 95 % of cases below {limit:.2%}"
        ),
        "negative log-likelihood, Brier score": f"{after['negative_log_likelihood']:.4f}, {after['brier_score']:.4f}",
        "error on the 40 validation digits": f"{1 - written.model.metadata.figures['validation_accuracy']:.2%}",
    } == {name: cell.strip(" |") for name, cell in rows.items()}


def test_what_is_no_digit_is_told_by_kind(written: Written) -> None:
    """Each kind of what is no digit has its row."""
    kinds = written.facts["verdict"]["not_clear_of_what_is_no_digit"]

    assert {kind: f"{share:.1%}" for kind, share in kinds.items()} == written.rows("| what is no digit | not `clear` |")


def test_damage_is_told_by_kind(written: Written) -> None:
    """Each kind of damage has its row with both errors, and the last one their means."""
    expected = {kind: (row["error"], row["baseline_error"]) for kind, row in written.facts["corruptions"].items()}
    expected["mean"] = written.facts["mean_corrupted_error"], written.facts["mean_corrupted_baseline_error"]

    assert {kind: f"{own:.1%} | {lecture:.1%}" for kind, (own, lecture) in expected.items()} == written.rows(
        "| damage | error | lecture's |"
    )


def test_tables_are_even(written: Written) -> None:
    """In every table each row has as many cells as its head."""
    tables = re.findall(r"(?:^\|.*\n)+", written.body, re.MULTILINE)

    assert 3 == len(tables)
    for table in tables:
        assert 1 == len({row.count("|") for row in table.splitlines()})


def test_links_lead_to_the_reports_drawings(written: Written) -> None:
    """Every picture in the card is one that the report is saved with, and none of those is missing."""
    links = re.findall(r"!?\[[^\]]*\]\(([^)]*)\)", written.body)

    assert sorted(f"{DRAWINGS}/{name}.png" for name in written.drawings) == sorted(links)


def test_drawn_digits_are_not_spoken_of_where_there_were_none(written: Written) -> None:
    """A recipe without digits drawn by program is described without them."""
    training = written.model.metadata.training
    schedule = {**training.settings["schedule"], "drawn": 0.0}
    plain = training.model_copy(update={"settings": {**training.settings, "schedule": schedule}})
    model = replace(written.model, metadata=written.model.metadata.model_copy(update={"training": plain}))

    text = card.write(model, written.facts, SIZE, DRAWINGS)

    assert "less 40 of them, all changed anew" in " ".join(text.split())
    assert "as many drawn" not in text


def test_model_without_a_schedule_has_no_card(packed_plain: Artifact, written: Written) -> None:
    """The card tells of the epochs of a fit, so one line says which models have one."""
    with pytest.raises(TrainingError, match="fitted with a schedule"):
        card.write(packed_plain, written.facts, SIZE, DRAWINGS)
