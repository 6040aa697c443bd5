"""Errors are counted with the served classifier, and have a confidence interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from service.classifier import Classifier, Prediction
from service.model.artifact import Artifact
from service.model.verdict import Verdict
from tests.conftest import make_metadata, make_network
from tests.training.answers import make_answers
from training.evaluation import Answers, Error, error, evaluate, gather
from training.mnist import Digits


@pytest.mark.parametrize(("wrong", "n"), [(0, 7), (33, 5_000), (20, 20)])
def test_interval_is_wilsons(wrong: int, n: int) -> None:
    """Rate and 95 % interval are scipy's, and stay in 0..1."""
    oracle = binomtest(wrong, n)
    expected = oracle.proportion_ci(confidence_level=0.95, method="wilson")

    measured = Error(wrong, n)

    assert oracle.statistic == measured.rate
    assert pytest.approx((expected.low, expected.high), abs=1e-6) == measured.interval
    assert 0 <= measured.interval[0] <= measured.interval[1] <= 1


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Error(33, 5_000), "0.66% (33 of 5000; 95 % interval 0.47% to 0.93%)"),
        (Error(0, 7), "0.00% (0 of 7; 95 % interval 0.00% to 35.43%)"),
        (Error(20, 20), "100.00% (20 of 20; 95 % interval 83.89% to 100.00%)"),
    ],
)
def test_error_as_text(measured: Error, expected: str) -> None:
    """The text has rate, count and interval, and no negative zero."""
    assert expected == str(measured)


@pytest.mark.parametrize("n", [3, 5_003])
def test_error_counts_wrong_predictions(n: int) -> None:
    """An error is a label other than the class of the largest score, for any number of digits."""
    network = make_network(5)
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    # Every third label is the network's own answer, so that both kinds occur, and mistakes where a chunk ends.
    answers = network.feedforward(images.reshape(-1, 784).astype(np.float32) / np.float32(255))[-1].argmax(axis=1)
    labels = np.where(np.arange(n) % 3 == 0, answers, (answers + 1) % 10)

    measured = error(Classifier(Artifact(network, make_metadata(network), "")), Digits(images, labels))

    assert Error(wrong=n - (n + 2) // 3, n=n) == measured


def prediction(probabilities: list[float], classes: tuple[int, ...], verdict: Verdict = Verdict.CLEAR) -> Prediction:
    """Return a prediction as the classifier does."""
    confidence = max(probabilities)
    index = probabilities.index(confidence)
    image = np.zeros((28, 28), np.float32)
    return Prediction(np.array(probabilities), classes, index, confidence, None, verdict, image, None)


def test_predictions_are_gathered_as_arrays() -> None:
    """Labels, answers, probabilities and `clear` are rows in the order of the predictions."""
    predictions = [
        prediction([0.2, 0.8], (3, 7)),
        prediction([0.6, 0.4], (3, 7), Verdict.AMBIGUOUS),
        prediction([0.9, 0.1], (3, 7), Verdict.NOT_A_DIGIT),
    ]

    answers = gather(predictions, np.array([7, 7, 3]), (3, 7))

    assert [7, 7, 3] == answers.labels.tolist()
    assert [7, 3, 3] == answers.answers.tolist()
    assert [[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]] == answers.probabilities.tolist()
    assert [True, False, False] == answers.clear.tolist()
    assert [True, False, True] == answers.correct.tolist()
    assert [0.8, 0.6, 0.9] == answers.confidences.tolist()
    assert (3, 7) == answers.classes
    assert Error(1, 3) == answers.error
    assert ["int64", "int64", "float64", "bool"] == [
        array.dtype.name for array in (answers.labels, answers.answers, answers.probabilities, answers.clear)
    ]


@pytest.mark.parametrize("n", [5_003])
def test_evaluation_in_chunks_gives_the_same_answers(n: int) -> None:
    """Answers are the classifier's, in order, for more digits than a chunk has."""
    model = Artifact(make_network(5), make_metadata(make_network(5)), "")
    rng = np.random.default_rng(n)
    digits = Digits(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), rng.integers(0, 10, n))
    # Half of its answers are clear.
    usual = float(np.median([one.confidence for one in Classifier(model).predict_pixels(digits.images)]))
    calibration = model.metadata.calibration.model_copy(update={"ambiguous_below": usual})
    classifier = Classifier(replace(model, metadata=model.metadata.model_copy(update={"calibration": calibration})))

    answers = evaluate(classifier, digits)

    expected = classifier.predict_pixels(digits.images)
    np.testing.assert_allclose([one.probabilities for one in expected], answers.probabilities, atol=1e-6)
    assert [one.digit for one in expected] == answers.answers.tolist()
    assert [one.verdict is Verdict.CLEAR for one in expected] == answers.clear.tolist()
    assert digits.labels.tolist() == answers.labels.tolist()
    assert model.network.classes == answers.classes
    assert n == 1 or pytest.approx(0.5, abs=0.01) == answers.clear.mean()


labelled = st.lists(st.tuples(st.sampled_from([1, 4, 7]), st.sampled_from([1, 4, 7])), min_size=1, max_size=30)


def make(pairs: list[tuple[int, int]]) -> Answers:
    """Return answers to digits 1, 4 and 7, given pairs of label and answer."""
    labels, answers = zip(*pairs, strict=True)
    return make_answers([[a == digit for digit in (1, 4, 7)] for a in answers], labels, classes=(1, 4, 7))


@given(labelled)
def test_confusion_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    """The confusion matrix is scikit-learn's, for any classes."""
    answers = make(pairs)

    expected = confusion_matrix(answers.labels, answers.answers, labels=[1, 4, 7])

    assert expected.tolist() == answers.confusion().tolist()


@given(labelled)
def test_errors_by_digit_are_the_confusion_off_its_diagonal(pairs: list[tuple[int, int]]) -> None:
    """The errors of a class are its row without the diagonal. Their sum is the error of all."""
    answers = make(pairs)

    by_digit = answers.error_by_digit()

    counts = answers.confusion()
    expected = {
        digit: Error(wrong=int(row.sum() - row[i]), n=int(row.sum()))
        for i, (digit, row) in enumerate(zip((1, 4, 7), counts, strict=True))
        if row.any()
    }
    assert expected == by_digit
    assert answers.error == Error(sum(e.wrong for e in by_digit.values()), sum(e.n for e in by_digit.values()))
