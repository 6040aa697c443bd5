"""Tests of service.images.lines: fragments of ink stand on lines, and what is no writing is left out."""

from __future__ import annotations

from functools import reduce

import cv2
import numpy as np
import pytest

from service.images.background import Polarity, build_pyramid
from service.images.components import Box
from service.images.lines import Line, find_lines, ink_for_lines
from service.types import ByteArray
from tests.service.images.scenes import eight_bits
from tests.writing import Writing, closeness

INK, PAPER = 30, 225
SCALE = (0.14, 0.12)
FOUR = Writing(("4732",))


def lines_of(pixels: ByteArray) -> list[Line]:
    """Return the lines of a picture of black ink on white paper."""
    strength = 255 - pixels
    lines, is_complete = find_lines(strength, np.where(strength > 127, np.uint8(255), np.uint8(0)))
    assert is_complete
    return lines


def boxes_of(line: Line) -> list[Box]:
    """Return the boxes of the fragments of a line."""
    return [fragment.box for fragment in line.fragments]


def assert_lines_are(lines: list[Line], writing: Writing) -> None:
    """Check that every line has the digits of its writing as fragments, from left to right."""
    assert len(lines) == len(writing.lines)
    for number, line in enumerate(lines):
        expected = writing.boxes(number)
        assert len(expected) == len(line.fragments)
        assert max(map(closeness, expected, boxes_of(line))) <= 1
        assert 0.9 * writing.height < line.height < 1.1 * writing.height


@pytest.mark.parametrize(
    "writing",
    [
        FOUR,
        Writing(("7",)),
        Writing(("0123456789",), height=30),
        Writing(("4732", "58")),
        Writing(("58", "4732", "2")),
        Writing(("473   258", "196   740")),
        Writing(("473252", "196740"), rise=0.2),
        Writing(("473252", "196740"), rise=-0.2),
        Writing(("23", "57"), spacing=1.1),
    ],
    ids=["row", "one", "ten small", "two rows", "three rows", "columns", "rising", "falling", "close rows"],
)
def test_digits_in_lines(writing: Writing) -> None:
    """Lines go from top to bottom, also where they rise, two columns are one line a row, and digits left to right."""
    assert_lines_are(lines_of(writing.pixels), writing)


def test_fragment_has_its_mask_and_ink() -> None:
    """The mask is that of the component within its box, and ink counts partly inked pixels in parts."""
    pixels = np.full((100, 200), 255, np.uint8)
    pixels[30:70, 40:50] = 0
    pixels[30:70, 100:110] = 55
    pixels[60:70, 110:130] = 55

    (line,) = lines_of(pixels)

    first, second = line.fragments
    assert (Box(30, 40, 70, 50), True) == (first.box, bool(first.mask.all()))
    assert Box(30, 100, 70, 130) == second.box
    assert (pixels[second.box.slices] == 55).tolist() == second.mask.tolist()
    assert pytest.approx([400, 600 * 200 / 255], rel=1e-6) == [first.ink, second.ink]


def test_lines_are_complete_only_where_all_fragments_are_looked_at() -> None:
    """Of a page with thousands of strokes, the heaviest are kept."""
    strength = np.zeros((220, 1200), np.uint8)
    for top in range(10, 210, 25):
        for left in range(10, 1190, 6):
            strength[top : top + 18, left : left + 3] = 255
    strength[10:28, 10:14] = 255

    lines, is_complete = find_lines(strength, strength)

    assert not is_complete
    assert 1500 == sum(len(line.fragments) for line in lines)
    assert Box(10, 10, 28, 14) in boxes_of(lines[0])


def test_nothing_has_the_size_of_digits() -> None:
    """Without ink, and with specks only, there are no lines."""
    pixels = np.full((300, 300), 255, np.uint8)
    assert [] == lines_of(pixels)

    pixels[100:102, 100:102] = 0
    pixels[200, 50:250] = 0
    assert [] == lines_of(pixels)


# --- What is no digit


def framed(pixels: ByteArray, thickness: int = 3) -> ByteArray:
    """Return a picture with a drawn box around what is on it."""
    pixels = pixels.copy()
    height, width = pixels.shape
    cv2.rectangle(pixels, (8, 8), (width - 9, height - 9), 0, thickness)
    return pixels


def ruled(pixels: ByteArray, rows: int, columns: int | None = None) -> ByteArray:
    """Return a picture on ruled paper, and where `columns` are given on squared paper, with lines at this distance."""
    pixels = pixels.copy()
    pixels[rows // 2 :: rows] = 0
    if columns:
        pixels[:, columns // 2 :: columns] = 0
    return pixels


@pytest.mark.parametrize("thickness", [2, 5])
def test_drawn_box_is_removed(thickness: int) -> None:
    """A frame around digits is no fragment, although it is the largest component."""
    assert_lines_are(lines_of(framed(FOUR.pixels, thickness)), FOUR)


def test_box_without_anything_in_it_is_no_frame() -> None:
    """A large 0 has a hole as a frame has, but nothing in it."""
    pixels = np.full((300, 300), 255, np.uint8)
    cv2.ellipse(pixels, (150, 150), (70, 110), 0, 0, 360, 0, 8)

    (line,) = lines_of(pixels)

    assert 1 == len(line.fragments)


def test_form_with_a_small_hole_is_no_frame() -> None:
    """An 8 around a dot is still an 8, since its holes are a small share of its box."""
    pixels = Writing(("8",), height=200).pixels
    top, left, bottom, right = Writing(("8",), height=200).box(0, 0)
    row, column = top + 3 * (bottom - top) // 4, (left + right) // 2
    pixels[row - 15 : row + 15, column - 15 : column + 15] = 0

    (line,) = lines_of(pixels)

    assert (top, left, bottom, right) in boxes_of(line)


@pytest.mark.parametrize("columns", [None, 100], ids=["ruled", "squared"])
def test_ruled_paper_is_removed(columns: int | None) -> None:
    """Lines across the page leave the digits, those that they cross in parts."""
    writing = Writing(("4732", "5824"), height=80)
    lines = lines_of(ruled(writing.pixels, 100, columns))

    assert 2 == len(lines)
    for number, line in enumerate(lines):
        for expected in writing.boxes(number):
            parts = [box for box in boxes_of(line) if expected.expanded(4).contains(box)]
            assert parts
            assert closeness(expected, reduce(Box.union, parts)) <= 6
        assert all(any(one.expanded(4).contains(box) for one in writing.boxes(number)) for box in boxes_of(line))


def test_underline_is_no_fragment_of_its_line() -> None:
    """A rule below the digits is removed, and so is one that touches them."""
    for gap in (8, 0):
        pixels = FOUR.pixels
        top = max(box.bottom for box in FOUR.boxes(0)) + gap
        pixels[top : top + 3, 20:-20] = 0

        (line,) = lines_of(pixels)

        assert 4 == len(line.fragments)


def test_short_underline_belongs_to_no_digit() -> None:
    """What lies below a digit is no part of it, as long as it does not touch."""
    pixels = FOUR.pixels
    box = FOUR.box(0, 1)
    pixels[box.bottom + 8 : box.bottom + 12, box.left : box.right] = 0

    assert_lines_are(lines_of(pixels), FOUR)


def test_comma_and_specks_are_small() -> None:
    """A comma is at its place in the line, but carries none; specks are no fragments, nor is a dot far from digits."""
    writing = Writing(("47 32",))
    pixels = writing.pixels
    left = (writing.box(0, 1).right + writing.box(0, 3).left) // 2
    bottom = writing.box(0, 1).bottom
    without = len(lines_of(pixels)[0].fragments)
    pixels[bottom - 6 : bottom + 8, writing.box(0, 1).right + 6 : writing.box(0, 1).right + 11] = 0
    pixels[20, 20] = pixels[bottom + 5, left + 30] = 0

    (line,) = lines_of(pixels)

    assert 4 == without
    assert [60, 60, 14, 60, 60] == pytest.approx([box.height for box in boxes_of(line)], abs=5)


def test_flag_belongs_to_the_digit_beside_it() -> None:
    """A stroke that does not touch its digit is on the same line, and so is a fragment of it above."""
    writing = Writing(("4732", "5824"))
    pixels = writing.pixels
    box = writing.box(1, 0)
    pixels[box.top - 10 : box.top - 6, box.left + 10 : box.right] = 0

    first, second = lines_of(pixels)

    assert (4, 5) == (len(first.fragments), len(second.fragments))


def test_flat_digit_is_on_its_line_whatever_the_gap() -> None:
    """What is a third as high as the digits may be a flat 2 or 5; a hyphen is lower."""
    writing = Writing(("4   7",))
    pixels = writing.pixels
    middle = writing.box(0, 0).top + writing.height // 2
    pixels[middle - 11 : middle + 11, 135:165] = 0

    (line,) = lines_of(pixels)
    pixels[middle - 11 : middle + 11, 135:165] = 255
    pixels[middle - 4 : middle + 4, 135:165] = 0

    assert [60, 22, 60] == pytest.approx([box.height for box in boxes_of(line)], abs=5)
    assert_lines_are(lines_of(pixels), writing)


def test_dot_far_from_digits_is_on_no_line() -> None:
    """A small fragment between two columns, or between two lines, belongs to none."""
    writing = Writing(("4   7",))
    pixels = writing.pixels
    pixels[50:62, 140:152] = 0

    assert_lines_are(lines_of(pixels), writing)


def test_thick_object_is_no_writing() -> None:
    """What has far thicker strokes than the digits, such as a pen on the paper, is left out."""
    writing = Writing(("4732  ",))
    pixels = writing.pixels
    pixels[30:95, 270:310] = 0

    assert_lines_are(lines_of(pixels), Writing(("4732  ",)))


def test_object_at_the_border_is_no_writing() -> None:
    """What touches much of the border is left out, as a table edge or a shadow is, whatever its strokes."""
    writing = Writing(("4732", "5824"))
    pixels = writing.pixels
    pixels[-6:] = 0
    pixels[:, -5:] = 0

    assert_lines_are(lines_of(pixels), writing)


def test_only_an_object_at_the_border() -> None:
    """Without anything else nothing tells how wide strokes are, and there is no line."""
    pixels = np.full((200, 200), 255, np.uint8)
    pixels[:60] = 0

    assert [] == lines_of(pixels)


def test_cut_off_scraps_at_the_border_are_left_out() -> None:
    """The lower ends of the digits above the picture are no fragments, a digit that just touches the border is one."""
    writing = Writing(("4732", "5824"))
    top = writing.box(0, 0).bottom - 20
    lines = lines_of(writing.pixels[top:])
    assert 1 == len(lines)
    assert 4 == len(lines[0].fragments)

    touching = writing.box(0, 2).top
    lines = lines_of(writing.pixels[touching + 2 :])
    assert [4, 4] == [len(line.fragments) for line in lines]


# --- Ink


def painted(writing: Writing, ink: float, paper: float) -> ByteArray:
    """Return a writing in these greys."""
    coverage = 1 - writing.pixels.astype(np.float32) / 255
    return eight_bits(paper + (ink - paper) * coverage)


def ink_of(
    pixels: ByteArray, polarity: Polarity = Polarity.DARK_ON_LIGHT, scale: tuple[float, float] = SCALE
) -> tuple[ByteArray, ByteArray] | None:
    """Return the ink of a picture and its foreground."""
    pyramid = build_pyramid(pixels, 2 * max(pixels.shape)).with_dark_ink(polarity)
    return ink_for_lines(pyramid, *scale)


@pytest.mark.parametrize(
    ("polarity", "ink", "paper"),
    [
        (Polarity.DARK_ON_LIGHT, INK, PAPER),
        (Polarity.DARK_ON_LIGHT, 150, 210),
        (Polarity.LIGHT_ON_DARK, PAPER, INK),
        (Polarity.LIGHT_ON_DARK, 130, 40),
    ],
    ids=["dark", "grey", "light", "faint on dark"],
)
def test_ink_of_either_polarity(polarity: Polarity, ink: float, paper: float) -> None:
    """Dark and light ink, strong and faint, are the same fragments at full strength."""
    found = ink_of(painted(FOUR, ink, paper), polarity)

    assert found is not None
    strength, foreground = found
    assert 255 == np.median(strength[FOUR.pixels == 0])
    assert 10 > strength[FOUR.pixels == 255].mean()
    lines, _ = find_lines(strength, foreground)
    assert_lines_are(lines, FOUR)


def test_blank_picture_has_no_ink() -> None:
    """Nothing stands out from paper, with and without noise."""
    noise = np.random.default_rng(0).normal(200, 3, (200, 200))

    assert ink_of(np.full((200, 200), 200, np.uint8)) is None
    assert ink_of(eight_bits(noise)) is None


def test_faint_digits_beside_dark_ones_keep_their_strokes() -> None:
    """The threshold follows the strongest ink nearby: faint digits are fragments, the rim of dark ones is not wider."""
    writing = Writing(("47", "32"), height=80, spacing=2.5)
    pixels = painted(writing, 20, 230)
    lower = (writing.box(0, 0).bottom + writing.box(1, 0).top) // 2
    pixels[lower:] = painted(writing, 160, 230)[lower:]

    found = ink_of(pixels)

    assert found is not None
    lines, _ = find_lines(*found)
    assert_lines_are(lines, writing)
