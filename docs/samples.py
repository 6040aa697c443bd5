"""The sample pictures: of each kind that people send one for the page, and numbers for the documents, all drawn.

    python -m docs.samples

Writes those of the page to service/web/samples, and docs/numbers.png. Prints what the bundled model makes of each. The
same run makes the same files.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from service.classifier import Classifier
from service.reader import Reader
from service.settings import bundled_model
from training.glyphs import FORMS
from training.synthetic_digits import Handwriting, draw

_DOCS = Path(__file__).parent
_FOLDER = _DOCS.parent / "service" / "web" / "samples"
_SIDE = 240
_STEADY = Handwriting(wobble=0.01, widths=(0.6, 0.7), slants=(4, 8), turns=(0, 0), pens=(2.2, 2.4), pressure=0.1)
_THIN = Handwriting(wobble=0.015, widths=(0.6, 0.7), slants=(8, 12), turns=(0, 0), pens=(1.1, 1.2), pressure=0.1)

# In the notation of `training.synthetic_digits`.
_FIVE = "86,2 26,2! 20,45! 55,37 88,66 54,100 8,90"
_TWO = "8,28 42,0 82,20 62,60 10,97! 42,90 70,100 96,92"
_SEVEN = "8,14 30,2 60,10 92,0! 46,100; 28,52 82,48"
_THREE = "10,12 50,0 84,22 42,47! 90,72 50,100 8,86"
_FOUR_OR_NINE = "46,4 18,30 24,48 76,44; 78,0 72,100"
_LETTER = "15,0 15,100; 85,0 15,55! 88,100"

Greys = npt.NDArray[np.float32]


def ink(form: str, hand: Handwriting, share: float, place: tuple[float, float], seed: int) -> Greys:
    """Return coverage (240, 240), 0..1, of a figure that takes this share of the picture, at a place from 0 to 1."""
    small = Image.fromarray(draw(form, 1, np.random.default_rng(seed), hand)[0])
    side = round(share * _SIDE * 28 / 20)
    large = small.resize((side, side), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(side / 28 * 0.45))
    sheet = Image.new("L", (_SIDE, _SIDE))
    sheet.paste(large, (round(place[0] * (_SIDE - side)), round(place[1] * (_SIDE - side))))
    return np.clip(np.asarray(sheet, np.float32) / 255 * 4 - 1.5, 0, 1)


def painted(coverage: Greys, colour: tuple[int, int, int], paper: Greys) -> Greys:
    """Return colours (240, 240, 3), 0..255: ink on paper of this shape."""
    return paper + (np.array(colour, np.float32) - paper) * coverage[:, :, None]


def sheet(colour: tuple[int, int, int]) -> Greys:
    """Return paper of one colour."""
    return np.full((_SIDE, _SIDE, 3), colour, np.float32)


def phone() -> Image.Image:
    """Return a photo of a note on a table: warm light that falls off, a dark edge, the noise of a small camera."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[0 : 1 : _SIDE * 1j, 0 : 1 : _SIDE * 1j].astype(np.float32)
    light = (1.02 - 0.4 * columns * rows - 0.18 * (columns - 0.4) ** 2)[:, :, None]
    written = painted(ink(_FIVE, _STEADY, 0.5, (0.35, 0.4), 1), (38, 44, 92), sheet((228, 219, 201)))
    table = (columns + 0.16 * rows > 0.98)[:, :, None]
    seen = np.where(table, np.array((86, 60, 44), np.float32), written) * light + rng.normal(0, 4, (_SIDE, _SIDE, 1))
    return _picture(seen).filter(ImageFilter.GaussianBlur(0.8))


def squared() -> Image.Image:
    """Return pencil on squared paper."""
    rng = np.random.default_rng(4)
    paper = sheet((243, 243, 240))
    for at in range(11, _SIDE, 24):
        paper[at : at + 1] = paper[:, at : at + 1] = (168, 196, 222)
    shade = ink(_TWO, _STEADY, 0.55, (0.5, 0.5), 2) * rng.uniform(0.7, 1, (_SIDE, _SIDE)).astype(np.float32)
    return _picture(painted(shade, (72, 72, 76), paper) + rng.normal(0, 2, (_SIDE, _SIDE, 1)))


def scan() -> Image.Image:
    """Return a ballpoint's thin line, small on a wide white page."""
    return _picture(painted(ink(_SEVEN, _THIN, 0.36, (0.62, 0.3), 5), (24, 34, 96), sheet((255, 255, 255)))).quantize(
        16
    )


def screen() -> Image.Image:
    """Return white on black, as on a tablet."""
    return _picture(painted(ink(_THREE, _STEADY, 0.62, (0.5, 0.5), 6), (255, 255, 255), sheet((0, 0, 0)))).quantize(16)


def plain(form: str, seed: int) -> Image.Image:
    """Return black on white."""
    return _picture(painted(ink(form, _STEADY, 0.6, (0.5, 0.5), seed), (20, 20, 24), sheet((255, 255, 255)))).quantize(
        16
    )


def numbers() -> Image.Image:
    """Return two lines of digits, 2024 and 17, in dark blue on white."""
    blank = np.zeros((_SIDE, _SIDE), np.float32)
    lines = [
        [blank if digit == " " else ink(FORMS[int(digit)][0], _STEADY, 0.6, (0.5, 0.5), seed) for digit in text]
        for seed, text in enumerate(("2024", "17  "), 21)
    ]
    tiles = [[tile[:, 40:200] for tile in line] for line in lines]
    seen = painted(np.block(tiles), (24, 34, 96), np.full((2 * _SIDE, 4 * 160, 3), 255, np.float32))
    return _picture(seen).resize((320, 240), Image.Resampling.BOX).quantize(16)


def _picture(colours: npt.NDArray[Any]) -> Image.Image:
    return Image.fromarray(np.clip(np.round(colours), 0, 255).astype(np.uint8))


def main() -> None:
    """Make all and tell what they are read as."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    classifier = Classifier.load(bundled_model())
    pictures = {
        "phone.jpg": phone(),
        "squared.jpg": squared(),
        "scan.png": scan(),
        "screen.png": screen(),
        "ambiguous.png": plain(_FOUR_OR_NINE, 164),
        "letter.png": plain(_LETTER, 9),
    }
    for name, picture in pictures.items():
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG" if name.endswith("jpg") else "PNG", quality=80, optimize=True)
        (_FOLDER / name).write_bytes(buffer.getvalue())
        read = classifier.predict_picture(buffer.getvalue())
        print(f"{name:14} {len(buffer.getvalue()):6} bytes  {read.digit} {read.confidence:.3f} {read.verdict}")
    numbers().save(_DOCS / "numbers.png", optimize=True)
    reading = Reader(classifier).read_picture((_DOCS / "numbers.png").read_bytes())
    print(f"{'numbers.png':14} {reading.text.split()} {reading.confidence:.3f} {reading.verdict}")


if __name__ == "__main__":
    main()
