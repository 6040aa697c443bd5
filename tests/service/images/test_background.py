"""Tests of service.images.background."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.images.background import Paper, Polarity, halved, ink_levels, likely_polarity, pyramid
from service.types import ByteArray
from tests.pictures import Colour, draw
from tests.service.images.scenes import eight_bits, halves, ramp

digits = pytest.mark.parametrize("digit", range(10))

# Grey levels between paper, of 255, and black.
PAPER, RANGE = 31, 224


def grey_of(digit: int = 3, ink: Colour = 30, paper: Colour = 220, **options: tuple[float, ...]) -> ByteArray:
    """Return a drawn digit as a grey picture."""
    return np.asarray(draw(digit, ink=ink, paper=paper, **options))  # type: ignore[arg-type]


def noise(mean: float, deviation: float, shape: tuple[int, int] = (50, 50)) -> ByteArray:
    """Return normal noise, no further from its mean than four deviations, so that it alone does not reach six."""
    drawn = np.random.default_rng(0).normal(0, 1, shape)
    return eight_bits(mean + deviation * np.clip(drawn, -4, 4))


# --- Levels


@pytest.mark.parametrize(
    ("shape", "medium", "coarse"),
    [
        ((200, 140), (100, 70), (50, 35)),
        ((100, 60), (100, 60), (50, 30)),
        ((50, 30), (50, 30), (50, 30)),
        ((199, 141), (100, 72), (50, 36)),
        ((200, 1), (100, 4), (50, 2)),
        ((1, 40), (8, 40), (8, 40)),
    ],
    ids=["large", "half as large", "small", "odd", "a column", "a row"],
)
def test_levels_are_halves(shape: tuple[int, int], medium: tuple[int, int], coarse: tuple[int, int]) -> None:
    """A picture is halved twice from half the working size on, once from a quarter; what lacks is repeated."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    levels = pyramid(pixels, 200)

    np.testing.assert_array_equal(pixels, levels.fine[: shape[0], : shape[1]])
    assert (levels.fine[:, shape[1] - 1 :] == levels.fine[:, shape[1] - 1 : shape[1]]).all()
    assert (medium, coarse) == (levels.medium.shape, levels.coarse.shape)
    assert tuple(levels.ink_factor * side for side in medium) == levels.fine.shape
    assert tuple(levels.coarse_factor * side for side in coarse) == levels.medium.shape


def test_a_level_averages_the_one_before() -> None:
    """Of 2x2 pixels one is made."""
    pixels = np.array([[10, 20, 0, 0], [30, 40, 0, 255]], np.uint8)

    np.testing.assert_allclose([[25, 64]], halved(pixels), atol=0.5)


def test_colours_are_projected_along_one_axis() -> None:
    """Yellow on white has contrast at every level, the same one."""
    colours = np.full((200, 200, 3), 255, np.uint8)
    colours[60:140, 60:140, 2] = 40
    levels = pyramid(colours, 200)

    assert (200, 200) == levels.fine.shape
    for level in (levels.fine, levels.medium, levels.coarse):
        side = level.shape[0]

        assert levels.fine[0, 0] == level[0, 0]
        assert levels.fine[100, 100] == level[side // 2, side // 2]
    assert 60 < int(levels.fine[0, 0]) - int(levels.fine[100, 100])


def test_light_ink_is_made_dark_at_every_level() -> None:
    """Of light ink it is the negative, of which the negative is the picture; dark ink is left as it is."""
    levels = pyramid(grey_of(), 200)
    negative = levels.with_dark_ink(Polarity.LIGHT_ON_DARK)
    again = negative.with_dark_ink(Polarity.LIGHT_ON_DARK)

    assert levels is levels.with_dark_ink(Polarity.DARK_ON_LIGHT)
    for name in ("fine", "medium", "coarse"):
        np.testing.assert_array_equal(255 - getattr(levels, name), getattr(negative, name))
        np.testing.assert_array_equal(getattr(levels, name), getattr(again, name))


def test_what_is_considered_is_told_at_the_medium_level() -> None:
    """A mask of the picture becomes one of the level at which ink is measured, and without one everything is."""
    mask = np.zeros((200, 140), np.uint8)
    mask[50:, 40:] = 255
    levels = pyramid(grey_of(size=(140, 200)), 200, mask)

    assert levels.considered is not None
    np.testing.assert_array_equal(mask[::2, ::2], levels.considered)
    assert pyramid(grey_of(), 200).considered is None


# --- Polarity


@digits
def test_polarity_is_seen(digit: int) -> None:
    """Dark on light and light on dark are told apart, inside a picture, filling it, and in its corner."""
    for box in ((0.3, 0.2, 0.7, 0.8), (0.05, 0.05, 0.95, 0.95), (0.02, 0.02, 0.3, 0.4)):
        assert Polarity.DARK_ON_LIGHT == likely_polarity(grey_of(digit, 30, 220, box=box))
        assert Polarity.DARK_ON_LIGHT == likely_polarity(grey_of(digit, 100, 140, box=box))
        assert Polarity.LIGHT_ON_DARK == likely_polarity(grey_of(digit, 220, 30, box=box))


@digits
def test_light_does_not_turn_the_polarity(digit: int) -> None:
    """Paper that is darker than ink elsewhere is still paper."""
    for angle in range(6):
        lit = grey_of(digit, 120, 220) * ramp(angle, 0.4, side=200)

        assert Polarity.DARK_ON_LIGHT == likely_polarity(eight_bits(lit))


@pytest.mark.parametrize(
    ("ink", "ground", "expected"),
    [(0, 255, Polarity.DARK_ON_LIGHT), (255, 0, Polarity.LIGHT_ON_DARK)],
    ids=["dark on light", "light on dark"],
)
def test_where_ink_and_paper_balance_the_border_decides(ink: int, ground: int, expected: Polarity) -> None:
    """Stripes of ink as wide as the paper between them are ink where the border is paper."""
    grey = np.full((210, 210), ground, np.uint8)
    for left in range(10, 200, 20):
        grey[:, left : left + 10] = ink
    grey[:5] = grey[-5:] = ground

    assert expected == likely_polarity(grey)


def test_one_grey_has_a_polarity() -> None:
    """Where nothing differs from anything, nothing is divided by zero."""
    assert Polarity.DARK_ON_LIGHT == likely_polarity(np.full((30, 30), 140, np.uint8))


# --- Paper


@settings(max_examples=50)
@given(
    arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=40)),
    st.sampled_from([0.06, 0.14, 0.42]),
)
def test_paper_is_a_closing_with_a_square(grey: ByteArray, window: float) -> None:
    """It is scipy's, beyond whose frame there is nothing, and no darker than deep shadow."""
    side = max(3, round(window * max(grey.shape)))
    closed = ndimage.grey_closing(grey, 2 * (side // 2) + 1, mode="nearest")

    np.testing.assert_array_equal(np.maximum(closed, 77), Paper(grey, window).brightness)


@digits
def test_paper_has_no_contrast_and_ink_has(digit: int) -> None:
    """From wherever the light comes, paper is even and ink stands out by what it takes of the light."""
    lit = eight_bits(grey_of(digit, 55, 220) * ramp(digit, 0.6, side=200))
    contrast = Paper(lit, 0.14).contrast(lit)
    inked = grey_of(digit) < 100

    assert PAPER - 1 <= contrast[~inked].min()
    np.testing.assert_allclose(contrast[inked], PAPER + 0.75 * RANGE, atol=3)
    # Within half a window of a stroke the falling light is not followed.
    assert PAPER + 0.1 * RANGE > contrast[~inked].max()


@pytest.mark.parametrize("turns", range(4))
def test_light_is_no_contrast(turns: int) -> None:
    """Paper that gets darker in one step is paper, but for half a window at a darkening edge."""
    lit = np.ascontiguousarray(np.rot90(eight_bits(255 * halves(0.9, 0.5)), turns))
    contrast = np.rot90(Paper(lit, 0.21).contrast(lit), -turns)

    np.testing.assert_allclose(contrast[:, :-10], PAPER, atol=1)


def test_contrast_is_the_same_in_shadow() -> None:
    """Ink that leaves a quarter of the light does so in the light and in its shadow, up to where that begins."""
    lit = np.full((100, 100), 240, np.uint8)
    lit[40:50, 10:90] = 60
    shaded = eight_bits(lit * halves(0.4, 1, (100, 100)))
    expected = Paper(lit, 0.31).contrast(lit)

    np.testing.assert_allclose(expected, Paper(shaded, 0.31).contrast(shaded), atol=2)
    np.testing.assert_allclose(expected[40:50, 10:90], PAPER + 0.75 * RANGE, atol=1)


def test_strokes_as_wide_as_the_window_are_paper() -> None:
    """A window shows narrower strokes whole, and of wider ones nothing."""
    grey = np.full((100, 100), 200, np.uint8)
    grey[20:80, 20:29] = grey[20:80, 50:61] = 100
    contrast = Paper(grey, 0.11).contrast(grey)

    np.testing.assert_allclose(contrast[20:80, 20:29], PAPER + 0.5 * RANGE, atol=1)
    np.testing.assert_allclose(contrast[:, 40:], PAPER, atol=1)


def test_deep_shadow_is_not_magnified_without_bounds() -> None:
    """A black picture has the noise that it has: it is no writing."""
    grey = eight_bits(np.abs(np.random.default_rng(0).normal(0, 0.5, (64, 64))))

    assert 0.03 * RANGE > np.ptp(Paper(grey, 0.14).contrast(grey))


def test_paper_is_measured_at_one_level_and_used_at_another() -> None:
    """A level of twice the size has the same contrast."""
    grey = grey_of()
    paper = Paper(halved(grey), 0.14)

    np.testing.assert_allclose(Paper(grey, 0.14).contrast(grey), paper.contrast(grey), atol=1)


@pytest.mark.parametrize(("ground", "expected"), [(195, False), (205, True)], ids=["apart", "near"])
def test_papers_are_the_same_where_no_pixel_differs_much(ground: int, expected: bool) -> None:  # noqa: FBT001
    """A square that fits into one window and not into the other is paper by one of them alone."""
    grey = np.full((100, 100), 225, np.uint8)
    grey[30:60, 30:60] = ground
    narrow, wide = Paper(grey, 0.14), Paper(grey, 0.42)

    assert expected == narrow.is_same(wide) == wide.is_same(narrow)
    assert narrow.is_same(narrow)


# --- The strength of ink


def inked(ink: float, edge: float = 0.0) -> ByteArray:
    """Return the contrast, 0..1 of the range, of a bar, and of the columns beside it."""
    contrast = np.zeros((50, 50))
    contrast[10:40, 20:26] = ink
    contrast[10:40, 19] = contrast[10:40, 26] = edge
    return eight_bits(PAPER + RANGE * contrast)


def test_full_ink_is_the_core_of_the_strokes() -> None:
    """Half-covered edges do not lower the contrast that counts as full ink, and paper has none."""
    contrast = inked(0.6, 0.3)
    levels = ink_levels(contrast, 0.1)

    assert levels.has_ink
    assert pytest.approx(0.6 * RANGE, abs=1) == levels.contrast
    np.testing.assert_allclose(levels.strength(contrast), 255 / 0.6 * (contrast.astype(float) - PAPER) / RANGE, atol=2)


def test_what_lifts_the_paper_is_no_ink() -> None:
    """Strength counts from the median on, since noise lifts the closing everywhere."""
    contrast = inked(0.6) // 2 + 50
    strength = ink_levels(contrast, 0.1).strength(contrast)

    np.testing.assert_array_equal(np.where(inked(0.6) > 100, 255, 0), strength)


def test_blacker_ink_is_full_ink() -> None:
    """Nothing has more ink than full, nor less than none."""
    contrast = inked(0.6)
    contrast[20, 20:26] = 240
    contrast[0, 0] = 10
    levels = ink_levels(contrast, 0.1)

    assert pytest.approx(0.6 * RANGE, abs=1) == levels.contrast
    assert (255, 255) == (levels.strength(contrast)[20, 21], levels.strength(contrast)[30, 21])
    assert 0 == levels.strength(contrast)[0, 0]


@pytest.mark.parametrize(
    ("ink", "grain", "faintest"),
    [(0.0, 0.0, 0.07), (0.06, 0.0, 0.07), (0.0, 0.05, 0.07), (0.2, 0.06, 0.07), (0.15, 0.0, 0.2)],
    ids=["blank", "faint", "grain", "as faint as the grain", "too faint for this window"],
)
def test_what_does_not_stand_out_is_no_ink(ink: float, grain: float, faintest: float) -> None:
    """Less contrast than is asked for, or less than six standard deviations of the grain, is none."""
    contrast = noise(100, grain * RANGE)
    contrast[10:40, 20:26] = round(100 + ink * RANGE)

    assert not ink_levels(contrast, faintest).has_ink


@pytest.mark.parametrize("grain", [0.005, 0.02])
def test_what_stands_out_from_the_grain_is_ink(grain: float) -> None:
    """With more than six standard deviations it is, and paper with its grain has little."""
    contrast = noise(60, grain * RANGE)
    contrast[10:40, 20:26] += round(0.3 * RANGE)
    levels = ink_levels(contrast, 0.07)
    strength = levels.strength(contrast) / 255

    assert levels.has_ink
    assert pytest.approx(1, abs=0.1) == strength[10:40, 20:26].mean()
    assert 0.05 > strength[:, 30:].mean()


def test_levels_are_those_of_what_is_considered() -> None:
    """Black around a region is neither its paper nor its ink."""
    contrast = inked(0.3)
    contrast[:, 30:] = 255
    mask = np.zeros_like(contrast)
    mask[:, :30] = 255

    assert ink_levels(inked(0.3), 0.1) == ink_levels(contrast, 0.1, mask)
    assert ink_levels(inked(0.3), 0.1) != ink_levels(contrast, 0.1)


def test_where_nothing_is_considered_there_is_no_ink() -> None:
    """Of a region that is all edge nothing is left."""
    assert not ink_levels(inked(0.6), 0.1, np.zeros((50, 50), np.uint8)).has_ink
