"""First-layer weights -> PNG, as in the lecture: one tile per unit, all on one grey scale.

Enters: a layer and a window of its units. Leaves: a PNG. Out of scope: routes and caching.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from service.errors import NotAPicture
from service.model.network import Layer
from service.types import IMAGE_SIDE, PIXELS

# Side of a weight in pixels of the PNG, and the gap between tiles.
_MAGNIFICATION = 4
_GAP = 4


def draw(layer: Layer, rows: int, columns: int, first: int) -> bytes:
    """Return a greyscale PNG of the incoming weights of rows x columns units, starting at unit `first`, row by row.

    Black is half the smallest weight of the layer and white half the largest, as in the lecture's figure. Tiles beyond
    the last unit are white. Raises NotAPicture when the layer's inputs are not 28x28 pixels, or when there is no unit
    `first`.
    """
    if layer.n_in != PIXELS:
        message = (
            f"this layer's {layer.n_in} inputs are units of the layer before, not pixels: only layer 0 can be drawn"
        )
        raise NotAPicture(message)
    if not 0 <= first < layer.n_out:
        message = f"first is {first}, but the layer's units are numbered 0 to {layer.n_out - 1}"
        raise NotAPicture(message)
    low, high = float(layer.weights.min()) / 2, float(layer.weights.max()) / 2
    greys = np.clip((layer.weights[:, first : first + rows * columns].T - low) / max(high - low, 1e-12), 0, 1)
    tiles = np.round(255 * greys).astype(np.uint8).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
    tiles = tiles.repeat(_MAGNIFICATION, axis=1).repeat(_MAGNIFICATION, axis=2)
    side = IMAGE_SIDE * _MAGNIFICATION
    step = side + _GAP
    sheet = np.full((rows * step - _GAP, columns * step - _GAP), 255, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * step, i % columns * step
        sheet[top : top + side, left : left + side] = tile
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    return buffer.getvalue()
