"""Tests of service.images.background."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from service.images.background import Background, Polarity, build_pyramid, estimate_polarity, halve, ink_levels
from service.types import ByteArray
from tests.pictures import Colour, draw
from tests.service.images.scenes import eight_bits, halves, ramp

digits = pytest.mark.parametrize("digit", range(10))

# The value of paper in a contrast picture, and the range from there to black.
PAPER, RANGE = 31, 224


def grey_of(digit: int = 3, ink: Colour = 30, paper: Colour = 220, **options: tuple[float, ...]) -> ByteArray:
    """Return a drawn digit as a grey picture."""
    return np.asarray(draw(digit, ink=ink, paper=paper, **options))  # type: ignore[arg-type]


def noise(mean: float, deviation: float, shape: tuple[int, int] = (50, 50)) -> ByteArray:
    """Return normal noise that is clipped at four standard deviations."""
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
    """A picture is halve twice from half the working size on, once from a quarter; what lacks is repeated."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    pyramid = build_pyramid(pixels, 200)

    np.testing.assert_array_equal(pixels, pyramid.fine[: shape[0], : shape[1]])
    assert (pyramid.fine[:, shape[1] - 1 :] == pyramid.fine[:, shape[1] - 1 : shape[1]]).all()
    assert (medium, coarse) == (pyramid.medium.shape, pyramid.coarse.shape)
    assert tuple(pyramid.medium_factor * side for side in medium) == pyramid.fine.shape
    assert tuple(pyramid.coarse_factor * side for side in coarse) == pyramid.medium.shape


def test_a_level_averages_the_one_before() -> None:
    """A pixel is the mean of 2x2."""
    pixels = np.array([[10, 20, 0, 0], [30, 40, 0, 255]], np.uint8)

    np.testing.assert_allclose([[25, 64]], halve(pixels), atol=0.5)


def test_colours_are_projected_along_one_axis() -> None:
    """Yellow on white has the same contrast at every level."""
    colours = np.full((200, 200, 3), 255, np.uint8)
    colours[60:140, 60:140, 2] = 40
    pyramid = build_pyramid(colours, 200)

    assert (200, 200) == pyramid.fine.shape
    for level in (pyramid.fine, pyramid.medium, pyramid.coarse):
        side = level.shape[0]

        assert pyramid.fine[0, 0] == level[0, 0]
        assert pyramid.fine[100, 100] == level[side // 2, side // 2]
    assert 60 < int(pyramid.fine[0, 0]) - int(pyramid.fine[100, 100])


def test_light_ink_is_made_dark_at_every_level() -> None:
    """For light ink each level is inverted, and inverted again by a second call. For dark ink it is unchanged."""
    pyramid = build_pyramid(grey_of(), 200)
    negative = pyramid.with_dark_ink(Polarity.LIGHT_ON_DARK)
    again = negative.with_dark_ink(Polarity.LIGHT_ON_DARK)

    assert pyramid is pyramid.with_dark_ink(Polarity.DARK_ON_LIGHT)
    for name in ("fine", "medium", "coarse"):
        np.testing.assert_array_equal(255 - getattr(pyramid, name), getattr(negative, name))
        np.testing.assert_array_equal(getattr(pyramid, name), getattr(again, name))


def test_the_mask_is_resized_to_the_medium_level() -> None:
    """Ink is measured at that level. Without a mask there is none."""
    mask = np.zeros((200, 140), np.uint8)
    mask[50:, 40:] = 255
    pyramid = build_pyramid(grey_of(size=(140, 200)), 200, mask)

    assert pyramid.mask is not None
    np.testing.assert_array_equal(mask[::2, ::2], pyramid.mask)
    assert build_pyramid(grey_of(), 200).mask is None


# --- Polarity


@digits
def test_polarity_is_estimated(digit: int) -> None:
    """Dark on light and light on dark are distinguished, for digits in the middle, in a corner, and of full size."""
    for box in ((0.3, 0.2, 0.7, 0.8), (0.05, 0.05, 0.95, 0.95), (0.02, 0.02, 0.3, 0.4)):
        assert Polarity.DARK_ON_LIGHT == estimate_polarity(grey_of(digit, 30, 220, box=box))
        assert Polarity.DARK_ON_LIGHT == estimate_polarity(grey_of(digit, 100, 140, box=box))
        assert Polarity.LIGHT_ON_DARK == estimate_polarity(grey_of(digit, 220, 30, box=box))


@digits
def test_uneven_light_does_not_change_the_polarity(digit: int) -> None:
    """Paper in shadow may be darker than ink in the light."""
    for angle in range(6):
        lit = grey_of(digit, 120, 220) * ramp(angle, 0.4, side=200)

        assert Polarity.DARK_ON_LIGHT == estimate_polarity(eight_bits(lit))


@pytest.mark.parametrize(
    ("ink", "ground", "expected"),
    [(0, 255, Polarity.DARK_ON_LIGHT), (255, 0, Polarity.LIGHT_ON_DARK)],
    ids=["dark on light", "light on dark"],
)
def test_the_border_decides_where_ink_and_paper_balance(ink: int, ground: int, expected: Polarity) -> None:
    """For stripes as wide as the gaps between them, the grey of the border is paper."""
    grey = np.full((210, 210), ground, np.uint8)
    for left in range(10, 200, 20):
        grey[:, left : left + 10] = ink
    grey[:5] = grey[-5:] = ground

    assert expected == estimate_polarity(grey)


def test_one_grey_has_a_polarity() -> None:
    """Without any contrast there is no division by zero."""
    assert Polarity.DARK_ON_LIGHT == estimate_polarity(np.full((30, 30), 140, np.uint8))


# --- Background


@given(
    arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=40)),
    st.sampled_from([0.06, 0.14, 0.42]),
)
def test_the_background_is_a_closing_with_a_square(grey: ByteArray, window: float) -> None:
    """It is scipy's grey closing, but no darker than the least background."""
    side = max(3, round(window * max(grey.shape)))
    closed = ndimage.grey_closing(grey, 2 * (side // 2) + 1, mode="nearest")

    np.testing.assert_array_equal(np.maximum(closed, 77), Background(grey, window).brightness)


@digits
def test_paper_has_no_contrast_and_ink_has(digit: int) -> None:
    """Under light from any side, paper has none, and ink has the share of the light that it absorbs."""
    lit = eight_bits(grey_of(digit, 55, 220) * ramp(digit, 0.6, side=200))
    contrast = Background(lit, 0.14).contrast(lit)
    inked = grey_of(digit) < 100

    assert PAPER - 1 <= contrast[~inked].min()
    np.testing.assert_allclose(contrast[inked], PAPER + 0.75 * RANGE, atol=3)
    # Within half a window of a stroke the background does not follow the light.
    assert PAPER + 0.1 * RANGE > contrast[~inked].max()


@pytest.mark.parametrize("turns", range(4))
def test_the_edge_of_a_shadow_has_no_contrast(turns: int) -> None:
    """Where paper gets darker in one step, it has contrast only within half a window of the step."""
    lit = np.ascontiguousarray(np.rot90(eight_bits(255 * halves(0.9, 0.5)), turns))
    contrast = np.rot90(Background(lit, 0.21).contrast(lit), -turns)

    np.testing.assert_allclose(contrast[:, :-10], PAPER, atol=1)


def test_contrast_is_the_same_in_shadow() -> None:
    """Ink of a quarter of the paper's brightness has the same contrast in light and in shadow."""
    lit = np.full((100, 100), 240, np.uint8)
    lit[40:50, 10:90] = 60
    shaded = eight_bits(lit * halves(0.4, 1, (100, 100)))
    expected = Background(lit, 0.31).contrast(lit)

    np.testing.assert_allclose(expected, Background(shaded, 0.31).contrast(shaded), atol=2)
    np.testing.assert_allclose(expected[40:50, 10:90], PAPER + 0.75 * RANGE, atol=1)


def test_strokes_as_wide_as_the_window_are_background() -> None:
    """Narrower strokes have full contrast, and wider ones none."""
    grey = np.full((100, 100), 200, np.uint8)
    grey[20:80, 20:29] = grey[20:80, 50:61] = 100
    contrast = Background(grey, 0.11).contrast(grey)

    np.testing.assert_allclose(contrast[20:80, 20:29], PAPER + 0.5 * RANGE, atol=1)
    np.testing.assert_allclose(contrast[:, 40:], PAPER, atol=1)


def test_noise_in_deep_shadow_is_not_magnified() -> None:
    """The noise of a black picture has hardly any contrast."""
    grey = eight_bits(np.abs(np.random.default_rng(0).normal(0, 0.5, (64, 64))))

    assert 0.03 * RANGE > np.ptp(Background(grey, 0.14).contrast(grey))


def test_the_background_is_resized_to_the_level() -> None:
    """A level of twice the size has the same contrast."""
    grey = grey_of()
    paper = Background(halve(grey), 0.14)

    np.testing.assert_allclose(Background(grey, 0.14).contrast(grey), paper.contrast(grey), atol=1)


@pytest.mark.parametrize(("ground", "expected"), [(195, False), (205, True)], ids=["different", "close"])
def test_backgrounds_are_close_where_no_pixel_differs_much(ground: int, expected: bool) -> None:  # noqa: FBT001
    """A square that is wider than one window and narrower than the other is background in one of two."""
    grey = np.full((100, 100), 225, np.uint8)
    grey[30:60, 30:60] = ground
    narrow, wide = Background(grey, 0.14), Background(grey, 0.42)

    assert expected == narrow.is_close_to(wide) == wide.is_close_to(narrow)
    assert narrow.is_close_to(narrow)


# --- The strength of ink


def inked(ink: float, edge: float = 0.0) -> ByteArray:
    """Return the contrast picture of a bar, with this contrast, 0..1, of the bar and of the columns beside it."""
    contrast = np.zeros((50, 50))
    contrast[10:40, 20:26] = ink
    contrast[10:40, 19] = contrast[10:40, 26] = edge
    return eight_bits(PAPER + RANGE * contrast)


def test_full_ink_is_the_core_of_the_strokes() -> None:
    """Half-covered edges do not lower full ink, and paper has none."""
    contrast = inked(0.6, 0.3)
    levels = ink_levels(contrast, 0.1)

    assert levels.has_ink
    assert pytest.approx(0.6 * RANGE, abs=1) == levels.contrast
    np.testing.assert_allclose(levels.strength(contrast), 255 / 0.6 * (contrast.astype(float) - PAPER) / RANGE, atol=2)


def test_strength_is_above_the_median() -> None:
    """Noise lifts the closing everywhere, so the median is paper."""
    contrast = inked(0.6) // 2 + 50
    strength = ink_levels(contrast, 0.1).strength(contrast)

    np.testing.assert_array_equal(np.where(inked(0.6) > 100, 255, 0), strength)


def test_strength_is_clipped() -> None:
    """Ink that is blacker than full ink has 255, and pixels lighter than paper have 0."""
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
    ids=["blank", "faint", "noise", "as faint as noise", "too faint for this scale"],
)
def test_low_contrast_is_no_ink(ink: float, grain: float, faintest: float) -> None:
    """Ink has at least the given contrast, and at least seven standard deviations of the noise."""
    contrast = noise(100, grain * RANGE)
    contrast[10:40, 20:26] = round(100 + ink * RANGE)

    assert not ink_levels(contrast, faintest).has_ink


@pytest.mark.parametrize("grain", [0.005, 0.02])
def test_contrast_above_the_noise_is_ink(grain: float) -> None:
    """With more than seven standard deviations it is ink, and noisy paper has little strength."""
    contrast = noise(60, grain * RANGE)
    contrast[10:40, 20:26] += round(0.3 * RANGE)
    levels = ink_levels(contrast, 0.07)
    strength = levels.strength(contrast) / 255

    assert levels.has_ink
    assert pytest.approx(1, abs=0.1) == strength[10:40, 20:26].mean()
    assert 0.05 > strength[:, 30:].mean()


def test_levels_are_measured_in_the_mask() -> None:
    """Black outside of a region is neither its paper nor its ink."""
    contrast = inked(0.3)
    contrast[:, 30:] = 255
    mask = np.zeros_like(contrast)
    mask[:, :30] = 255

    assert ink_levels(inked(0.3), 0.1) == ink_levels(contrast, 0.1, mask)
    assert ink_levels(inked(0.3), 0.1) != ink_levels(contrast, 0.1)


def test_an_empty_mask_has_no_ink() -> None:
    """Nothing may be left of a small region without its edge."""
    assert not ink_levels(inked(0.6), 0.1, np.zeros((50, 50), np.uint8)).has_ink
