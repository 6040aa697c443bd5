"""Contact sheets: tiles in rows, each above the lines of its caption.

Enters: images of one size with their captions. Leaves: one RGB image. Out of scope: what a tile shows (`pictures`,
`numbers`).
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

# The height of a line of a caption, the margin to its left, and the gap between tiles, in pixels.
_LINE_HEIGHT = 16
_MARGIN = 2
_GAP = 8


def contact_sheet(
    tiles: Sequence[tuple[Image.Image, Sequence[str]]], size: tuple[int, int], n_columns: int, n_lines: int
) -> Image.Image:
    """Return an RGB image of tiles of this (width, height) in pixels, each with a caption of up to `n_lines` lines."""
    width, height = size[0] + _GAP, size[1] + n_lines * _LINE_HEIGHT
    n_rows = max(1, -(-len(tiles) // n_columns))
    sheet = Image.new("RGB", (n_columns * width, n_rows * height), "white")
    canvas = ImageDraw.Draw(sheet)
    for number, (tile, caption) in enumerate(tiles):
        left, top = number % n_columns * width, number // n_columns * height
        sheet.paste(tile, (left, top))
        for row, line in enumerate(caption):
            canvas.text((left + _MARGIN, top + size[1] + row * _LINE_HEIGHT), line, fill="black")
    return sheet
