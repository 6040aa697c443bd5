"""What decoding, normalising and the network cost on one core.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.stages

A digit in MNIST form is the one that the model file carries as its known answer; the drawing and the photo show it too.
Prints the best of several rounds.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image

from benchmarks import pictures
from benchmarks.clock import best
from service import artifact
from service.decoding import decode
from service.normalization import normalize
from service.settings import bundled_model

_MAX_PIXELS = 50_000_000


def _print(name: str, call: Callable[[], object], n: int) -> None:
    print(f"{name:50}{1e6 * best(call, n):8.0f}")


def main() -> None:
    """Measure and print."""
    model = artifact.load(bundled_model())
    inputs = model.metadata.known_answer.inputs
    png, drawing, photo = pictures.tiny(), pictures.drawing(), pictures.photo()
    grey, drawn, photographed = (decode(picture, _MAX_PIXELS).grey for picture in (png, drawing, photo))
    inverted = 1 - grey
    print(f"{'':46}microseconds")
    _print("28x28 PNG in MNIST form, decoded and normalised", lambda: normalize(decode(png, _MAX_PIXELS).grey), 1000)
    _print("  decoded", lambda: decode(png, _MAX_PIXELS), 1000)
    _print("  normalised", lambda: normalize(grey), 1000)
    _print("28x28, inverted, normalised", lambda: normalize(inverted), 20)
    _print("280x280 PNG, drawn on nothing, decoded", lambda: decode(drawing, _MAX_PIXELS), 20)
    _print("  normalised", lambda: normalize(drawn), 20)
    _print("12-megapixel JPEG, decoded", lambda: decode(photo, _MAX_PIXELS), 1)
    _print("  normalised", lambda: normalize(photographed), 3)
    _print("  Pillow's full decode", lambda: Image.open(io.BytesIO(photo)).load(), 1)
    _print("feedforward of one digit", lambda: model.network.feedforward(inputs), 1000)
    _print("  with probabilities and novelty", lambda: model.answer(inputs), 1000)


if __name__ == "__main__":
    main()
