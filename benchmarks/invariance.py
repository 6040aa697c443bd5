"""How much worse MNIST's test digits are read as pictures of other forms than as arrays.

    DIGITS_DATA=DIR python -m benchmarks.invariance [NUMBER OF DIGITS]

Every form goes through the whole path of a picture: encoded, decoded, normalised. Prints the error of each in per cent
and its distance to the error of the arrays in percentage points. All 10,000 digits take some minutes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.classifier import Classifier
from service.settings import bundled_model
from training import mnist

Pixels = npt.NDArray[np.uint8]

_FRAME = 5 * 28
_MAGNIFICATION = 20


def _shifted(image: Pixels, rng: np.random.Generator) -> Pixels:
    frame = np.zeros((_FRAME, _FRAME), np.uint8)
    top, left = rng.integers(0, _FRAME - 28 + 1, 2)
    frame[top : top + 28, left : left + 28] = image
    return frame


def _magnified(image: Pixels, resample: Image.Resampling) -> Pixels:
    side = 28 * _MAGNIFICATION
    return np.asarray(Image.fromarray(image).resize((side, side), resample))


def main() -> None:
    """Measure and print."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    digits = mnist.load(mnist.find()).test[slice(0, n)]
    classifier = Classifier.load(bundled_model())
    rng = np.random.default_rng(0)
    forms: dict[str, Callable[[Pixels], Pixels]] = {
        "as PNG": lambda image: image,
        "inverted": lambda image: 255 - image,
        "shifted in a 5 times larger frame": lambda image: _shifted(image, rng),
        "magnified 20 times, nearest": lambda image: _magnified(image, Image.Resampling.NEAREST),
        "magnified 20 times, bilinear": lambda image: _magnified(image, Image.Resampling.BILINEAR),
        "magnified 20 times, bicubic": lambda image: _magnified(image, Image.Resampling.BICUBIC),
    }
    answers = [prediction.digit for prediction in classifier.predict_pixels(digits.images)]
    as_arrays = float(np.mean(np.array(answers) != digits.labels))
    print(f"{'as arrays':36}{as_arrays:7.2%}")
    for name, form in forms.items():
        n_wrong = 0
        for image, label in zip(digits.images, digits.labels, strict=True):
            file = io.BytesIO()
            Image.fromarray(form(image)).save(file, "PNG")
            n_wrong += classifier.predict_picture(file.getvalue()).digit != label
        error = n_wrong / len(digits)
        print(f"{name:36}{error:7.2%} {100 * (error - as_arrays):+6.2f} percentage points", flush=True)


if __name__ == "__main__":
    main()
