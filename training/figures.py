"""Figures of the report, of the alpha study and of the worked example, with matplotlib.

Enters: measured numbers. Leaves: matplotlib figures. Out of scope: measuring, and writing files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from service.model.network import Layer
from training.evaluation import Answers
from training.mnist import Digits
from training.reliability import bins, error_by_coverage

_FIRST_COLOUR = "#1f4e79"
_SECOND_COLOUR = "#c0504d"
_MAX_MISREAD = 60


def weights(layer: Layer, rows: int = 4, columns: int = 4) -> Figure:
    """Return the weights of the first units as in the lecture, in greys from half the minimum to half the maximum."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    low, high = layer.weights.min() / 2, layer.weights.max() / 2
    for axes, column in zip(figure.subplots(rows, columns).ravel(), layer.weights.T, strict=False):
        axes.matshow(column.reshape(28, 28), cmap="gray", vmin=low, vmax=high)
    for axes in figure.axes:
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def learning(losses: Sequence[float], validation_errors: Sequence[float]) -> Figure:
    """Return the learning curves: training loss and, where there is one, validation error (0..1) by epoch."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    epochs = np.arange(1, len(losses) + 1)
    axes.semilogy(epochs, losses, color=_FIRST_COLOUR, label="training loss (augmented digits)")
    if validation_errors:
        axes.semilogy(epochs, np.maximum(validation_errors, 1e-4), color=_SECOND_COLOUR, label="validation error")
    axes.set_xlabel("epoch")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def confusion(answers: Answers) -> Figure:
    """Return the confusion matrix, with colours for the errors only."""
    counts = answers.confusion()
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    # Errors are few. With the diagonal, the colour scale would not show them.
    errors = counts - np.diag(np.diag(counts))
    axes.imshow(errors, cmap="Reds")
    for (row, column), count in np.ndenumerate(counts):
        axes.text(column, row, str(count), ha="center", va="center", color="0.6" if row == column else "black")
    axes.set_xticks(range(len(counts)), [str(label) for label in answers.classes])
    axes.set_yticks(range(len(counts)), [str(label) for label in answers.classes])
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    return figure


def reliability(before: Answers, after: Answers) -> Figure:
    """Return the reliability diagram, before and after temperature scaling, and the number of answers per bin."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    above.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    for answers, color, label in (
        (before, _SECOND_COLOUR, "before temperature scaling"),
        (after, _FIRST_COLOUR, "after temperature scaling"),
    ):
        found = bins(answers)
        above.plot([b.confidence for b in found], [b.accuracy for b in found], "o-", color=color, label=label)
    above.set_ylabel("accuracy")
    above.legend()
    found = bins(after)
    below.bar(
        [b.low for b in found], [b.n for b in found], [b.high - b.low for b in found], align="edge", color=_FIRST_COLOUR
    )
    below.set_yscale("log")
    below.set_ylabel("answers")
    below.set_xlabel("confidence")
    return figure


def coverage(answers: Answers) -> Figure:
    """Return the risk-coverage curve: the error when the model abstains from the least confident answers."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    coverages, errors = error_by_coverage(answers)
    axes.plot(100 * coverages, 100 * errors, color=_FIRST_COLOUR)
    clear = answers.clear
    if clear.any():
        error = np.mean(~answers.correct[clear])
        axes.plot(100 * clear.mean(), 100 * error, "o", color=_SECOND_COLOUR, label="verdict `clear`")
        axes.legend()
    axes.set_xlim(95, 100)
    axes.set_xlabel("coverage, %")
    axes.set_ylabel("error, %")
    axes.grid(alpha=0.3)
    return figure


def misread(digits: Digits, answers: Answers) -> Figure:
    """Return the misclassified digits, at most 60, each with its label, the answer and its confidence."""
    wrong = np.flatnonzero(~answers.correct)[:_MAX_MISREAD]
    columns = 10
    rows = max(1, -(-len(wrong) // columns))
    figure = Figure(figsize=(columns, 1.25 * rows), layout="constrained")
    for axes in figure.subplots(rows, columns, squeeze=False).ravel():
        axes.set_axis_off()
    for axes, number in zip(figure.axes, wrong.tolist(), strict=False):
        axes.imshow(digits.images[number], cmap="gray_r")
        confidence = answers.confidences[number]
        axes.set_title(f"{answers.labels[number]}: {answers.answers[number]} ({confidence:.0%})", fontsize=8)
    return figure


def alphas(
    alpha: Sequence[float],
    training: Sequence[float],
    validation: Sequence[float],
    norms: Sequence[float],
) -> Figure:
    """Return training and validation accuracy, and the norm of all weights, for each alpha."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.semilogx(alpha, training, "o-", color=_FIRST_COLOUR, label="training digits")
    left.semilogx(alpha, validation, "o-", color=_SECOND_COLOUR, label="validation digits")
    left.set_ylabel("accuracy")
    left.legend()
    right.loglog(alpha, norms, "o-", color=_FIRST_COLOUR)
    right.set_ylabel("norm of all weights")
    for axes in (left, right):
        axes.set_xlabel("alpha")
        axes.grid(alpha=0.3)
    return figure


def boundaries(
    points: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    fields: Sequence[tuple[str, npt.NDArray[np.float64]]],
    extent: tuple[float, float, float, float],
) -> Figure:
    """Return points (n, 2) with labels (n,) of two classes over each field, with its title and decision boundary.

    A field has the probability of the second class on a grid over `extent`: left, right, bottom, top.
    """
    figure = Figure(figsize=(3 * len(fields), 3), layout="constrained")
    for axes, (title, field) in zip(figure.subplots(1, len(fields), squeeze=False)[0], fields, strict=True):
        axes.imshow(field, extent=extent, origin="lower", cmap="RdBu", vmin=0, vmax=1, alpha=0.8, aspect="auto")
        axes.contour(field, levels=[0.5], extent=extent, colors="black")
        axes.scatter(*points.T, c=labels, cmap="RdBu", edgecolors="white", s=25)
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def cost(steps: Sequence[int], costs: Sequence[float]) -> Figure:
    """Return the cost by number of gradient steps."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(steps, costs, color=_FIRST_COLOUR)
    axes.set_xlabel("steps")
    axes.set_ylabel("cost")
    axes.grid(alpha=0.3)
    return figure
