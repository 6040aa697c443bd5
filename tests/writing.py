"""Numbers in lines, drawn while the tests run, with the place of each digit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.images.components import Box
from service.types import ByteArray
from tests.pictures import draw


@dataclass(frozen=True)
class Writing:
    """Lines of digits, black on white. A space leaves the place of a digit free.

    `height` is that of a digit in pixels. Shares of it: `pitch` from one digit to the next, `spacing` from one line to
    the next, `pen` the width of the strokes, and `rise`, by which each digit is higher than the one before.
    """

    lines: tuple[str, ...]
    height: int = 60
    pitch: float = 0.8
    spacing: float = 1.6
    pen: float = 0.08
    rise: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) of the picture, with a margin of half a digit."""
        n_columns = max(map(len, self.lines))
        top, left = self._place(len(self.lines) - 1, n_columns - 1)
        lowest, _ = self._place(len(self.lines) - 1, 0)
        bottom = max(top, lowest) + self.height
        return bottom + self.height // 2, left + self.height + self.height // 2

    @property
    def pixels(self) -> ByteArray:
        """The picture, uint8 (height, width)."""
        places = [(line, column) for line, text in enumerate(self.lines) for column in range(len(text))]
        together: ByteArray = np.min([self._alone(*place) for place in places], axis=0)
        return together

    def box(self, line: int, column: int) -> Box:
        """Return the bounding box of the ink of one digit."""
        rows, columns = (np.flatnonzero((self._alone(line, column) < 128).any(axis=axis)).tolist() for axis in (1, 0))
        return Box(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)

    def boxes(self, line: int) -> list[Box]:
        """Return the boxes of the digits of a line."""
        return [self.box(line, column) for column, digit in enumerate(self.lines[line]) if digit != " "]

    def _place(self, line: int, column: int) -> tuple[int, int]:
        n_columns = max(map(len, self.lines))
        risen = (n_columns - 1 - column if self.rise > 0 else -column) * self.rise
        top = (0.5 + line * self.spacing + risen) * self.height
        return round(top), round((0.5 + column * self.pitch) * self.height)

    def _alone(self, line: int, column: int) -> ByteArray:
        """Return the picture with only one digit."""
        picture = np.full(self.size, 255, np.uint8)
        digit = self.lines[line][column]
        if digit != " ":
            side, (top, left) = self.height, self._place(line, column)
            box = (0.15, self.pen / 2, 0.85, 1 - self.pen / 2)
            alone = draw(int(digit), size=(side, side), box=box, width=self.pen)
            picture[top : top + side, left : left + side] = np.asarray(alone)
        return picture


def closeness(box: Box, other: Box) -> int:
    """Return the largest difference between the sides of two boxes, in pixels."""
    return max(abs(one - two) for one, two in zip(box, other, strict=True))
