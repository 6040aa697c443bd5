"""A folder of many drawings for `deploy.ray.bulk`: synthetic digits as a canvas exports them, one file each.

    python -m benchmarks.drawings FOLDER [--number N]

The files are FOLDER/000/00000_7.png and so on: grey PNGs of 280x280 pixels, dark on white, a hundred in a folder, with
the digit at the end of the name. They are the same each time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from training.synthetic_digits import synthesize

_SIDE = 280
_DIGIT_SIDE = 200
# The least distance of MNIST's frame around the digit to the edge of the canvas.
_MARGIN = 10
_FILES_OF_A_FOLDER = 100


def write(folder: Path, n: int) -> None:
    """Write n drawings. Raises OSError when a file cannot be written."""
    rng = np.random.default_rng(0)
    digits = synthesize(n, rng)
    for number, (image, label) in enumerate(zip(digits.images, digits.labels.tolist(), strict=True)):
        ink = Image.fromarray(255 - image).resize((_DIGIT_SIDE, _DIGIT_SIDE), Image.Resampling.BICUBIC)
        canvas = Image.new("L", (_SIDE, _SIDE), 255)
        left, top = rng.integers(_MARGIN, _SIDE - _DIGIT_SIDE - _MARGIN, 2, endpoint=True).tolist()
        canvas.paste(ink, (left, top))
        path = folder / f"{number // _FILES_OF_A_FOLDER:03d}" / f"{number:05d}_{label}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a folder of drawings of digits.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--number", type=int, default=10_000, metavar="N", help="number of drawings; default: 10000")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.number)
