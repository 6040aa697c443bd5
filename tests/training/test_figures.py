"""Figures show the numbers that they are given, on the axes that they name, and can be saved."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from service.model.network import Layer
from tests.conftest import make_network
from tests.training.answers import confident, make_answers
from training import figures
from training.evaluation import Answers
from training.mnist import Digits
from training.reliability import bins, error_by_coverage


def line(axes: Axes, number: int) -> tuple[list[float], list[float]]:
    """Return x and y of a line."""
    of_all = axes.get_lines()[number]
    return np.asarray(of_all.get_xdata()).tolist(), np.asarray(of_all.get_ydata()).tolist()


def legend(axes: Axes) -> list[str]:
    """Return the texts of the legend."""
    found = axes.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def shown(axes: Axes) -> npt.NDArray[np.float64]:
    """Return the only image of some axes."""
    (image,) = axes.get_images()
    return np.asarray(image.get_array(), np.float64)


# Three of the sixty are wrong: a 0 taken for a 1, a 4 for a 5, a 9 for a 0.
LABELS = [*list(range(10)) * 6]
ANSWERS = [1, *LABELS[1:14], 5, *LABELS[15:59], 0]


def with_errors(clear: list[bool] | None = None) -> Answers:
    """Return answers to sixty digits, three of them wrong, with falling confidences."""
    confidences = np.linspace(0.95, 0.4, 60)
    probabilities = np.repeat((1 - confidences)[:, None] / 9, 10, axis=1)
    probabilities[np.arange(60), ANSWERS] = confidences
    return make_answers(probabilities, LABELS, clear=clear or [])


DIGITS = Digits(np.random.default_rng(1).integers(0, 256, (60, 28, 28), dtype=np.uint8), np.array(LABELS))


def test_weights_are_the_first_sixteen_units_on_half_the_range() -> None:
    """Each image has the weights of one unit. Black and white are half the layer's minimum and maximum."""
    layer = make_network(20).layers[0]

    figure = figures.weights(layer)

    assert 16 == len(figure.axes)
    for unit, axes in enumerate(figure.axes):
        np.testing.assert_allclose(layer.weights[:, unit].reshape(28, 28), shown(axes))
        assert pytest.approx((layer.weights.min() / 2, layer.weights.max() / 2)) == axes.get_images()[0].get_clim()
        assert ([], []) == (axes.get_xticks().tolist(), axes.get_yticks().tolist())


def test_few_units_leave_places_empty() -> None:
    """A layer with three units has three images."""
    figure = figures.weights(make_network(3).layers[0], rows=2, columns=4)

    assert [1, 1, 1, 0, 0, 0, 0, 0] == [len(axes.get_images()) for axes in figure.axes]


def test_learning_shows_loss_and_error_by_epoch() -> None:
    """Both are curves by epoch on a logarithmic axis, where an error of 0 is drawn as 1e-4."""
    figure = figures.learning([0.5, 0.2, 0.1], [0.05, 0.02, 0.0])

    (axes,) = figure.axes
    assert [([1, 2, 3], [0.5, 0.2, 0.1]), ([1, 2, 3], [0.05, 0.02, 1e-4])] == [line(axes, 0), line(axes, 1)]
    assert ["training loss (augmented digits)", "validation error"] == legend(axes)
    assert ("log", "epoch") == (axes.get_yscale(), axes.get_xlabel())


@pytest.mark.parametrize("losses", [[0.5, 0.2], []], ids=["no errors", "nothing"])
def test_learning_without_validation_is_the_loss_alone(losses: list[float]) -> None:
    """Without validation errors, or without any history, there is no second curve."""
    figure = figures.learning(losses, [])

    (axes,) = figure.axes
    assert [losses] == [line(axes, number)[1] for number in range(len(axes.get_lines()))]
    assert 1 == len(legend(axes))


def test_confusion_counts_every_answer() -> None:
    """Every cell has its count. Correct answers have no colour."""
    answers = with_errors()

    figure = figures.confusion(answers)

    (axes,) = figure.axes
    counts = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert {(i, j): str(n) for (i, j), n in np.ndenumerate(answers.confusion())} == counts
    assert ("1", "5", "6") == (counts[9, 0], counts[4, 4], counts[5, 5])
    assert {(0, 1), (4, 5), (9, 0)} == set(zip(*shown(axes).nonzero(), strict=True))
    assert ("answer", "truth") == (axes.get_xlabel(), axes.get_ylabel())


def test_confusion_names_the_classes() -> None:
    """The axes have the classes of the model as labels."""
    figure = figures.confusion(make_answers([[0.9, 0.1], [0.2, 0.8]], [3, 3], classes=[3, 8]))

    (axes,) = figure.axes
    assert ["3", "8"] == [label.get_text() for label in axes.get_xticklabels()]
    assert ["3", "8"] == [label.get_text() for label in axes.get_yticklabels()]
    assert ["1", "1", "0", "0"] == [text.get_text() for text in axes.texts]


def test_reliability_shows_accuracy_by_confidence() -> None:
    """Above are the bins of both and the diagonal, below the number of answers per bin."""
    rng = np.random.default_rng(1)
    confidences = rng.uniform(0.3, 1, 200)
    before, after = confident(confidences**0.5, rng.random(200) < confidences), with_errors()

    figure = figures.reliability(before, after)

    above, below = figure.axes
    assert ([0, 1], [0, 1]) == line(above, 0)
    for number, answers in ((1, before), (2, after)):
        expected = [b.confidence for b in bins(answers)], [b.accuracy for b in bins(answers)]
        assert expected == line(above, number)
    assert ["before temperature scaling", "after temperature scaling"] == legend(above)
    bars = [bar for bar in below.patches if isinstance(bar, Rectangle)]
    assert [(b.low, b.n) for b in bins(after)] == [(bar.get_x(), bar.get_height()) for bar in bars]
    assert pytest.approx([1 / 15] * len(bars)) == [bar.get_width() for bar in bars]
    assert ("log", "confidence", "answers") == (below.get_yscale(), below.get_xlabel(), below.get_ylabel())
    assert "accuracy" == above.get_ylabel()


def test_coverage_shows_the_risk_coverage_curve() -> None:
    """The line is the error by coverage in per cent, the point that of the verdict `clear`."""
    answers = with_errors(clear=[*[True] * 58, False, False])

    figure = figures.coverage(answers)

    (axes,) = figure.axes
    shares, errors = error_by_coverage(answers)
    assert ((100 * shares).tolist(), (100 * errors).tolist()) == line(axes, 0)
    (x,), (y,) = line(axes, 1)
    assert pytest.approx((100 * 58 / 60, 100 * 2 / 58)) == (x, y)
    assert ["verdict `clear`"] == legend(axes)
    assert (95, 100) == axes.get_xlim()
    assert ("coverage, %", "error, %") == (axes.get_xlabel(), axes.get_ylabel())


def test_coverage_has_no_point_where_no_answer_is_clear() -> None:
    """Without a `clear` verdict there is no point."""
    figure = figures.coverage(with_errors(clear=[False] * 60))

    (axes,) = figure.axes
    assert 1 == len(axes.lines)


def test_misclassified_digits_have_their_label_and_answer() -> None:
    """Every misclassified digit is drawn, in order, with label, answer and confidence."""
    figure = figures.misread(DIGITS, with_errors())

    pictures = [axes for axes in figure.axes if axes.get_images()]
    assert ["0: 1 (95%)", "4: 5 (82%)", "9: 0 (40%)"] == [axes.get_title() for axes in pictures]
    np.testing.assert_array_equal(DIGITS.images[[0, 14, 59]], [shown(axes) for axes in pictures])
    # Ink is dark, as on paper.
    assert {"gray_r"} == {axes.get_images()[0].get_cmap().name for axes in pictures}
    assert not any(axes.axison for axes in figure.axes)


def test_figure_without_misclassified_digits_is_empty() -> None:
    """A model without errors has a figure without images."""
    figure = figures.misread(DIGITS, make_answers(np.eye(10)[LABELS], LABELS))

    assert not any(axes.get_images() for axes in figure.axes)


@pytest.mark.parametrize(
    ("n", "expected", "height"), [(11, 11, 250), pytest.param(61, 60, 750, marks=pytest.mark.slow)]
)
def test_at_most_sixty_misclassified_digits_are_shown(n: int, expected: int, height: int) -> None:
    """There are ten in a row, and at most sixty."""
    answers = make_answers(np.eye(10)[[1] * n], [0] * n)
    digits = Digits(np.zeros((n, 28, 28), np.uint8), np.zeros(n, np.int64))

    figure = figures.misread(digits, answers)

    assert expected == sum(len(axes.get_images()) for axes in figure.axes)
    assert (1000, height) == tuple(round(100 * side) for side in figure.get_size_inches())


def test_alphas_show_accuracies_and_norms() -> None:
    """On the left are both accuracies, on the right is the norm, on a logarithmic axis of alpha."""
    figure = figures.alphas([0.01, 0.1, 1.0], [1.0, 0.99, 0.8], [0.9, 0.95, 0.7], [20.0, 10.0, 3.0])

    left, right = figure.axes
    assert ([0.01, 0.1, 1.0], [1.0, 0.99, 0.8]) == line(left, 0)
    assert ([0.01, 0.1, 1.0], [0.9, 0.95, 0.7]) == line(left, 1)
    assert ([0.01, 0.1, 1.0], [20.0, 10.0, 3.0]) == line(right, 0)
    assert ["training digits", "validation digits"] == legend(left)
    assert ("accuracy", "norm of all weights") == (left.get_ylabel(), right.get_ylabel())
    assert ["alpha"] * 2 == [axes.get_xlabel() for axes in (left, right)]
    assert ["log", "log", "linear", "log"] == [
        left.get_xscale(),
        right.get_xscale(),
        left.get_yscale(),
        right.get_yscale(),
    ]


@pytest.mark.parametrize("n", [1, 3])
def test_boundaries_are_where_the_probability_is_a_half(n: int) -> None:
    """Each field has its title, its points, and a line where its value is 1/2."""
    x = np.broadcast_to(np.linspace(0, 1, 11), (5, 11))
    fields = [(f"alpha {number}", np.clip(x + 0.1 * number, 0, 1)) for number in range(n)]
    points = np.array([[-1.0, 2.0], [3.0, 4.0]])

    figure = figures.boundaries(points, np.array([0, 1]), fields, (-2.0, 4.0, 0.0, 6.0))

    assert [title for title, _ in fields] == [axes.get_title() for axes in figure.axes]
    for number, (axes, (_, field)) in enumerate(zip(figure.axes, fields, strict=True)):
        np.testing.assert_allclose(field, shown(axes))
        contour, scatter = axes.collections
        (path,) = contour.get_paths()
        # The values reach from -2 to 4.
        half = -2 + 6 * (0.5 - 0.1 * number)
        assert pytest.approx(half) == np.asarray(path.vertices)[:, 0].mean()
        np.testing.assert_array_equal(points, scatter.get_offsets())


def test_points_have_the_colour_of_their_class() -> None:
    """A point of the second class has the colour of probability 1."""
    field = np.linspace(0, 1, 36).reshape(6, 6)
    figure = figures.boundaries(np.zeros((2, 2)), np.array([0, 1]), [("", field)], (-1.0, 1.0, -1.0, 1.0))
    figure.draw_without_rendering()

    (axes,) = figure.axes
    (image,) = axes.get_images()
    _, scatter = axes.collections
    first, second = (image.get_cmap()(value) for value in (0.0, 1.0))
    np.testing.assert_array_equal([first, second], scatter.get_facecolor())
    assert first != second


def test_cost_is_by_number_of_steps() -> None:
    """The cost is drawn by number of steps, on a logarithmic axis."""
    figure = figures.cost([0, 1_000, 2_000], [0.25, 0.1, 0.001])

    (axes,) = figure.axes
    assert ([0, 1_000, 2_000], [0.25, 0.1, 0.001]) == line(axes, 0)
    assert ("steps", "cost", "linear", "log") == (
        axes.get_xlabel(),
        axes.get_ylabel(),
        axes.get_xscale(),
        axes.get_yscale(),
    )


# --- Files


def rendered(figure: Figure) -> Image.Image:
    """Return a figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer)


FIELD = np.linspace(0, 1, 36).reshape(6, 6)


# Laying out and drawing takes longer than all of the above.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: figures.weights(make_network(20).layers[0]), (600, 600)),
        (lambda: figures.weights(make_network(3).layers[0], rows=2, columns=4), (600, 600)),
        (lambda: figures.weights(Layer(np.zeros((784, 2), np.float32), np.zeros(2, np.float32), "relu")), (600, 600)),
        (lambda: figures.learning([0.5, 0.2, 0.1], [0.05, 0.02, 0.0]), (700, 400)),
        (lambda: figures.learning([0.5, 0.2], []), (700, 400)),
        (lambda: figures.learning([], []), (700, 400)),
        (lambda: figures.confusion(with_errors()), (600, 600)),
        (lambda: figures.reliability(with_errors(), with_errors()), (600, 600)),
        (lambda: figures.coverage(with_errors(clear=[True] * 58 + [False] * 2)), (700, 400)),
        (lambda: figures.coverage(with_errors(clear=[False] * 60)), (700, 400)),
        (lambda: figures.misread(DIGITS, with_errors()), (1000, 125)),
        (lambda: figures.alphas([0.01, 1.0], [1.0, 0.8], [0.9, 0.7], [20.0, 3.0]), (1000, 400)),
        (lambda: figures.boundaries(np.eye(2), np.array([0, 1]), [("", FIELD)], (-2, 4, 0, 6)), (300, 300)),
        (lambda: figures.boundaries(np.eye(2), np.array([0, 1]), [("", FIELD)] * 3, (-2, 4, 0, 6)), (900, 300)),
        (lambda: figures.cost([0, 1_000, 2_000], [0.25, 0.1, 0.001]), (700, 300)),
    ],
    ids=[
        "weights",
        "few units",
        "equal weights",
        "learning",
        "learning without errors",
        "nothing learned",
        "confusion",
        "reliability",
        "coverage",
        "coverage without a point",
        "misread",
        "alphas",
        "one boundary",
        "boundaries",
        "cost",
    ],
)
def test_figures_can_be_saved(make: Callable[[], Figure], size: tuple[int, int]) -> None:
    """Each has its size in pixels."""
    assert size == rendered(make()).size


@pytest.mark.slow
def test_figure_without_misclassified_digits_is_white() -> None:
    """It is not only without images."""
    figure = figures.misread(DIGITS, make_answers(np.eye(10)[LABELS], LABELS))

    assert ((255, 255),) * 3 == rendered(figure).convert("RGB").getextrema()
