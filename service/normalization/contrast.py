"""Second step, a part of it: the contrast of ink to the paper around it.

Enters: brightness under even light, float32 (height, width), paper about 1, ink darker. Leaves: how much darker than
its paper each pixel is, as seen through one window after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.network import FloatArray
from service.normalization.paper import visible
from service.normalization.windows import sliding_max


def contrasts(brightness: FloatArray, windows: Iterable[int]) -> Iterator[FloatArray]:
    """Yield how much darker than its paper each pixel is, 0 to 1, for strokes narrower than each window, in pixels.

    The paper is the morphological closing of the picture: what remains of it when everything dark into which a square
    of that side does not fit is filled up from its surroundings. So the edge of a shadow, or of the sheet, is paper.
    Windows come in ascending order; of each the next odd number is taken.
    """
    highest, reached = brightness, 1
    for window in windows:
        side = window + 1 - window % 2
        # The maximum over a square is that of the maxima over smaller ones within it.
        more = side - reached + 1
        highest, reached = sliding_max(highest, more, more), side
        paper = -sliding_max(-highest, side, side)
        yield 1 - brightness / visible(paper)
