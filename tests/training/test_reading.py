"""The calibration of readings: confidences are probabilities, and of what is accepted little is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from service.classifier import Classifier
from service.model.artifact import Artifact
from service.model.calibration import ReadingCalibration, logit
from service.reader import Reader, Reading
from service.types import Probabilities
from tests.training.tiny import draw_digits
from training import reading
from training.reading import calibrate_reading, fit_reading


def made_up(slope: float, offset: float, n: int = 4000) -> tuple[Probabilities, npt.NDArray[np.bool_]]:
    """Return probabilities, and readings that are right by this calibration of them."""
    rng = np.random.default_rng(7)
    probabilities = special.expit(rng.normal(2, 2, n))
    confidences = special.expit(slope * special.logit(probabilities) + offset)
    return probabilities, rng.random(n) < confidences


def fitted(probabilities: Probabilities, is_right: npt.NDArray[np.bool_]) -> ReadingCalibration:
    """Return the calibration, which there is."""
    calibration = fit_reading(probabilities, is_right)
    assert calibration is not None
    return calibration


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (0.5, 0), (1.5, -1), (0.7, 1.5)])
def test_slope_and_offset_are_recovered(slope: float, offset: float) -> None:
    """They are those by which readings are right."""
    calibration = fitted(*made_up(slope, offset))

    assert pytest.approx(slope, abs=0.15) == calibration.slope
    assert pytest.approx(offset, abs=0.2) == calibration.offset


def confidences_of(calibration: ReadingCalibration, probabilities: Probabilities) -> Probabilities:
    """Return the confidence of each reading."""
    return np.array([calibration.confidence(probability) for probability in probabilities.tolist()])


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.8, 0.9, 0.99, 1.0]), st.booleans(), st.integers(1, 200)),
        min_size=2,
        max_size=8,
    )
)
def test_of_what_is_accepted_at_most_a_fiftieth_is_wrong(groups: list[tuple[float, bool, int]]) -> None:
    """Also where many readings have the same probability."""
    probabilities = np.concatenate([np.full(n, probability) for probability, _, n in groups])
    is_right = np.concatenate([np.full(n, right) for _, right, n in groups])
    calibration = fit_reading(probabilities, is_right)

    if is_right.all() or not is_right.any():
        assert calibration is None
    else:
        assert calibration is not None
        is_accepted = confidences_of(calibration, probabilities) >= calibration.ambiguous_below
        assert (~is_right & is_accepted).sum() <= 0.02 * is_accepted.sum()


def test_as_much_as_possible_is_accepted() -> None:
    """The next lower confidence would accept too many wrong readings, and so would any lower one."""
    probabilities, is_right = made_up(1, 0)
    calibration = fitted(probabilities, is_right)
    confidences = confidences_of(calibration, probabilities)

    assert calibration.ambiguous_below in confidences
    assert 0.05 < np.mean(confidences >= calibration.ambiguous_below) < 0.95
    for threshold in confidences[confidences < calibration.ambiguous_below]:
        is_accepted = confidences >= threshold
        assert (~is_right & is_accepted).sum() > 0.02 * is_accepted.sum()


def test_nothing_is_accepted_where_the_surest_are_wrong() -> None:
    """The threshold is 1 where no other one has so few errors."""
    probabilities = np.linspace(0.01, 0.99, 99)
    is_right = probabilities < 0.5

    calibration = fitted(probabilities, is_right)

    assert 1 == calibration.ambiguous_below
    assert 0 < calibration.slope <= 1e-3
    assert not (confidences_of(calibration, probabilities) >= 1).any()


def test_separable_readings() -> None:
    """Where a probability separates right from wrong, exactly the right ones are accepted."""
    probabilities = np.repeat([0.2, 0.4, 0.9, 0.95], 30)
    is_right = probabilities > 0.5

    calibration = fitted(probabilities, is_right)

    is_accepted = confidences_of(calibration, probabilities) >= calibration.ambiguous_below
    np.testing.assert_array_equal(is_right, is_accepted)


@pytest.mark.parametrize("is_right", [[True] * 3, [False] * 3, []], ids=["all right", "all wrong", "none"])
def test_nothing_to_fit(is_right: list[bool]) -> None:
    """Where all are right or all are wrong there is no calibration."""
    assert fit_reading(np.full(len(is_right), 0.5), np.array(is_right, np.bool_)) is None


class Recorder:
    """Records the models with which rows are read, and the pictures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.models: list[Artifact] = []
        self.files: list[bytes] = []
        recorder = self

        class Stub(Reader):
            """A reader that records its model and its pictures. Its clock stands still, so that no time is over."""

            def __init__(self, classifier: Classifier, now: Callable[[], float]) -> None:
                super().__init__(classifier, now)
                recorder.models.append(classifier.model)
                assert now() == now()

            def read_picture(self, data: bytes, length: int | None = None) -> Reading:
                """Return the reading."""
                recorder.files.append(data)
                return super().read_picture(data, length)

        monkeypatch.setattr(reading, "Reader", Stub)


@pytest.mark.slow
def test_rows_of_the_digits_are_read_without_calibration(bundled: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """There are three rows for ten digits, and what they are fitted on does not depend on an earlier calibration."""
    digits = draw_digits(100, seed=9)
    recorder = Recorder(monkeypatch)
    earlier = ReadingCalibration(slope=3, offset=-5, ambiguous_below=0.5)
    calibration = bundled.metadata.calibration.model_copy(update={"reading": earlier})
    metadata = bundled.metadata.model_copy(update={"calibration": calibration})
    with_earlier = replace(bundled, metadata=metadata)

    first = calibrate_reading(bundled, digits, seed=1)
    again = calibrate_reading(with_earlier, digits, seed=1)

    assert first == again
    assert first is not None
    assert first.slope > 0
    assert [None, None] == [model.metadata.calibration.reading for model in recorder.models]
    assert 60 == len(recorder.files)
    assert recorder.files[:30] == recorder.files[30:]
    assert 30 == len(set(recorder.files[:30]))


def test_confidence_is_monotonous_in_the_probability() -> None:
    """The order of readings stays as it was."""
    calibration = fitted(*made_up(0.6, -0.5, 500))
    probabilities = np.linspace(0, 1, 50)

    assert (np.diff(confidences_of(calibration, probabilities)) >= 0).all()
    assert logit(0.5) == 0
