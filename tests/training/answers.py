"""Answers for tests, with given probabilities or confidences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.evaluation import Answers


def make_answers(
    probabilities: npt.ArrayLike,
    labels: Sequence[int],
    *,
    classes: Sequence[int] = (),
    clear: Sequence[bool] = (),
) -> Answers:
    """Return answers with these probabilities. By default, classes count from 0 and all verdicts are clear."""
    shares = np.asarray(probabilities, np.float64)
    names = np.array(classes or range(shares.shape[1]), np.int64)
    return Answers(
        labels=np.array(labels, np.int64),
        answers=names[shares.argmax(axis=1)],
        probabilities=shares,
        clear=np.array(clear or [True] * len(labels), np.bool_),
        classes=tuple(names.tolist()),
    )


def confident(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> Answers:
    """Return answers over ten classes with these confidences and correctness. Answers are 4 and 7 in turn."""
    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct, np.bool_)
    answers = np.where(np.arange(len(confidences)) % 2, 4, 7)
    probabilities = np.repeat((1 - confidences)[:, None] / 9, 10, axis=1)
    probabilities[np.arange(len(answers)), answers] = confidences
    return make_answers(probabilities, np.where(correct, answers, 2).tolist())
