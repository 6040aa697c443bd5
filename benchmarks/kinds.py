"""Accuracy on kinds of synthetic pictures: turned sheets, thin pens, small digits, ruled paper and others.

    DIGITS_DATA=DIR python -m benchmarks.kinds [--kinds A,B] [--number N] [--seed N] [--out DIR] [--test]

The digits of a kind alternate between held-out digits of MNIST (with `--test`, test digits), magnified, and synthetic
digits drawn along strokes. Kinds that need a certain pen have synthetic digits only. Picture i of a kind depends only
on the seed, the kind and i. Prints for each kind the number of pictures and, in per cent: correct; `clear` and correct;
`clear` but wrong; NoInk. The `blank` kinds show no digit: NoInk and every verdict but `clear` are correct. With
`--out`, misread pictures are written as LABEL_KIND_NUMBER_read_ANSWER.png or .jpg.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from zlib import crc32

import cv2
import numpy as np

from benchmarks.kind_scenes import (
    Colour,
    MnistWriter,
    PenWriter,
    Values,
    Writer,
    any_colour,
    blurred,
    cloud,
    contrasting_colour,
    curves,
    drawing_or_photo,
    encode,
    grain,
    half_plane,
    light,
    luma,
    mix,
    mnist_writer,
    n_holes,
    pen_width,
    pen_writer,
    photo,
    placed,
    plain,
    polygon,
    random_corner,
    shaped,
    shrink_to_fit,
    similar_colour,
    table,
    turned,
    validation_digits,
)
from service.classifier import Classifier
from service.errors import NoInk, PictureError
from service.settings import bundled_model
from training import mnist
from training.mnist import Digits

Size = tuple[int, int]

_NUMBER = 100
_ALL = tuple(range(10))
_NONE = "none"

_PAPERS: Sequence[Colour] = (
    (248, 248, 246),
    (235, 235, 232),
    (250, 242, 215),
    (255, 230, 95),
    (250, 180, 200),
    (190, 220, 245),
)
_CARDS: Sequence[Colour] = ((25, 25, 28), (20, 30, 70), (20, 60, 40), (75, 20, 30))
_DARK_INKS: Sequence[Colour] = ((20, 20, 22), (25, 35, 120), (60, 60, 70), (150, 25, 35), (20, 80, 50))
_LIGHT_INKS: Sequence[Colour] = ((245, 245, 240), (250, 225, 90), (200, 205, 210))
_TABLES: Sequence[Colour] = (
    (60, 40, 28),
    (14, 14, 15),
    (70, 70, 72),
    (128, 128, 126),
    (200, 165, 120),
    (160, 110, 70),
    (30, 80, 160),
    (170, 30, 35),
    (30, 120, 70),
)
_WHITE_TABLE: Colour = (232, 230, 226)

# Stroke widths as shares of the digit's height, and the minimum stroke width in pixels.
_USUAL_PENS = (0.06, 0.14)
_ANY_PENS = (0.03, 0.2)
_MIN_PEN_PIXELS = 1.6


def _size(rng: np.random.Generator, low: float, high: float, aspects: Sequence[float] = (1, 4 / 3, 3 / 2)) -> Size:
    """Return a picture's height and width. The longer side is log-uniform between `low` and `high`."""
    longer = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    shorter = longer / float(rng.choice(aspects))
    return (round(longer), round(shorter)) if rng.random() < 0.5 else (round(shorter), round(longer))


def _write(writer: Writer, height: float, pens: tuple[float, float], rng: np.random.Generator) -> Values:
    """Return the coverage of a digit of this height with a random stroke width, at least the minimum."""
    pen = max(rng.uniform(*pens), _MIN_PEN_PIXELS / height)
    return writer.write(max(8, round(height)), pen)


def _on_paper(
    digit: Values, size: Size, corner: tuple[float, float], rng: np.random.Generator, *, dark: bool = True
) -> Values:
    """Return colours of coverage in dark ink on paper, or in light ink on a dark card."""
    paper = similar_colour(_pick(_PAPERS if dark else _CARDS, rng), rng)
    ink = similar_colour(_pick(_DARK_INKS if dark else _LIGHT_INKS, rng), rng)
    ground = plain(size, paper)
    mix(ground, ink, placed(digit, size, corner))
    return ground


def _pick(colours: Sequence[Colour], rng: np.random.Generator) -> Colour:
    return colours[int(rng.integers(len(colours)))]


# --- Sheets on a table


def turned_sheet(rng: np.random.Generator, writer: Writer) -> bytes:
    """Photograph a sheet, note or card that is rotated by up to 30 degrees, or in perspective, or both."""
    look = rng.choice(["turned", "slanted", "both"], p=[0.5, 0.2, 0.3])
    angle = rng.uniform(3, 30) * rng.choice([-1, 1]) if look != "slanted" else rng.uniform(-3, 3)
    return _sheet(rng, writer, angle, rng.uniform(10, 38) if look != "turned" else 0)


def straight_sheet(rng: np.random.Generator, writer: Writer) -> bytes:
    """Photograph the same sheets from above, with edges parallel to those of the picture."""
    return _sheet(rng, writer, 0, 0)


def _sheet(rng: np.random.Generator, writer: Writer | None, angle: float, tilt: float) -> bytes:
    size = _size(rng, 400, 2000, (1, 4 / 3, 3 / 2, 16 / 9))
    corners = _seen_corners(rng, size, angle, tilt)
    sides = [float(np.hypot(*(corners[i] - corners[i - 1]))) for i in range(4)]
    # The sheet without perspective, at the resolution of the picture.
    shape = (round((sides[0] + sides[2]) / 2), round((sides[1] + sides[3]) / 2))
    flat = np.array([[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]], np.float32)
    ink = np.zeros(size, np.float32)
    move = _out_of_the_picture(rng, corners, size) if rng.random() < 0.2 else np.zeros(2, np.float32)
    if writer is not None:
        height = max(20, rng.uniform(0.25, 0.8) * min(shape))
        # Half of the digits are rotated with the sheet, half are upright.
        lean = 0 if rng.random() < 0.5 else angle
        digit = shrink_to_fit(turned(_write(writer, height, _ANY_PENS, rng), lean), 0.85 * shape[0], 0.85 * shape[1])
        written = placed(digit, shape, random_corner(rng, shape, digit.shape, 0.07))
        rows, columns = (np.flatnonzero(written.any(axis=axis))[[0, -1]] for axis in (1, 0))
        box = np.array([[[x, y] for x in columns for y in rows]], np.float32)
        seen = cv2.perspectiveTransform(box, cv2.getPerspectiveTransform(flat, corners))[0] + move
        if not bool(np.all((seen > 0.03 * min(size)) & (seen < np.array(size[::-1]) - 0.03 * min(size)))):
            move = np.zeros(2, np.float32)
        matrix = cv2.getPerspectiveTransform(flat, (corners + move).astype(np.float32))
        ink = np.asarray(cv2.warpPerspective(written, matrix, size[::-1], flags=cv2.INTER_LINEAR), np.float32)
    return _photographed(rng, size, polygon(corners + move, size), ink)


def _seen_corners(rng: np.random.Generator, size: Size, angle: float, tilt: float) -> Values:
    """Return a sheet's corners in the picture, (4, 2) of x and y, clockwise from the upper left."""
    aspect = float(rng.choice([1, 1, 1.41, 1 / 1.41, 1.67]))
    half_width, half_height = np.sqrt(aspect) / 2, 1 / np.sqrt(aspect) / 2
    sheet = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (half_width, half_height)
    turn, slant, towards = np.radians(-angle), np.radians(tilt), rng.uniform(0, 2 * np.pi)
    sheet = sheet @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    direction = np.array([np.cos(towards), np.sin(towards)])
    # Perspective: in this direction the sheet is farther away, and foreshortened.
    depth = sheet @ direction
    sheet = sheet + np.outer(depth * (np.cos(slant) - 1), direction)
    sheet /= (1 + np.sin(slant) * depth / rng.uniform(1.8, 3.5))[:, None]
    sheet *= np.sqrt(rng.uniform(0.15, 0.8) * size[0] * size[1] / cv2.contourArea(sheet.astype(np.float32)))
    extent = np.ptp(sheet, axis=0)
    sheet *= min(1, *(0.96 * np.array(size[::-1]) / extent))
    free = np.array(size[::-1]) - np.ptp(sheet, axis=0)
    return np.asarray(sheet - sheet.min(axis=0) + free * rng.uniform(0.1, 0.9, 2), np.float32)


def _out_of_the_picture(rng: np.random.Generator, corners: Values, size: Size) -> Values:
    """Return a shift (x, y) that moves a sheet partly out of the picture at one side."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    axis = int(rng.integers(2))
    share = rng.uniform(0.04, 0.2) * (high[axis] - low[axis])
    move = np.zeros(2, np.float32)
    move[axis] = -low[axis] - share if rng.random() < 0.5 else size[1 - axis] - high[axis] + share
    return move


def _photographed(rng: np.random.Generator, size: Size, sheet: Values, ink: Values) -> bytes:
    """Return a photo of a sheet with ink on a table. `sheet` and `ink` are coverages."""
    dark = rng.random() < 0.12
    paper = similar_colour(_pick(_CARDS if dark else _PAPERS, rng), rng)
    look = rng.choice(["table", "like", "white"], p=[0.75, 0.13, 0.12])
    board = similar_colour(_pick(_TABLES, rng), rng)
    if dark and look != "white":
        board = contrasting_colour(rng, 60, paper)
    elif look == "like":
        board = _as_bright(paper, rng)
    elif look == "white":
        board = similar_colour(_WHITE_TABLE, rng, 5)
    ground = table(size, board, rng)
    if look != "table" or rng.random() < 0.5:
        far = rng.uniform(0.004, 0.02) * max(size)
        shadow = placed(sheet, size, (rng.uniform(0, far), rng.uniform(-far, far)))
        ground *= 1 - rng.uniform(0.2, 0.45) * blurred(shadow, far)[:, :, None]
    shades = 1 + rng.uniform(0, 0.02) * cloud(size, (6, 6), rng)[:, :, None]
    mix(ground, np.array(paper, np.float32) * shades, sheet)
    mix(ground, similar_colour(_pick(_LIGHT_INKS if dark else _DARK_INKS, rng), rng), rng.uniform(0.8, 1) * ink)
    return photo(ground, rng)


def _as_bright(paper: Colour, rng: np.random.Generator) -> Colour:
    """Return a colour of another hue and about the brightness of the paper."""
    for _ in range(1000):
        colour = any_colour(rng, luma(paper) - 20, luma(paper) + 15)
        hues = np.array(colour) - luma(colour) - (np.array(paper) - luma(paper))
        if np.abs(hues).max() > 60:
            return colour
    return similar_colour((150, 150, 150), rng)


# --- Shapes


def filled_shape(rng: np.random.Generator, writer: Writer) -> bytes:
    """Show a digit on a filled disc, oval, rounded square, badge, hexagon, warning sign, or speed limit."""
    return _shape(rng, writer)


def _shape(rng: np.random.Generator, writer: Writer | None) -> bytes:
    size = _size(rng, 150, 1200, (1, 1, 4 / 3))
    outline, room, sink = _outline(rng)
    shorter = min(size)
    # A minimum, so that the digit is not too small.
    extent = max(rng.uniform(0.3, 1) * shorter, 70)
    angle = np.radians(rng.uniform(-8, 8))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = outline @ turn * extent / np.ptp(outline @ turn, axis=0).max()
    free = np.array(size[::-1]) - np.ptp(points, axis=0)
    middle = free * rng.uniform(0.1, 0.9, 2) - points.min(axis=0)
    filled = polygon(points + middle, size)
    around = any_colour(rng)
    inside = contrasting_colour(rng, 45, around)
    ink = (
        around if rng.random() < 0.5 and abs(luma(around) - luma(inside)) > 90 else contrasting_colour(rng, 100, inside)
    )
    ground = plain(size, around)
    ring = rng.random()
    if ring < 0.25:
        # A speed limit's disc in its ring, or the rim of a sign or badge.
        if ring < 0.15:
            inside, ink = similar_colour((245, 245, 240), rng, 8), similar_colour((15, 15, 18), rng, 10)
        mix(
            ground,
            similar_colour((200, 25, 35), rng, 15) if ring < 0.15 else contrasting_colour(rng, 50, inside),
            filled,
        )
        rim = rng.uniform(0.78, 0.92)
        filled = polygon(points * rim + middle, size)
        room *= rim
    mix(ground, inside, filled)
    if writer is not None:
        height = max(24.0, min(rng.uniform(0.35, 0.75), room) * np.ptp(points, axis=0).min())
        digit = _write(writer, height, (0.08, 0.2), rng)
        mix(ground, ink, _inside(digit, filled, (middle[1] + sink * extent, middle[0])))
    return drawing_or_photo(ground, rng)


def _outline(rng: np.random.Generator) -> tuple[Values, float, float]:
    """Return the outline (n, 2) of a shape around 0, the height that a digit may have, and its shift downwards."""
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    room, sink = 0.75, 0.0
    name = rng.choice(["disc", "disc", "oval", "rounded", "badge", "hexagon", "sign"])
    outline = circle
    if name == "oval":
        outline = circle * (rng.uniform(0.7, 0.95), 1) if rng.random() < 0.5 else circle * (1, rng.uniform(0.6, 0.95))
    elif name == "rounded":
        outline = np.sign(circle) * np.abs(circle) ** (2 / rng.uniform(3, 8))
    elif name == "badge":
        right = [(0, -1), (0.35, -0.85), (0.85, -0.9), (0.85, 0), (0.72, 0.4), (0.42, 0.75), (0, 1)]
        outline, room = np.array([*right, *((-x, y) for x, y in right[-2:0:-1])]), 0.6
    elif name == "hexagon":
        outline = circle[:: 120 // 6] if rng.random() < 0.5 else circle[:: 120 // 6, ::-1]
        room = 0.65
    elif name == "sign":
        # A triangle with blunt corners; the digit is shifted downwards.
        outline = np.array([(-0.08, -0.9), (0.08, -0.9), (1, 0.65), (0.92, 0.8), (-0.92, 0.8), (-1, 0.65)])
        room, sink = 0.5, 0.1
    return np.asarray(outline, np.float32), room, sink


def _inside(digit: Values, filled: Values, middle: tuple[float, float]) -> Values:
    """Return coverage with a digit at the middle, shrunk until it does not touch the shape's edge."""
    clear = cv2.erode(filled, np.ones((3, 3), np.uint8), iterations=max(2, digit.shape[0] // 16))
    while True:
        corner = [place - part / 2 for place, part in zip(middle, digit.shape, strict=True)]
        written = placed(digit, (filled.shape[0], filled.shape[1]), (corner[0], corner[1]))
        if not bool(np.any((written > 0) & (np.asarray(clear) < 0.9))) or digit.shape[0] < 20:
            return written
        digit = shrink_to_fit(digit, 0.94 * digit.shape[0], digit.shape[1])


# --- Thin pens


def thin_pen_hard(rng: np.random.Generator, writer: Writer) -> bytes:
    """Draw with a pen of 1 to 3 pixels, with hard edges, on a large canvas: black, white, or ink in alpha."""
    size = _size(rng, 300, 2000, (1, 1, 4 / 3))
    digit = _with_pen(writer).hard(round(rng.uniform(0.4, 0.9) * min(size)), int(rng.integers(1, 4)))
    inked = placed(digit.astype(np.float32), size, random_corner(rng, size, digit.shape, 0.02)) > 0
    look = rng.choice(["black", "white", "alpha"])
    if look == "alpha":
        ink = any_colour(rng, 0, 140)
        return encode(np.dstack([plain(size, ink), 255 * inked.astype(np.float32)]))
    return encode(np.where(inked == (look == "white"), np.uint8(255), np.uint8(0)))


def thin_pen_soft(rng: np.random.Generator, writer: Writer) -> bytes:
    """Draw with a pen of 1 to 3 pixels, anti-aliased, as PNG or JPEG."""
    size = _size(rng, 300, 2000, (1, 1, 4 / 3))
    height = rng.uniform(0.4, 0.9) * min(size)
    digit = _with_pen(writer).write(round(height), rng.uniform(1, 3) / height)
    dark = rng.random() < 0.7
    greys = 255 * placed(digit, size, random_corner(rng, size, digit.shape, 0.02))
    greys = 255 - greys if dark else greys
    return encode(greys) if rng.random() < 0.6 else encode(greys, "JPEG", quality=int(rng.integers(75, 96)))


def _with_pen(writer: Writer) -> PenWriter:
    if not isinstance(writer, PenWriter):
        message = "this kind needs a PenWriter"
        raise TypeError(message)
    return writer


# --- Small digits


def small_digit(rng: np.random.Generator, writer: Writer) -> bytes:
    """Scan a sheet of A4 with a digit of 2 to 7 % of its longer side, and specks of dust."""
    size = (1754, 1240) if rng.random() < 0.75 else (3508, 2480)
    size = size[::-1] if rng.random() < 0.2 else size
    digit = _write(writer, rng.uniform(0.02, 0.07) * max(size), (0.08, 0.14), rng)
    paper = rng.uniform(235, 255)
    inked = placed(digit, size, random_corner(rng, size, digit.shape, 0.05))
    dust = np.zeros(size, np.float32)
    for _ in range(int(rng.integers(0, 40))):
        radius = rng.uniform(0.3, 0.04 * digit.shape[0])
        middle = [round(16 * value) for value in rng.uniform((0, 0), size[::-1])]
        cv2.circle(dust, (middle[0], middle[1]), round(16 * radius), rng.uniform(0.2, 0.9), -1, cv2.LINE_AA, 4)
    greys = paper + (rng.uniform(10, 70) - paper) * np.maximum(inked, dust)
    noise = rng.choice([0, 1, 2.5])
    greys += noise * grain(size, rng)
    return encode(greys, compress_level=1) if noise < 1 else encode(greys, "JPEG", quality=int(rng.integers(70, 96)))


def small_digit_photo(rng: np.random.Generator, writer: Writer) -> bytes:
    """Photograph a large sheet with a digit of 2 to 7 % of the picture's longer side."""
    size = _size(rng, 1500, 4000, (4 / 3,))
    digit = _write(writer, rng.uniform(0.02, 0.07) * max(size), (0.08, 0.14), rng)
    return photo(_on_paper(digit, size, random_corner(rng, size, digit.shape, 0.08), rng), rng, darkest=0.5)


# --- Ink and shadows beside the digit


def underlined(rng: np.random.Generator, writer: Writer) -> bytes:
    """Write a digit above a line of the same pen: straight, slanted, wavy, or double."""
    size = _size(rng, 100, 1000, (1, 1, 4 / 3))
    height = rng.uniform(0.3, 0.6) * min(size)
    digit = _write(writer, height, (0.05, 0.15), rng)
    pen = pen_width(digit)
    length = np.clip(rng.uniform(0.8, 2.5) * max(digit.shape[1], 0.4 * height), 0.5 * height, 0.92 * size[1])
    slope = np.tan(np.radians(rng.uniform(-6, 6))) if rng.random() < 0.6 else 0
    wave = rng.uniform(0.01, 0.03) * height if rng.random() < 0.4 else 0
    x = np.linspace(-length / 2, length / 2, 60)
    y = slope * x + wave * np.sin(2 * np.pi * rng.uniform(0.7, 2) * x / length + rng.uniform(0, 6))
    # The gap is that at the highest point of the line under the digit.
    gap = max(rng.uniform(0.03, 0.3) * height, 2)
    y += gap + pen / 2 - y[np.abs(x) <= max(digit.shape[1], 0.4 * length) / 2].min()
    lines = [y, y + pen * rng.uniform(1.8, 3)] if rng.random() < 0.2 else [y]
    shift = rng.uniform(-0.1, 0.1) * min(length, digit.shape[1])
    width = round(max(length + pen + 2 * abs(shift), digit.shape[1])) + 4
    piece = (digit.shape[0] + round(float(np.max(lines)) + pen), width)
    whole = placed(digit, piece, (0, (width - digit.shape[1]) / 2))
    for line in lines:
        path = np.stack([x + width / 2 + shift, line + digit.shape[0]], axis=1)
        whole = np.maximum(whole, _drawn(path, piece, pen))
    whole = shrink_to_fit(whole, 0.94 * size[0], 0.94 * size[1])
    ground = _on_paper(whole, size, random_corner(rng, size, whole.shape, 0.03), rng, dark=rng.random() < 0.85)
    return drawing_or_photo(ground, rng)


def _drawn(path: Values, size: Size, pen: float) -> Values:
    """Return the coverage of a round pen along a path (n, 2) of x and y."""
    fine = np.zeros((4 * size[0], 4 * size[1]), np.uint8)
    points = [np.round(4 * 16 * path).astype(np.int32)]
    cv2.polylines(fine, points, False, 255, max(1, round(4 * pen)), cv2.LINE_8, 4)  # noqa: FBT003 - not closed
    return np.asarray(cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def dark_edge(rng: np.random.Generator, writer: Writer) -> bytes:
    """Photograph a thin or faint digit beside a dark desk or a black margin at one or two sides."""
    size = _size(rng, 200, 1500)
    paper = similar_colour(_pick(_PAPERS, rng), rng)
    ground = plain(size, paper)
    depths = dict.fromkeys(range(4), 0.0)
    band = np.zeros(size, np.float32)
    softness = rng.uniform(0.01, 0.08) * max(size) if rng.random() < 0.35 else 1
    for side in rng.permutation(4)[: int(rng.integers(1, 3))].tolist():
        depths[side] = rng.uniform(0.03, 0.25)
        slant = np.radians(rng.uniform(-4, 4)) if rng.random() < 0.5 else 0
        # 0 is the right side, then the lower, the left and the upper one.
        band = np.maximum(band, half_plane(size, side * np.pi / 2 + slant, 1 - depths[side], softness))
    mix(ground, table(size, similar_colour((35, 33, 32), rng, 30), rng), band)
    clear = np.asarray(cv2.boxFilter(1 - band, -1, (9, 9))) > 0.97
    rows, columns = (np.flatnonzero(clear.mean(axis=axis) > 0.5)[[0, -1]] for axis in (1, 0))
    room = (int(rows[1] - rows[0]), int(columns[1] - columns[0]))
    digit = shrink_to_fit(
        _write(writer, rng.uniform(0.25, 0.6) * min(size), (0.02, 0.05), rng), 0.75 * room[0], 0.75 * room[1]
    )
    corner = random_corner(rng, room, digit.shape, 0.12)
    thick = isinstance(writer, MnistWriter)
    contrast = rng.uniform(0.2, 0.45) if thick or rng.random() < 0.4 else rng.uniform(0.5, 0.9)
    mix(ground, (30, 30, 40), contrast * placed(digit, size, (rows[0] + corner[0], columns[0] + corner[1])))
    return photo(ground, rng, noise=4, darkest=0.75, blur=0.8)


# --- Faint and soft ones


def faint_or_soft(rng: np.random.Generator, writer: Writer) -> bytes:
    """Write with low contrast, out of focus, or as small blurred drawings with grey strokes."""
    look = rng.choice(["faint", "soft", "dim"])
    if look == "dim":
        digit = shrink_to_fit(_write(writer, rng.uniform(16, 22), (0.1, 0.16), rng), 24, 24)
        corner = random_corner(rng, (28, 28), digit.shape)
        return encode(rng.uniform(60, 160) * blurred(placed(digit, (28, 28), corner), rng.uniform(0.2, 0.6)))
    size = _size(rng, 200, 1200)
    height = rng.uniform(0.3, 0.75) * min(size)
    if look == "soft":
        digit = _write(writer, height, (0.08, 0.16), rng)
        ground = _on_paper(digit, size, random_corner(rng, size, digit.shape, 0.1), rng, dark=rng.random() < 0.8)
        return drawing_or_photo(blurred(ground, rng.uniform(0.02, 0.06) * height), rng)
    digit = _write(writer, height, (0.06, 0.16), rng)
    contrast = 255 * rng.uniform(0.05, 0.15)
    paper = rng.uniform(120, 250)
    greys = paper - contrast * placed(digit, size, random_corner(rng, size, digit.shape, 0.05))
    if rng.random() < 0.4:
        return encode(greys)
    greys *= light(size, rng, rng.uniform(0.9, 1))
    greys += min(2, contrast / 10) * grain(size, rng)
    return encode(greys, "JPEG", quality=int(rng.integers(80, 96)))


# --- Controls: no digit


def blank(rng: np.random.Generator, _: Writer) -> bytes:
    """Show bare paper: even or unevenly lit, with a camera's noise, fibres, or the blocks of a coarse JPEG."""
    size = _size(rng, 200, 1500)
    ground = plain(size, any_colour(rng, 10, 250))
    look = rng.choice(["noise", "light", "fibres", "blocks"])
    if look == "fibres":
        for cells in (4, 2, 1):
            ground += rng.uniform(0, 3) * cloud(size, (size[0] // cells, size[1] // cells), rng)[:, :, None]
        return photo(ground, rng, noise=3)
    if look == "blocks":
        ground += rng.uniform(2, 10) * grain(ground.shape, rng)
        return encode(ground, "JPEG", quality=int(rng.integers(10, 35)))
    return photo(ground, rng, noise=10, darkest=1) if look == "noise" else photo(ground, rng, noise=3, darkest=0.3)


def blank_shadow(rng: np.random.Generator, _: Writer) -> bytes:
    """Lay the edge of one shadow, or two, on bare paper."""
    size = _size(rng, 200, 1500)
    ground = plain(size, similar_colour(_pick(_PAPERS, rng), rng))
    for _number in range(int(rng.integers(1, 3))):
        softness = rng.uniform(0.002, 0.15) * max(size)
        shade = half_plane(size, rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8), softness)
        ground *= 1 - rng.uniform(0.1, 0.5) * shade[:, :, None]
    return photo(ground, rng)


def blank_sheet(rng: np.random.Generator, _: Writer) -> bytes:
    """Photograph an empty sheet on a table, straight or turned."""
    still = rng.random() < 0.3
    return _sheet(rng, None, 0 if still else rng.uniform(-30, 30), 0 if still else rng.uniform(0, 30))


def blank_shape(rng: np.random.Generator, _: Writer) -> bytes:
    """Show a filled shape with nothing on it."""
    return _shape(rng, None)


# --- Controls: easy pictures


def plain_drawing(rng: np.random.Generator, writer: Writer) -> bytes:
    """Draw with a usual pen at a usual size, dark on light or light on dark."""
    size = _size(rng, 28 * 3, 1000, (1, 1, 4 / 3))
    digit = shrink_to_fit(
        _write(writer, rng.uniform(0.2, 0.8) * min(size), (0.08, 0.16), rng), 0.9 * size[0], 0.9 * size[1]
    )
    greys = 255 * placed(digit, size, random_corner(rng, size, digit.shape))
    return encode(255 - greys if rng.random() < 0.6 else greys)


def plain_photo(rng: np.random.Generator, writer: Writer) -> bytes:
    """Photograph paper, or a board, with a digit of a usual pen at a usual size."""
    size = _size(rng, 200, 2000)
    digit = shrink_to_fit(
        _write(writer, rng.uniform(0.2, 0.8) * min(size), _USUAL_PENS, rng), 0.9 * size[0], 0.9 * size[1]
    )
    corner = random_corner(rng, size, digit.shape)
    return photo(_on_paper(digit, size, corner, rng, dark=rng.random() < 0.8), rng)


def thick_zero(rng: np.random.Generator, writer: Writer) -> bytes:
    """Write a 0, 6, 8 or 9 with a pen so wide that its loops are nearly filled."""
    size = _size(rng, 100, 1000, (1, 1, 4 / 3))
    height = round(rng.uniform(0.35, 0.8) * min(size))
    pen = rng.uniform(0.15, 0.28)
    needed = 2 if writer.label == 8 else 1
    digit = writer.write(height, pen)
    # A digit whose loops are filled is not legible.
    while n_holes(digit) < needed and pen > 0.08:
        pen *= 0.95
        digit = writer.write(height, pen)
    ground = _on_paper(digit, size, random_corner(rng, size, digit.shape), rng, dark=rng.random() < 0.75)
    return drawing_or_photo(ground, rng)


def ruled(rng: np.random.Generator, writer: Writer) -> bytes:
    """Photograph ruled or squared paper with a digit on it."""
    size = _size(rng, 300, 1500)
    digit = _write(writer, rng.uniform(0.25, 0.65) * min(size), _USUAL_PENS, rng)
    spacing = max(rng.uniform(0.25, 1.2) * digit.shape[0], 14)
    pen = pen_width(digit)
    width = min(max(1, rng.uniform(0.004, 0.012) * digit.shape[0]), 0.35 * pen)
    squared = rng.random() < 0.5
    angle = np.radians(rng.uniform(-3, 3))
    rows, columns = np.ogrid[0 : size[0], 0 : size[1]]
    rules = np.zeros(size, np.float32)
    for direction in (angle, angle + np.pi / 2)[: 2 if squared else 1]:
        across = rows * np.cos(direction) - columns * np.sin(direction) + rng.uniform(0, spacing)
        nearest = np.abs(across % spacing - spacing / 2)
        rules = np.maximum(rules, np.clip(width / 2 + 0.5 - nearest, 0, 1)).astype(np.float32)
    ground = plain(size, similar_colour(_pick(_PAPERS[:3], rng), rng))
    colour = _pick(((150, 185, 225), (170, 170, 175), (225, 160, 165)), rng)
    mix(ground, similar_colour(colour, rng), rng.uniform(0.6, 1) * rules)
    ink = similar_colour(_pick(_DARK_INKS, rng), rng)
    mix(ground, ink, placed(digit, size, random_corner(rng, size, digit.shape)))
    return photo(ground, rng)


def boxed(rng: np.random.Generator, writer: Writer) -> bytes:
    """Write into a printed box that is completely in the picture."""
    size = _size(rng, 150, 1200, (1, 1, 4 / 3))
    side = rng.uniform(0.5, 0.92) * min(size)
    box = (round(side), round(min(side * rng.uniform(0.75, 1.4), 0.92 * size[1])))
    digit = shrink_to_fit(_write(writer, rng.uniform(0.4, 0.75) * side, _USUAL_PENS, rng), 0.75 * box[0], 0.75 * box[1])
    width = max(1, round(rng.uniform(0.004, 0.03) * side))
    frame = np.ones(box, np.float32)
    frame[width:-width, width:-width] = 0
    inner = random_corner(rng, box, digit.shape, 0.1)
    piece = turned(np.maximum(frame, placed(digit, box, inner)), rng.uniform(-2, 2) if rng.random() < 0.5 else 0)
    piece = shrink_to_fit(piece, 0.97 * size[0], 0.97 * size[1])
    return drawing_or_photo(_on_paper(piece, size, random_corner(rng, size, piece.shape, 0.01), rng), rng)


# The first strokes, the second strokes, and the direction (x, y) in which a gap shifts the second ones.
_BROKEN: Mapping[int, Sequence[tuple[str, str, tuple[float, float]]]] = MappingProxyType(
    {
        4: (
            ("30,0 10,62! 66,60", "68,22 64,100", (1, 0)),
            ("16,0 12,46! 70,46", "76,2 72,100", (1, 0)),
            ("60,2 8,66! 94,64", "66,2 64,100", (0.8, 0)),
        ),
        5: (
            ("26,4 18,45! 56,38 88,68 52,100 8,88", "26,3 88,1", (1, -0.3)),
            ("24,8 20,46! 58,38 88,68 50,100 10,88", "24,6 92,2", (0.2, -1)),
        ),
        7: (
            ("8,5 84,5", "88,6 40,100", (0.4, 1)),
            ("8,5! 90,5! 62,50", "58,56 40,100", (-0.3, 0.6)),
        ),
    }
)
_CROSSBAR = "38,52 82,49"


def two_strokes(rng: np.random.Generator, writer: Writer) -> bytes:
    """Write a 4, 5 or 7 in strokes that leave a gap of up to 8 % of the height between them."""
    forms = _BROKEN[writer.label]
    first, second, direction = forms[int(rng.integers(len(forms)))]
    pen = rng.uniform(0.06, 0.12)
    first_strokes, second_strokes = curves(first, rng, 0.012), curves(second, rng, 0.012)
    # The pen is round, so the distance of the paths is the gap plus the pen's width.
    gap = rng.uniform(0, 0.08) + pen
    moved = [stroke + gap * np.array(direction, np.float32) for stroke in second_strokes]
    strokes = [*first_strokes, *moved]
    if writer.label == 7 and rng.random() < 0.6:
        strokes += curves(_CROSSBAR, rng, 0.012)
    size = _size(rng, 100, 1000, (1, 1, 4 / 3))
    broken = PenWriter(writer.label, shaped(strokes, rng, (0.6, 0.8)))
    digit = shrink_to_fit(broken.write(round(rng.uniform(0.3, 0.8) * min(size)), pen), 0.9 * size[0], 0.9 * size[1])
    ground = _on_paper(digit, size, random_corner(rng, size, digit.shape), rng, dark=rng.random() < 0.8)
    return drawing_or_photo(ground, rng)


# --- All of them


@dataclass(frozen=True)
class Kind:
    """A kind of picture: the function that creates one, and its digits. With `pen` it needs a PenWriter."""

    picture: Callable[[np.random.Generator, Writer], bytes]
    classes: Sequence[int] = _ALL
    pen: bool = False

    @property
    def name(self) -> str:
        """The name in the table."""
        return self.picture.__name__

    @property
    def empty(self) -> bool:
        """Whether it shows no digit."""
        return self.name.startswith("blank")


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(turned_sheet),
            Kind(straight_sheet),
            Kind(filled_shape),
            Kind(thin_pen_hard, pen=True),
            Kind(thin_pen_soft, pen=True),
            Kind(small_digit),
            Kind(small_digit_photo),
            Kind(underlined),
            Kind(dark_edge),
            Kind(faint_or_soft),
            Kind(plain_drawing),
            Kind(plain_photo),
            Kind(thick_zero, (0, 6, 8, 9), pen=True),
            Kind(ruled),
            Kind(boxed),
            Kind(two_strokes, tuple(_BROKEN), pen=True),
            Kind(blank),
            Kind(blank_shadow),
            Kind(blank_sheet),
            Kind(blank_shape),
        )
    }
)


def sample(kind: Kind, number: int, seed: int, digits: Digits) -> tuple[str, bytes]:
    """Return the label and the picture. Even numbers are digits of MNIST, unless the kind needs a pen."""
    rng = np.random.default_rng([seed, crc32(kind.name.encode()), number])
    writer = pen_writer(rng, kind.classes) if kind.pen or number % 2 else mnist_writer(digits, kind.classes, rng)
    return _NONE if kind.empty else str(writer.label), kind.picture(rng, writer)


@dataclass
class Tally:
    """The number of pictures of a kind by outcome."""

    n: int = 0
    right: int = 0
    clear_right: int = 0
    clear_wrong: int = 0
    no_ink: int = 0

    def add(self, label: str, answer: str, verdict: str) -> bool:
        """Count an answer, and return whether it is correct."""
        clear = verdict == "clear"
        right = not clear if label == _NONE else answer == label
        self.n += 1
        self.right += right
        self.clear_right += clear and right
        self.clear_wrong += clear and not right
        self.no_ink += answer == NoInk.__name__
        return right

    def row(self, name: str) -> str:
        """Return a row of the table."""
        shares = (100 * count / max(1, self.n) for count in (self.right, self.clear_right, self.clear_wrong))
        columns = "".join(f"{share:14.1f}" for share in (*shares, 100 * self.no_ink / max(1, self.n)))
        return f"{name:20}{self.n:8}{columns}"


def _answer(classifier: Classifier, data: bytes) -> tuple[str, str]:
    """Return the digit and the verdict, or the name of the error and an empty string."""
    try:
        prediction = classifier.predict_picture(data)
    except PictureError as error:
        return type(error).__name__, ""
    return str(prediction.digit), str(prediction.verdict)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Accuracy on kinds of synthetic pictures.")
    parser.add_argument("--kinds", default=",".join(KINDS), help="names of kinds, separated by commas")
    parser.add_argument("--number", type=int, default=_NUMBER, help="number of pictures of each kind")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pictures")
    parser.add_argument("--out", type=Path, help="folder for misread pictures")
    parser.add_argument("--test", action="store_true", help="use MNIST's test digits instead of validation digits")
    arguments = parser.parse_args()
    arguments.kinds = arguments.kinds.split(",")
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"unknown kind {', '.join(sorted(unknown))}: choose from {', '.join(KINDS)}")
    return arguments


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    cv2.setNumThreads(1)
    digits = mnist.load(mnist.find()).test if arguments.test else validation_digits()
    classifier = Classifier.load(bundled_model())
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
    heads = ("right %", "clear+right %", "clear+wrong %", "NoInk %")
    print(f"{'kind':20}{'number':>8}" + "".join(f"{head:>14}" for head in heads))
    for name in arguments.kinds:
        tally = Tally()
        for number in range(arguments.number):
            label, data = sample(KINDS[name], number, arguments.seed, digits)
            answer, verdict = _answer(classifier, data)
            if not tally.add(label, answer, verdict) and arguments.out:
                end = "jpg" if data[:2] == b"\xff\xd8" else "png"
                read = f"{answer}_{verdict}".rstrip("_")
                (arguments.out / f"{label}_{name}_{number:04}_read_{read}.{end}").write_bytes(data)
        print(tally.row(name), flush=True)


if __name__ == "__main__":
    main()
