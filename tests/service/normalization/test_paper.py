"""Tests of service.normalization.paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.network import FloatArray
from service.normalization import paper
from service.normalization.marks import Box, bounding_box
from service.normalization.paper import Polarity
from tests.pictures import Colour, draw
from tests.service.normalization.scenes import HEIGHT, PEN, cloud, drawn, halves, painted, placed, ramp

digits = pytest.mark.parametrize("digit", range(10))


def grey_of(digit: int = 3, ink: Colour = 30, paper: Colour = 220, **options: tuple[float, ...]) -> FloatArray:
    """Return a drawn digit as a grey picture, 0..1."""
    return np.asarray(draw(digit, ink=ink, paper=paper, **options), np.float32) / np.float32(255)  # type: ignore[arg-type]


def pictures() -> st.SearchStrategy[FloatArray]:
    """Return pictures, 0 = black to 1 = white."""
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)
    return arrays.arrays(np.float32, shapes, elements=st.floats(0, 1, width=32))


# --- Light


@settings(max_examples=50)
@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(0.45, 0.6), st.sampled_from([(64, 96), (160, 64)]))
def test_slow_light_is_the_plane_through_the_brightest_spots(
    down: float, across: float, level: float, shape: tuple[int, int]
) -> None:
    """It is the least squares fit to the brightest of the cells in each of 4x4 parts."""
    rows, columns = np.meshgrid(*((np.arange(side) + 0.5) * 2 / side - 1 for side in shape), indexing="ij")
    noise = np.random.default_rng(0).normal(0, 0.02, shape)
    grey = (level + down * rows + across * columns + noise).astype(np.float32)
    cells = grey.reshape(32, shape[0] // 32, 32, shape[1] // 32).mean(axis=(1, 3))
    spots = [[part.max() for part in np.hsplit(band, 4)] for band in np.vsplit(cells, 4)]
    places = np.array([-0.75, -0.25, 0.25, 0.75])
    known = np.stack([np.ones(16), places.repeat(4), np.tile(places, 4)], axis=1)
    mean, slope_down, slope_across = np.linalg.lstsq(known, np.ravel(spots))[0]

    np.testing.assert_allclose(mean + slope_down * rows + slope_across * columns, paper.slow_light(grey), atol=1e-4)


@digits
@pytest.mark.parametrize("polarity", Polarity)
def test_flat_paper_is_about_1_and_ink_is_darker(digit: int, polarity: Polarity) -> None:
    """Whatever way round the picture was and from wherever the light comes, paper is even and ink is dark."""
    # What is dark reflects less of the light, but where the brightest gets less, so does all.
    ground = grey_of(digit, *((40, 220) if polarity is Polarity.DARK_ON_LIGHT else (220, 40)))
    light = ramp(digit, 0.6, side=200)
    lit = ground * light if polarity is Polarity.DARK_ON_LIGHT else 1 - (1 - ground) * light
    flat = paper.flatten(lit, polarity)
    inked = grey_of(digit) < 0.5

    assert 0.1 > np.abs(flat[~inked] - 1).max()
    assert 0.3 > flat[inked].max()


def test_deep_shadow_is_not_magnified_without_bounds() -> None:
    """A black picture is even paper: its noise is no writing."""
    grey = np.abs(np.random.default_rng(0).normal(0, 0.002, (64, 64))).astype(np.float32)

    np.testing.assert_allclose(paper.flatten(grey, Polarity.DARK_ON_LIGHT), 1, atol=0.03)


# --- Polarity


@digits
@pytest.mark.parametrize(
    ("ink", "ground", "expected"),
    [(30, 220, Polarity.DARK_ON_LIGHT), (220, 30, Polarity.LIGHT_ON_DARK), (100, 140, Polarity.DARK_ON_LIGHT)],
    ids=["dark on light", "light on dark", "faint"],
)
@pytest.mark.parametrize(
    "box", [(0.3, 0.2, 0.7, 0.8), (0.05, 0.05, 0.95, 0.95), (0.02, 0.02, 0.3, 0.4)], ids=["inside", "full", "corner"]
)
def test_polarity_is_seen(digit: int, ink: int, ground: int, expected: Polarity, box: tuple[float, ...]) -> None:
    """Dark on light and light on dark are told apart, also where the digit fills the frame."""
    assert (expected,) == paper.likely_polarities(grey_of(digit, ink, ground, box=box))


@digits
@pytest.mark.parametrize("angle", [0, 1, 2, 3, 4, 5])
def test_light_does_not_turn_the_polarity(digit: int, angle: float) -> None:
    """Paper that is darker than ink elsewhere is still paper."""
    lit = grey_of(digit, 120, 220) * ramp(angle, 0.4, side=200)

    assert (Polarity.DARK_ON_LIGHT,) == paper.likely_polarities(lit)


@pytest.mark.parametrize(
    ("ink", "ground", "expected"),
    [(0.0, 1.0, Polarity.DARK_ON_LIGHT), (1.0, 0.0, Polarity.LIGHT_ON_DARK)],
    ids=["dark on light", "light on dark"],
)
def test_where_ink_and_paper_balance_the_border_decides(ink: float, ground: float, expected: Polarity) -> None:
    """Stripes of ink as wide as the paper between them are ink where the border is paper."""
    grey = np.full((210, 210), ground, np.float32)
    for left in range(10, 200, 20):
        grey[:, left : left + 10] = ink
    grey[:5] = grey[-5:] = ground

    assert (expected,) == paper.likely_polarities(grey)


def test_where_wide_and_narrow_surroundings_disagree_both_polarities_are_likely() -> None:
    """A light sheet on a dark table is light in few places, and holds a digit that is dark in few."""
    grey = np.full((280, 280), 0.2, np.float32)
    grey[60:220, 60:220] = painted(placed(drawn(3)(110, PEN), (160, 160))) / np.float32(255)

    assert set(Polarity) == set(paper.likely_polarities(grey))


# --- Sheets


def table(sheet: Box, *, light: float = 0.85, dark: float = 0.25, shape: tuple[int, int] = (280, 240)) -> FloatArray:
    """Return a table with an empty sheet on it."""
    grey = np.full(shape, dark, np.float32)
    grey[sheet.top : sheet.bottom, sheet.left : sheet.right] = light
    return grey + np.random.default_rng(0).normal(0, 0.01, shape).astype(np.float32)


SHEETS = {
    "in the middle": Box(60, 50, 200, 190),
    "tall": Box(20, 60, 260, 170),
    "flat": Box(100, 20, 190, 220),
    "small": Box(100, 100, 150, 150),
    "at the top": Box(0, 40, 170, 200),
    "at the left": Box(60, 0, 200, 160),
    "at the bottom": Box(100, 40, 280, 200),
    "at the right": Box(60, 80, 200, 240),
    "from top to bottom": Box(0, 60, 280, 180),
    "from left to right": Box(60, 0, 200, 240),
    "in a corner": Box(140, 120, 280, 240),
}


@pytest.mark.parametrize(("light", "dark"), [(0.85, 0.25), (0.25, 0.85), (1.0, 0.7)], ids=["light", "dark", "faint"])
@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_sheet_is_found_where_it_lies(sheet: Box, light: float, dark: float) -> None:
    """The box lies within the sheet, and leaves out no more of it than three 64ths of the picture's longer side."""
    found = paper.find_sheet(table(sheet, light=light, dark=dark))

    assert found is not None
    for edge, (outer, inner, side) in enumerate(zip(sheet, found, (280, 240, 280, 240), strict=True)):
        beyond = inner - outer if edge < 2 else outer - inner

        assert 0 <= beyond <= 3 * 280 / 64
        # Where the sheet reaches the edge of the picture nothing is left out.
        assert outer not in (0, side) or beyond == 0


@digits
@pytest.mark.parametrize(("light", "dark"), [(0.85, 0.25), (0.25, 0.85)], ids=["light", "dark"])
def test_writing_on_a_sheet_does_not_hide_it(digit: int, light: float, dark: float) -> None:
    """A sheet is found by its rectangle, whatever is written on it in the grey of the table."""
    sheet = SHEETS["in the middle"]
    grey = table(sheet, light=light, dark=dark)
    inked = placed(drawn(digit)(90, PEN), (140, 140))
    grey[60:200, 50:190] += (dark - light) * inked

    found = paper.find_sheet(grey)

    assert found == paper.find_sheet(table(sheet, light=light, dark=dark))


@digits
@pytest.mark.parametrize("height", [HEIGHT, 360])
@pytest.mark.parametrize("pen", [0.05, 0.1, 0.25])
def test_a_digit_is_no_sheet(digit: int, height: int, pen: float) -> None:
    """On a picture that is paper all over, no stroke and no loop is taken for a sheet."""
    assert paper.find_sheet(painted(placed(drawn(digit)(height, pen))) / np.float32(255)) is None


@pytest.mark.parametrize(
    "grey",
    [
        table(Box(130, 20, 160, 220)),
        table(Box(120, 100, 140, 120)),
        table(Box(3, 0, 280, 240)),
        np.tri(256, dtype=np.float32),
        np.full((200, 200), 0.5, np.float32),
    ],
    ids=["a strip", "a stamp", "all of the picture", "a triangle", "blank"],
)
def test_other_areas_are_no_sheets(grey: FloatArray) -> None:
    """Strips, stamps, the whole picture, what is no rectangle, and what is too small to tell are none."""
    assert paper.find_sheet(grey) is None


def test_a_sheet_on_a_thumbnail_is_found() -> None:
    """Without the pixels at its edge, where there are fewer of them than cells."""
    found = paper.find_sheet(table(Box(12, 10, 40, 38), shape=(56, 48)))

    assert Box(13, 11, 39, 37) == found


def test_a_sheet_has_room_for_a_digit() -> None:
    """The loop of a digit on few pixels is none."""
    assert paper.find_sheet(table(Box(12, 10, 24, 22), shape=(40, 40))) is None


STROKE = np.zeros((280, 240), np.bool_)
STROKE[110:130, 100:240] = True
WOOD = cloud((280, 240), 3, np.random.default_rng(0))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        (np.where(STROKE, 0.1, 0.425), True),
        (0.425 + 0.03 * WOOD, False),
        (0.06 + 0.01 * WOOD, False),
        (np.zeros((280, 240)), False),
    ],
    ids=["shadow", "table", "black table", "black"],
)
def test_ink_goes_on_in_shadow(beyond: FloatArray, expected: bool, turns: int) -> None:  # noqa: FBT001
    """Of a stroke that reaches the edge of what is lit one sees more beyond, on a table one does not."""
    grey = beyond.astype(np.float32)
    grey[60:200, 50:190] = np.where(STROKE, 0.2, 0.85)[60:200, 50:190]
    # Seen from another side.
    grey, inked = np.rot90(grey, turns), np.rot90(STROKE[60:200, 50:190], turns)
    sheet = bounding_box(grey > 0.8)

    assert expected == paper.goes_on(grey, sheet, inked)


def test_ink_along_an_edge_may_go_on() -> None:
    """Where all of the edge is inked, there is nothing to compare it with."""
    grey = np.full((280, 240), 0.4, np.float32)
    inked = np.zeros((140, 140), np.bool_)
    inked[:9] = True

    assert paper.goes_on(grey, Box(60, 50, 200, 190), inked)
    assert not paper.goes_on(grey, Box(0, 0, 140, 240), np.pad(inked, ((0, 0), (0, 100))))


def test_of_two_sheets_the_larger_is_taken() -> None:
    """A second scrap on the table does not matter."""
    grey = table(Box(20, 20, 180, 150))
    alone = paper.find_sheet(grey)
    grey[200:260, 160:220] = 0.85

    assert alone is not None
    assert alone == paper.find_sheet(grey)


@pytest.mark.parametrize("shape", [(1, 288), (288, 1)], ids=str)
def test_a_line_of_pixels_has_no_sheet(shape: tuple[int, int]) -> None:
    """What is left of a picture that is far longer than it is wide is all of it paper."""
    assert paper.find_sheet(np.linspace(0, 1, 288, dtype=np.float32).reshape(shape)) is None


# --- Grain


@pytest.mark.parametrize("strength", [0.0, 0.005, 0.02, 0.1])
def test_grain_grows_with_noise(strength: float) -> None:
    """Two pixels of normal noise differ by 1.41 standard deviations, the median of which is 0.6745 of that."""
    grey = np.random.default_rng(0).normal(0.5, strength, (200, 200)).astype(np.float32)

    assert pytest.approx(0.6745 * 2**0.5 * strength, rel=0.02) == paper.grain(grey)


def test_edges_are_no_grain() -> None:
    """Strokes and shadows have few pixels at their edges."""
    assert 0 == paper.grain(grey_of(8) * halves(0.5, 1, (200, 200)))


def test_one_column_has_no_grain() -> None:
    """Where no pixel has a neighbour there is nothing to measure."""
    assert 0 == paper.grain(np.linspace(0, 1, 9, dtype=np.float32)[:, None])


@given(pictures())
def test_smoothing_is_a_convolution(grey: FloatArray) -> None:
    """Each pixel becomes what scipy's convolution with 1 2 1 along both axes makes of it."""
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16

    np.testing.assert_allclose(ndimage.convolve(grey, weights, mode="nearest"), paper.smoothed(grey), atol=1e-6)
