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

from service.classifier import TOGETHER, Classifier, Prediction, Stage
from service.errors import ArtifactError, InvalidPixels, NoInk, PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.model.artifact import Artifact
from service.model.calibration import Calibration, Verdict
from service.settings import MAX_PIXELS
from service.types import IMAGE_SIDE, PIXELS
from tests.conftest import make_detector, make_metadata, make_network
from tests.pictures import STROKES, draw, encode

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def some_pixels() -> Pixels:
    """Return three inputs in MNIST form, as random as the ink of the tiny model's answers may be."""
    return np.random.default_rng(0).integers(0, 256, (3, IMAGE_SIDE, IMAGE_SIDE)).astype(np.uint8)


@pytest.fixture
def tiny(tiny_model: Path) -> Classifier:
    """Return a classifier with random weights."""
    return Classifier.load(tiny_model)


@pytest.fixture
def watchful(watchful_model: Path) -> Classifier:
    """Return a classifier with the same weights that can tell what is no digit."""
    return Classifier.load(watchful_model)


# --- Pictures


@pytest.mark.parametrize("digit", sorted(STROKES))
@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)], ids=["dark on light", "light on dark"])
def test_drawn_digits_are_read(classifier: Classifier, digit: int, ink: int, paper: int) -> None:
    """The bundled model reads each digit as it is drawn, either way round."""
    prediction = classifier.predict_picture(encode(draw(digit, ink=ink, paper=paper)))

    assert digit == prediction.digit


@pytest.mark.parametrize("digit", sorted(STROKES))
def test_a_prediction_hangs_together(classifier: Classifier, digit: int) -> None:
    """Probabilities sum to 1, the digit is the class of the largest one, and that is the confidence."""
    prediction = classifier.predict_picture(encode(draw(digit)))
    probabilities = prediction.probabilities

    assert (10,) == probabilities.shape
    assert tuple(range(10)) == prediction.classes
    assert pytest.approx(1, abs=1e-12) == float(probabilities.sum())
    assert prediction.classes[int(np.argmax(probabilities))] == prediction.digit
    assert max(probabilities.tolist()) == prediction.confidence
    assert prediction.verdict in set(Verdict)


def test_a_picture_brings_its_input_and_a_report(classifier: Classifier) -> None:
    """What the network saw is 28x28 ink in 0..1, and the report says how the picture became that."""
    prediction = classifier.predict_picture(encode(draw()))

    assert (IMAGE_SIDE, IMAGE_SIDE) == prediction.input.shape
    assert np.float32 == prediction.input.dtype
    assert 0 == prediction.input.min()
    assert 0.9 < prediction.input.max() <= 1
    assert prediction.report is not None


def test_the_input_of_a_picture_gets_the_same_answer_as_pixels(classifier: Classifier) -> None:
    """Both ways in lead to one network: what a picture is normalised to is read like the picture."""
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
    """What is wrong with a picture is raised, and never answered with some digit."""
    with pytest.raises(error):
        tiny.predict_picture(data)


def test_the_limit_on_pixels_is_the_one_that_was_set(bundled: Artifact) -> None:
    """A classifier for small pictures refuses larger ones; by default 50 megapixels are allowed."""
    picture = encode(draw(size=(60, 60)))

    assert tuple(range(10)) == Classifier(bundled, 3600).predict_picture(picture).classes
    with pytest.raises(PictureTooLarge, match="60 x 60"):
        Classifier(bundled, 3599).predict_picture(picture)
    assert 50_000_000 == MAX_PIXELS == Classifier(bundled).max_pixels


# --- Pixels


def test_pixels_are_scaled_and_carried_through(tiny: Classifier, some_pixels: Pixels) -> None:
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
    """What is in MNIST form is seen by the network as it was sent, and there is nothing to report."""
    predictions = tiny.predict_pixels(some_pixels)

    for sent, prediction in zip(some_pixels, predictions, strict=True):
        np.testing.assert_allclose(prediction.input, sent / 255, atol=1e-7)
        assert prediction.report is None


def test_many_digits_are_answered_as_each_alone(tiny: Classifier, some_pixels: Pixels) -> None:
    """Answers come in the order sent and do not depend on what else is in the batch."""
    together = tiny.predict_pixels(some_pixels)

    for pixels, prediction in zip(some_pixels, together, strict=True):
        (alone,) = tiny.predict_pixels(pixels[None])
        np.testing.assert_allclose(prediction.probabilities, alone.probabilities, atol=1e-6)


def test_the_known_digit_gets_its_known_answer(classifier: Classifier) -> None:
    """The digit that the bundled model carries is answered with the probabilities beside it."""
    known = classifier.model.metadata.known_answer
    (prediction,) = classifier.predict_pixels(np.reshape(known.pixels, (1, IMAGE_SIDE, IMAGE_SIDE)))

    np.testing.assert_allclose(prediction.probabilities, known.probabilities, atol=1e-4)


def test_lists_are_as_good_as_arrays(tiny: Classifier, some_pixels: Pixels) -> None:
    """Pixels may come as JSON has them."""
    listed, packed = tiny.predict_pixels(some_pixels.tolist()), tiny.predict_pixels(some_pixels)

    assert [p.probabilities.tolist() for p in packed] == [p.probabilities.tolist() for p in listed]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_any_integers_will_do(tiny: Classifier, some_pixels: Pixels, dtype: type[np.integer[Any]]) -> None:
    """The width of an integer does not matter, only its value."""
    expected = tiny.predict_pixels(some_pixels)[0].probabilities.tolist()

    assert expected == tiny.predict_pixels(some_pixels.astype(dtype))[0].probabilities.tolist()


def test_no_digits_get_no_answers(tiny: Classifier) -> None:
    """An empty batch in the right form is answered with an empty list."""
    assert [] == tiny.predict_pixels(np.zeros((0, IMAGE_SIDE, IMAGE_SIDE), np.uint8))


def blank(**changes: Any) -> list[list[Any]]:
    """Return a digit without ink, as JSON has it, with another value in one place."""
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
        (np.zeros((1, 28, 28), np.float32), VALUES),
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
        "floats",
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
def test_what_is_not_in_mnist_form_is_refused(tiny: Classifier, pixels: Any, message: str) -> None:
    """Other shapes, fractions and values out of range get no answer, and the message says what is wanted."""
    with pytest.raises(InvalidPixels, match=f"^{message}"):
        tiny.predict_pixels(pixels)


@pytest.mark.parametrize("value", [0, 255])
def test_both_ends_of_the_range_are_in_it(tiny: Classifier, value: int) -> None:
    """Pure background and pure ink are valid."""
    (prediction,) = tiny.predict_pixels([blank(value=value)])

    assert value / 255 == prediction.input.max()


# --- Models


def test_a_binary_model_answers_with_its_own_classes() -> None:
    """A logistic head over 3 and 8 gives two probabilities and one of these digits."""
    network = make_network(4, head="logistic", classes=(3, 8))
    predictions = Classifier(Artifact(network, make_metadata(network), "")).predict_pixels(
        np.random.default_rng(1).integers(0, 256, (20, IMAGE_SIDE, IMAGE_SIDE))
    )

    for prediction in predictions:
        assert (3, 8) == prediction.classes
        assert (2,) == prediction.probabilities.shape
        # The lecture's rule: the positive class from 0.5 up.
        assert (8 if prediction.probabilities[1] >= 0.5 else 3) == prediction.digit


def test_the_verdict_follows_the_confidence(tiny: Classifier, some_pixels: Pixels) -> None:
    """With a threshold at the middle one of three confidences, only the answer below it is ambiguous."""
    confidences = [prediction.confidence for prediction in tiny.predict_pixels(some_pixels)]
    calibration = Calibration(temperature=1.5, ambiguous_below=sorted(confidences)[1])
    metadata = tiny.model.metadata.model_copy(update={"calibration": calibration})
    predictions = Classifier(Artifact(tiny.model.network, metadata, "")).predict_pixels(some_pixels)
    verdicts = [predictions[i].verdict for i in np.argsort(confidences)]

    assert [Verdict.AMBIGUOUS, Verdict.CLEAR, Verdict.CLEAR] == verdicts


def test_novelty_is_the_detectors(watchful: Classifier, some_pixels: Pixels) -> None:
    """The detector is asked about the hidden activations, for pictures and for pixels."""
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
    """What a digit would be, were it one, does not depend on whether novelty is known."""
    with_it, without = watchful.predict_pixels(some_pixels), tiny.predict_pixels(some_pixels)

    assert [p.probabilities.tolist() for p in without] == [p.probabilities.tolist() for p in with_it]


def test_without_a_detector_novelty_is_unknown(tiny: Classifier, some_pixels: Pixels) -> None:
    """A model that cannot tell says so, for pictures and for pixels."""
    answers = [*tiny.predict_pixels(some_pixels), tiny.predict_picture(encode(draw(3)))]

    assert [None] * 4 == [answer.novelty for answer in answers]


def test_the_verdict_follows_the_novelty(watchful: Classifier, some_pixels: Pixels) -> None:
    """With a threshold at the middle one of three novelties, the two from there up are no digit, however sure."""
    unlike = [prediction.novelty or 0 for prediction in watchful.predict_pixels(some_pixels)]
    calibration = Calibration(temperature=1.5, ambiguous_below=0, novel_from=sorted(unlike)[1])
    metadata = watchful.model.metadata.model_copy(update={"calibration": calibration})
    predictions = Classifier(replace(watchful.model, metadata=metadata)).predict_pixels(some_pixels)
    verdicts = [predictions[i].verdict for i in np.argsort(unlike)]

    assert [Verdict.CLEAR, Verdict.NOT_A_DIGIT, Verdict.NOT_A_DIGIT] == verdicts


def test_a_detector_may_stand_on_the_inputs() -> None:
    """Of a network without hidden layers, the detector is asked about the pixels themselves."""
    network = make_network()
    detector = make_detector(network, 2)
    model = Artifact(network, make_metadata(network, detector), "", detector)
    pixels = np.random.default_rng(2).integers(0, 256, (2, IMAGE_SIDE, IMAGE_SIDE))
    first, last = detector.layers
    hidden = np.maximum(pixels.reshape(2, -1) / 255 @ first.weights + first.biases, 0)
    expected = 1 / (1 + np.exp(-(hidden @ last.weights + last.biases)[:, 0]))

    assert pytest.approx(expected, abs=1e-5) == [p.novelty for p in Classifier(model).predict_pixels(pixels)]


def test_a_detector_stands_on_all_hidden_layers() -> None:
    """Of a network with two hidden layers, the detector is asked about the activations of both, the first one first."""
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
    """Activations have the sizes of the layers, the scores lead to the same digit, and only ink is relevant."""
    prediction = classifier.predict_picture(encode(draw(2)))
    explanation = classifier.explain(prediction)

    assert [layer.n_out for layer in classifier.model.network.layers] == [len(a) for a in explanation.activations]
    assert prediction.index == int(explanation.scores.argmax())
    assert (IMAGE_SIDE, IMAGE_SIDE) == explanation.relevance.shape
    assert not explanation.relevance[prediction.input == 0].any()


@pytest.mark.parametrize("digit", [2, 5])
def test_relevance_speaks_for_the_answer(classifier: Classifier, digit: int) -> None:
    """A little less of all ink lowers the answer's lead over the mean score by the sum of the relevance."""
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
    """The limit goes with it, and a file that is no model is refused."""
    loaded = Classifier.load(tiny_model, 1000)

    assert ("tiny", 1000) == (loaded.model.metadata.name, loaded.max_pixels)
    with pytest.raises(ArtifactError, match=r"none\.safetensors cannot be read"):
        Classifier.load(tmp_path / "none.safetensors")


# --- Watched


class Notes:
    """Notes what a classifier does."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.n_answers = 0

    def stage(self, stage: Stage) -> AbstractContextManager[object]:
        """Note a stage."""
        self.stages.append(stage)
        return nullcontext()

    def answered(self, predictions: Sequence[Prediction]) -> None:
        """Note answers."""
        self.n_answers += len(predictions)


def test_whoever_watches_sees_every_stage(tiny: Classifier) -> None:
    """Some pictures are decoded, then normalised, and all are read at once; what failed goes no further."""
    notes = Notes()
    watched = Classifier(tiny.model, observer=notes)
    sevens = [encode(draw(7))] * (TOGETHER - 1)
    results = watched.predict_pictures([encode(draw(4)), b"nothing", *sevens])

    some = ["decode"] * TOGETHER + ["normalize"] * (TOGETHER - 1)
    assert [*some, "decode", "normalize", "infer"] == notes.stages
    assert TOGETHER == notes.n_answers
    assert [Prediction, UnsupportedFormat, *[Prediction] * len(sevens)] == [type(result) for result in results]


def test_inputs_may_be_fractions(tiny: Classifier, some_pixels: Pixels) -> None:
    """Digits scaled to 0..1 get the answers of the unscaled ones."""
    inputs = some_pixels.reshape(-1, PIXELS).astype(np.float32) / np.float32(255)

    assert [one.probabilities.tolist() for one in tiny.predict_pixels(some_pixels)] == [
        one.probabilities.tolist() for one in tiny.predict_inputs(inputs)
    ]
