"""Tests of tests.service.images.scenes: the scenes have the properties in their names."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from service.images.components import bounding_box
from service.types import FloatArray
from tests.service.images.scenes import (
    HEIGHT,
    PEN,
    SCENES,
    SIDE,
    cloud,
    coloured,
    dice,
    drawn,
    eight_bits,
    lines,
    magnified,
    painted,
    placed,
    ramp,
)


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize(("height", "pen"), [(40, 0.1), (60, 0.25), (200, 0.05), (200, 0.25)])
def test_a_drawn_digit_is_as_high_as_asked(digit: int, height: int, pen: float) -> None:
    """The height includes the pen's width, and the digit is cropped. The path of a 5 is 95 % of the height."""
    coverage = drawn(digit)(height, pen)
    way = 0.95 if digit == 5 else 1

    assert pytest.approx((pen + (1 - pen) * way) * height, abs=2) == coverage.shape[0]
    assert all(edge.any() for edge in (coverage[0], coverage[-1], coverage[:, 0], coverage[:, -1]))
    assert 1 == coverage.max()


@pytest.mark.parametrize("height", [60, 200])
@pytest.mark.parametrize("pen", [0.024, 0.1, 0.25])
def test_a_pen_is_as_wide_as_asked(height: int, pen: float) -> None:
    """The stroke of a 1 is as wide as its share of the height, to a quarter of a pixel and half a pixel drawn."""
    strokes = drawn(1)(height, pen)[height // 3 : -height // 3].sum(axis=1)

    assert pytest.approx(pen * height, abs=0.5) == strokes.mean()


@pytest.mark.parametrize("height", [60, 200])
def test_a_magnified_digit_is_as_high_as_asked(height: int) -> None:
    """A bar of 12x3 pixels keeps its proportions and has hard edges."""
    digit = np.zeros((28, 28), np.uint8)
    digit[8:20, 12:15] = 255
    coverage = magnified(digit)(height, PEN)

    assert pytest.approx((height, height / 4), abs=4) == coverage.shape
    assert 0.8 < coverage.mean()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((0, 0), (0, 0, 3, 2)),
        ((1, 1), (7, 10, 10, 12)),
        ((0.5, 0), (4, 0, 7, 2)),
        ((-1 / 7, 1.1), (0, 11, 2, 12)),
    ],
    ids=["first", "last", "between", "beyond"],
)
def test_places(place: tuple[float, float], expected: tuple[int, int, int, int]) -> None:
    """0 is the first row or column, 1 the last, and parts outside of the picture are cut off."""
    assert expected == bounding_box(eight_bits(placed(np.ones((3, 2), np.float32), (10, 12), place)))


def test_paint_covers_paper() -> None:
    """Ink covers nothing, half and all of a pixel, in grey and in colour."""
    coverage = np.array([[0, 0.5, 1]], np.float32)

    assert [[220, 130, 40]] == painted(coverage).tolist()
    assert [[[250, 240, 0], [150, 170, 50], [50, 100, 100]]] == coloured(
        coverage, (50, 100, 100), (250, 240, 0)
    ).tolist()


@pytest.mark.parametrize("smoothness", [0.7, 3, 20, 60])
def test_a_cloud_is_as_smooth_as_asked(smoothness: float) -> None:
    """It has mean 0 and standard deviation 1, and neighbours differ by 1 over 1.41 times the smoothness."""
    values = cloud((300, 300), smoothness, dice("cloud"))
    steps = float(np.std(np.diff(values, axis=0)))

    assert (300, 300) == values.shape
    assert pytest.approx(0, abs=1e-3) == values.mean()
    assert pytest.approx(1, abs=1e-3) == values.std()
    assert pytest.approx(1 / smoothness, rel=0.4) == steps * 2**0.5


@pytest.mark.parametrize(
    ("angle", "brightest", "darkest"),
    [(0.0, (50, 0), (50, 99)), (np.pi / 2, (0, 50), (99, 50)), (np.pi * 1.25, (99, 99), (0, 0))],
    ids=["to the right", "down", "up to the left"],
)
def test_light_falls_along_its_direction(angle: float, brightest: tuple[int, int], darkest: tuple[int, int]) -> None:
    """It falls from 1 to the given value."""
    light = ramp(angle, 0.45, 100)

    assert pytest.approx((1, 0.45), abs=1e-6) == (light.max(), light.min())
    assert pytest.approx((1, 0.45), abs=1e-6) == (light[brightest], light[darkest])


@pytest.mark.parametrize(("upright", "share"), [(False, 0.05), (True, 0.0975)], ids=["ruled", "squared"])
def test_ruled_lines_cover_their_share(upright: bool, share: float) -> None:  # noqa: FBT001
    """Lines of 3 pixels every 60 cover a twentieth, and lines across them a twentieth of the rest."""
    covered = lines(dice("lines"), spacing=60, width=3, upright=upright)

    assert 1 == covered.max()
    assert pytest.approx(share, rel=0.15) == covered.mean()


@pytest.mark.parametrize("side", ["top", "left", "bottom", "right"])
@pytest.mark.parametrize(("verb", "share"), [("touching", 0.0), ("leaving", 0.05)], ids=["touching", "leaving"])
def test_a_cut_off_digit_has_its_share_outside(side: str, verb: str, share: float) -> None:
    """A 4 touches the side, and its visible length is shorter by the share that is cut off."""
    greys = np.asarray(Image.open(io.BytesIO(SCENES[f"{verb} at the {side}"](drawn(4), dice(side)))))
    top, left, bottom, right = bounding_box(eight_bits(greys < 190))
    whole = drawn(4)(HEIGHT, PEN).shape
    reached = {"top": top == 0, "left": left == 0, "bottom": bottom == SIDE, "right": right == SIDE}
    vertical = side in {"top", "bottom"}
    length = bottom - top if vertical else right - left

    assert [side] == [name for name, at_edge in reached.items() if at_edge]
    assert pytest.approx((1 - share) * whole[0 if vertical else 1], abs=2) == length


@pytest.mark.parametrize("scene", SCENES)
def test_scenes_differ_from_digit_to_digit_and_not_from_run_to_run(scene: str) -> None:
    """The same seed gives the same bytes, and another digit other bytes."""
    same = [SCENES[scene](drawn(2), dice(scene)) for _ in range(2)]

    assert same[0] == same[1]
    assert same[0] != SCENES[scene](drawn(7), dice(scene))


def test_dice_are_seeded_by_names() -> None:
    """Each name has its own random numbers, the same ones each time."""

    def rolled(*names: object) -> FloatArray:
        return dice(*names).random(5, np.float32)

    np.testing.assert_array_equal(rolled("ghosts", 3), rolled("ghosts", 3))
    assert rolled("ghosts", 3).tolist() != rolled("ghosts", 4).tolist()
