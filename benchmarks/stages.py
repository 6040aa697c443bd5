"""What decoding, normalising and the network cost on one core.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.stages

A digit in MNIST form is the one that the model file carries as its known answer. Prints the best of several rounds, and
for a photo of 12 megapixels the ratio to Pillow's full decode of it in the same run.
"""

from __future__ import annotations

import io

from PIL import Image

from benchmarks import pictures
from benchmarks.clock import best
from service import artifact
from service.decoding import decode
from service.normalization import normalize
from service.settings import bundled_model

_MAX_PIXELS = 50_000_000


def main() -> None:
    """Measure and print."""
    model = artifact.load(bundled_model())
    known = model.metadata.known_answer
    inputs = known.inputs
    png, photo = pictures.tiny(), pictures.photo()
    grey, photographed = decode(png, _MAX_PIXELS).grey, decode(photo, _MAX_PIXELS).grey
    inverted = 1 - grey
    full = best(lambda: Image.open(io.BytesIO(photo)).load(), 1)
    reduced = best(lambda: decode(photo, _MAX_PIXELS), 1)
    both = best(lambda: normalize(decode(png, _MAX_PIXELS).grey), 1000)
    print(f"28x28 PNG in MNIST form, decoded and normalised  {1e6 * both:8.0f} microseconds")
    print(f"  decoded                                        {1e6 * best(lambda: decode(png, _MAX_PIXELS), 1000):8.0f}")
    print(f"  normalised                                     {1e6 * best(lambda: normalize(grey), 1000):8.0f}")
    print(f"28x28, inverted, normalised                      {1e6 * best(lambda: normalize(inverted), 20):8.0f}")
    feedforward = best(lambda: model.network.feedforward(inputs), 1000)
    answer = best(lambda: model.answer(inputs), 1000)
    print(f"feedforward of one digit                         {1e6 * feedforward:8.0f}")
    print(f"  with probabilities and novelty                 {1e6 * answer:8.0f}")
    print(f"12-megapixel JPEG, decoded                       {1e6 * reduced:8.0f}")
    print(f"  Pillow's full decode                           {1e6 * full:8.0f}, ratio {reduced / full:.2f}")
    print(f"  normalised                                     {1e6 * best(lambda: normalize(photographed), 3):8.0f}")


if __name__ == "__main__":
    main()
