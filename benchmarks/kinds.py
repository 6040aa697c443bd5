"""How well whole kinds of pictures are read: many of each are drawn by program, no two alike.

    DIGITS_DATA=DIR python -m benchmarks.kinds [--kinds A,B] [--number N] [--seed N] [--out DIR] [--test]

Two hands alternate where a kind does not name the pen: digits of MNIST that were not learned from, magnified (`--test`
takes test digits), and digits written along strokes. Picture number i of a kind is the same whichever others are asked
for. Prints for each kind how many there are, and in per cent: read right; `clear` and right; `clear` though wrong; and
answered NoInk. Of the `blank` kinds, which show no digit, NoInk is right, and so is every verdict but `clear`. With
`--out`, the pictures that were misread are written as LABEL_KIND_NUMBER_read_ANSWER.png or .jpg.
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
    Dry,
    Fresh,
    Hand,
    Values,
    any_colour,
    anywhere,
    apart,
    beyond,
    blurred,
    cloud,
    curves,
    drawing_or_photo,
    dry,
    encode,
    fresh,
    grain,
    light,
    luma,
    mix,
    n_holes,
    near,
    pen_of,
    photo,
    placed,
    plain,
    polygon,
    shaped,
    table,
    turned,
    validation_digits,
    within,
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

# Pens, as shares of the digit's height, and the fewest pixels that a pen of a photo has.
_USUAL_PENS = (0.06, 0.14)
_ANY_PENS = (0.03, 0.2)
_FINEST = 1.6


def _size(rng: np.random.Generator, low: float, high: float, aspects: Sequence[float] = (1, 4 / 3, 3 / 2)) -> Size:
    """Return a picture's height and width; its longer side is as likely to be twice as long as half as long."""
    longer = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    shorter = longer / float(rng.choice(aspects))
    return (round(longer), round(shorter)) if rng.random() < 0.5 else (round(shorter), round(longer))


def _write(hand: Hand, height: float, pens: tuple[float, float], rng: np.random.Generator) -> Values:
    """Return the coverage of a digit of this height with one of these pens, which is at least as wide as is seen."""
    pen = max(rng.uniform(*pens), _FINEST / height)
    return hand.write(max(8, round(height)), pen)


def _on_paper(
    digit: Values, size: Size, corner: tuple[float, float], rng: np.random.Generator, *, dark: bool = True
) -> Values:
    """Return colours: a piece of coverage on paper, or a light one on a dark ground."""
    paper = near(_pick(_PAPERS if dark else _CARDS, rng), rng)
    ink = near(_pick(_DARK_INKS if dark else _LIGHT_INKS, rng), rng)
    ground = plain(size, paper)
    mix(ground, ink, placed(digit, size, corner))
    return ground


def _pick(colours: Sequence[Colour], rng: np.random.Generator) -> Colour:
    return colours[int(rng.integers(len(colours)))]


# --- Sheets on a table


def turned_sheet(rng: np.random.Generator, hand: Hand) -> bytes:
    """Photograph a sheet, note or card that lies turned by up to 30 degrees, or that the phone sees at a slant."""
    look = rng.choice(["turned", "slanted", "both"], p=[0.5, 0.2, 0.3])
    angle = rng.uniform(3, 30) * rng.choice([-1, 1]) if look != "slanted" else rng.uniform(-3, 3)
    return _sheet(rng, hand, angle, rng.uniform(10, 38) if look != "turned" else 0)


def straight_sheet(rng: np.random.Generator, hand: Hand) -> bytes:
    """Photograph the same sheets from above, with edges along those of the picture."""
    return _sheet(rng, hand, 0, 0)


def _sheet(rng: np.random.Generator, hand: Hand | None, angle: float, tilt: float) -> bytes:
    size = _size(rng, 400, 2000, (1, 4 / 3, 3 / 2, 16 / 9))
    corners = _seen_corners(rng, size, angle, tilt)
    sides = [float(np.hypot(*(corners[i] - corners[i - 1]))) for i in range(4)]
    # The sheet as it lies before the phone, in pixels as large as those of the picture.
    shape = (round((sides[0] + sides[2]) / 2), round((sides[1] + sides[3]) / 2))
    flat = np.array([[0, 0], [shape[1], 0], [shape[1], shape[0]], [0, shape[0]]], np.float32)
    ink = np.zeros(size, np.float32)
    move = _out_of_the_picture(rng, corners, size) if rng.random() < 0.2 else np.zeros(2, np.float32)
    if hand is not None:
        height = max(20, rng.uniform(0.25, 0.8) * min(shape))
        # Half of the writers turn the sheet, not their hand.
        lean = 0 if rng.random() < 0.5 else angle
        digit = within(turned(_write(hand, height, _ANY_PENS, rng), lean), 0.85 * shape[0], 0.85 * shape[1])
        written = placed(digit, shape, anywhere(rng, shape, digit.shape, 0.07))
        rows, columns = (np.flatnonzero(written.any(axis=axis))[[0, -1]] for axis in (1, 0))
        box = np.array([[[x, y] for x in columns for y in rows]], np.float32)
        seen = cv2.perspectiveTransform(box, cv2.getPerspectiveTransform(flat, corners))[0] + move
        if not bool(np.all((seen > 0.03 * min(size)) & (seen < np.array(size[::-1]) - 0.03 * min(size)))):
            move = np.zeros(2, np.float32)
        matrix = cv2.getPerspectiveTransform(flat, (corners + move).astype(np.float32))
        ink = np.asarray(cv2.warpPerspective(written, matrix, size[::-1], flags=cv2.INTER_LINEAR), np.float32)
    return _photographed(rng, size, polygon(corners + move, size), ink)


def _seen_corners(rng: np.random.Generator, size: Size, angle: float, tilt: float) -> Values:
    """Return where a sheet's corners are in the picture, (4, 2), clockwise from the upper left."""
    aspect = float(rng.choice([1, 1, 1.41, 1 / 1.41, 1.67]))
    half_width, half_height = np.sqrt(aspect) / 2, 1 / np.sqrt(aspect) / 2
    sheet = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (half_width, half_height)
    turn, slant, towards = np.radians(-angle), np.radians(tilt), rng.uniform(0, 2 * np.pi)
    sheet = sheet @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    direction = np.array([np.cos(towards), np.sin(towards)])
    # What lies towards that direction is farther away, and foreshortened.
    depth = sheet @ direction
    sheet = sheet + np.outer(depth * (np.cos(slant) - 1), direction)
    sheet /= (1 + np.sin(slant) * depth / rng.uniform(1.8, 3.5))[:, None]
    sheet *= np.sqrt(rng.uniform(0.15, 0.8) * size[0] * size[1] / cv2.contourArea(sheet.astype(np.float32)))
    extent = np.ptp(sheet, axis=0)
    sheet *= min(1, *(0.96 * np.array(size[::-1]) / extent))
    free = np.array(size[::-1]) - np.ptp(sheet, axis=0)
    return np.asarray(sheet - sheet.min(axis=0) + free * rng.uniform(0.1, 0.9, 2), np.float32)


def _out_of_the_picture(rng: np.random.Generator, corners: Values, size: Size) -> Values:
    """Return the move by which a sheet leaves the picture at one side."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    axis = int(rng.integers(2))
    share = rng.uniform(0.04, 0.2) * (high[axis] - low[axis])
    move = np.zeros(2, np.float32)
    move[axis] = -low[axis] - share if rng.random() < 0.5 else size[1 - axis] - high[axis] + share
    return move


def _photographed(rng: np.random.Generator, size: Size, sheet: Values, ink: Values) -> bytes:
    """Return the photo of a sheet with ink on it, where they cover the picture, on a table."""
    dark = rng.random() < 0.12
    paper = near(_pick(_CARDS if dark else _PAPERS, rng), rng)
    look = rng.choice(["table", "like", "white"], p=[0.75, 0.13, 0.12])
    board = near(_pick(_TABLES, rng), rng)
    if dark and look != "white":
        board = apart(rng, 60, paper)
    elif look == "like":
        board = _as_bright(paper, rng)
    elif look == "white":
        board = near(_WHITE_TABLE, rng, 5)
    ground = table(size, board, rng)
    if look != "table" or rng.random() < 0.5:
        far = rng.uniform(0.004, 0.02) * max(size)
        shadow = placed(sheet, size, (rng.uniform(0, far), rng.uniform(-far, far)))
        ground *= 1 - rng.uniform(0.2, 0.45) * blurred(shadow, far)[:, :, None]
    shades = 1 + rng.uniform(0, 0.02) * cloud(size, (6, 6), rng)[:, :, None]
    mix(ground, np.array(paper, np.float32) * shades, sheet)
    mix(ground, near(_pick(_LIGHT_INKS if dark else _DARK_INKS, rng), rng), rng.uniform(0.8, 1) * ink)
    return photo(ground, rng)


def _as_bright(paper: Colour, rng: np.random.Generator) -> Colour:
    """Return a colour of another hue that is nearly as bright as the paper."""
    for _ in range(1000):
        colour = any_colour(rng, luma(paper) - 20, luma(paper) + 15)
        hues = np.array(colour) - luma(colour) - (np.array(paper) - luma(paper))
        if np.abs(hues).max() > 60:
            return colour
    return near((150, 150, 150), rng)


# --- Shapes


def filled_shape(rng: np.random.Generator, hand: Hand) -> bytes:
    """Show a digit on a filled disc, oval, rounded square, badge, hexagon, warning sign, or speed limit."""
    return _shape(rng, hand)


def _shape(rng: np.random.Generator, hand: Hand | None) -> bytes:
    size = _size(rng, 150, 1200, (1, 1, 4 / 3))
    outline, room, sink = _outline(rng)
    shorter = min(size)
    # So that the digit is not smaller than is read with ease.
    extent = max(rng.uniform(0.3, 1) * shorter, 70)
    angle = np.radians(rng.uniform(-8, 8))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = outline @ turn * extent / np.ptp(outline @ turn, axis=0).max()
    free = np.array(size[::-1]) - np.ptp(points, axis=0)
    middle = free * rng.uniform(0.1, 0.9, 2) - points.min(axis=0)
    filled = polygon(points + middle, size)
    around = any_colour(rng)
    inside = apart(rng, 45, around)
    ink = around if rng.random() < 0.5 and abs(luma(around) - luma(inside)) > 90 else apart(rng, 100, inside)
    ground = plain(size, around)
    ring = rng.random()
    if ring < 0.25:
        # A speed limit's disc in its ring, or the rim of a sign or badge.
        if ring < 0.15:
            inside, ink = near((245, 245, 240), rng, 8), near((15, 15, 18), rng, 10)
        mix(ground, near((200, 25, 35), rng, 15) if ring < 0.15 else apart(rng, 50, inside), filled)
        rim = rng.uniform(0.78, 0.92)
        filled = polygon(points * rim + middle, size)
        room *= rim
    mix(ground, inside, filled)
    if hand is not None:
        height = max(24.0, min(rng.uniform(0.35, 0.75), room) * np.ptp(points, axis=0).min())
        digit = _write(hand, height, (0.08, 0.2), rng)
        mix(ground, ink, _inside(digit, filled, (middle[1] + sink * extent, middle[0])))
    return drawing_or_photo(ground, rng)


def _outline(rng: np.random.Generator) -> tuple[Values, float, float]:
    """Return the outline (n, 2) of a shape around 0, how high a digit it has room for, and how far that sinks."""
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
        # A triangle with blunt corners, whose digit stands lower.
        outline = np.array([(-0.08, -0.9), (0.08, -0.9), (1, 0.65), (0.92, 0.8), (-0.92, 0.8), (-1, 0.65)])
        room, sink = 0.5, 0.1
    return np.asarray(outline, np.float32), room, sink


def _inside(digit: Values, filled: Values, middle: tuple[float, float]) -> Values:
    """Return coverage with a digit about the middle, made smaller until it stays clear of the shape's edge."""
    clear = cv2.erode(filled, np.ones((3, 3), np.uint8), iterations=max(2, digit.shape[0] // 16))
    while True:
        corner = [place - part / 2 for place, part in zip(middle, digit.shape, strict=True)]
        written = placed(digit, (filled.shape[0], filled.shape[1]), (corner[0], corner[1]))
        if not bool(np.any((written > 0) & (np.asarray(clear) < 0.9))) or digit.shape[0] < 20:
            return written
        digit = within(digit, 0.94 * digit.shape[0], digit.shape[1])


# --- Thin pens


def thin_pen_hard(rng: np.random.Generator, hand: Hand) -> bytes:
    """Draw with a pen of 1 to 3 pixels, with hard edges, on a large canvas: black, white, or ink in alpha."""
    size = _size(rng, 300, 2000, (1, 1, 4 / 3))
    digit = _fresh(hand).hard(round(rng.uniform(0.4, 0.9) * min(size)), int(rng.integers(1, 4)))
    inked = placed(digit.astype(np.float32), size, anywhere(rng, size, digit.shape, 0.02)) > 0
    look = rng.choice(["black", "white", "alpha"])
    if look == "alpha":
        ink = any_colour(rng, 0, 140)
        return encode(np.dstack([plain(size, ink), 255 * inked.astype(np.float32)]))
    return encode(np.where(inked == (look == "white"), np.uint8(255), np.uint8(0)))


def thin_pen_soft(rng: np.random.Generator, hand: Hand) -> bytes:
    """Draw with a pen of 1 to 3 pixels, anti-aliased, as PNG or JPEG."""
    size = _size(rng, 300, 2000, (1, 1, 4 / 3))
    height = rng.uniform(0.4, 0.9) * min(size)
    digit = _fresh(hand).write(round(height), rng.uniform(1, 3) / height)
    dark = rng.random() < 0.7
    greys = 255 * placed(digit, size, anywhere(rng, size, digit.shape, 0.02))
    greys = 255 - greys if dark else greys
    return encode(greys) if rng.random() < 0.6 else encode(greys, "JPEG", quality=int(rng.integers(75, 96)))


def _fresh(hand: Hand) -> Fresh:
    if not isinstance(hand, Fresh):
        message = "this kind needs a hand whose pen can be chosen"
        raise TypeError(message)
    return hand


# --- Small digits


def small_digit(rng: np.random.Generator, hand: Hand) -> bytes:
    """Scan a sheet of A4 with a digit of 2 to 7 % of its longer side, and specks of dust."""
    size = (1754, 1240) if rng.random() < 0.75 else (3508, 2480)
    size = size[::-1] if rng.random() < 0.2 else size
    digit = _write(hand, rng.uniform(0.02, 0.07) * max(size), (0.08, 0.14), rng)
    paper = rng.uniform(235, 255)
    inked = placed(digit, size, anywhere(rng, size, digit.shape, 0.05))
    dust = np.zeros(size, np.float32)
    for _ in range(int(rng.integers(0, 40))):
        radius = rng.uniform(0.3, 0.04 * digit.shape[0])
        middle = [round(16 * value) for value in rng.uniform((0, 0), size[::-1])]
        cv2.circle(dust, (middle[0], middle[1]), round(16 * radius), rng.uniform(0.2, 0.9), -1, cv2.LINE_AA, 4)
    greys = paper + (rng.uniform(10, 70) - paper) * np.maximum(inked, dust)
    noise = rng.choice([0, 1, 2.5])
    greys += noise * grain(size, rng)
    return encode(greys, compress_level=1) if noise < 1 else encode(greys, "JPEG", quality=int(rng.integers(70, 96)))


def small_digit_photo(rng: np.random.Generator, hand: Hand) -> bytes:
    """Photograph a large sheet with a digit of 2 to 7 % of the picture's longer side."""
    size = _size(rng, 1500, 4000, (4 / 3,))
    digit = _write(hand, rng.uniform(0.02, 0.07) * max(size), (0.08, 0.14), rng)
    return photo(_on_paper(digit, size, anywhere(rng, size, digit.shape, 0.08), rng), rng, darkest=0.5)


# --- What is beside the digit


def underlined(rng: np.random.Generator, hand: Hand) -> bytes:
    """Write a digit above a line of the same pen: straight, slanted, wavy, or double."""
    size = _size(rng, 100, 1000, (1, 1, 4 / 3))
    height = rng.uniform(0.3, 0.6) * min(size)
    digit = _write(hand, height, (0.05, 0.15), rng)
    pen = pen_of(digit)
    length = np.clip(rng.uniform(0.8, 2.5) * max(digit.shape[1], 0.4 * height), 0.5 * height, 0.92 * size[1])
    slope = np.tan(np.radians(rng.uniform(-6, 6))) if rng.random() < 0.6 else 0
    wave = rng.uniform(0.01, 0.03) * height if rng.random() < 0.4 else 0
    x = np.linspace(-length / 2, length / 2, 60)
    y = slope * x + wave * np.sin(2 * np.pi * rng.uniform(0.7, 2) * x / length + rng.uniform(0, 6))
    # At its highest place under the digit it is so far away.
    gap = max(rng.uniform(0.03, 0.3) * height, 2)
    y += gap + pen / 2 - y[np.abs(x) <= max(digit.shape[1], 0.4 * length) / 2].min()
    lines = [y, y + pen * rng.uniform(1.8, 3)] if rng.random() < 0.2 else [y]
    shift = rng.uniform(-0.1, 0.1) * min(length, digit.shape[1])
    width = round(max(length + pen + 2 * abs(shift), digit.shape[1])) + 4
    piece = (digit.shape[0] + round(float(np.max(lines)) + pen), width)
    whole = placed(digit, piece, (0, (width - digit.shape[1]) / 2))
    for line in lines:
        way = np.stack([x + width / 2 + shift, line + digit.shape[0]], axis=1)
        whole = np.maximum(whole, _drawn(way, piece, pen))
    whole = within(whole, 0.94 * size[0], 0.94 * size[1])
    ground = _on_paper(whole, size, anywhere(rng, size, whole.shape, 0.03), rng, dark=rng.random() < 0.85)
    return drawing_or_photo(ground, rng)


def _drawn(way: Values, size: Size, pen: float) -> Values:
    """Return the coverage of a line along a way (n, 2) with a round pen."""
    fine = np.zeros((4 * size[0], 4 * size[1]), np.uint8)
    points = [np.round(4 * 16 * way).astype(np.int32)]
    cv2.polylines(fine, points, False, 255, max(1, round(4 * pen)), cv2.LINE_8, 4)  # noqa: FBT003 - not closed
    return np.asarray(cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)


def dark_edge(rng: np.random.Generator, hand: Hand) -> bytes:
    """Photograph a thin or faint digit beside a dark desk or a black margin at one or two sides."""
    size = _size(rng, 200, 1500)
    paper = near(_pick(_PAPERS, rng), rng)
    ground = plain(size, paper)
    depths = dict.fromkeys(range(4), 0.0)
    band = np.zeros(size, np.float32)
    softness = rng.uniform(0.01, 0.08) * max(size) if rng.random() < 0.35 else 1
    for side in rng.permutation(4)[: int(rng.integers(1, 3))].tolist():
        depths[side] = rng.uniform(0.03, 0.25)
        slant = np.radians(rng.uniform(-4, 4)) if rng.random() < 0.5 else 0
        # 0 is the right side, then the lower, the left and the upper one.
        band = np.maximum(band, beyond(size, side * np.pi / 2 + slant, 1 - depths[side], softness))
    mix(ground, table(size, near((35, 33, 32), rng, 30), rng), band)
    clear = np.asarray(cv2.boxFilter(1 - band, -1, (9, 9))) > 0.97
    rows, columns = (np.flatnonzero(clear.mean(axis=axis) > 0.5)[[0, -1]] for axis in (1, 0))
    room = (int(rows[1] - rows[0]), int(columns[1] - columns[0]))
    digit = within(_write(hand, rng.uniform(0.25, 0.6) * min(size), (0.02, 0.05), rng), 0.75 * room[0], 0.75 * room[1])
    corner = anywhere(rng, room, digit.shape, 0.12)
    thick = isinstance(hand, Dry)
    contrast = rng.uniform(0.2, 0.45) if thick or rng.random() < 0.4 else rng.uniform(0.5, 0.9)
    mix(ground, (30, 30, 40), contrast * placed(digit, size, (rows[0] + corner[0], columns[0] + corner[1])))
    return photo(ground, rng, noise=4, darkest=0.75, blur=0.8)


# --- Faint and soft ones


def faint_or_soft(rng: np.random.Generator, hand: Hand) -> bytes:
    """Write with hardly any contrast, out of focus, or as small soft drawings that are not at all white."""
    look = rng.choice(["faint", "soft", "dim"])
    if look == "dim":
        digit = within(_write(hand, rng.uniform(16, 22), (0.1, 0.16), rng), 24, 24)
        corner = anywhere(rng, (28, 28), digit.shape)
        return encode(rng.uniform(60, 160) * blurred(placed(digit, (28, 28), corner), rng.uniform(0.2, 0.6)))
    size = _size(rng, 200, 1200)
    height = rng.uniform(0.3, 0.75) * min(size)
    if look == "soft":
        digit = _write(hand, height, (0.08, 0.16), rng)
        ground = _on_paper(digit, size, anywhere(rng, size, digit.shape, 0.1), rng, dark=rng.random() < 0.8)
        return drawing_or_photo(blurred(ground, rng.uniform(0.02, 0.06) * height), rng)
    digit = _write(hand, height, (0.06, 0.16), rng)
    contrast = 255 * rng.uniform(0.05, 0.15)
    paper = rng.uniform(120, 250)
    greys = paper - contrast * placed(digit, size, anywhere(rng, size, digit.shape, 0.05))
    if rng.random() < 0.4:
        return encode(greys)
    greys *= light(size, rng, rng.uniform(0.9, 1))
    greys += min(2, contrast / 10) * grain(size, rng)
    return encode(greys, "JPEG", quality=int(rng.integers(80, 96)))


# --- Controls: no digit


def blank(rng: np.random.Generator, _: Hand) -> bytes:
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


def blank_shadow(rng: np.random.Generator, _: Hand) -> bytes:
    """Lay the edge of one shadow, or two, on bare paper."""
    size = _size(rng, 200, 1500)
    ground = plain(size, near(_pick(_PAPERS, rng), rng))
    for _number in range(int(rng.integers(1, 3))):
        softness = rng.uniform(0.002, 0.15) * max(size)
        shade = beyond(size, rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8), softness)
        ground *= 1 - rng.uniform(0.1, 0.5) * shade[:, :, None]
    return photo(ground, rng)


def blank_sheet(rng: np.random.Generator, _: Hand) -> bytes:
    """Photograph an empty sheet on a table, straight or turned."""
    still = rng.random() < 0.3
    return _sheet(rng, None, 0 if still else rng.uniform(-30, 30), 0 if still else rng.uniform(0, 30))


def blank_shape(rng: np.random.Generator, _: Hand) -> bytes:
    """Show a filled shape with nothing on it."""
    return _shape(rng, None)


# --- Controls: what is read already


def plain_drawing(rng: np.random.Generator, hand: Hand) -> bytes:
    """Draw with a usual pen at a usual size, dark on light or light on dark."""
    size = _size(rng, 28 * 3, 1000, (1, 1, 4 / 3))
    digit = within(_write(hand, rng.uniform(0.2, 0.8) * min(size), (0.08, 0.16), rng), 0.9 * size[0], 0.9 * size[1])
    greys = 255 * placed(digit, size, anywhere(rng, size, digit.shape))
    return encode(255 - greys if rng.random() < 0.6 else greys)


def plain_photo(rng: np.random.Generator, hand: Hand) -> bytes:
    """Photograph paper, or a board, with a digit of a usual pen at a usual size."""
    size = _size(rng, 200, 2000)
    digit = within(_write(hand, rng.uniform(0.2, 0.8) * min(size), _USUAL_PENS, rng), 0.9 * size[0], 0.9 * size[1])
    corner = anywhere(rng, size, digit.shape)
    return photo(_on_paper(digit, size, corner, rng, dark=rng.random() < 0.8), rng)


def thick_zero(rng: np.random.Generator, hand: Hand) -> bytes:
    """Write a 0, 6, 8 or 9 with so wide a pen that its loops are nearly filled."""
    size = _size(rng, 100, 1000, (1, 1, 4 / 3))
    height = round(rng.uniform(0.35, 0.8) * min(size))
    pen = rng.uniform(0.15, 0.28)
    needed = 2 if hand.label == 8 else 1
    digit = hand.write(height, pen)
    # A loop that is filled altogether would be read by nobody.
    while n_holes(digit) < needed and pen > 0.08:
        pen *= 0.95
        digit = hand.write(height, pen)
    ground = _on_paper(digit, size, anywhere(rng, size, digit.shape), rng, dark=rng.random() < 0.75)
    return drawing_or_photo(ground, rng)


def ruled(rng: np.random.Generator, hand: Hand) -> bytes:
    """Photograph ruled or squared paper with a digit on it."""
    size = _size(rng, 300, 1500)
    digit = _write(hand, rng.uniform(0.25, 0.65) * min(size), _USUAL_PENS, rng)
    spacing = max(rng.uniform(0.25, 1.2) * digit.shape[0], 14)
    pen = pen_of(digit)
    width = min(max(1, rng.uniform(0.004, 0.012) * digit.shape[0]), 0.35 * pen)
    squared = rng.random() < 0.5
    angle = np.radians(rng.uniform(-3, 3))
    rows, columns = np.ogrid[0 : size[0], 0 : size[1]]
    rules = np.zeros(size, np.float32)
    for direction in (angle, angle + np.pi / 2)[: 2 if squared else 1]:
        across = rows * np.cos(direction) - columns * np.sin(direction) + rng.uniform(0, spacing)
        nearest = np.abs(across % spacing - spacing / 2)
        rules = np.maximum(rules, np.clip(width / 2 + 0.5 - nearest, 0, 1)).astype(np.float32)
    ground = plain(size, near(_pick(_PAPERS[:3], rng), rng))
    colour = _pick(((150, 185, 225), (170, 170, 175), (225, 160, 165)), rng)
    mix(ground, near(colour, rng), rng.uniform(0.6, 1) * rules)
    ink = near(_pick(_DARK_INKS, rng), rng)
    mix(ground, ink, placed(digit, size, anywhere(rng, size, digit.shape)))
    return photo(ground, rng)


def boxed(rng: np.random.Generator, hand: Hand) -> bytes:
    """Write into a printed box, all of which is seen."""
    size = _size(rng, 150, 1200, (1, 1, 4 / 3))
    side = rng.uniform(0.5, 0.92) * min(size)
    box = (round(side), round(min(side * rng.uniform(0.75, 1.4), 0.92 * size[1])))
    digit = within(_write(hand, rng.uniform(0.4, 0.75) * side, _USUAL_PENS, rng), 0.75 * box[0], 0.75 * box[1])
    width = max(1, round(rng.uniform(0.004, 0.03) * side))
    frame = np.ones(box, np.float32)
    frame[width:-width, width:-width] = 0
    inner = anywhere(rng, box, digit.shape, 0.1)
    piece = turned(np.maximum(frame, placed(digit, box, inner)), rng.uniform(-2, 2) if rng.random() < 0.5 else 0)
    piece = within(piece, 0.97 * size[0], 0.97 * size[1])
    return drawing_or_photo(_on_paper(piece, size, anywhere(rng, size, piece.shape, 0.01), rng), rng)


# What is written first, what is written after it, and where that goes when there is a gap: x, y.
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


def two_strokes(rng: np.random.Generator, hand: Hand) -> bytes:
    """Write a 4, 5 or 7 in strokes that leave a gap of up to 8 % of the height between them."""
    forms = _BROKEN[hand.label]
    first, second, way = forms[int(rng.integers(len(forms)))]
    pen = rng.uniform(0.06, 0.12)
    first_strokes, second_strokes = curves(first, rng, 0.012), curves(second, rng, 0.012)
    # The pen is round, so that between the ways of its tip there is its width as well as the gap.
    gap = rng.uniform(0, 0.08) + pen
    moved = [stroke + gap * np.array(way, np.float32) for stroke in second_strokes]
    strokes = [*first_strokes, *moved]
    if hand.label == 7 and rng.random() < 0.6:
        strokes += curves(_CROSSBAR, rng, 0.012)
    size = _size(rng, 100, 1000, (1, 1, 4 / 3))
    writer = Fresh(hand.label, shaped(strokes, rng, (0.6, 0.8)))
    digit = within(writer.write(round(rng.uniform(0.3, 0.8) * min(size)), pen), 0.9 * size[0], 0.9 * size[1])
    ground = _on_paper(digit, size, anywhere(rng, size, digit.shape), rng, dark=rng.random() < 0.8)
    return drawing_or_photo(ground, rng)


# --- All of them


@dataclass(frozen=True)
class Kind:
    """A kind of picture: how one is made, and the digits that it is made of; `pen` asks for a hand with a pen."""

    picture: Callable[[np.random.Generator, Hand], bytes]
    classes: Sequence[int] = _ALL
    pen: bool = False

    @property
    def name(self) -> str:
        """What it is called in the table."""
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
    """Return the picture of this number with its label; even numbers are MNIST's hand, where the kind lets them."""
    rng = np.random.default_rng([seed, crc32(kind.name.encode()), number])
    hand = fresh(rng, kind.classes) if kind.pen or number % 2 else dry(digits, kind.classes, rng)
    return _NONE if kind.empty else str(hand.label), kind.picture(rng, hand)


@dataclass
class Tally:
    """How many pictures of a kind got which answer."""

    n: int = 0
    right: int = 0
    clear_right: int = 0
    clear_wrong: int = 0
    no_ink: int = 0

    def add(self, label: str, answer: str, verdict: str) -> bool:
        """Count an answer; returns whether it is right."""
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
    """Return the digit and the verdict, or the name of the error and nothing."""
    try:
        prediction = classifier.predict_picture(data)
    except PictureError as error:
        return type(error).__name__, ""
    return str(prediction.digit), str(prediction.verdict)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How well whole kinds of pictures are read.")
    parser.add_argument("--kinds", default=",".join(KINDS), help="names of the table's first column, parted by commas")
    parser.add_argument("--number", type=int, default=_NUMBER, help="how many pictures of each kind")
    parser.add_argument("--seed", type=int, default=0, help="other numbers draw other pictures")
    parser.add_argument("--out", type=Path, help="folder for the pictures that are misread")
    parser.add_argument("--test", action="store_true", help="MNIST's test digits in place of validation digits")
    arguments = parser.parse_args()
    arguments.kinds = arguments.kinds.split(",")
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
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
                said = f"{answer}_{verdict}".rstrip("_")
                (arguments.out / f"{label}_{name}_{number:04}_read_{said}.{end}").write_bytes(data)
        print(tally.row(name), flush=True)


if __name__ == "__main__":
    main()
