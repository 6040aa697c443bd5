"""Tests of service.images.pages: the ways in which a picture may be read, and boxes back in the picture."""

from __future__ import annotations

from itertools import groupby

import cv2
import numpy as np
import pytest

from service.images.background import Polarity
from service.images.components import Box
from service.images.decoding import decode
from service.images.pages import READING_SIDE, Candidate, Page, find_candidates
from service.images.search import IDENTITY, View
from service.types import ByteArray
from tests.pictures import encode
from tests.writing import Writing, closeness

SCALE = (0.14, 0.12)
FOUR = Writing(("4732",))


def candidate(pixels: ByteArray, polarity: Polarity = Polarity.DARK_ON_LIGHT) -> Candidate:
    """Return the candidate of a whole picture at the finer scale."""
    return Candidate(View(pixels, IDENTITY), polarity, SCALE, is_likely=True)


def page_of(candidate: Candidate) -> Page:
    """Return the page of a candidate, which has one."""
    page = candidate.page()
    assert page is not None
    return page


def in_picture(page: Page) -> list[list[Box]]:
    """Return the boxes of the fragments of each line, in the picture."""
    return [[page.in_picture(fragment.box) for fragment in line.fragments] for line in page.lines]


# --- Candidates


def test_whole_picture_comes_first_and_the_other_polarity_last() -> None:
    """Each of them at two scales, the finer first."""
    for pixels, likely in ((FOUR.pixels, Polarity.DARK_ON_LIGHT), (255 - FOUR.pixels, Polarity.LIGHT_ON_DARK)):
        candidates = list(find_candidates(pixels))

        assert [(likely, True), (likely, True)] == [(one.polarity, one.is_likely) for one in candidates[:2]]
        (other,) = set(Polarity) - {likely}
        assert [(other, False), (other, False)] == [(one.polarity, one.is_likely) for one in candidates[2:]]
        assert all(one.view.is_whole and one.view.pixels is pixels for one in candidates)
        assert candidates[0].scale[0] < candidates[1].scale[0]
        assert [one.scale for one in candidates[:2]] == [one.scale for one in candidates[2:]]


@pytest.mark.parametrize("kind", ["grey", "RGB"])
def test_light_ink_is_read_as_dark_ink(kind: str) -> None:
    """The negative has the same lines, in grey and in colours."""
    pixels = FOUR.pixels if kind == "grey" else np.dstack([FOUR.pixels, FOUR.pixels // 2, FOUR.pixels // 3])
    pages = [page_of(candidate(FOUR.pixels)), *(page_of(next(find_candidates(one))) for one in (pixels, 255 - pixels))]

    for page in pages:
        ((*boxes,),) = in_picture(page)
        assert 1 >= max(map(closeness, FOUR.boxes(0), boxes))


def on_table(*sheets: tuple[int, int], turn: float = 0.0) -> ByteArray:
    """Return a dark table with white sheets, each with a writing, at these places (top, left)."""
    table = np.full((800, 900), 60, np.uint8)
    sheet = FOUR.pixels
    for top, left in sheets:
        table[top : top + sheet.shape[0] * 2, left : left + sheet.shape[1] * 2] = cv2.resize(sheet, None, fx=2, fy=2)
    matrix = cv2.getRotationMatrix2D((450, 400), turn, 1)
    turned: ByteArray = cv2.warpAffine(table, matrix, (900, 800), borderValue=60)
    return turned


def test_sheets_come_after_the_whole_picture() -> None:
    """A sheet of paper is a view of its own, with dark ink, and its boxes are those in the picture."""
    pixels = on_table((280, 180))
    candidates = list(find_candidates(pixels))
    kinds = [kind for kind, _ in groupby(candidates, key=lambda one: (one.view.is_whole, one.is_likely))]
    assert [(True, True), (False, True), (True, False)] == kinds

    sheet = next(one for one in candidates if not one.view.is_whole)
    assert sheet.polarity is Polarity.DARK_ON_LIGHT
    (boxes,) = in_picture(page_of(sheet))

    for box, expected in zip(boxes, FOUR.boxes(0), strict=True):
        top, left, bottom, right = expected.scaled(2)
        assert 6 >= closeness(box, Box(top + 280, left + 180, bottom + 280, right + 180))


def test_turned_sheet_is_read_upright() -> None:
    """The box in the picture is around the turned digit."""
    sheet = next(one for one in find_candidates(on_table((280, 180), turn=15)) if not one.view.is_whole)

    page = page_of(sheet)

    (line,) = page.lines
    assert 4 == len(line.fragments)
    turn = cv2.getRotationMatrix2D((450, 400), 15, 1)
    for fragment, expected in zip(line.fragments, FOUR.boxes(0), strict=True):
        top, left, bottom, right = expected.scaled(2)
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) + np.array([180, 280])
        turned = corners @ turn[:, :2].T + turn[:, 2]
        (left, top), (right, bottom) = turned.min(axis=0), turned.max(axis=0)
        assert 9 >= closeness(page.in_picture(fragment.box), Box(*map(round, (top, left, bottom, right))))


def test_at_most_two_sheets() -> None:
    """Small sheets are no views, and of the others the two largest are."""
    table = np.full((900, 900), 50, np.uint8)
    for top, left in ((30, 30), (30, 480), (480, 30)):
        table[top : top + 390, left : left + 390] = 230
    table[600:700, 600:700] = 230
    views = [one.view for one in find_candidates(table) if not one.view.is_whole]

    assert 4 == len(views)
    assert all(min(view.pixels.shape) > 300 for view in views)


def test_disc_and_small_sheet_are_no_views() -> None:
    """Only sheets of some size have lines of their own; what is on anything else is read in the whole picture."""
    table = np.full((900, 900), 50, np.uint8)
    cv2.circle(table, (300, 300), 260, 230, -1)
    table[640:840, 640:840] = 230

    assert all(one.view.is_whole for one in find_candidates(table))


def test_narrow_sheet_is_no_view() -> None:
    """In a small picture a sheet may have too few pixels to be read."""
    picture = np.full((36, 40), 60, np.uint8)
    picture[8:27, 3:37] = 230

    assert all(one.view.is_whole for one in find_candidates(picture))


@pytest.mark.parametrize("shape", [(1, 1), (1, 1152), (1152, 1), (2, 700), (700, 3), (1, 300, 3)], ids=str)
def test_thin_pictures(shape: tuple[int, ...]) -> None:
    """Pictures of one pixel across have candidates, and at most a page with boxes within it."""
    pixels = np.full(shape, 255, np.uint8)
    pixels[shape[0] // 3 :, shape[1] // 3 : shape[1] // 2 + 1] = 0

    for one in find_candidates(pixels):
        for page in (one.page(), *(one.turned(n).page() for n in (1, 2, 3))):
            assert page is None or page.lines


# --- Turned pages


@pytest.mark.parametrize("n_quarters", [1, 2, 3])
def test_boxes_of_a_turned_page_are_those_in_the_picture(n_quarters: int) -> None:
    """A rectangle is found at its place, whichever way its page is turned."""
    pixels = np.full((200, 320), 255, np.uint8)
    place = Box(30, 50, 90, 80)
    pixels[place.slices] = 0

    turned = candidate(pixels).turned(n_quarters)
    page = page_of(turned)

    assert not turned.view.is_whole
    assert ((200, 320) if n_quarters == 2 else (320, 200)) == turned.view.pixels.shape
    assert [[place]] == in_picture(page)
    np.testing.assert_array_equal(np.rot90(pixels, n_quarters), turned.view.pixels)


@pytest.mark.parametrize("n_quarters", [1, 2, 3])
def test_sideways_writing_is_upright_after_a_turn(n_quarters: int) -> None:
    """The lines of the turned picture are those of the upright one, with its boxes turned."""
    pixels = np.ascontiguousarray(np.rot90(FOUR.pixels, -n_quarters))

    (boxes,) = in_picture(page_of(candidate(pixels).turned(n_quarters)))

    for column, box in enumerate(boxes):
        alone = np.zeros(FOUR.size, np.uint8)
        alone[FOUR.box(0, column).slices] = 1
        rows, columns = (np.flatnonzero(np.rot90(alone, -n_quarters).any(axis=axis)) for axis in (1, 0))
        assert 1 >= closeness(box, Box(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1))


def test_four_quarter_turns_are_none() -> None:
    """Turns add up, and keep everything else."""
    one = candidate(FOUR.pixels, Polarity.LIGHT_ON_DARK)
    again = one.turned(1).turned(2).turned(1)

    np.testing.assert_array_equal(one.view.pixels, again.view.pixels)
    np.testing.assert_allclose(np.eye(3), again.view.to_picture, atol=1e-9)
    assert (one.polarity, one.scale, one.is_likely) == (again.polarity, again.scale, again.is_likely)


# --- Resolution


@pytest.mark.parametrize(("height", "factor"), [(20, 1), (60, 2)])
def test_small_digits_are_looked_at_with_all_pixels(height: int, factor: int) -> None:
    """In a large picture every second pixel is enough for large digits; boxes are the same either way."""
    writing = Writing(("4732", "5824"), height=height)
    pixels = np.full((700, 1000), 255, np.uint8)
    pixels[100 : 100 + writing.size[0], 300 : 300 + writing.size[1]] = writing.pixels

    page = page_of(candidate(pixels))

    assert factor == page.factor
    assert tuple(-(-side // factor) for side in pixels.shape) == page.strength.shape
    assert page.is_complete
    for line, boxes in enumerate(in_picture(page)):
        for expected, box in zip(writing.boxes(line), boxes, strict=True):
            moved = Box(expected.top + 100, expected.left + 300, expected.bottom + 100, expected.right + 300)
            assert 2 * factor >= closeness(moved, box)


def test_page_without_ink_or_without_writing_is_none() -> None:
    """Blank paper has no page, and neither has a picture with nothing of the size of digits."""
    blank = np.full((300, 300), 230, np.uint8)
    assert candidate(blank).page() is None

    blank[:40] = 20
    assert candidate(blank).page() is None


def test_decoded_pictures_are_read_at_once() -> None:
    """A picture of the working size for reading is not enlarged or reduced."""
    picture = decode(encode(np.full((3000, 2000), 255, np.uint8)), 10**7, side=READING_SIDE)

    assert READING_SIDE >= max(picture.pixels.shape) > READING_SIDE // 2
    assert picture.pixels is next(find_candidates(picture.pixels)).view.pixels
