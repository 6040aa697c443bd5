"""Tests of service.images.sheet."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from service.images.background import build_pyramid
from service.images.components import Box
from service.images.decoding import WORKING_SIDE
from service.images.sheet import Region, RegionKind, find_regions, is_convex, rectify
from service.types import ByteArray, FloatArray
from tests.service.images.scenes import PEN, axes, drawn, eight_bits, painted, placed

HEIGHT, WIDTH = 280, 240
LIGHT, DARK = 215, 65
# Pixels drawn for one of the picture, along both axes.
FINER = 8

digits = pytest.mark.parametrize("digit", range(10))

Corners = list[tuple[float, float]]


def polygon(corners: Corners, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> FloatArray:
    """Return coverage by a polygon, with half-covered pixels at its edges; (0, 0) is the middle of the first pixel."""
    fine = np.zeros((FINER * shape[0], FINER * shape[1]), np.uint8)
    points = np.round((np.array(corners) + 0.5) * FINER - 0.5).astype(np.int32)
    covered: FloatArray = cv2.resize(cv2.fillPoly(fine, [points], 1).astype(np.float32), shape[::-1], interpolation=3)
    return covered


def corners_of(box: Box) -> Corners:
    """Return the corners of a box, clockwise from the top left."""
    right, bottom = box.right - 1, box.bottom - 1
    return [(box.left, box.top), (right, box.top), (right, bottom), (box.left, bottom)]


def rotated(corners: Corners, degrees: float) -> Corners:
    """Return corners rotated clockwise about their middle."""
    middle = np.mean(corners, axis=0)
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return [tuple(point) for point in (np.array(corners) - middle) @ matrix.T + middle]


def table(sheet: FloatArray, light: float = LIGHT, dark: float = DARK) -> ByteArray:
    """Return a table with a sheet on it, given by its coverage, both with a little noise."""
    return eight_bits(dark + (light - dark) * sheet + np.random.default_rng(0).normal(0, 2.5, sheet.shape))


def regions_on(grey: ByteArray) -> list[Region]:
    """Return the regions of a picture."""
    return find_regions(build_pyramid(grey, WORKING_SIDE))


def outline_of(region: Region, factor: int = 2) -> npt.NDArray[np.float32]:
    """Return the outline of a region in pixels of its picture."""
    outline: npt.NDArray[np.float32] = region.outline * factor + (factor - 1) / 2
    return outline


def assert_sheet(corners: Corners, regions: list[Region]) -> None:
    """Check that one region is found, a sheet with these corners in this order, to five pixels."""
    assert [RegionKind.SHEET] == [region.kind for region in regions]
    np.testing.assert_allclose(outline_of(regions[0]), corners, atol=5)


# --- Sheets

SHEETS = {
    "in the middle": Box(60, 50, 200, 190),
    "tall": Box(20, 60, 260, 170),
    "flat": Box(100, 20, 190, 220),
    "small": Box(100, 100, 150, 150),
    "at the top": Box(0, 40, 170, 200),
    "at the right": Box(60, 80, 200, 240),
    "from top to bottom": Box(0, 60, 280, 180),
    "in a corner": Box(140, 120, 280, 240),
}


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_sheet_is_found(sheet: Box) -> None:
    """It may be lighter or darker than its table, or nearly as bright."""
    for light, dark in ((LIGHT, DARK), (DARK, LIGHT), (250, 200)):
        (region,) = regions_on(table(polygon(corners_of(sheet)), light, dark))

        assert_sheet(corners_of(sheet), [region])
        assert pytest.approx(sheet.height * sheet.width / 4, rel=0.1) == region.area
        assert pytest.approx(0, abs=3) == region.turn


@pytest.mark.parametrize("degrees", [-40, -20, -7, 7, 20, 40])
def test_a_sheet_may_be_rotated(degrees: float) -> None:
    """Its corners begin with the top left one of the upright sheet, and its rotation is found."""
    corners = rotated(corners_of(Box(70, 60, 210, 180)), degrees)
    regions = regions_on(table(polygon(corners)))

    assert_sheet(corners, regions)
    assert pytest.approx(degrees, abs=1.5) == regions[0].turn


IN_PERSPECTIVE: Corners = [(70, 60), (190, 80), (215, 230), (40, 210)]


def test_a_sheet_may_be_in_perspective() -> None:
    """No two of its sides are parallel."""
    assert_sheet(IN_PERSPECTIVE, regions_on(table(polygon(IN_PERSPECTIVE))))


@digits
def test_writing_on_a_sheet_does_not_hide_it(digit: int) -> None:
    """A sheet is found by its outline, also with writing in the grey of the table."""
    sheet = SHEETS["in the middle"]
    for light, dark in ((LIGHT, DARK), (DARK, LIGHT)):
        covered = polygon(corners_of(sheet))
        covered[sheet.slices] -= placed(drawn(digit)(90, PEN), (140, 140))

        assert_sheet(corners_of(sheet), regions_on(table(covered, light, dark)))


def test_a_note_of_the_middle_of_three_greys_is_found() -> None:
    """Its grey is between those of its ink and of the table, and nearer to one of them."""
    note = SHEETS["in the middle"]
    inked = np.zeros((HEIGHT, WIDTH), np.float32)
    inked[note.slices] = placed(drawn(3)(90, 0.2), (140, 140))
    for paper, ground, ink in ((190, 245, 20), (70, 25, 235)):
        grey = np.where(inked > 0.5, ink, table(polygon(corners_of(note)), paper, ground)).astype(np.uint8)
        sheets = [region for region in regions_on(grey) if region.area > 4000]

        assert_sheet(corners_of(note), sheets)


def test_the_largest_of_many_sheets_are_returned() -> None:
    """There are at most four, the smallest first, each once."""
    covered = np.zeros((HEIGHT, WIDTH), np.float32)
    sides = [38, 48, 58, 68, 78, 88]
    for number, side in enumerate(sides):
        top, left = 4 + 92 * (number // 2), 10 + 115 * (number % 2)
        covered += polygon(corners_of(Box(top, left, top + side, left + side)))
    areas = [region.area for region in regions_on(table(covered))]

    assert pytest.approx([(side / 2) ** 2 for side in sides[-4:]], rel=0.1) == areas


@pytest.mark.parametrize("degrees", [-40, -25, 25, 40])
def test_a_clipped_sheet_has_a_rotation(degrees: float) -> None:
    """Its visible part is a region, and the rotation is that of its longest edge inside of the picture."""
    corners = rotated(corners_of(Box(20, 10, 260, 230)), degrees)
    *_, region = regions_on(table(polygon(corners)))

    assert RegionKind.CLIPPED == region.kind
    assert pytest.approx(degrees, abs=6) == region.turn


# --- Badges


def disc(radius: float, row: float = HEIGHT / 2, column: float = WIDTH / 2) -> FloatArray:
    """Return coverage by a disc."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    covered: FloatArray = np.clip(radius + 0.5 - np.hypot(rows - row, columns - column), 0, 1).astype(np.float32)
    return covered


@pytest.mark.parametrize("radius", [30, 60, 100])
def test_a_disc_is_a_badge(radius: int) -> None:
    """Its outline is a circle. It may be lighter or darker than its surroundings."""
    for light, dark in ((LIGHT, DARK), (DARK, LIGHT)):
        (region,) = regions_on(table(disc(radius), light, dark))
        away = np.hypot(*(outline_of(region) - (WIDTH / 2, HEIGHT / 2)).T)

        assert RegionKind.BADGE == region.kind
        assert 0 == region.turn
        np.testing.assert_allclose(away, radius, atol=2.5)
        assert pytest.approx(np.pi * radius**2 / 4, rel=0.06) == region.area


@digits
def test_a_digit_on_a_disc_does_not_hide_it(digit: int) -> None:
    """And a loop of the digit is not taken for a region."""
    covered = disc(90) - placed(drawn(digit)(90, 0.12), (HEIGHT, WIDTH))

    assert [RegionKind.BADGE] == [region.kind for region in regions_on(table(covered))]


@pytest.mark.parametrize(
    "corners",
    [
        [(120, 40), (170, 140), (120, 240), (70, 140)],
        [(120, 40), (220, 220), (20, 220)],
        [(60, 60), (180, 60), (220, 140), (180, 220), (60, 220), (20, 140)],
        [(30, 140), (80, 90), (210, 130), (210, 150), (80, 190)],
    ],
    ids=["a rhombus", "a triangle", "a hexagon", "a drop"],
)
def test_another_convex_form_is_a_badge(corners: Corners) -> None:
    """A sheet has four corners of about 90 degrees."""
    assert [RegionKind.BADGE] == [region.kind for region in regions_on(table(polygon(corners)))]


# --- Areas that are no regions


@digits
def test_a_digit_is_no_region(digit: int) -> None:
    """On uniform paper, no stroke and no loop of a digit is a region."""
    for height, pen in ((200, 0.05), (200, 0.1), (200, 0.2), (360, 0.1), (360, 0.2)):
        drawing = eight_bits(painted(placed(drawn(digit)(height, pen))))

        assert [] == regions_on(drawing)
        assert [] == regions_on(255 - drawing)


def ring(outer: float, inner: float) -> FloatArray:
    """Return coverage by a ring."""
    return disc(outer) - disc(inner)


EIGHT = np.maximum(disc(60, HEIGHT / 2 - 42), disc(60, HEIGHT / 2 + 42))
EIGHT -= disc(30, HEIGHT / 2 - 42) + disc(30, HEIGHT / 2 + 42)


@pytest.mark.parametrize(
    "covered",
    [ring(100, 60), ring(100, 75), EIGHT],
    ids=["a thick 0", "a 0", "an 8"],
)
def test_a_loop_is_no_region(covered: FloatArray) -> None:
    """It is a stroke of uniform width around its holes."""
    for light, dark in ((LIGHT, DARK), (DARK, LIGHT)):
        found = regions_on(table(covered, light, dark))

        # The paper in a hole may be a region, which is smaller.
        assert [] == [region for region in found if region.area > 0.6 * covered.sum() / 4]


def shade(corners: Corners) -> ByteArray:
    """Return a table with a lit area that has a soft edge."""
    return table(ndimage.gaussian_filter(polygon(corners), 22), 155, 95)


@pytest.mark.parametrize(
    "grey",
    [
        shade(corners_of(Box(60, 50, 200, 190))),
        shade([(-9, -9), (120, -9), (150, 300), (-9, 300)]),
        table(np.linspace(0, 1, WIDTH, dtype=np.float32) * np.ones((HEIGHT, 1), np.float32)),
    ],
    ids=["a spot of light", "a shadow", "slanting light"],
)
def test_the_edge_of_a_shadow_is_no_region(grey: ByteArray) -> None:
    """Light changes over many pixels."""
    assert [] == regions_on(grey)


CROSS = polygon(corners_of(Box(100, 20, 180, 220))) + polygon(corners_of(Box(40, 80, 240, 160)))


@pytest.mark.parametrize(
    "grey",
    [
        table(polygon(corners_of(Box(130, 20, 160, 220)))),
        table(polygon(corners_of(Box(120, 100, 140, 120)))),
        table(polygon(corners_of(Box(3, 0, 280, 240)))),
        table(np.minimum(CROSS, 1)),
        table(disc(126)),
        np.full((200, 200), 128, np.uint8),
        np.linspace(0, 255, 288).astype(np.uint8)[None],
        np.linspace(0, 255, 288).astype(np.uint8)[:, None],
        table((np.abs(axes(240)[0] - 0.1) < 0.5).astype(np.float32)[:, :9]),
    ],
    ids=[
        "a strip",
        "a stamp",
        "all of the picture",
        "a cross",
        "a disc that leaves the picture",
        "blank",
        "a row of pixels",
        "a column of pixels",
        "a narrow picture",
    ],
)
def test_other_areas_are_no_regions(grey: ByteArray) -> None:
    """They are too narrow, too small, too large, of low solidity, empty, or of another form than a clipped sheet."""
    assert [] == regions_on(grey)


@pytest.mark.parametrize(
    ("covered", "expected"),
    [
        (disc(60), True),
        (ring(60, 50), True),
        (np.maximum(disc(60), polygon(corners_of(Box(2, 2, 12, 6)))), True),
        (np.minimum(CROSS, 1), False),
        (placed(drawn(3)(200, PEN), (HEIGHT, WIDTH)), False),
        (placed(drawn(0)(200, PEN), (HEIGHT, WIDTH)), True),
    ],
    ids=["a disc", "a ring", "with a speck", "a cross", "a 3", "a 0"],
)
def test_ink_is_convex_by_its_solidity(covered: FloatArray, expected: bool) -> None:  # noqa: FBT001
    """The largest component counts, with its holes filled."""
    assert expected == is_convex(eight_bits(255 * (covered > 0.5)))


# --- Rectifying


def mapped(matrix: npt.NDArray[np.float64], points: Corners) -> npt.NDArray[np.float64]:
    """Return points of a rectified region in pixels of the picture."""
    found: npt.NDArray[np.float64] = cv2.perspectiveTransform(np.array([points], np.float64), matrix)[0]
    return found


@pytest.mark.parametrize(
    "corners",
    [corners_of(Box(50, 40, 230, 200)), rotated(corners_of(Box(50, 40, 230, 200)), 20), IN_PERSPECTIVE],
    ids=["upright", "rotated", "in perspective"],
)
@pytest.mark.parametrize("is_colour", [False, True], ids=["grey", "colour"])
def test_a_sheet_is_rectified(corners: Corners, is_colour: bool) -> None:  # noqa: FBT001
    """The digit is as it was drawn, without the edge of the sheet, and the matrix maps to the sheet's corners."""
    sheet = eight_bits(painted(placed(drawn(4)(120, PEN), (180, 160))))
    flat = np.array([(0, 0), (159, 0), (159, 179), (0, 179)], np.float32)
    matrix = cv2.getPerspectiveTransform(flat, np.array(corners, np.float32))
    seen = cv2.warpPerspective(sheet, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderValue=DARK)
    (region,) = [region for region in regions_on(seen) if region.kind is RegionKind.SHEET]
    picture = np.dstack([seen, seen // 2, 255 - seen]) if is_colour else seen

    rectified, to_picture, mask = rectify(picture, region, 2)

    height, width = rectified.shape[:2]
    grey = rectified[..., 0] if is_colour else rectified
    expected = cv2.resize(sheet, (width, height), interpolation=cv2.INTER_AREA).astype(int)
    ends: Corners = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    assert mask is None
    assert picture.ndim == rectified.ndim
    assert 8 > np.abs(expected - grey).mean()
    # The inset at each side is a few pixels.
    np.testing.assert_allclose(mapped(to_picture, ends), corners, atol=8)
    assert LIGHT - 10 < min(grey[0].min(), grey[-1].min(), grey[:, 0].min(), grey[:, -1].min())


@pytest.mark.parametrize("is_colour", [False, True], ids=["grey", "colour"])
def test_a_badge_is_cut_out(is_colour: bool) -> None:  # noqa: FBT001
    """It is surrounded by its median colour, and the mask covers it without its edge."""
    covered = disc(90)
    inked = placed(drawn(4)(90, PEN), (HEIGHT, WIDTH))
    grey = np.where(inked > 0.5, DARK, table(covered, LIGHT, DARK)).astype(np.uint8)
    (region,) = [region for region in regions_on(grey) if region.kind is RegionKind.BADGE]
    picture = np.dstack([grey, grey // 2, 255 - grey]) if is_colour else grey

    part, to_picture, mask = rectify(picture, region, 2)

    height, width = part.shape[:2]
    (left, top), (right, bottom) = mapped(to_picture, [(0, 0), (width, height)]).round().astype(int).tolist()
    whole = picture[top:bottom, left:right]
    assert mask is not None
    assert pytest.approx((180, 180), abs=4) == (height, width)
    assert pytest.approx(np.pi * 90**2, rel=0.1) == np.count_nonzero(mask)
    np.testing.assert_array_equal(whole[mask > 0], part[mask > 0])
    outside = np.array([LIGHT, LIGHT // 2, 255 - LIGHT]) if is_colour else LIGHT
    np.testing.assert_allclose(part[mask == 0], np.broadcast_to(outside, part[mask == 0].shape), atol=3)
    assert (covered[top:bottom, left:right][mask > 0] == 1).all()


def test_a_tiny_badge_has_an_empty_mask() -> None:
    """Nothing is left of it without its edge."""
    region = Region(RegionKind.BADGE, np.array([(10, 10), (12, 10), (11, 12)], np.float32), 4)
    part, _, mask = rectify(np.full((40, 40), 200, np.uint8), region, 1)

    assert mask is not None
    assert not mask.any()
    assert mask.shape == part.shape
