"""Tests of service.classifier."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from service.classifier import CHUNK_SIZE, Classifier, Prediction, Stage
from service.errors import ArtifactError, InvalidPixels, NoInk, PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.model.artifact import Artifact
from service.model.calibration import Calibration
from service.model.verdict import Verdict
from service.settings import MAX_PIXELS
from service.types import IMAGE_SIDE, PIXELS
from tests.conftest import make_detector, make_metadata, make_network
from tests.pictures import STROKES, draw, encode

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def some_pixels() -> Pixels:
    """Return three random pictures of 28x28 pixels, for the tiny model."""
    return np.random.default_rng(0).integers(0, 256, (3, IMAGE_SIDE, IMAGE_SIDE)).astype(np.uint8)


@pytest.fixture
def tiny(tiny_model: Path) -> Classifier:
    """Return a classifier with random weights."""
    return Classifier.load(tiny_model)


@pytest.fixture
def watchful(watchful_model: Path) -> Classifier:
    """Return a classifier with the same weights and an OOD detector."""
    return Classifier.load(watchful_model)


# --- Pictures


@pytest.mark.parametrize("digit", sorted(STROKES))
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)], ids=["dark on light", "light on dark"])
def test_drawn_digits_are_read(classifier: Classifier, digit: int, ink: int, paper: int) -> None:
    """The bundled model reads each drawn digit, in both polarities."""
    prediction = classifier.predict_picture(encode(draw(digit, ink=ink, paper=paper)))

    assert digit == prediction.digit


@pytest.mark.parametrize("digit", sorted(STROKES))
def test_a_prediction_is_consistent(classifier: Classifier, digit: int) -> None:
    """Probabilities sum to 1, the digit is the class of the largest one, and the confidence is its value."""
    prediction = classifier.predict_picture(encode(draw(digit)))
    probabilities = prediction.probabilities

    assert (10,) == probabilities.shape
    assert tuple(range(10)) == prediction.classes
    assert pytest.approx(1, abs=1e-12) == float(probabilities.sum())
    assert prediction.classes[int(np.argmax(probabilities))] == prediction.digit
    assert max(probabilities.tolist()) == prediction.confidence
    assert prediction.verdict in set(Verdict)


def test_the_prediction_of_a_picture_has_input_and_report(classifier: Classifier) -> None:
    """The network's input is float32 (28, 28) in 0..1, and there is a report."""
    prediction = classifier.predict_picture(encode(draw()))

    assert (IMAGE_SIDE, IMAGE_SIDE) == prediction.input.shape
    assert np.float32 == prediction.input.dtype
    assert 0 == prediction.input.min()
    assert 0.9 < prediction.input.max() <= 1
    assert prediction.report is not None


def test_the_input_of_a_picture_gets_the_same_answer_as_pixels(classifier: Classifier) -> None:
    """The network's input of a picture, sent as pixels, gets the probabilities of the picture."""
    prediction = classifier.predict_picture(encode(draw(3)))
    (again,) = classifier.predict_pixels(np.round(255 * prediction.input).astype(np.uint8)[None])

    np.testing.assert_allclose(again.probabilities, prediction.probabilities, atol=0.02)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (encode(draw(ink=255)), NoInk),
        (b"seven", UnsupportedFormat),
        (encode(draw())[:100], UnreadablePicture),
    ],
    ids=["blank", "text", "truncated"],
)
def test_pictures_that_cannot_be_answered(tiny: Classifier, data: bytes, error: type[Exception]) -> None:
    """The error is raised, and there is no prediction."""
    with pytest.raises(error):
        tiny.predict_picture(data)


def test_the_pixel_limit_is_configurable(bundled: Artifact) -> None:
    """A picture of more pixels than the limit is refused. By default 50 megapixels are allowed."""
    picture = encode(draw(size=(60, 60)))

    assert tuple(range(10)) == Classifier(bundled, 3600).predict_picture(picture).classes
    with pytest.raises(PictureTooLarge, match="60 x 60"):
        Classifier(bundled, 3599).predict_picture(picture)
    assert 50_000_000 == MAX_PIXELS == Classifier(bundled).max_pixels


# --- Pixels


def test_pixels_are_scaled_and_answered(tiny: Classifier, some_pixels: Pixels) -> None:
    """The probabilities are those of the network at the pixels over 255, at the model's temperature of 1.5."""
    network = tiny.model.network
    inputs = (some_pixels / 255).reshape(-1, PIXELS)
    hidden = np.maximum(inputs @ network.layers[0].weights + network.layers[0].biases, 0)
    scores = hidden @ network.layers[1].weights + network.layers[1].biases
    powers = np.exp(scores / 1.5)
    predictions = tiny.predict_pixels(some_pixels)

    np.testing.assert_allclose(
        [prediction.probabilities for prediction in predictions],
        powers / powers.sum(axis=1, keepdims=True),
        atol=1e-5,
    )


def test_pixels_are_not_normalised(tiny: Classifier, some_pixels: Pixels) -> None:
    """The network's input is the pixels as they were sent, without a report."""
    predictions = tiny.predict_pixels(some_pixels)

    for sent, prediction in zip(some_pixels, predictions, strict=True):
        np.testing.assert_allclose(prediction.input, sent / 255, atol=1e-7)
        assert prediction.report is None


def test_a_batch_gets_the_answers_of_single_digits(tiny: Classifier, some_pixels: Pixels) -> None:
    """Answers are in the order of the batch, and do not depend on other digits in it."""
    together = tiny.predict_pixels(some_pixels)

    for pixels, prediction in zip(some_pixels, together, strict=True):
        (alone,) = tiny.predict_pixels(pixels[None])
        np.testing.assert_allclose(prediction.probabilities, alone.probabilities, atol=1e-6)


def test_the_known_digit_gets_its_known_answer(classifier: Classifier) -> None:
    """The self-test digit in the bundled model file is answered with the probabilities in the file."""
    known = classifier.model.metadata.known_answer
    (prediction,) = classifier.predict_pixels(np.reshape(known.pixels, (1, IMAGE_SIDE, IMAGE_SIDE)))

    np.testing.assert_allclose(prediction.probabilities, known.probabilities, atol=1e-4)


def test_lists_are_answered_as_arrays(tiny: Classifier, some_pixels: Pixels) -> None:
    """Pixels may be nested lists, as in JSON."""
    listed, packed = tiny.predict_pixels(some_pixels.tolist()), tiny.predict_pixels(some_pixels)

    assert [p.probabilities.tolist() for p in packed] == [p.probabilities.tolist() for p in listed]


@pytest.mark.parametrize("dtype", [np.int16, np.uint64])
def test_integers_of_any_width_are_accepted(
    tiny: Classifier, some_pixels: Pixels, dtype: type[np.integer[Any]]
) -> None:
    """The answer depends only on the value of an integer."""
    expected = tiny.predict_pixels(some_pixels)[0].probabilities.tolist()

    assert expected == tiny.predict_pixels(some_pixels.astype(dtype))[0].probabilities.tolist()


def test_an_empty_batch_gets_no_answers(tiny: Classifier) -> None:
    """A batch of shape (0, 28, 28) is answered with an empty list."""
    assert [] == tiny.predict_pixels(np.zeros((0, IMAGE_SIDE, IMAGE_SIDE), np.uint8))


def blank(**changes: Any) -> list[list[Any]]:
    """Return 28 lists of 28 zeros, with another value at one pixel."""
    pixels: list[list[Any]] = [[0] * IMAGE_SIDE for _ in range(IMAGE_SIDE)]
    pixels[27][13] = changes.get("value", 0)
    return pixels


SHAPE = "pixels must be 28 rows of 28 integers each"
VALUES = "pixels must be integers from 0, background, to 255, ink: do not scale them to 0..1"


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ([blank()[:27]], rf"{SHAPE}, not of shape \(27, 28\)"),
        ([[*blank(), [0] * 28]], rf"{SHAPE}, not of shape \(29, 28\)"),
        ([[row[:27] for row in blank()]], rf"{SHAPE}, not of shape \(28, 27\)"),
        ([[*blank()[:27], [0] * 27]], SHAPE),
        ([blank(), blank()[:27]], SHAPE),
        (blank(), SHAPE),
        ([[blank()]], SHAPE),
        ([[0] * 784], SHAPE),
        ([], SHAPE),
        (7, SHAPE),
        (np.zeros((1, 28, 28, 1), np.uint8), SHAPE),
        ([blank(value=0.5)], VALUES),
        ([blank(value=1.0)], VALUES),
        ([blank(value=256)], VALUES),
        ([blank(value=-1)], VALUES),
        ([blank(value=2**63)], VALUES),
        ([blank(value=10**30)], VALUES),
        ([blank(value="7")], VALUES),
        ([blank(value=None)], VALUES),
        ([blank(value=float("nan"))], VALUES),
        (np.zeros((1, 28, 28), np.bool_), VALUES),
        (np.zeros((1, 28, 28), np.complex64), VALUES),
        ([blank(value=[0])], SHAPE),
    ],
    ids=[
        "27 rows",
        "29 rows",
        "27 columns",
        "ragged",
        "ragged batch",
        "no batch",
        "one axis too many",
        "flat",
        "nothing",
        "a number",
        "channels",
        "a fraction",
        "a whole float",
        "above 255",
        "below 0",
        "64 bits",
        "beyond 64 bits",
        "text",
        "null",
        "NaN",
        "booleans",
        "complex",
        "a list",
    ],
)
def test_invalid_pixels_are_refused(tiny: Classifier, pixels: Any, message: str) -> None:
    """Other shapes, fractions and values out of range raise an error with the valid form in its message."""
    with pytest.raises(InvalidPixels, match=f"^{message}"):
        tiny.predict_pixels(pixels)


@pytest.mark.parametrize("value", [0, 255])
def test_the_range_of_pixels_is_inclusive(tiny: Classifier, value: int) -> None:
    """0 and 255 are valid."""
    (prediction,) = tiny.predict_pixels([blank(value=value)])

    assert value / 255 == prediction.input.max()


# --- Models


def test_a_binary_model_answers_with_its_own_classes() -> None:
    """A logistic head for 3 and 8 gives two probabilities and one of these digits."""
    network = make_network(4, head="logistic", classes=(3, 8))
    predictions = Classifier(Artifact(network, make_metadata(network), "")).predict_pixels(
        np.random.default_rng(1).integers(0, 256, (20, IMAGE_SIDE, IMAGE_SIDE))
    )

    for prediction in predictions:
        assert (3, 8) == prediction.classes
        assert (2,) == prediction.probabilities.shape
        # The rule of the lecture: the positive class from a probability of 0.5.
        assert (8 if prediction.probabilities[1] >= 0.5 else 3) == prediction.digit


def test_the_verdict_follows_the_confidence(tiny: Classifier, some_pixels: Pixels) -> None:
    """With a threshold at the median of three confidences, only the answer below it is ambiguous."""
    confidences = [prediction.confidence for prediction in tiny.predict_pixels(some_pixels)]
    calibration = Calibration(temperature=1.5, ambiguous_below=sorted(confidences)[1])
    metadata = tiny.model.metadata.model_copy(update={"calibration": calibration})
    predictions = Classifier(Artifact(tiny.model.network, metadata, "")).predict_pixels(some_pixels)
    verdicts = [predictions[i].verdict for i in np.argsort(confidences)]

    assert [Verdict.AMBIGUOUS, Verdict.CLEAR, Verdict.CLEAR] == verdicts


def test_novelty_is_the_ood_score_of_the_detector(watchful: Classifier, some_pixels: Pixels) -> None:
    """The detector's input is the hidden activations, for pictures and for pixels."""
    detector = watchful.model.detector
    assert detector is not None
    *answers, picture = [*watchful.predict_pixels(some_pixels), watchful.predict_picture(encode(draw(3)))]

    for answer in [*answers, picture]:
        first, last = detector.layers
        features = watchful.explain(answer).activations[0]
        hidden = np.maximum(features @ first.weights + first.biases, 0)
        (score,) = hidden @ last.weights + last.biases
        assert pytest.approx(1 / (1 + np.exp(-score)), abs=1e-6) == answer.novelty
    assert 4 == len({answer.novelty for answer in [*answers, picture]})


def test_a_detector_changes_no_probability(watchful: Classifier, tiny: Classifier, some_pixels: Pixels) -> None:
    """The probabilities of a model are the same with and without an OOD detector."""
    with_it, without = watchful.predict_pixels(some_pixels), tiny.predict_pixels(some_pixels)

    assert [p.probabilities.tolist() for p in without] == [p.probabilities.tolist() for p in with_it]


def test_without_a_detector_novelty_is_none(tiny: Classifier, some_pixels: Pixels) -> None:
    """A model without an OOD detector has no score, for pictures and for pixels."""
    answers = [*tiny.predict_pixels(some_pixels), tiny.predict_picture(encode(draw(3)))]

    assert [None] * 4 == [answer.novelty for answer in answers]


def test_the_verdict_follows_the_novelty(watchful: Classifier, some_pixels: Pixels) -> None:
    """With a threshold at the median of three OOD scores, the two from there up are no digit, at any confidence."""
    unlike = [prediction.novelty or 0 for prediction in watchful.predict_pixels(some_pixels)]
    calibration = Calibration(temperature=1.5, ambiguous_below=0, novel_from=sorted(unlike)[1])
    metadata = watchful.model.metadata.model_copy(update={"calibration": calibration})
    predictions = Classifier(replace(watchful.model, metadata=metadata)).predict_pixels(some_pixels)
    verdicts = [predictions[i].verdict for i in np.argsort(unlike)]

    assert [Verdict.CLEAR, Verdict.NOT_A_DIGIT, Verdict.NOT_A_DIGIT] == verdicts


def test_a_detector_may_have_the_pixels_as_input() -> None:
    """In a network without hidden layers, the OOD detector's input is the pixels."""
    network = make_network()
    detector = make_detector(network, 2)
    model = Artifact(network, make_metadata(network, detector), "", detector)
    pixels = np.random.default_rng(2).integers(0, 256, (2, IMAGE_SIDE, IMAGE_SIDE))
    first, last = detector.layers
    hidden = np.maximum(pixels.reshape(2, -1) / 255 @ first.weights + first.biases, 0)
    expected = 1 / (1 + np.exp(-(hidden @ last.weights + last.biases)[:, 0]))

    assert pytest.approx(expected, abs=1e-5) == [p.novelty for p in Classifier(model).predict_pixels(pixels)]


def test_a_detector_has_all_hidden_layers_as_input() -> None:
    """In a network with two hidden layers, the OOD detector's input is both activations, the first layer's first."""
    network = make_network(4, 3)
    detector = make_detector(network)
    model = Artifact(network, make_metadata(network, detector), "", detector)
    classifier = Classifier(model)
    (prediction,) = classifier.predict_pixels(np.random.default_rng(3).integers(0, 256, (1, IMAGE_SIDE, IMAGE_SIDE)))
    features = np.concatenate(classifier.explain(prediction).activations[:2])
    (head,) = detector.layers
    (score,) = features @ head.weights + head.biases

    assert (7,) == features.shape
    assert pytest.approx(1 / (1 + np.exp(-score)), abs=1e-6) == prediction.novelty


def test_an_explanation_belongs_to_its_answer(classifier: Classifier) -> None:
    """Activations have the sizes of the layers, the logits give the same digit, and paper has no attribution."""
    prediction = classifier.predict_picture(encode(draw(2)))
    explanation = classifier.explain(prediction)

    assert [layer.n_out for layer in classifier.model.network.layers] == [len(a) for a in explanation.activations]
    assert prediction.index == int(explanation.scores.argmax())
    assert (IMAGE_SIDE, IMAGE_SIDE) == explanation.relevance.shape
    assert not explanation.relevance[prediction.input == 0].any()


@pytest.mark.parametrize("digit", [2, 5])
def test_relevance_is_gradient_x_input_attribution(classifier: Classifier, digit: int) -> None:
    """Scaling the input lowers the class's logit, less the mean logit, by the sum of the attributions."""
    prediction = classifier.predict_picture(encode(draw(digit)))
    explanation = classifier.explain(prediction)
    fainter = (1 - 1e-3) * prediction.input.reshape(1, PIXELS)
    leads = [
        float(scores[digit] - scores.mean())
        for scores in (explanation.scores, classifier.model.network.feedforward(fainter)[-1][0])
    ]

    assert digit == prediction.digit
    assert pytest.approx(1e3 * (leads[0] - leads[1]), rel=0.05) == float(explanation.relevance.sum())


def test_a_model_is_loaded_from_its_file(tiny_model: Path, tmp_path: Path) -> None:
    """It keeps the pixel limit, and a file that is no model is refused."""
    loaded = Classifier.load(tiny_model, 1000)

    assert ("tiny", 1000) == (loaded.model.metadata.name, loaded.max_pixels)
    with pytest.raises(ArtifactError, match=r"none\.safetensors cannot be read"):
        Classifier.load(tmp_path / "none.safetensors")


# --- Instrumentation


class RecordingObserver:
    """An observer that records stages and counts predictions."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.n_answers = 0

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Record a stage."""
        self.stages.append(stage)
        return nullcontext()

    def answered(self, predictions: Sequence[Prediction]) -> None:
        """Count predictions."""
        self.n_answers += len(predictions)


def test_answers_of_candidates_are_measured_but_not_counted(tiny: Classifier, watchful: Classifier) -> None:
    """They are those of the predictions; candidate digits of a reading are no predictions."""
    inputs = np.random.default_rng(0).random((3, PIXELS), np.float32)

    for one in (tiny, watchful):
        observer = RecordingObserver()
        probabilities, scores = Classifier(one.model, observer=observer).score_segments(
            inputs, np.ones(len(inputs), np.bool_)
        )
        expected = one.predict_segments(inputs, np.ones(len(inputs), np.bool_))

        assert (["infer"], 0) == (observer.stages, observer.n_answers)
        np.testing.assert_allclose([prediction.probabilities for prediction in expected], probabilities)
        assert [prediction.novelty for prediction in expected] == scores
    assert (0, 10) == tiny.score_segments(inputs[:0], np.empty(0, np.bool_))[0].shape


def test_picture_is_decoded_at_any_size(tiny: Classifier) -> None:
    """With at most so many pixels on its longer side, as a measured stage, and with the classifier's limits."""
    observer = RecordingObserver()
    classifier = Classifier(tiny.model, max_pixels=900 * 600, observer=observer, formats=("PNG",))
    data = encode(draw(size=(900, 600)))

    assert [(600, 900), (300, 450), (150, 225)] == [
        classifier.decode(data, side).pixels.shape for side in (900, 500, 288)
    ]
    assert 3 * ["decode"] == observer.stages
    with pytest.raises(PictureTooLarge):
        classifier.decode(encode(draw(size=(900, 601))))
    with pytest.raises(UnsupportedFormat):
        classifier.decode(encode(draw(), "JPEG"))


def test_an_observer_is_called_at_every_stage(tiny: Classifier) -> None:
    """A chunk is decoded, then normalised, and all chunks are inferred at once. Failed pictures skip later stages."""
    observer = RecordingObserver()
    classifier = Classifier(tiny.model, observer=observer)
    sevens = [encode(draw(7))] * (CHUNK_SIZE - 1)
    results = classifier.predict_pictures([encode(draw(4)), b"nothing", *sevens])

    chunk = ["decode"] * CHUNK_SIZE + ["normalize"] * (CHUNK_SIZE - 1)
    assert [*chunk, "decode", "normalize", "infer"] == observer.stages
    assert CHUNK_SIZE == observer.n_answers
    assert [Prediction, UnsupportedFormat, *[Prediction] * len(sevens)] == [type(result) for result in results]


def test_network_inputs_are_answered_as_pixels(tiny: Classifier, some_pixels: Pixels) -> None:
    """Digits scaled to 0..1 get the answers of the unscaled ones."""
    inputs = some_pixels.reshape(-1, PIXELS).astype(np.float32) / np.float32(255)

    assert [one.probabilities.tolist() for one in tiny.predict_pixels(some_pixels)] == [
        one.probabilities.tolist() for one in tiny.predict_inputs(inputs)
    ]
