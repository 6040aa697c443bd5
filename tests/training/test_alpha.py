"""The study of alpha shows what the penalty does: smaller weights, straighter boundaries."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier

from tests.training.tiny import TinyMnist
from training import alpha
from training.alpha import ALPHAS, Effect, drawings, moons, study


@pytest.fixture(scope="module")
def reported() -> list[Effect]:
    """Return the place for what is reported during the study."""
    return []


@pytest.fixture(scope="module")
def effects(tiny: TinyMnist, reported: list[Effect]) -> Sequence[Effect]:
    """Return the effects of two alphas on the tiny MNIST."""
    return study(tiny.digits.train, (1e-4, 30.0), reported.append)


def test_weights_shrink_as_alpha_grows(effects: Sequence[Effect]) -> None:
    """The larger penalty leaves less than half of the weights' norm."""
    small, large = effects

    assert [1e-4, 30.0] == [small.alpha, large.alpha]
    assert 0 < large.weight_norm < small.weight_norm / 2


def test_digits_are_learned(effects: Sequence[Effect]) -> None:
    """With hardly any penalty, all digits are known that were learned from, and most others."""
    small, _ = effects

    assert 1.0 == small.training_accuracy
    assert 0.5 < small.validation_accuracy < 1


def test_each_effect_is_reported(effects: Sequence[Effect], reported: list[Effect]) -> None:
    """As soon as it is known, in the order of the alphas."""
    assert effects == reported


def test_digits_are_set_apart(monkeypatch: pytest.MonkeyPatch, tiny: TinyMnist) -> None:
    """It is learned from so many digits, and accuracy on others measured on so many of them: the rest."""
    asked: list[int] = []
    score = MLPClassifier.score

    def counted(self: MLPClassifier, inputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
        asked.append(len(np.unique(inputs, axis=0)))
        return float(score(self, inputs, labels))

    monkeypatch.setattr(MLPClassifier, "score", counted)
    monkeypatch.setattr(alpha, "N_DIGITS", 30)
    monkeypatch.setattr(alpha, "N_VALIDATION", 70)

    (effect,) = study(tiny.digits.train, (0.1,))

    assert [30, 70] == asked
    assert pytest.approx(round(effect.training_accuracy * 30)) == effect.training_accuracy * 30
    assert pytest.approx(round(effect.validation_accuracy * 70)) == effect.validation_accuracy * 70


def test_the_study_can_be_done_again(tiny: TinyMnist, effects: Sequence[Effect]) -> None:
    """Nothing is left to chance, and each alpha has its effect whatever the others are."""
    assert [effects[1]] == study(tiny.digits.train, (30.0,))


def test_alphas_span_what_is_usual() -> None:
    """They rise by tens, from scikit-learn's own default on."""
    assert MLPClassifier().alpha == ALPHAS[0]
    assert pytest.approx([10.0] * (len(ALPHAS) - 1)) == [b / a for a, b in pairwise(ALPHAS)]


def bend(field: npt.NDArray[np.float64]) -> float:
    """Return on what share of a field the likelier class is another than on either side of the best straight line."""
    y, x = np.mgrid[: field.shape[0], : field.shape[1]]
    places, second = np.column_stack([x.ravel(), y.ravel()]), field.ravel() > 0.5
    straight = LinearRegression().fit(places, second).predict(places) > 0.5
    return float(np.mean(straight != second))


def test_boundaries_straighten_as_alpha_grows() -> None:
    """Of the five fields between half circles, each has a larger alpha, and the last is straighter than the first."""
    figure = moons()

    assert [f"alpha {value}" for value in ("0.1", "0.3", "1", "3", "10")] == [axes.get_title() for axes in figure.axes]
    fields = [np.asarray(axes.get_images()[0].get_array(), np.float64) for axes in figure.axes]
    assert bend(fields[-1]) < bend(fields[0]) / 2
    # And it is less sure of itself.
    assert np.abs(fields[-1] - 0.5).mean() < np.abs(fields[0] - 0.5).mean() / 1.5
    assert all(0 <= field.min() < field.max() <= 1 for field in fields)


def test_points_lie_on_their_side() -> None:
    """The fields are drawn where the points are: most points of the second class lie where it is likelier."""
    axes = moons().axes[0]
    (image,) = axes.get_images()
    field, (left, right, low, high) = np.asarray(image.get_array(), np.float64), image.get_extent()
    _, scatter = axes.collections
    points, labels = np.asarray(scatter.get_offsets(), np.float64), np.asarray(scatter.get_array())

    columns = (points[:, 0] - left) / (right - left) * field.shape[1]
    rows = (points[:, 1] - low) / (high - low) * field.shape[0]

    likelier = field[rows.astype(int), columns.astype(int)] > 0.5
    assert 100 == len(points)
    assert "lower" == image.origin
    assert np.mean(likelier == labels) > 0.9


def test_drawings_show_the_effects(effects: Sequence[Effect]) -> None:
    """There are two figures; one has the numbers of the study, and both can be saved."""
    figures = drawings(effects)

    assert ["alpha", "alpha_boundaries"] == list(figures)
    left, right = figures["alpha"].axes
    training, validation = (np.asarray(line.get_ydata()).tolist() for line in left.get_lines())
    (norms,) = (np.asarray(line.get_ydata()).tolist() for line in right.get_lines())
    assert [effect.training_accuracy for effect in effects] == training
    assert [effect.validation_accuracy for effect in effects] == validation
    assert [effect.weight_norm for effect in effects] == norms
    for figure in figures.values():
        figure.savefig(io.BytesIO(), format="png")
