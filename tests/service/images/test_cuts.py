"""Tests of service.images.cuts: fragments are cut between touching digits, and joined to candidate digits."""

from __future__ import annotations

import numpy as np
import pytest

from service.images.components import Box
from service.images.cuts import Segment, cut, find_segments, find_whole
from service.images.lines import Fragment, Line, find_lines
from service.types import ByteArray
from tests.writing import Writing, closeness


def line_of(writing: Writing) -> tuple[Line, ByteArray]:
    """Return the only line of a writing, and its ink."""
    strength = 255 - writing.pixels
    (line,), _ = find_lines(strength, np.where(strength > 127, np.uint8(255), np.uint8(0)))
    return line, strength


def block(*boxes: Box, size: tuple[int, int] = (60, 300)) -> tuple[list[Fragment], ByteArray]:
    """Return fragments that are full rectangles, and their ink."""
    strength = np.zeros(size, np.uint8)
    for box in boxes:
        strength[box.slices] = 255
    return [
        Fragment(box, np.ones((box.height, box.width), np.bool_), box.height * box.width) for box in boxes
    ], strength


def covered(fragments: list[Fragment], size: tuple[int, ...]) -> ByteArray:
    """Return in how many of the fragments each pixel is."""
    counts = np.zeros(size, np.uint8)
    for fragment in fragments:
        counts[fragment.box.slices] += fragment.mask.astype(np.uint8)
    return counts


TOUCHING = Writing(("325832",), pitch=0.63, pen=0.1)


# --- Cuts


def test_touching_digits_are_cut_between_them() -> None:
    """Each digit is a run of parts, with a cut near both of its ends."""
    line, strength = line_of(TOUCHING)
    assert len(line.fragments) < 6

    segments = find_segments(cut(line, strength), line.height, strength)

    for expected in TOUCHING.boxes(0):
        assert 8 >= min(closeness(expected, segment.box) for segment in segments)


def test_every_pixel_is_in_exactly_one_part() -> None:
    """Cutting neither loses pixels of a fragment nor shares them, and the parts have its ink."""
    line, strength = line_of(TOUCHING)

    parts = cut(line, strength)

    assert len(parts) > len(line.fragments)
    np.testing.assert_array_equal(covered(line.fragments, strength.shape), covered(parts, strength.shape))
    assert pytest.approx(sum(fragment.ink for fragment in line.fragments), rel=0.02) == sum(part.ink for part in parts)
    for part in parts:
        assert (part.box.height, part.box.width) == part.mask.shape
        assert all(side.any() for side in (part.mask[0], part.mask[-1], part.mask[:, 0], part.mask[:, -1]))
        assert part.ink > 0


def test_parts_go_from_left_to_right() -> None:
    """The parts of a fragment are in its place in the line, each right of the one before."""
    fragments, strength = block(Box(0, 0, 50, 10), Box(20, 20, 24, 120), Box(0, 130, 50, 140))

    parts = cut(Line(fragments, 50), strength)

    assert (fragments[0], fragments[2]) == (parts[0], parts[-1])
    assert parts == sorted(parts, key=lambda part: part.box.left)
    assert len(parts) > 6


def test_narrow_fragments_are_not_cut() -> None:
    """What is narrower than two digits side by side can be is one part."""
    fragments, strength = block(Box(0, 0, 50, 34), Box(20, 40, 24, 74))

    assert fragments == cut(Line(fragments, 50), strength)


def test_high_ink_is_not_cut() -> None:
    """Where the ink of every column is nearly as high as the line there is no cut."""
    fragments, strength = block(Box(0, 0, 50, 200))

    (part,) = cut(Line(fragments, 50), strength)

    assert Box(0, 0, 50, 200) == part.box
    assert pytest.approx(50 * 200) == part.ink


def test_cut_is_at_the_column_with_the_least_ink() -> None:
    """Two blocks with a thin bridge are cut at the bridge, not inside, and never close to their ends."""
    fragments, strength = block(Box(0, 0, 50, 91))
    (whole,) = fragments
    whole.mask[:, 45] = False
    whole.mask[24:26, 45] = True

    parts = cut(Line(fragments, 50), strength * covered(fragments, strength.shape))

    left, right = parts
    assert 45 <= left.box.right <= 47
    assert (left.box.right, 91) == (right.box.left, right.box.right)


def test_uncut_fragments_stay_whole() -> None:
    """Those whose numbers are given are their only part, others are cut."""
    line, strength = line_of(TOUCHING)
    wide = [number for number, fragment in enumerate(line.fragments) if fragment.box.width > line.height]
    assert wide

    assert line.fragments == cut(line, strength, range(len(line.fragments)))
    parts = cut(line, strength, wide[:1])
    assert line.fragments[wide[0]] in parts
    assert all(line.fragments[number] not in parts for number in wide[1:])


def test_columns_without_pixels_make_no_part() -> None:
    """A mask with an empty stretch, as dilated ink has, gives no empty part."""
    fragments, strength = block(Box(0, 0, 50, 120))
    (whole,) = fragments
    whole.mask[:, 40:80] = False

    parts = cut(Line(fragments, 50), strength * covered(fragments, strength.shape))

    np.testing.assert_array_equal(covered(fragments, strength.shape), covered(parts, strength.shape))
    assert all(part.mask.any() for part in parts)


# --- Wide fragments


def test_wide_fragments_are_one_digit_or_several() -> None:
    """Not those that are surely one by their width, nor those that are surely several."""
    fragments, strength = block(Box(0, 0, 50, 30), Box(0, 40, 50, 80), Box(0, 90, 50, 170))

    (wide,) = find_whole(fragments, 50, strength, only_wide=True)

    assert (1, 2, fragments[1].box, fragments[1].ink) == (wide.start, wide.stop, wide.box, wide.ink)
    assert (28, 28) == wide.pixels.shape


# --- Segments


def runs(segments: list[Segment]) -> set[tuple[int, int]]:
    """Return the first fragment and the one after the last of each segment."""
    return {(segment.start, segment.stop) for segment in segments}


def test_segments_are_runs_of_fragments() -> None:
    """Each is one fragment or some consecutive ones that are no wider than a digit, with their box and ink."""
    boxes = [Box(0, left, 50, left + 20) for left in (0, 25, 50, 75)]
    fragments, strength = block(*boxes)

    segments = find_segments(fragments, 50, strength)

    # Two are 45 pixels wide, three 70, more than a digit of 50 pixels.
    assert {(0, 1), (1, 2), (2, 3), (3, 4), (0, 2), (1, 3), (2, 4)} == runs(segments)
    assert sorted(runs(segments)) == sorted((s.start, s.stop) for s in segments)
    assert [s.start for s in segments] == sorted(s.start for s in segments)
    for segment in segments:
        parts = fragments[segment.start : segment.stop]
        assert Box(0, parts[0].box.left, 50, parts[-1].box.right) == segment.box
        assert pytest.approx(1000 * len(parts)) == segment.ink


def test_wide_fragment_is_a_segment_of_its_own() -> None:
    """A single fragment may be wider than a digit: the network decides."""
    fragments, strength = block(Box(0, 0, 50, 100), Box(0, 105, 50, 110))

    assert {(0, 1), (1, 2)} == runs(find_segments(fragments, 50, strength))


def test_too_small_and_too_high_is_no_segment() -> None:
    """A comma alone is none, but a part of a digit; together with what makes it too high it is none either."""
    fragments, strength = block(Box(0, 0, 30, 20), Box(20, 22, 30, 28), Box(75, 30, 80, 35), size=(90, 50))

    assert {(0, 1), (0, 2)} == runs(find_segments(fragments, 30, strength))


def test_at_most_so_many_segments() -> None:
    """The first ones are returned, those of the first fragments."""
    line, strength = line_of(TOUCHING)
    fragments = cut(line, strength)
    every = find_segments(fragments, line.height, strength)

    for most in (0, 1, 7):
        some = find_segments(fragments, line.height, strength, most)
        assert [(s.start, s.stop) for s in every[:most]] == [(s.start, s.stop) for s in some]
    assert len(every) == len(find_segments(fragments, line.height, strength, len(every) + 1))


def test_digit_has_at_most_so_many_fragments() -> None:
    """Splinters do not make as many segments as there are pairs of them."""
    fragments, strength = block(*(Box(0, 2 * left, 100, 2 * left + 1) for left in range(29)), size=(100, 100))

    segments = find_segments(fragments, 100, strength)

    assert 26 == max(segment.stop - segment.start for segment in segments)


# --- MNIST form


def test_segment_is_in_mnist_form() -> None:
    """A digit of 20 x 20 pixels around the centre of mass, also where the digit touches the border."""
    for box in (Box(5, 20, 55, 40), Box(0, 0, 50, 20)):
        fragments, strength = block(box)
        (segment,) = find_segments(fragments, 50, strength)

        assert ((28, 28), np.dtype(np.float32)) == (segment.pixels.shape, segment.pixels.dtype)
        assert 0 <= segment.pixels.min() < segment.pixels.max() <= 1
        rows, columns = (np.flatnonzero((segment.pixels > 0.3).any(axis=axis)) for axis in (1, 0))
        assert 18 <= rows[-1] - rows[0] + 1 <= 21
        assert 5 <= columns[-1] - columns[0] + 1 <= 10
        weights = segment.pixels / segment.pixels.sum()
        assert pytest.approx(13.5, abs=1) == (weights.sum(axis=1) * np.arange(28)).sum()


def test_scrap_of_a_neighbour_is_no_part_of_the_digit() -> None:
    """A splinter that a cut left beside a digit is not in its MNIST form, while a large part is."""
    boxes = Box(0, 0, 50, 20), Box(45, 24, 50, 28)
    fragments, strength = block(*boxes)
    for second, is_part in ((Box(45, 24, 50, 28), False), (Box(20, 24, 50, 40), True)):
        fragments, strength = block(Box(0, 0, 50, 20), second)
        one, both = (next(s for s in find_segments(fragments, 50, strength) if s.stop == stop) for stop in (1, 2))
        assert is_part == (one.pixels != both.pixels).any()


def test_neighbours_ink_is_not_in_the_segment() -> None:
    """Of two digits whose boxes overlap, each has its own ink only."""
    mask = np.zeros((50, 60), np.bool_)
    mask[:, :8] = mask[42:, :] = True
    lower = Fragment(Box(0, 0, 50, 60), mask, float(mask.sum()))
    upper = Fragment(Box(0, 20, 30, 60), np.ones((30, 40), np.bool_), 1200.0)
    strength = np.zeros((60, 80), np.uint8)
    strength[:50, :60][mask] = strength[:30, 20:60] = 255

    own, other = (find_segments([one], 50, strength)[0].pixels for one in (lower, upper))

    # The corner above the lower one's foot is empty.
    assert own[4:15, 14:].max() < 0.1
    assert other.max() > 0.9
