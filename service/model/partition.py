"""Partition of a line into digits: dynamic programming over the network's answers for candidate segments.

Enters: the candidate segments of a line of fragments, with their class probabilities and the score of each. Leaves: the
best partition for each number of digits, and the probability of a text among all partitions. Where candidates come
from is decided in `service.images.cuts`, what is made of the partition in `service.reader`.

Source: over-segmentation and lattice search, as in LeCun et al. 1998, "Gradient-based learning applied to document
recognition", section VI. The probability of a text sums over all of its partitions, as in Graves et al. 2006,
"Connectionist temporal classification".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.types import Probabilities


@dataclass(frozen=True)
class Partition:
    """The segments that are digits, by their index in the lattice, and the log-probability of the whole."""

    segments: tuple[int, ...]
    score: float


@dataclass(frozen=True, eq=False)
class Lattice:
    """Candidate segments of a line of n fragments, sorted by their start.

    Segment s covers fragments starts[s] to stops[s], exclusive. `probabilities`, float64 (n_segments, n_classes), are
    those of its class. `digit_weights`, float64 (n_segments,), 0..1, say how likely it is one digit, and
    `other_weight`, 0..1, how likely any segment is something else. `skip_weights`, float64 (n_fragments,), 0..1, say
    how likely a fragment belongs to no segment at all.
    """

    starts: Sequence[int]
    stops: Sequence[int]
    probabilities: Probabilities
    digit_weights: Probabilities
    other_weight: float
    skip_weights: Probabilities

    def partitions(self, max_digits: int) -> list[Partition]:
        """Return the best partition for each number of digits that has one, from none to `max_digits`."""
        n = len(self.skip_weights)
        # best[i, k] is the score of the best partition of the first i fragments into k digits, last[i, k] its last
        # edge: a segment s that is a digit as s, one that is none as -2 - s, a fragment that is skipped as -1.
        best = np.full((n + 1, max_digits + 1), -np.inf)
        last = np.full((n + 1, max_digits + 1), -1)
        best[0, 0] = 0
        with np.errstate(divide="ignore"):
            digit_scores = np.log(self.digit_weights * self.probabilities.max(axis=1))
            skip_scores = np.log(self.skip_weights)
        other_score = np.log(self.other_weight)
        for start, segments in enumerate(self._segments_by_start()):
            here = best[start]
            _keep_better(best[start + 1], last[start + 1], here + skip_scores[start], -1)
            for segment in segments:
                stop = self.stops[segment]
                _keep_better(best[stop, 1:], last[stop, 1:], here[:-1] + digit_scores[segment], segment)
                _keep_better(best[stop], last[stop], here + other_score, -2 - segment)
        return [
            Partition(self._traced(last, n_digits), float(score))
            for n_digits, score in enumerate(best[n].tolist())
            if score > -np.inf
        ]

    def text_probability(self, classes: Sequence[int]) -> float:
        """Return the probability that the line has these digits, as class indices: 0..1, over all partitions."""
        n = len(self.skip_weights)
        # Of the first i fragments, matching[i, k] is the sum of all partitions into the first k digits of the text,
        # and total[i] that of all partitions into any digits.
        matching, total = np.zeros((n + 1, len(classes) + 1)), np.zeros(n + 1)
        matching[0, 0] = total[0] = 1
        weights = self.digit_weights[:, None] * self.probabilities[:, list(classes)]
        for start, segments in enumerate(self._segments_by_start()):
            if total[start] > 0:
                # Only ratios count, and products of many weights would underflow.
                scale = total[start]
                matching[start:] /= scale
                total[start:] /= scale
            matching[start + 1] += matching[start] * self.skip_weights[start]
            total[start + 1] += total[start] * self.skip_weights[start]
            for segment in segments:
                stop = self.stops[segment]
                matching[stop, 1:] += matching[start, :-1] * weights[segment]
                matching[stop] += matching[start] * self.other_weight
                total[stop] += total[start] * (self.digit_weights[segment] + self.other_weight)
        return float(matching[n, -1] / total[n])

    def _segments_by_start(self) -> list[list[int]]:
        groups: list[list[int]] = [[] for _ in self.skip_weights]
        for segment, start in enumerate(self.starts):
            groups[start].append(segment)
        return groups

    def _traced(self, last: npt.NDArray[np.intp], n_digits: int) -> tuple[int, ...]:
        """Return the digits of a partition by following its edges from the end of the line."""
        digits: list[int] = []
        stop = len(self.skip_weights)
        while stop > 0:
            edge = int(last[stop, n_digits - len(digits)])
            if edge >= 0:
                digits.append(edge)
            stop = stop - 1 if edge == -1 else self.starts[edge if edge >= 0 else -2 - edge]
        return tuple(reversed(digits))


def _keep_better(best: Probabilities, last: npt.NDArray[np.intp], scores: Probabilities, edge: int) -> None:
    """Replace scores that are lower, and the edges by which they were reached."""
    better = scores > best
    best[better] = scores[better]
    last[better] = edge
