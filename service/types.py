"""Constants and array types that packages share, so that `images` and `model` do not import each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IMAGE_SIDE = 28
PIXELS = IMAGE_SIDE * IMAGE_SIDE

FORMATS = ("PNG", "JPEG", "HEIC", "AVIF", "WebP", "GIF", "BMP", "TIFF")
"""The formats of pictures that can be read."""

FloatArray = npt.NDArray[np.float32]
Probabilities = npt.NDArray[np.float64]
ByteArray = npt.NDArray[np.uint8]
"""uint8, of a picture or of a mask: (height, width), or (height, width, 3) with red, green and blue."""
