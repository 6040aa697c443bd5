"""The partition of a line is the best one, and the probability of a text sums over all partitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from service.model.partition import Lattice
from service.types import Probabilities

# The edges of a partition: a segment that is a digit, one that is something else, and a fragment that is skipped.
Edge = tuple[str, int]


def certain(*classes: int) -> Probabilities:
    """Return the probabilities of segments that the network is sure of."""
    return np.eye(10)[list(classes)]


def two_or_one() -> Lattice:
    """Return two fragments that are a 1 and a 3, or together an 8, or a 1 and something that is skipped."""
    return Lattice(
        starts=[0, 0, 1],
        stops=[1, 2, 2],
        probabilities=certain(1, 8, 3),
        digit_weights=np.array([0.5, 0.4, 0.6]),
        other_weight=0.01,
        skip_weights=np.array([0.05, 0.1]),
    )


def random_lattice(rng: np.random.Generator) -> Lattice:
    """Return a lattice of up to five fragments with some of all their runs as segments, and three classes."""
    n = int(rng.integers(1, 6))
    runs = [(start, stop) for start in range(n) for stop in range(start + 1, min(start + 3, n) + 1)]
    runs = [run for run in runs if rng.random() < 0.8]
    weights = rng.uniform(0.05, 1, len(runs)) * (rng.random(len(runs)) < 0.9)
    return Lattice(
        starts=[start for start, _ in runs],
        stops=[stop for _, stop in runs],
        probabilities=rng.dirichlet(np.ones(3), len(runs)).reshape(-1, 3),
        digit_weights=weights,
        other_weight=float(rng.uniform(0.01, 0.2)),
        skip_weights=rng.uniform(0.02, 0.5, n),
    )


def paths(lattice: Lattice, start: int = 0) -> Iterator[list[Edge]]:
    """Yield every way from the start of the line to its end."""
    if start == len(lattice.skip_weights):
        yield []
        return
    edges = [("skip", start, start + 1)] + [
        (kind, segment, lattice.stops[segment])
        for segment, first in enumerate(lattice.starts)
        if first == start
        for kind in ("digit", "other")
    ]
    for kind, number, stop in edges:
        for rest in paths(lattice, stop):
            yield [(kind, number), *rest]


def weight(lattice: Lattice, path: list[Edge]) -> float:
    """Return the product of the weights along a path, without that of the classes."""
    weights = {"digit": lattice.digit_weights, "skip": lattice.skip_weights}
    return math.prod(lattice.other_weight if kind == "other" else float(weights[kind][n]) for kind, n in path)


def digits_of(path: list[Edge]) -> tuple[int, ...]:
    """Return the segments of a path that are digits."""
    return tuple(number for kind, number in path if kind == "digit")


def test_best_partition_for_each_number_of_digits() -> None:
    """None: the whole as one other segment; one: the 8; two: 1 and 3. Scores are the logarithms of the products."""
    partitions = two_or_one().partitions(5)

    assert [(), (1,), (0, 2)] == [partition.segments for partition in partitions]
    assert pytest.approx(np.log([0.01, 0.4, 0.5 * 0.6])) == [partition.score for partition in partitions]


def test_no_more_digits_than_asked_for() -> None:
    """The best partitions of up to so many digits are the same as without the limit."""
    lattice = two_or_one()

    assert lattice.partitions(5)[:2] == lattice.partitions(1)
    assert lattice.partitions(5)[:1] == lattice.partitions(0)


def test_class_probability_counts() -> None:
    """A segment of an uncertain class is worth less than a certain one."""
    unsure = np.array([[0.6, 0.4], [1.0, 0.0], [0.5, 0.5]])
    lattice = Lattice([0, 0, 1], [1, 2, 2], unsure, np.array([0.9, 0.3, 0.9]), 1e-4, np.array([0.05, 0.05]))

    best = max(lattice.partitions(2), key=lambda partition: partition.score)

    assert (1,) == best.segments
    assert pytest.approx(math.log(0.3)) == best.score


def test_without_segments_everything_is_skipped() -> None:
    """The only partition has no digits, and no text but the empty one is possible."""
    lattice = Lattice([], [], np.empty((0, 10)), np.empty(0), 1e-4, np.array([0.5, 0.25]))

    (partition,) = lattice.partitions(3)

    assert () == partition.segments
    assert pytest.approx(math.log(0.125)) == partition.score
    assert (1, 0) == (lattice.text_probability([]), lattice.text_probability([7]))


def test_segment_without_weight_is_no_digit() -> None:
    """It may be skipped or something else, but is in no partition, and no warning is given."""
    lattice = Lattice([0], [1], certain(7), np.array([0.0]), 0.1, np.array([0.2]))

    assert [()] == [partition.segments for partition in lattice.partitions(1)]
    assert (0, 1) == (lattice.text_probability([7]), lattice.text_probability([]))


def test_text_probability_is_the_share_of_its_partitions() -> None:
    """The weights of all partitions of a text, over those of all partitions."""
    lattice = two_or_one()
    one = [0.5, 0.01, 0.05]  # the first fragment: 1, other, skipped
    other = [0.6, 0.01, 0.1]
    total = sum(one) * sum(other) + 0.4 + 0.01

    assert pytest.approx(0.4 / total) == lattice.text_probability([8])
    assert pytest.approx(0.5 * 0.6 / total) == lattice.text_probability([1, 3])
    assert pytest.approx(0.5 * (0.01 + 0.1) / total) == lattice.text_probability([1])
    assert 0 == lattice.text_probability([3, 1])


@pytest.mark.parametrize("seed", range(40))
def test_partitions_are_those_of_a_full_search(seed: int) -> None:
    """On small random lattices, for every number of digits, the best of all paths is found."""
    lattice = random_lattice(np.random.default_rng(seed))
    certainties = lattice.probabilities.max(axis=1)
    best: dict[int, float] = {}
    for path in paths(lattice):
        digits = digits_of(path)
        product = weight(lattice, path) * math.prod(float(certainties[s]) for s in digits)
        if product > 0:
            best[len(digits)] = max(best.get(len(digits), 0.0), product)

    found = {len(partition.segments): partition for partition in lattice.partitions(5)}

    assert pytest.approx(best) == {n: math.exp(partition.score) for n, partition in found.items()}
    for partition in found.values():
        stops = [lattice.stops[s] for s in partition.segments]
        starts = [lattice.starts[s] for s in partition.segments]
        assert all(stop <= start for stop, start in zip(stops, starts[1:], strict=False))


@pytest.mark.parametrize("seed", range(15))
def test_text_probability_is_that_of_a_full_search(seed: int) -> None:
    """On small random lattices it is the sum over all paths, and that of all texts is 1."""
    lattice = random_lattice(np.random.default_rng(100 + seed))
    texts = [text for n in range(len(lattice.skip_weights) + 1) for text in itertools.product(range(3), repeat=n)]
    sums = dict.fromkeys(texts, 0.0)
    for path in paths(lattice):
        digits, product = digits_of(path), weight(lattice, path)
        for text in itertools.product(range(3), repeat=len(digits)):
            likelihood = math.prod(float(lattice.probabilities[s, c]) for s, c in zip(digits, text, strict=True))
            sums[text] += product * likelihood
    total = sum(sums.values())

    probabilities = [lattice.text_probability(text) for text in texts]

    np.testing.assert_allclose(probabilities, [sums[text] / total for text in texts], rtol=1e-9, atol=1e-15)
    assert pytest.approx(1) == sum(probabilities)


def test_long_lines_do_not_underflow() -> None:
    """The product of 300 small weights is 0 in floating point, and their ratio is not."""
    n, small = 300, 1e-3
    assert small**n == 0
    lattice = Lattice(
        starts=range(n),
        stops=range(1, n + 1),
        probabilities=np.tile([0.999, 0.001], (n, 1)),
        digit_weights=np.full(n, small),
        other_weight=1e-9,
        skip_weights=np.full(n, 1e-9),
    )

    best = max(lattice.partitions(n), key=lambda partition: partition.score)

    assert tuple(range(n)) == best.segments
    assert pytest.approx(n * math.log(small * 0.999)) == best.score
    share = small / (small + 2e-9)
    assert pytest.approx((0.999 * share) ** n, rel=1e-9) == lattice.text_probability([0] * n)
    other = [1] + [0] * (n - 1)
    assert pytest.approx((0.999 * share) ** n / 999, rel=1e-9) == lattice.text_probability(other)


def test_fragments_that_no_weight_allows_to_end_at() -> None:
    """Where nothing ends between two fragments, only what covers both of them counts."""
    lattice = Lattice(
        starts=[0, 2],
        stops=[2, 3],
        probabilities=certain(4, 2),
        digit_weights=np.array([0.5, 0.5]),
        other_weight=0.0,
        skip_weights=np.zeros(3),
    )

    with np.errstate(divide="ignore"):
        (partition,) = lattice.partitions(3)

    assert (0, 1) == partition.segments
    assert pytest.approx(math.log(0.25)) == partition.score
    assert (1, 0) == (lattice.text_probability([4, 2]), lattice.text_probability([4]))
