"""Synthetic digits have MNIST's form, follow their forms, and vary within the ranges of their handwriting style.

With a style without variation, the ink is compared with discs along a Hermite spline, computed from its definition.

"""

from __future__ import annotations

import hashlib
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
from training.glyphs import FORMS, GLYPHS
from training.mnist import Digits
from training.synthetic_digits import Handwriting, draw, synthesize

FloatArray = npt.NDArray[np.float64]

PEN = 3.0
STEADY = Handwriting(wobble=0, widths=(1, 1), slants=(0, 0), turns=(0, 0), pens=(PEN, PEN), pressure=0)
UPRIGHT = "50,0 50,100"
SQUARE = "0,0 100,0! 100,100! 0,100! 0,0"
ALL_FORMS = [(digit, form) for digit, forms in FORMS.items() for form in forms]


def ink(form: str, n: int = 1, style: Handwriting = STEADY, seed: int = 0) -> FloatArray:
    """Return images of a form, (n, 28, 28), 0..1."""
    return draw(form, n, np.random.default_rng(seed), style) / 255


def points_of(form: str) -> FloatArray:
    """Return all points of a form, x and y from 0 to 100."""
    return np.array(re.findall(r"(-?\d+),(-?\d+)", form), np.float64)


def path_of(form: str) -> FloatArray:
    """Return points close together along the strokes: Hermite splines with Catmull-Rom tangents between corners."""
    along = []
    for stroke in form.split(";"):
        points = points_of(stroke)
        corners = [i for i, point in enumerate(stroke.split()) if point.endswith("!")]
        for start, end in pairwise(sorted({0, *corners, len(points) - 1})):
            piece = points[start : end + 1]
            # Linear extrapolation beyond both ends.
            longer = np.vstack([2 * piece[0] - piece[1], piece, 2 * piece[-1] - piece[-2]])
            curve = CubicHermiteSpline(np.arange(len(piece)), piece, (longer[2:] - longer[:-2]) / 2)
            along.append(curve(np.linspace(0, len(piece) - 1, 500)))
    return np.concatenate(along)


def to_pixels(positions: FloatArray, form: str) -> FloatArray:
    """Return the pixel coordinates of positions of a point-symmetric form."""
    size = float(np.ptp(path_of(form), axis=0).max())
    return CENTRE + (positions - 50) * ((20 - PEN) / size)


def expected_image(form: str) -> FloatArray:
    """Return the image of a point-symmetric form, whose centre is its centre of mass."""
    rows, columns = np.indices((28, 28)).reshape(2, -1)
    distances = cdist(np.stack([columns, rows], axis=1), to_pixels(path_of(form), form)).min(axis=1)
    drawing: FloatArray = np.clip(PEN / 2 + 0.5 - distances, 0, 1).reshape(28, 28)
    return drawing


def assert_uniform(values: FloatArray, low: float, high: float) -> None:
    """Assert that values are uniform in a range, up to the blur of the pixels."""
    margin = 0.02 * max(abs(low), abs(high))
    assert low - margin < values.min()
    assert values.max() < high + margin
    assert kstest(values, "uniform", args=(low, high - low)).pvalue > 0.01


@pytest.fixture(scope="module")
def many() -> Digits:
    """Return a thousand digits."""
    return synthesize(1000, np.random.default_rng(0))


def test_images_never_change(many: Digits) -> None:
    """The pixels of synthetic digits stay the same, so that a recipe gives the same model again."""
    assert (
        "a42c3b5b64358c98438de4bf287b7ca82283d62ffbfa4ad4be0ec962771e8091"
        == hashlib.sha256(many.images.tobytes()).hexdigest()
    )


# --- Many digits


@pytest.mark.parametrize("n", [0, 100])
def test_digits_are_images_with_labels(n: int) -> None:
    """Any number of digits can be generated, with the shapes and dtypes of MNIST."""
    digits = synthesize(n, np.random.default_rng(0))

    assert ((n, 28, 28), np.dtype(np.uint8)) == (digits.images.shape, digits.images.dtype)
    assert ((n,), np.dtype(np.int64)) == (digits.labels.shape, digits.labels.dtype)
    assert set(digits.labels.tolist()) <= set(range(10))


@pytest.mark.slow
def test_digits_have_mnist_form() -> None:
    """The foreground is white, its box has about 20 pixels, and its centre of mass is the image's centre."""
    images = synthesize(300, np.random.default_rng(0), Handwriting()).images

    longer_sides = [max(np.ptp(image.any(axis=axis).nonzero()[0]).item() + 1 for axis in (0, 1)) for image in images]
    centres = np.array([centre_of_mass(image.astype(np.float32)) for image in images])
    assert 19 <= min(longer_sides)
    assert max(longer_sides) <= 22
    np.testing.assert_allclose(np.full((300, 2), CENTRE), centres, atol=0.6)
    assert (images.max(axis=(1, 2)) == 255).all()
    assert not images[:, [0, 0, -1, -1], [0, -1, 0, -1]].any()


@pytest.mark.slow
def test_digits_on_a_canvas_are_framed_by_the_service() -> None:
    """Digits that are drawn on a canvas have MNIST form too: the box of full ink has 20 pixels, the mass is central."""
    images = synthesize(300, np.random.default_rng(0), Handwriting(on_canvas=1)).images

    for image in images:
        sides = [np.ptp((image > 64).any(axis=axis).nonzero()[0]) + 1 for axis in (0, 1)]
        assert 18 <= max(sides) <= 21
        np.testing.assert_allclose(CENTRE, centre_of_mass(image.astype(np.float32)), atol=1)
    assert (images.max(axis=(1, 2)) > 180).all()


@pytest.mark.slow
def test_share_of_digits_is_angular() -> None:
    """In a share of the digits the strokes are straight between their points."""
    bowl = "0,0 0,100 100,100 100,0"
    straight = ink("0,0 0,100! 100,100! 100,0")[0]

    drawn = ink(bowl, 200, replace(STEADY, angular=0.3))

    is_straight = np.abs(drawn - straight).max(axis=(1, 2)) < 0.05
    assert 0.2 < is_straight.mean() < 0.4
    assert 2 == len(np.unique((255 * drawn).round(), axis=0))


def test_tremor_moves_the_stroke_to_both_sides() -> None:
    """The middle of a straight stroke wavers around its line, by as much as `tremor` at most."""
    drawn = ink(UPRIGHT, 300, replace(STEADY, tremor=0.03))

    middles = drawn[:, 14] @ np.arange(28) / drawn[:, 14].sum(axis=1) - CENTRE
    # A uniform share of the largest standard deviation: its root mean square is the third root.
    assert 0.2 < middles.std() / (0.03 * (20 - PEN)) < 0.8
    assert (middles > 0.05).any()
    assert (middles < -0.05).any()


def test_classes_are_equally_frequent(many: Digits) -> None:
    """A chi-squared test does not reject equal frequencies of the ten digits."""
    assert chisquare(np.bincount(many.labels, minlength=10)).pvalue > 0.01


@pytest.mark.slow
def test_forms_are_equally_frequent() -> None:
    """Every form of a digit occurs equally often, with the digit's label."""
    digits = synthesize(1200, np.random.default_rng(3), STEADY)

    # Without variation, images of a form are equal up to rounding of grey levels.
    known = np.stack([draw(form, 1, np.random.default_rng(0), STEADY)[0] for _, form in ALL_FORMS]).reshape(-1, 784)
    differences = cdist(digits.images.reshape(-1, 784), known, "chebyshev")
    assert differences.min(axis=1).max() <= 2
    which = differences.argmin(axis=1)
    assert digits.labels.tolist() == [ALL_FORMS[number][0] for number in which]
    counts = np.bincount(which, minlength=len(ALL_FORMS))
    for digit in range(10):
        assert chisquare(counts[[other == digit for other, _ in ALL_FORMS]]).pvalue > 0.001


@pytest.mark.slow
def test_seed_determines_the_digits() -> None:
    """The same seed gives the same digits, another seed others."""
    first, again, other = (synthesize(50, np.random.default_rng(seed)) for seed in (4, 4, 5))

    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.labels.tolist() != other.labels.tolist()
    assert (first.images != other.images).any(axis=(1, 2)).all()


@pytest.mark.parametrize("n", [1, 65])
def test_images_of_a_form_differ(n: int) -> None:
    """Images that are generated together differ from each other, across chunks too."""
    drawings = draw("8,5! 90,5! 40,100", n, np.random.default_rng(6))

    assert ((n, 28, 28), np.dtype(np.uint8)) == (drawings.shape, drawings.dtype)
    assert n == len(np.unique(drawings, axis=0))


def test_bundled_model_classifies_synthetic_digits(classifier: Classifier, many: Digits) -> None:
    """The bundled model classifies more than nine in ten synthetic digits correctly."""
    read = np.array([prediction.digit for prediction in classifier.predict_pixels(many.images)])

    assert np.mean(read == many.labels) > 0.9


# --- Forms


def test_every_digit_has_several_forms() -> None:
    """No form occurs twice."""
    assert list(range(10)) == list(FORMS)
    assert all(len(forms) > 2 for forms in FORMS.values())
    assert len(ALL_FORMS) == len({form for _, form in ALL_FORMS})


def test_forms_are_in_the_documented_notation() -> None:
    """Every stroke of a form or glyph has at least two points."""
    for form in [*(form for _, form in ALL_FORMS), *GLYPHS]:
        for stroke in form.split(";"):
            assert re.fullmatch(r" ?\d+,\d+!?( \d+,\d+!?)+", stroke), form


def test_forms_fill_their_bounding_box() -> None:
    """The points of a digit are inside of the box, from its upper edge to its lower one."""
    for _, form in ALL_FORMS:
        points = points_of(form)

        assert points.min() >= 0, form
        assert points.max() <= 100, form
        assert points[:, 1].min() <= 6, form
        assert points[:, 1].max() >= 94, form


@pytest.mark.parametrize(
    "form",
    [
        "0,0 100,100",
        "0,50 25,0 50,50 75,100 100,50",
        "0,0 30,100 70,0 100,100",
        "0,0 30,100! 70,0! 100,100",
        "0,20 30,100! 50,50 70,0! 100,80",
        "0,0 100,0; 0,100 100,100",
        "50,0 50,100; 0,50 100,50",
        SQUARE,
    ],
)
def test_strokes_follow_their_points(form: str) -> None:
    """A stroke is a line between two points, a smooth curve through more, with corners where marked."""
    np.testing.assert_allclose(expected_image(form), ink(form)[0], atol=0.12)


POINTS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans()), min_size=2, max_size=4, unique_by=lambda p: p[:2]
)


@settings(max_examples=30)
@given(POINTS)
def test_curve_passes_through_its_points(half: list[tuple[int, int, bool]]) -> None:
    """For any points, smooth or corners, there is ink at each of them, and none off the curve."""
    # Twenty steps a side; the second half is the first one upside down.
    points = [(5 * x, 5 * y, "!" * corner) for x, y, corner in half]
    mirrored = [(100 - x, 100 - y, corner) for x, y, corner in points[::-1]]
    form = " ".join(f"{x},{y}{corner}" for x, y, corner in [*points, *mirrored])

    drawing = ink(form)[0]

    columns, rows = np.rint(to_pixels(points_of(form), form)).astype(int).T
    assert drawing[rows, columns].min() > 0.5
    assert (drawing - expected_image(form)).max() < 0.25


def test_corner_is_sharp() -> None:
    """A stroke turns sharply at a point with `!`, smoothly at one without, and reaches both."""
    sharp, smooth = ink("0,0 50,100! 100,0")[0], ink("0,0 50,100 100,0")[0]

    # Half way down, straight lines are half way in; a curve that is level at the lowest point is further out.
    apart = []
    for image in (sharp, smooth):
        rows = image.any(axis=1).nonzero()[0]
        assert 20 <= np.ptp(rows) + 1 <= 22
        apart.append(float(np.ptp(image[(rows[0] + rows[-1]) // 2].nonzero()[0])))
    assert apart[0] + 1 < apart[1]


# --- Handwriting styles


def test_style_without_variation_gives_equal_images() -> None:
    """Without variation all images of a form are equal."""
    assert 1 == len(np.unique(ink("10,6! 86,4! 10,98! 92,96", 20), axis=0))


@pytest.mark.parametrize("pens", [(1.6, 4.0), (2.0, 3.0)])
def test_stroke_widths_are_uniform(pens: tuple[float, float]) -> None:
    """Stroke widths are uniform in the range of `pens`, in pixels."""
    drawn = ink(UPRIGHT, 300, replace(STEADY, pens=pens))

    # Across an upright stroke, shares of pixels sum to its width, but for what discs leave out.
    assert_uniform(drawn[:, 14].sum(axis=1) + 0.03, *pens)


@pytest.mark.slow
def test_aspect_ratios_are_uniform() -> None:
    """The box's width by its height is uniform in the range of `widths`. The stroke width is not scaled."""
    drawn = ink(SQUARE, 250, replace(STEADY, widths=(0.4, 0.9)))

    width, height = drawn.max(axis=1).sum(axis=1), drawn.max(axis=2).sum(axis=1)
    np.testing.assert_allclose(np.full(250, 20), height, atol=0.1)
    assert_uniform((width - PEN) / (height - PEN), 0.4, 0.9)
    np.testing.assert_allclose(np.full(250, 2 * PEN), drawn[:, 14].sum(axis=1), atol=0.15)


def test_flat_form_fills_the_box() -> None:
    """A horizontal stroke, whose height is 0, is 20 pixels long."""
    drawn = ink("0,50 100,50")[0]

    assert pytest.approx(20, abs=0.1) == drawn.max(axis=0).sum()
    assert pytest.approx(PEN, abs=0.1) == drawn[:, 14].sum()


def test_wide_form_fills_the_box() -> None:
    """The width of a form that is wider than high is 20 pixels."""
    drawn = ink(SQUARE, 1, replace(STEADY, widths=(1.6, 1.6)))[0]

    assert pytest.approx(20, abs=0.1) == drawn.max(axis=0).sum()
    assert pytest.approx((20 - PEN) / 1.6 + PEN, abs=0.1) == drawn.max(axis=1).sum()


def slopes(drawn: FloatArray) -> FloatArray:
    """Return the lean of strokes to the right, in columns per row upwards."""
    rows = np.arange(28)
    slopes = []
    for image in drawn:
        whole = image.sum(axis=1) > PEN / 2
        centres = image[whole] @ np.arange(28) / image[whole].sum(axis=1)
        # Without the round ends.
        slopes.append(-np.polyfit(rows[whole][3:-3], centres[3:-3], 1)[0])
    return np.array(slopes)


def test_slants_are_uniform() -> None:
    """A positive slant leans to the right. Angles are uniform, and horizontal strokes stay horizontal."""
    drawn = ink(UPRIGHT, 250, replace(STEADY, slants=(-12, 28)), seed=1)
    level = ink("0,50 100,50", 50, replace(STEADY, slants=(-12, 28)))

    assert_uniform(np.degrees(np.arctan(slopes(drawn))), -12, 28)
    np.testing.assert_allclose(np.zeros(50), slopes(level.transpose(0, 2, 1)), atol=1e-3)


def test_rotations_are_uniform() -> None:
    """A rotation turns vertical and horizontal strokes by the same angle, uniform in the range of `turns`."""
    style = replace(STEADY, turns=(-15, 15))
    upright, level = ink(UPRIGHT, 250, style), ink("0,50 100,50", 250, style).transpose(0, 2, 1)

    # The same random numbers turned both.
    assert_uniform(np.degrees(np.arctan(slopes(upright))), -15, 15)
    np.testing.assert_allclose(slopes(upright), -slopes(level), atol=0.02)


@pytest.mark.slow
def test_points_have_the_standard_deviation_of_wobble() -> None:
    """Both ends of a stroke move independently, by `wobble` times the height."""
    leaning = slopes(ink(UPRIGHT, 600, replace(STEADY, wobble=0.05)))

    assert pytest.approx(0, abs=0.01) == leaning.mean()
    assert pytest.approx(np.hypot(0.05, 0.05), rel=0.1) == leaning.std()


def test_pressure_varies_the_stroke_width() -> None:
    """The stroke width varies along the path by up to `pressure`, differently in every image."""
    widths = ink(UPRIGHT, 300, replace(STEADY, pressure=0.4))[:, 9:19].sum(axis=2) / PEN

    assert pytest.approx(0.6, abs=0.03) == widths.min()
    assert pytest.approx(1.4, abs=0.05) == widths.max()
    assert pytest.approx(1, abs=0.05) == widths.mean()
    assert np.unique(np.ptp(widths, axis=1).round(3)).size > 100
    np.testing.assert_allclose(np.ones((1, 10)), ink(UPRIGHT)[:, 9:19].sum(axis=2) / PEN, atol=0.03)
