"""Drawn digits have MNIST's form, follow the points of their forms, and differ as far as hands are said to.

Where a hand does nothing of its own accord, the ink is compared with discs along Hermite splines of scipy's.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline
from scipy.spatial.distance import cdist
from scipy.stats import chisquare, kstest

from service.classifier import Classifier
from service.images.mnist_frame import CENTRE, centre_of_mass
from training.negatives import FIGURES
from training.pen import FORMS, Hand, draw, write

FloatArray = npt.NDArray[np.float64]

PEN = 3.0
STEADY = Hand(wobble=0, widths=(1, 1), slants=(0, 0), turns=(0, 0), pens=(PEN, PEN), pressure=0)
UPRIGHT = "50,0 50,100"
SQUARE = "0,0 100,0! 100,100! 0,100! 0,0"
ALL_FORMS = [(digit, form) for digit, forms in FORMS.items() for form in forms]


def ink(form: str, n: int = 1, hand: Hand = STEADY, seed: int = 0) -> FloatArray:
    """Return drawings of a form, (n, 28, 28) from 0 to 1."""
    return draw(form, n, np.random.default_rng(seed), hand) / 255


def points_of(form: str) -> FloatArray:
    """Return all points of a form, x and y from 0 to 100."""
    return np.array(re.findall(r"(-?\d+),(-?\d+)", form), np.float64)


def way(form: str) -> FloatArray:
    """Return points close together along the strokes of a form: Catmull and Rom's tangents, anew after each corner."""
    along = []
    for stroke in form.split(";"):
        points = points_of(stroke)
        corners = [i for i, point in enumerate(stroke.split()) if point.endswith("!")]
        for start, end in pairwise(sorted({0, *corners, len(points) - 1})):
            piece = points[start : end + 1]
            # Beyond both ends the curve goes on straight.
            longer = np.vstack([2 * piece[0] - piece[1], piece, 2 * piece[-1] - piece[-2]])
            curve = CubicHermiteSpline(np.arange(len(piece)), piece, (longer[2:] - longer[:-2]) / 2)
            along.append(curve(np.linspace(0, len(piece) - 1, 500)))
    return np.concatenate(along)


def in_frame(positions: FloatArray, form: str) -> FloatArray:
    """Return where positions of a form that looks the same upside down lie in the drawing."""
    size = float(np.ptp(way(form), axis=0).max())
    return CENTRE + (positions - 50) * ((20 - PEN) / size)


def by_definition(form: str) -> FloatArray:
    """Return the drawing of a form that looks the same upside down, in which its middle is its centre of mass."""
    rows, columns = np.indices((28, 28)).reshape(2, -1)
    distances = cdist(np.stack([columns, rows], axis=1), in_frame(way(form), form)).min(axis=1)
    drawing: FloatArray = np.clip(PEN / 2 + 0.5 - distances, 0, 1).reshape(28, 28)
    return drawing


def assert_even(values: FloatArray, low: float, high: float) -> None:
    """Assert that values are spread evenly over a range, give or take what pixels blur."""
    margin = 0.02 * max(abs(low), abs(high))
    assert low - margin < values.min()
    assert values.max() < high + margin
    assert kstest(values, "uniform", args=(low, high - low)).pvalue > 0.01


# --- Many digits


@pytest.mark.parametrize("n", [0, 1, 300])
def test_digits_are_images_with_labels(n: int) -> None:
    """Any number of digits can be had, as MNIST's come."""
    digits = write(n, np.random.default_rng(0))

    assert ((n, 28, 28), np.dtype(np.uint8)) == (digits.images.shape, digits.images.dtype)
    assert ((n,), np.dtype(np.int64)) == (digits.labels.shape, digits.labels.dtype)
    assert set(digits.labels.tolist()) <= set(range(10))


def test_digits_have_mnist_form() -> None:
    """Ink is white, fills a box of 20 pixels give or take its soft edge, and has its centre of mass in the middle."""
    images = write(1000, np.random.default_rng(1)).images

    longer_sides = [max(np.ptp(image.any(axis=axis).nonzero()[0]).item() + 1 for axis in (0, 1)) for image in images]
    centres = np.array([centre_of_mass(image.astype(np.float32)) for image in images])
    assert 19 <= min(longer_sides)
    assert max(longer_sides) <= 22
    np.testing.assert_allclose(np.full((1000, 2), CENTRE), centres, atol=0.6)
    assert (images.max(axis=(1, 2)) == 255).all()
    assert not images[:, [0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_classes_are_equally_frequent() -> None:
    """Each of the ten digits is drawn about as often as any other."""
    labels = write(1000, np.random.default_rng(2)).labels

    assert chisquare(np.bincount(labels, minlength=10)).pvalue > 0.01


def test_forms_are_equally_frequent() -> None:
    """Each form of a digit is drawn about as often as any other, under its own label and under no other."""
    digits = write(2500, np.random.default_rng(3), STEADY)

    # A steady hand draws a form always alike, but for the last digit of a grey level.
    known = np.stack([draw(form, 1, np.random.default_rng(0), STEADY)[0] for _, form in ALL_FORMS]).reshape(-1, 784)
    differences = cdist(digits.images.reshape(-1, 784), known, "chebyshev")
    assert differences.min(axis=1).max() <= 2
    which = differences.argmin(axis=1)
    assert digits.labels.tolist() == [ALL_FORMS[number][0] for number in which]
    counts = np.bincount(which, minlength=len(ALL_FORMS))
    for digit in range(10):
        assert chisquare(counts[[other == digit for other, _ in ALL_FORMS]]).pvalue > 0.001


def test_seed_decides() -> None:
    """The same random numbers draw the same digits, others draw others."""
    first, again, other = (write(50, np.random.default_rng(seed)) for seed in (4, 4, 5))

    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.labels.tolist() != other.labels.tolist()
    assert (first.images != other.images).any(axis=(1, 2)).all()


@pytest.mark.parametrize("n", [1, 64, 65])
def test_no_two_drawings_of_a_form_are_alike(n: int) -> None:
    """However many are drawn at once, each is another."""
    drawings = draw("8,5! 90,5! 40,100", n, np.random.default_rng(6))

    assert ((n, 28, 28), np.dtype(np.uint8)) == (drawings.shape, drawings.dtype)
    assert n == len(np.unique(drawings, axis=0))


def test_drawn_digits_are_read(classifier: Classifier) -> None:
    """The bundled model, which has learned what people write, takes the great majority for what they are drawn as."""
    digits = write(500, np.random.default_rng(7))

    read = np.array([prediction.digit for prediction in classifier.predict_pixels(digits.images)])

    assert np.mean(read == digits.labels) > 0.9


# --- Forms


def test_every_digit_has_its_forms() -> None:
    """There are several of every digit, and none is there twice."""
    assert list(range(10)) == list(FORMS)
    assert all(len(forms) > 2 for forms in FORMS.values())
    assert len(ALL_FORMS) == len({form for _, form in ALL_FORMS})


@pytest.mark.parametrize("form", [*(form for _, form in ALL_FORMS), *FIGURES])
def test_form_is_strokes_of_points(form: str) -> None:
    """Every stroke has two points or more, in the notation that is documented."""
    for stroke in form.split(";"):
        assert re.fullmatch(r" ?\d+,\d+!?( \d+,\d+!?)+", stroke)


@pytest.mark.parametrize("form", [form for _, form in ALL_FORMS])
def test_form_fills_its_box(form: str) -> None:
    """The points of a digit reach from the upper edge of the box to the lower one, and stay inside."""
    points = points_of(form)

    assert points.min() >= 0
    assert points.max() <= 100
    assert points[:, 1].min() <= 6
    assert points[:, 1].max() >= 94


@pytest.mark.parametrize(
    "form",
    [
        "0,0 100,100",
        "100,0 0,100",
        "0,50 25,0 50,50 75,100 100,50",
        "0,0 30,100 70,0 100,100",
        "0,0 30,100! 70,0! 100,100",
        "0,0! 30,100! 70,0! 100,100!",
        "0,20 30,100! 50,50 70,0! 100,80",
        "0,0 100,0; 0,100 100,100",
        "50,0 50,100; 0,50 100,50",
        SQUARE,
    ],
)
def test_pen_goes_along_the_strokes(form: str) -> None:
    """A form is drawn as discs along straight lines between two points, smooth curves through more, and corners."""
    np.testing.assert_allclose(by_definition(form), ink(form)[0], atol=0.12)


POINTS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans()), min_size=2, max_size=4, unique_by=lambda p: p[:2]
)


@settings(deadline=None)
@given(POINTS)
def test_curve_passes_through_its_points(half: list[tuple[int, int, bool]]) -> None:
    """Whatever the points, smooth or corners, there is ink at each of them, and none off the smooth curve."""
    # Twenty steps a side; the second half is the first one upside down.
    points = [(5 * x, 5 * y, "!" * corner) for x, y, corner in half]
    mirrored = [(100 - x, 100 - y, corner) for x, y, corner in points[::-1]]
    form = " ".join(f"{x},{y}{corner}" for x, y, corner in [*points, *mirrored])

    drawing = ink(form)[0]

    columns, rows = np.rint(in_frame(points_of(form), form)).astype(int).T
    assert drawing[rows, columns].min() > 0.5
    assert (drawing - by_definition(form)).max() < 0.25


def test_corner_is_sharp() -> None:
    """At a point with `!` the pen turns at once, at one without it rounds the turn, and both reach the point."""
    sharp, smooth = ink("0,0 50,100! 100,0")[0], ink("0,0 50,100 100,0")[0]

    # Half way down, straight lines are half way in; a curve that is level at the lowest point is further out.
    apart = []
    for image in (sharp, smooth):
        rows = image.any(axis=1).nonzero()[0]
        assert 20 <= np.ptp(rows) + 1 <= 22
        apart.append(float(np.ptp(image[(rows[0] + rows[-1]) // 2].nonzero()[0])))
    assert apart[0] + 1 < apart[1]


# --- Hands


def test_steady_hand_draws_always_alike() -> None:
    """With nothing to vary, nothing varies."""
    assert 1 == len(np.unique(ink("10,6! 86,4! 10,98! 92,96", 20), axis=0))


@pytest.mark.parametrize("pens", [(1.6, 4.0), (2.0, 3.0)])
def test_pens_are_as_wide_as_said(pens: tuple[float, float]) -> None:
    """The width of a stroke is drawn evenly, in pixels."""
    drawn = ink(UPRIGHT, 500, replace(STEADY, pens=pens))

    # Across an upright stroke, shares of pixels sum to its width, but for what discs leave out.
    assert_even(drawn[:, 14].sum(axis=1) + 0.03, *pens)


def test_boxes_are_as_wide_as_said() -> None:
    """The ratio of a box's width to its height is drawn evenly; the pen is not squeezed with it."""
    drawn = ink(SQUARE, 500, replace(STEADY, widths=(0.4, 0.9)))

    width, height = drawn.max(axis=1).sum(axis=1), drawn.max(axis=2).sum(axis=1)
    np.testing.assert_allclose(np.full(500, 20), height, atol=0.1)
    assert_even((width - PEN) / (height - PEN), 0.4, 0.9)
    np.testing.assert_allclose(np.full(500, 2 * PEN), drawn[:, 14].sum(axis=1), atol=0.15)


def test_flat_forms_have_no_height_to_go_by() -> None:
    """A level stroke, which has no height, is drawn as long as the box."""
    drawn = ink("0,50 100,50")[0]

    assert pytest.approx(20, abs=0.1) == drawn.max(axis=0).sum()
    assert pytest.approx(PEN, abs=0.1) == drawn[:, 14].sum()


def test_wide_forms_fill_the_box_too() -> None:
    """Of a form that is wider than high, the width fills the box of 20 pixels."""
    drawn = ink(SQUARE, 1, replace(STEADY, widths=(1.6, 1.6)))[0]

    assert pytest.approx(20, abs=0.1) == drawn.max(axis=0).sum()
    assert pytest.approx((20 - PEN) / 1.6 + PEN, abs=0.1) == drawn.max(axis=1).sum()


def slopes(drawn: FloatArray) -> FloatArray:
    """Return by how many columns strokes lean to the right for a row upwards."""
    rows = np.arange(28)
    slopes = []
    for image in drawn:
        whole = image.sum(axis=1) > PEN / 2
        centres = image[whole] @ np.arange(28) / image[whole].sum(axis=1)
        # The round ends are left out.
        slopes.append(-np.polyfit(rows[whole][3:-3], centres[3:-3], 1)[0])
    return np.array(slopes)


def test_slant_leans_to_the_right() -> None:
    """A slant moves the top to the right where it is above 0, by angles drawn evenly, and keeps rows level."""
    drawn = ink(UPRIGHT, 400, replace(STEADY, slants=(-12, 28)))
    level = ink("0,50 100,50", 50, replace(STEADY, slants=(-12, 28)))

    assert_even(np.degrees(np.arctan(slopes(drawn))), -12, 28)
    np.testing.assert_allclose(np.zeros(50), slopes(level.transpose(0, 2, 1)), atol=1e-3)


def test_turn_turns_the_whole_digit() -> None:
    """A turn moves upright and level strokes by the same angle, drawn evenly."""
    hand = replace(STEADY, turns=(-15, 15))
    upright, level = ink(UPRIGHT, 400, hand), ink("0,50 100,50", 400, hand).transpose(0, 2, 1)

    # The same random numbers turned both.
    assert_even(np.degrees(np.arctan(slopes(upright))), -15, 15)
    np.testing.assert_allclose(slopes(upright), -slopes(level), atol=0.02)


def test_wobble_moves_points() -> None:
    """Both ends of a stroke are moved by the standard deviation that is asked for, as a share of the height."""
    leaning = slopes(ink(UPRIGHT, 600, replace(STEADY, wobble=0.05)))

    assert pytest.approx(0, abs=0.01) == leaning.mean()
    assert pytest.approx(np.hypot(0.05, 0.05), rel=0.1) == leaning.std()


def test_pressure_varies_the_width_along_the_way() -> None:
    """The width of a stroke varies by up to the share that is asked for, in every drawing otherwise."""
    widths = ink(UPRIGHT, 300, replace(STEADY, pressure=0.4))[:, 9:19].sum(axis=2) / PEN

    assert pytest.approx(0.6, abs=0.03) == widths.min()
    assert pytest.approx(1.4, abs=0.05) == widths.max()
    assert pytest.approx(1, abs=0.05) == widths.mean()
    assert np.unique(np.ptp(widths, axis=1).round(3)).size > 100
    np.testing.assert_allclose(np.ones((1, 10)), ink(UPRIGHT)[:, 9:19].sum(axis=2) / PEN, atol=0.03)
