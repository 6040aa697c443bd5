"""Synthetic photos, scans and drawings of a digit as people send them; each scene is the bytes of a file.

Scenes start from coverage: float32 (height, width), the share of each pixel that ink covers, 0..1. A Hand writes one
digit at any height with any pen, so that each scene can be made of a drawn digit and of one of MNIST.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from service.types import FloatArray
from tests.pictures import draw, encode

# (height in pixels, width of the pen as a share of it) -> coverage, cropped to the ink.
Hand = Callable[[int, float], FloatArray]
Scene = Callable[[Hand, np.random.Generator], bytes]

SIDE = 400
HEIGHT = 200
PEN = 0.1
INK, PAPER = 40.0, 220.0
# Supersampling factor: pixels drawn for one of coverage, along both axes.
_FINER = 4


def halves(left: float, right: float, shape: tuple[int, int] = (80, 100)) -> FloatArray:
    """Return a picture of two greys side by side."""
    return np.where(np.arange(shape[1]) < shape[1] // 2, left, right).astype(np.float32) * np.ones(shape, np.float32)


@cache
def drawn(digit: int) -> Hand:
    """Return the hand that writes a digit of `tests.pictures`."""

    # Most scenes begin with the same drawing.
    @cache
    def write(height: int, pen: float) -> FloatArray:
        # The path of the pen's tip is shorter than the digit by the width of the pen.
        share = 0.9 * (1 - pen)
        box = (0.5 - share / 3, 0.05 + 0.45 * pen, 0.5 + share / 3, 0.95 - 0.45 * pen)
        side = round(_FINER * height / 0.9)
        image = draw(digit, size=(side, side), box=box, width=0.9 * pen, ink=255, paper=0)
        fine = np.asarray(image.crop(image.getbbox()))
        pads = [(0, -length % _FINER) for length in fine.shape]
        coverage = np.asarray(Image.fromarray(np.pad(fine, pads)).reduce(_FINER), np.float32) / np.float32(255)
        coverage.flags.writeable = False
        return coverage

    return write


def magnified(digit: npt.NDArray[np.uint8]) -> Hand:
    """Return the hand that wrote a digit of MNIST, uint8 (28, 28); it ignores the width of the pen."""
    rows, columns = (np.flatnonzero(digit.any(axis=axis)) for axis in (1, 0))
    tight = np.pad(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 2)

    def write(height: int, pen: float) -> FloatArray:  # noqa: ARG001 - MNIST's pen is fixed
        scale = height / (tight.shape[0] - 4)
        size = (round(scale * tight.shape[1]), round(scale * tight.shape[0]))
        smooth = ndimage.gaussian_filter(
            np.asarray(Image.fromarray(tight).resize(size, Image.Resampling.BICUBIC), np.float32) / 255, scale / 4
        )
        # Half-covered pixels of MNIST become edges of a fifth of their width.
        inked = np.clip(5 * smooth - 2, 0, 1).astype(np.float32)
        return inked[np.ix_(inked.any(axis=1), inked.any(axis=0))]

    return write


def placed(
    coverage: FloatArray, size: tuple[int, int] = (SIDE, SIDE), place: tuple[float, float] = (0.5, 0.5)
) -> FloatArray:
    """Return coverage (height, width) with a digit at a place, 0 = at the first row or column, 1 = at the last."""
    top, left = (round(share * (whole - part)) for share, whole, part in zip(place, size, coverage.shape, strict=True))
    height, width = coverage.shape
    ground = np.zeros((size[0] + 2 * height, size[1] + 2 * width), np.float32)
    ground[top + height : top + 2 * height, left + width : left + 2 * width] = coverage
    return ground[height : height + size[0], width : width + size[1]]


def painted(coverage: FloatArray, ink: float = INK, paper: float = PAPER) -> FloatArray:
    """Return greys 0..255: ink where it covers, paper elsewhere."""
    return paper + (ink - paper) * coverage


def coloured(coverage: FloatArray, ink: tuple[float, ...], paper: tuple[float, ...]) -> FloatArray:
    """Return colours (height, width, 3), 0..255: ink where it covers, paper elsewhere."""
    colours: FloatArray = (np.array(paper) + (np.array(ink) - np.array(paper)) * coverage[:, :, None]).astype(
        np.float32
    )
    return colours


def photo(greys: FloatArray, rng: np.random.Generator, *, noise: float = 3, quality: int = 85) -> bytes:
    """Return greys or colours, 0..255, as a camera's JPEG, with noise of this standard deviation."""
    return encode(eight_bits(greys + rng.normal(0, noise, greys.shape)), "JPEG", quality=quality)


def eight_bits(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return numbers rounded and clipped to uint8."""
    return np.asarray(np.clip(np.round(values), 0, 255), np.uint8)


@cache
def axes(side: int = SIDE) -> tuple[FloatArray, FloatArray]:
    """Return the row and the column of every pixel of a square, from -1 to 1."""
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].astype(np.float32)
    rows.flags.writeable = columns.flags.writeable = False
    return rows, columns


def cloud(shape: tuple[int, ...], smoothness: float, rng: np.random.Generator) -> FloatArray:
    """Return Gaussian noise with this correlation length in pixels: mean 0, standard deviation 1."""
    # Smooth noise is made at a lower resolution and upsampled, which is faster.
    step = max(1, int(smoothness // 4))
    coarse = ndimage.gaussian_filter(rng.normal(0, 1, [-(-side // step) + 1 for side in shape]), smoothness / step)
    fine = ndimage.zoom(coarse, step, order=1)[: shape[0], : shape[1]] if step > 1 else coarse[: shape[0], : shape[1]]
    even: FloatArray = ((fine - fine.mean()) / fine.std()).astype(np.float32)
    return even


def ramp(angle: float, darkest: float, side: int = SIDE) -> FloatArray:
    """Return light (side, side) that falls from 1 to `darkest` of it in a direction, in radians."""
    rows, columns = axes(side)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    along = (along - along.min()) / np.ptp(along)
    light: FloatArray = (1 - (1 - darkest) * along).astype(np.float32)
    return light


def lines(rng: np.random.Generator, *, spacing: float, width: float, upright: bool) -> FloatArray:
    """Return coverage by the lines of ruled paper, or of squared paper, rotated by up to 3 degrees."""
    angle = np.radians(rng.uniform(-3, 3))
    rows, columns = (SIDE / 2 * axis for axis in axes())
    distances = [rows * np.cos(angle) + columns * np.sin(angle)]
    if upright:
        distances.append(columns * np.cos(angle) - rows * np.sin(angle))
    ruled = np.zeros((SIDE, SIDE), np.float32)
    for distance in distances:
        nearest = np.abs((distance + rng.uniform(0, spacing)) % spacing - spacing / 2)
        ruled = np.maximum(ruled, np.clip(width / 2 + 0.5 - nearest, 0, 1))
    return ruled


def anywhere(rng: np.random.Generator) -> tuple[float, float]:
    """Return a place at which the digit does not touch the edges."""
    return (rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9))


# --- Light


def vignetting(hand: Hand, rng: np.random.Generator) -> bytes:
    """Leave a third of the light in the corners, as a lens does."""
    rows, columns = axes()
    return photo(painted(placed(hand(HEIGHT, PEN))) * (1 - 0.33 * (rows**2 + columns**2)), rng)


def sharp_shadow(hand: Hand, rng: np.random.Generator) -> bytes:
    """Put the edge of a shadow, which takes half the light, across the digit."""
    rows, columns = axes()
    angle = rng.uniform(0, 2 * np.pi)
    beyond = np.cos(angle) * columns + np.sin(angle) * rows > rng.uniform(-0.2, 0.2)
    light = ndimage.gaussian_filter(np.where(beyond, 0.5, 1), 1.5)
    return photo(painted(placed(hand(HEIGHT, PEN))) * light, rng)


def soft_shadow(hand: Hand, rng: np.random.Generator) -> bytes:
    """Add soft shadows, as of leaves or a lamp shade, which take up to about half the light."""
    light = np.clip(0.8 + 0.12 * cloud((SIDE, SIDE), 60, rng), 0.4, 1.1)
    return photo(painted(placed(hand(HEIGHT, PEN), place=anywhere(rng))) * light, rng)


def slanting_light(hand: Hand, rng: np.random.Generator) -> bytes:
    """Light it from one side, so that the other is less than half as bright."""
    light = ramp(rng.uniform(0, 2 * np.pi), 0.45)
    return photo(painted(placed(hand(HEIGHT, PEN), place=anywhere(rng))) * light, rng)


def warm_light(hand: Hand, rng: np.random.Generator) -> bytes:
    """Light it with a lamp in the evening: little blue, and less of everything away from it."""
    light = ramp(rng.uniform(0, 2 * np.pi), 0.6)[:, :, None] * np.array([1, 0.85, 0.6])
    return photo(painted(placed(hand(HEIGHT, PEN), place=anywhere(rng)))[:, :, None] * light, rng)


# --- Background


def ghosts(hand: Hand, rng: np.random.Generator) -> bytes:
    """Add mirrored writing of the back side, with up to 18 % of the ink's contrast."""
    back = np.zeros((SIDE, SIDE), np.float32)
    for digit in rng.integers(0, 10, 3).tolist():
        mirrored = ndimage.gaussian_filter(drawn(digit)(int(rng.integers(150, 250)), PEN)[:, ::-1], 2)
        back = np.maximum(back, placed(mirrored, place=(rng.random(), rng.random())))
    return photo(painted(np.maximum(placed(hand(HEIGHT, PEN)), rng.uniform(0.15, 0.18) * back)), rng)


def squared_paper(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write on squared paper, whose lines have 30 % of the ink's contrast."""
    squares = lines(rng, spacing=rng.uniform(60, 120), width=3, upright=True)
    return photo(painted(np.maximum(placed(hand(HEIGHT, PEN), place=anywhere(rng)), 0.3 * squares)), rng)


def ruled_paper(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write on ruled paper, whose lines have 30 % of the ink's contrast."""
    rules = lines(rng, spacing=rng.uniform(50, 120), width=3, upright=False)
    return photo(painted(np.maximum(placed(hand(HEIGHT, PEN), place=anywhere(rng)), 0.3 * rules)), rng)


def printed_box(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write into the box of a form, all of whose sides are on the picture."""
    margin = int(rng.integers(30, 70))
    frame = np.zeros((SIDE, SIDE), np.float32)
    frame[margin:-margin, margin:-margin] = 0.8
    frame[margin + 3 : -margin - 3, margin + 3 : -margin - 3] = 0
    return photo(painted(np.maximum(placed(hand(180, PEN)), frame)), rng)


def pencil_in_a_black_box(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a pencil, half as dark as print, into a box at the edges of the picture."""
    frame = np.zeros((SIDE, SIDE), np.float32)
    frame[3:-3, 3:-3] = 1
    frame[6:-6, 6:-6] = 0
    margin = int(rng.integers(6, 30))
    place = (rng.uniform(0, 1), rng.uniform(0, 1))
    digit = np.pad(placed(hand(HEIGHT, PEN), (SIDE - 2 * margin, SIDE - 2 * margin), place), margin)
    return photo(painted(np.maximum(0.5 * digit, frame)), rng)


def dense_rules(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write over six or more rules, half as dark as the ink, and leave the paper at the bottom."""
    rules = lines(rng, spacing=rng.uniform(40, 60), width=3, upright=False)
    digit = placed(hand(250, PEN), place=(1.0, rng.uniform(0.3, 0.7)))
    return photo(painted(np.maximum(digit, 0.5 * rules)), rng)


def shadow_beside(hand: Hand, rng: np.random.Generator) -> bytes:
    """Lay the slanting edge of a shadow, which takes half the light, beside the digit."""
    rows, columns = axes()
    light = np.where(columns > -0.55 - rng.uniform(0.1, 0.3) * rows, np.float32(1), np.float32(0.5))
    return photo(light * painted(placed(hand(HEIGHT, PEN), place=(0.5, 0.8))), rng)


def table_cell(hand: Hand, rng: np.random.Generator) -> bytes:
    """Cut it out of a table, with the cell's lines on two to four sides, near the edges."""
    frame = np.zeros((SIDE, SIDE), np.float32)
    for side in rng.permutation(4)[: int(rng.integers(2, 5))].tolist():
        at = int(rng.integers(3, 25))
        np.rot90(frame, side)[at : at + int(rng.integers(2, 5))] = 0.9
    return photo(painted(np.maximum(placed(hand(HEIGHT, PEN)), frame)), rng)


# --- What else is on the picture


def neighbour(hand: Hand, rng: np.random.Generator) -> bytes:
    """Cut through the digit before, or the one after, so that its strokes stand at the edge."""
    ground = placed(hand(HEIGHT, PEN))
    other = drawn(int(rng.integers(0, 10)))(HEIGHT, PEN)
    # Leaving 15 to 40 pixels of it on the picture.
    seen = rng.uniform(15, 40) / (SIDE - other.shape[1])
    beyond = other.shape[1] / (SIDE - other.shape[1])
    across = rng.choice([-beyond + seen, 1 + beyond - seen])
    return photo(painted(np.maximum(ground, placed(other, place=(rng.uniform(0.2, 0.8), across)))), rng)


def thumb(hand: Hand, rng: np.random.Generator) -> bytes:
    """Hold the sheet with a thumb at one of its edges."""
    rows, columns = axes()
    ellipse = ((rows - 1.15) / 0.45) ** 2 + ((columns - rng.uniform(-0.9, 0.9)) / 0.3) ** 2
    held = np.rot90(np.clip(10 * (1 - ellipse), 0, 1), int(rng.integers(4)))
    skin = 115 + 5 * cloud((SIDE, SIDE), 6, rng)
    return photo(painted(placed(hand(180, PEN))) * (1 - held) + skin * held, rng)


def specks(hand: Hand, rng: np.random.Generator) -> bytes:
    """Scatter a dozen specks, up to a thirtieth of the digit's height across."""
    ground = placed(hand(HEIGHT, PEN))
    rows, columns = (SIDE / 2 * axis for axis in axes())
    for row, column, radius in rng.uniform((-SIDE / 2, -SIDE / 2, 0.5), (SIDE / 2, SIDE / 2, 3.5), (12, 3)):
        ground = np.maximum(ground, 0.9 * (np.hypot(rows - row, columns - column) < radius))
    return photo(painted(ground), rng)


def cut_out_on_white(hand: Hand, rng: np.random.Generator) -> bytes:
    """Pad a grey scrap of paper with white, as programs do."""
    return _padded(hand, rng, np.full((SIDE, SIDE), 255, np.float32))


def cut_out_on_black(hand: Hand, rng: np.random.Generator) -> bytes:
    """Pad a grey scrap of paper with black, as programs do."""
    return _padded(hand, rng, np.zeros((SIDE, SIDE), np.float32))


def dark_table(hand: Hand, rng: np.random.Generator) -> bytes:
    """Lay the sheet, smaller than the picture, on a table of dark wood."""
    return _padded(hand, rng, 60 + 8 * cloud((SIDE, SIDE), 3, rng))


def _padded(hand: Hand, rng: np.random.Generator, ground: FloatArray) -> bytes:
    top, left = rng.integers(20, 120, 2)
    scrap = painted(placed(hand(150, PEN), (260, 240)), paper=rng.uniform(160, 215))
    ground[top : top + 260, left : left + 240] = scrap + rng.normal(0, 3, scrap.shape)
    return photo(ground, rng, noise=0)


def edge_of_the_sheet(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write nearly to the edge of a slip of paper on a darker table, but leave a 1 some paper beside it."""
    digit = hand(HEIGHT, rng.uniform(0.03, PEN))
    digit = placed(digit, (HEIGHT, max(HEIGHT // 2, digit.shape[1])))
    digit = placed(digit, (HEIGHT + 40, HEIGHT), (0.5, float(rng.integers(0, 2))))
    slip = painted(np.pad(digit, 8))
    table = rng.uniform(30, 100) + 8 * cloud((SIDE, SIDE), 3, rng)
    top, left = rng.integers(60, 100, 2)
    table[top : top + slip.shape[0], left : left + slip.shape[1]] = slip
    return photo(table, rng)


def small_on_black(hand: Hand, rng: np.random.Generator) -> bytes:
    """Draw on 28x28 pixels, and pad them with black to 40x40."""
    drawing = painted(placed(hand(19, PEN), (28, 28), anywhere(rng)), 0, 255)
    top, left = rng.integers(3, 10, 2)
    return encode(eight_bits(np.pad(drawing, ((top, 12 - top), (left, 12 - left)))))


def letterbox(hand: Hand, rng: np.random.Generator) -> bytes:
    """Put black bars left and right, as around a film."""
    scene = painted(placed(hand(HEIGHT, PEN), place=anywhere(rng)))
    return photo(np.pad(scene + rng.normal(0, 3, scene.shape), ((0, 0), (120, 120))), rng, noise=0)


# --- Pens


def pencil(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a pencil 50 grey levels darker than the paper, both with grain."""
    lead = np.clip(0.8 + 0.2 * cloud((SIDE, SIDE), 1, rng), 0.3, 1)
    grain = 3 * cloud((SIDE, SIDE), 1.5, rng)
    return photo(painted(placed(hand(HEIGHT, 0.06), place=anywhere(rng)) * lead, 150, 200) + grain, rng)


def ballpoint(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a pen as thin as 2.4 % of the digit's height."""
    ground = placed(hand(300, 0.024), place=anywhere(rng))
    return photo(painted(ground, 60, 210) * ramp(rng.uniform(0, 2 * np.pi), 0.7), rng)


def marker(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a marker as wide as 20 % of the digit's height."""
    return photo(painted(placed(hand(300, 0.2), place=anywhere(rng)), 30, 225), rng)


def red_ink(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a teacher's pen."""
    return photo(coloured(placed(hand(HEIGHT, PEN), place=anywhere(rng)), (200, 40, 50), (225, 220, 205)), rng)


def blue_ink(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a pupil's pen."""
    return photo(coloured(placed(hand(HEIGHT, PEN), place=anywhere(rng)), (60, 80, 190), (225, 220, 205)), rng)


def green_ink(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a felt pen."""
    return photo(coloured(placed(hand(HEIGHT, PEN), place=anywhere(rng)), (40, 150, 80), (225, 220, 205)), rng)


def yellow_ink(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a highlighter, which is nearly as bright as the paper."""
    return photo(coloured(placed(hand(HEIGHT, PEN), place=anywhere(rng)), (250, 230, 60), (250, 250, 245)), rng)


def chalk(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with chalk, which does not cover everywhere, on a board that was not quite cleaned."""
    cover = np.clip(0.75 + 0.25 * cloud((SIDE, SIDE), 1, rng), 0, 1)
    ground = painted(placed(hand(HEIGHT, PEN), place=anywhere(rng)) * cover, 230, 60)
    return photo(ground + 8 * cloud((SIDE, SIDE), 20, rng), rng, noise=6)


def broken_strokes(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write with a pen that leaves three gaps of one and a half stroke widths."""
    ground = placed(hand(HEIGHT, 0.06))
    rows, columns = (SIDE / 2 * axis for axis in axes())
    inked = np.argwhere(ground > 0.5)
    for row, column in inked[rng.integers(len(inked), size=3)]:
        ground = ground * (np.hypot(rows - rows[row, 0], columns - columns[0, column]) > 9)
    return photo(painted(ground), rng)


# --- Size and place


def small_in_the_frame(hand: Hand, rng: np.random.Generator) -> bytes:
    """Write no larger than 15 % of the picture's height."""
    return photo(painted(placed(hand(round(0.15 * SIDE), PEN), place=anywhere(rng))), rng)


def filling_the_frame(hand: Hand, rng: np.random.Generator) -> bytes:
    """Cut the digit out along its own edges, but leave a 1 some paper beside it."""
    digit = hand(HEIGHT, PEN)
    return photo(painted(placed(digit, (HEIGHT, max(HEIGHT // 2, digit.shape[1])))), rng)


def leaving(side: int, share: float) -> Scene:
    """Return the scene of a digit of which this share is cut off by a side: 0 top, 1 left, 2 bottom, 3 right."""

    def scene(hand: Hand, rng: np.random.Generator) -> bytes:
        digit = hand(HEIGHT, PEN)
        axis = side % 2
        before = -share * digit.shape[axis] / (SIDE - digit.shape[axis])
        place = [0.5, 0.5]
        place[axis] = before if side < 2 else 1 - before
        return photo(painted(placed(digit, place=(place[0], place[1]))), rng)

    return scene


def mouse(hand: Hand, rng: np.random.Generator) -> bytes:
    """Draw with hard edges on 28x28 pixels, off the centre."""
    return encode(eight_bits(255 * (placed(hand(19, PEN), (28, 28), anywhere(rng)) < 0.4)))


def mouse_on_black(hand: Hand, rng: np.random.Generator) -> bytes:
    """Draw with hard edges on 28x28 pixels, in white on black."""
    return encode(eight_bits(255 * (placed(hand(19, PEN), (28, 28), anywhere(rng)) > 0.4)))


def faint(hand: Hand, rng: np.random.Generator) -> bytes:
    """Draw on 28x28 pixels with no more than 60 of 255, on black."""
    return encode(eight_bits(60 * placed(hand(19, PEN), (28, 28), anywhere(rng))))


def tiny(hand: Hand, rng: np.random.Generator) -> bytes:
    """Scan it with 16x16 pixels, as post codes were."""
    return encode(eight_bits(painted(placed(hand(14, PEN), (16, 16), anywhere(rng)), 20, 250)))


# --- Files


def coarse_jpeg(hand: Hand, rng: np.random.Generator) -> bytes:
    """Store it as a JPEG of quality 10, with rings around its strokes."""
    return encode(eight_bits(painted(placed(hand(80, PEN), (140, 140), anywhere(rng)), 0, 255)), "JPEG", quality=10)


def transparent(hand: Hand, rng: np.random.Generator) -> bytes:
    """Draw on a transparent ground, in ink of any colour."""
    ink = np.broadcast_to(rng.integers(0, 256, 3), (SIDE, SIDE, 3))
    opacity = 255 * placed(hand(HEIGHT, PEN), place=anywhere(rng))
    return encode(eight_bits(np.dstack([ink, opacity])))


SCENES: Mapping[str, Scene] = MappingProxyType(
    {
        scene.__name__.replace("_", " "): scene
        for scene in (
            vignetting,
            sharp_shadow,
            soft_shadow,
            slanting_light,
            warm_light,
            ghosts,
            squared_paper,
            ruled_paper,
            printed_box,
            pencil_in_a_black_box,
            dense_rules,
            shadow_beside,
            table_cell,
            neighbour,
            thumb,
            specks,
            cut_out_on_white,
            cut_out_on_black,
            dark_table,
            edge_of_the_sheet,
            small_on_black,
            letterbox,
            pencil,
            ballpoint,
            marker,
            red_ink,
            blue_ink,
            green_ink,
            yellow_ink,
            chalk,
            broken_strokes,
            small_in_the_frame,
            filling_the_frame,
            mouse,
            mouse_on_black,
            faint,
            tiny,
            coarse_jpeg,
            transparent,
        )
    }
    | {
        f"{verb} at the {name}": leaving(side, share)
        for verb, share in (("touching", 0.0), ("leaving", 0.05))
        for side, name in enumerate(("top", "left", "bottom", "right"))
    }
)


def dice(*names: object) -> np.random.Generator:
    """Return a random generator that is seeded with these names."""
    return np.random.default_rng(crc32(" ".join(map(str, names)).encode()))
