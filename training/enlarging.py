"""Training digits as the service sees them in pictures: enlarged, written with another pen, and normalised.

Enters: images uint8 (n, 28, 28) in MNIST form. Leaves: as many, after `service.images` has normalised the pictures.
Out of scope: what surrounds a digit in a picture, which `service.images` removes, and its tests cover.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from service.images.strokes import dilate
from training.synthetic_digits import normalize

# The ranges of: the factor by which a digit is enlarged; the radius of dilation, negative: erosion, in pixels of
# MNIST's digits; and the share of pictures whose edges are hard.
_FACTORS = (1.5, 6.0)
_RADII = (-0.7, 0.9)
_HARD_SHARE = 0.4


def renormalize(images: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return images uint8 (n, 28, 28), each enlarged, dilated or eroded, and normalised as the service does it."""
    changed = images.copy()
    for number, image in enumerate(images):
        factor, radius, is_hard = rng.uniform(*_FACTORS), rng.uniform(*_RADII), rng.random() < _HARD_SHARE
        large = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        large = dilate(large, factor * radius)
        if is_hard:
            large = cv2.threshold(large, 127, 255, cv2.THRESH_BINARY)[1]
        # Erosion may remove a thin digit.
        if large.max() > 127:
            changed[number] = normalize(large)
    return changed
