"""The worked example learns its ten points; its gradients are true, and the service computes the same outputs."""

from __future__ import annotations

import io

import numpy as np
import pytest

from service.model.network import logistic
from training import higham
from training.higham import (
    COST_INTERVAL,
    LEARNING_RATE,
    POINTS,
    TARGETS,
    Parameters,
    Trained,
    backpropagate,
    cost,
    forward,
    initial_parameters,
    make_figures,
    n_correct,
    to_network,
    train,
)

pytestmark = pytest.mark.slow

STEPS, SEED = 6_000, 8
# Every z is 0, and every activation 1/2.
ZERO = Parameters(
    [np.zeros((2, 2)), np.zeros((3, 2)), np.zeros((2, 3))], [np.zeros((2, 1)), np.zeros((3, 1)), np.zeros((2, 1))]
)


@pytest.fixture(scope="module")
def reported() -> dict[int, float]:
    """Return a dictionary for the reported costs."""
    return {}


@pytest.fixture(scope="module")
def trained(reported: dict[int, float]) -> Trained:
    """Return the network after 6,000 steps, with twenty times the paper's learning rate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(higham, "LEARNING_RATE", 1.0)
        return train(STEPS, seed=SEED, progress=reported.__setitem__)


@pytest.fixture
def parameters() -> Parameters:
    """Return random parameters."""
    return initial_parameters(np.random.default_rng(1))


def test_points_are_those_of_the_paper() -> None:
    """Columns are points. The first five are of the first class, the others of the second."""
    assert [(0.1, 0.1), (0.3, 0.4), (0.1, 0.5), (0.6, 0.9), (0.4, 0.2)] == list(
        zip(*POINTS[:, :5].tolist(), strict=True)
    )
    assert [(0.6, 0.3), (0.5, 0.6), (0.9, 0.2), (0.4, 0.4), (0.7, 0.6)] == list(
        zip(*POINTS[:, 5:].tolist(), strict=True)
    )
    assert [(1, 0)] * 5 + [(0, 1)] * 5 == list(zip(*TARGETS.tolist(), strict=True))


def test_initial_parameters_have_standard_deviation_a_half() -> None:
    """The 23 parameters have the paper's shapes, mean 0 and standard deviation 1/2."""
    rng = np.random.default_rng(0)
    values = np.array([np.concatenate([a.ravel() for a in initial_parameters(rng).arrays]) for _ in range(2_000)])

    assert [(2, 2), (3, 2), (2, 3), (2, 1), (3, 1), (2, 1)] == [array.shape for array in initial_parameters(rng).arrays]
    assert (2_000, 23) == values.shape
    assert np.abs(values.mean(axis=0)).max() < 0.06
    assert np.abs(values.std(axis=0) - 0.5).max() < 0.05


def test_network_of_zeros_worked_by_hand() -> None:
    """Each output is 1/2, so half the squared distance from (1, 0) is 1/4."""
    activations = forward(ZERO, POINTS)

    assert [(2, 10), (2, 10), (3, 10), (2, 10)] == [a.shape for a in activations]
    assert {0.5} == {a for layer in activations[1:] for a in layer.ravel().tolist()}
    assert 0.25 == cost(ZERO)


def test_gradient_worked_by_hand() -> None:
    """Without weights delta[4] is 1/4 * (1/2 - y), and the gradients of the layers before are 0."""
    gradient = backpropagate(ZERO, POINTS[:, [0]], TARGETS[:, [0]])

    w2, w3, w4, b2, b3, b4 = (array.tolist() for array in gradient.arrays)
    assert [[-1 / 8], [1 / 8]] == b4
    assert [[-1 / 16] * 3, [1 / 16] * 3] == w4
    assert [[[0, 0]] * 2, [[0, 0]] * 3, [[0]] * 2, [[0]] * 3] == [w2, w3, b2, b3]


@pytest.mark.parametrize("k", [0, 9])
def test_gradients_are_finite_differences(parameters: Parameters, k: int) -> None:
    """The gradient by each of the 23 parameters is the central difference, for a point of either class."""
    x, y, h = POINTS[:, [k]], TARGETS[:, [k]], 1e-5
    slopes = []
    for own in parameters.arrays:
        for place in np.ndindex(own.shape):
            kept = own[place]
            own[place] = kept + h
            above = cost(parameters, x, y)
            own[place] = kept - h
            below = cost(parameters, x, y)
            own[place] = kept
            slopes.append((above - below) / (2 * h))

    gradient = backpropagate(parameters, x, y)

    assert 23 == len(slopes)
    np.testing.assert_allclose(np.concatenate([array.ravel() for array in gradient.arrays]), slopes, rtol=0, atol=1e-10)


def test_the_cost_is_the_mean_over_the_points(parameters: Parameters) -> None:
    """The mean of the points' costs is the cost, so that SGD steps are unbiased."""
    costs = [cost(parameters, POINTS[:, [k]], TARGETS[:, [k]]) for k in range(10)]

    assert pytest.approx(np.mean(costs)) == cost(parameters)


def test_step_of_sgd_worked_by_hand() -> None:
    """A step subtracts 0.05 times the gradient of a random point."""
    rng = np.random.default_rng(3)
    before = initial_parameters(rng)
    k = int(rng.integers(10, size=1)[0])
    gradient = backpropagate(before, POINTS[:, [k]], TARGETS[:, [k]])

    after = train(1, seed=3)

    assert 0.05 == LEARNING_RATE
    for old, slope, new in zip(before.arrays, gradient.arrays, after.parameters.arrays, strict=True):
        np.testing.assert_allclose(new, old - 0.05 * slope)
    assert {0: cost(before), 1: cost(after.parameters)} == after.costs


def test_all_points_are_learned(trained: Trained) -> None:
    """The cost falls to a tenth, and all points are classified correctly."""
    assert n_correct(initial_parameters(np.random.default_rng(SEED))) < 10
    assert 10 == n_correct(trained.parameters)
    assert 0.2 < trained.costs[0] < 0.3
    assert trained.costs[STEPS] < trained.costs[0] / 10
    assert cost(trained.parameters) == trained.costs[STEPS]


def test_cost_is_reported_every_thousand_steps(trained: Trained, reported: dict[int, float]) -> None:
    """`progress` is called with each cost but that of the initial parameters."""
    assert list(range(0, STEPS + 1, COST_INTERVAL)) == list(trained.costs)
    assert {steps: at for steps, at in trained.costs.items() if steps} == reported


def test_any_number_of_steps_is_possible() -> None:
    """The cost after the last step is reported too, and the same seed takes the same steps."""
    longer, shorter = train(1_500, seed=2), train(1_000, seed=2)

    assert [0, 1_000, 1_500] == list(longer.costs)
    assert shorter.costs == {steps: at for steps, at in longer.costs.items() if steps <= 1_000}


def test_service_network_computes_the_same(trained: Trained) -> None:
    """F(x) is the sigmoid of the scores of the service's network, and both predict the same classes."""
    network = to_network(trained.parameters)
    scores = network.feedforward(POINTS.T.astype(np.float32))[-1]

    f = forward(trained.parameters, POINTS)[-1]
    assert "Network(2 -> 2 logistic -> 3 logistic -> 2 softmax)" == repr(network)
    np.testing.assert_allclose(logistic(scores).T, f, rtol=0, atol=1e-6)
    assert f.argmax(axis=0).tolist() == network.probabilities(scores).argmax(axis=1).tolist()
    assert [0] * 5 + [1] * 5 == network.probabilities(scores).argmax(axis=1).tolist()


def test_figures_show_cost_and_decision_regions(trained: Trained) -> None:
    """One figure has the cost by steps, the other the decision regions, in which each point is in its own."""
    figures = make_figures(trained)

    assert ["cost", "regions"] == list(figures)
    (line,) = figures["cost"].axes[0].get_lines()
    assert trained.costs == dict(zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True))
    (axes,) = figures["regions"].axes
    (image,) = axes.get_images()
    field = np.asarray(image.get_array(), np.float64)
    columns, rows = (POINTS * len(field)).astype(int)
    assert "6,000 steps" == axes.get_title()
    assert (0, 1, 0, 1) == tuple(image.get_extent())
    assert [False] * 5 + [True] * 5 == (field[rows, columns] > 0.5).tolist()
    assert 0 <= field.min() < field.max() <= 1
    for figure in figures.values():
        figure.savefig(io.BytesIO(), format="png")
