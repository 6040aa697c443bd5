"""The alpha study shows the effect of the L2 penalty: smaller weights, straighter boundaries."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier

from tests.training.tiny import TinyMnist
from training import alpha
from training.alpha import ALPHAS, Effect, make_figures, moons, record, study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reported() -> list[Effect]:
    """Return a list for the reported effects."""
    return []


@pytest.fixture(scope="module")
def effects(tiny: TinyMnist, reported: list[Effect]) -> Sequence[Effect]:
    """Return the effects of two alphas on the tiny MNIST."""
    return study(tiny.digits.train, (1e-4, 30.0), reported.append)


def test_weights_shrink_as_alpha_grows(effects: Sequence[Effect]) -> None:
    """The larger penalty more than halves the norm of the weights."""
    small, large = effects

    assert [1e-4, 30.0] == [small.alpha, large.alpha]
    assert 0 < large.weight_norm < small.weight_norm / 2


def test_digits_are_learned(effects: Sequence[Effect]) -> None:
    """With a small penalty the training accuracy is 1, and the validation accuracy above 1/2."""
    small, _ = effects

    assert 1.0 == small.training_accuracy
    assert 0.5 < small.validation_accuracy < 1


def test_each_effect_is_reported(effects: Sequence[Effect], reported: list[Effect]) -> None:
    """`progress` is called with each effect, in the order of the alphas."""
    assert effects == reported


def test_validation_digits_are_held_out(monkeypatch: pytest.MonkeyPatch, tiny: TinyMnist) -> None:
    """Both accuracies are over the given numbers of digits."""
    n_inputs: list[int] = []
    score = MLPClassifier.score

    def counted(self: MLPClassifier, inputs: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
        n_inputs.append(len(np.unique(inputs, axis=0)))
        return float(score(self, inputs, labels))

    monkeypatch.setattr(MLPClassifier, "score", counted)
    monkeypatch.setattr(alpha, "N_DIGITS", 30)
    monkeypatch.setattr(alpha, "N_VALIDATION", 70)

    (effect,) = study(tiny.digits.train, (0.1,))

    assert [30, 70] == n_inputs
    assert pytest.approx(round(effect.training_accuracy * 30)) == effect.training_accuracy * 30
    assert pytest.approx(round(effect.validation_accuracy * 70)) == effect.validation_accuracy * 70


def test_study_is_reproducible(tiny: TinyMnist, effects: Sequence[Effect]) -> None:
    """The effect of an alpha does not depend on the other ones."""
    assert [effects[1]] == study(tiny.digits.train, (30.0,))


def test_alphas_are_powers_of_ten() -> None:
    """They start at scikit-learn's default."""
    assert MLPClassifier().alpha == ALPHAS[0]
    assert pytest.approx([10.0] * (len(ALPHAS) - 1)) == [b / a for a, b in pairwise(ALPHAS)]


@pytest.fixture(scope="module")
def boundaries() -> Figure:
    """Return the figure of the decision boundaries."""
    return moons()


def nonlinearity(field: npt.NDArray[np.float64]) -> float:
    """Return the share of a field whose predicted class differs from that of the best linear boundary."""
    y, x = np.mgrid[: field.shape[0], : field.shape[1]]
    places, second = np.column_stack([x.ravel(), y.ravel()]), field.ravel() > 0.5
    straight = LinearRegression().fit(places, second).predict(places) > 0.5
    return float(np.mean(straight != second))


def test_boundaries_straighten_as_alpha_grows(boundaries: Figure) -> None:
    """The boundary at the largest alpha is straighter than that at the smallest, and less confident."""
    assert [f"alpha {value}" for value in ("0.1", "0.3", "1", "3", "10")] == [
        axes.get_title() for axes in boundaries.axes
    ]
    fields = [np.asarray(axes.get_images()[0].get_array(), np.float64) for axes in boundaries.axes]
    assert nonlinearity(fields[-1]) < nonlinearity(fields[0]) / 2
    # Its probabilities are closer to 1/2.
    assert np.abs(fields[-1] - 0.5).mean() < np.abs(fields[0] - 0.5).mean() / 1.5
    assert all(0 <= field.min() < field.max() <= 1 for field in fields)


def test_points_are_in_their_fields(boundaries: Figure) -> None:
    """Most points of the second class are where it is more probable."""
    axes = boundaries.axes[0]
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


def test_figures_show_the_effects(effects: Sequence[Effect]) -> None:
    """One figure has the numbers of the study, and both can be saved."""
    figures = make_figures(effects)

    assert ["alpha", "alpha_boundaries"] == list(figures)
    left, right = figures["alpha"].axes
    training, validation = (np.asarray(line.get_ydata()).tolist() for line in left.get_lines())
    (norms,) = (np.asarray(line.get_ydata()).tolist() for line in right.get_lines())
    assert [effect.training_accuracy for effect in effects] == training
    assert [effect.validation_accuracy for effect in effects] == validation
    assert [effect.weight_norm for effect in effects] == norms
    for figure in figures.values():
        figure.savefig(io.BytesIO(), format="png")


def test_record_has_the_effects_and_the_half_circles(effects: Sequence[Effect]) -> None:
    """It holds each effect, and for the same alphas the probabilities of the second class, coarsely."""
    plain = record(effects)
    moons = plain["moons"]
    small, large = ([[int(digit, 36) / 35 for digit in row] for row in field] for field in moons["fields"])

    assert [effect.alpha for effect in effects] == [effect["alpha"] for effect in plain["effects"]]
    assert 100 == len(moons["points"]) == len(moons["labels"])
    assert nonlinearity(np.array(large)) < nonlinearity(np.array(small))
