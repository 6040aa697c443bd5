"""Naive preprocessing, shared by the peers that accept pictures."""

import numpy as np
from PIL import Image, ImageOps, ImageStat


def pixels(image: Image.Image) -> np.ndarray:
    """Return float32 (1, 784), 0 = background to 1 = ink. The digit is expected to fill the picture."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    grey = image.convert("L")
    if ImageStat.Stat(grey).mean[0] > 127:
        grey = ImageOps.invert(grey)
    return np.asarray(grey.resize((28, 28)), np.float32).reshape(1, -1) / 255
