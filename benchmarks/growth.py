"""How cost grows: with the size of a picture, with the size of a batch, and with the width of the network.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.growth

The pictures are photos of the digit of the model's known answer, in uneven light, as PNG and as JPEG. The batches
repeat that digit. The networks have two hidden layers, the second half as wide as the first, and random weights. Each
time is the best of several rounds, since other load on the machine only adds to it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PIL import Image

from benchmarks import pictures
from service.images.decoding import decode
from service.images.pipeline import normalize
from service.model import artifact
from service.model.network import Layer, Network
from service.settings import bundled_model
from service.types import PIXELS

_MAX_PIXELS = 50_000_000
_SIDES = (28, 56, 112, 280, 600, 1200, 2400, 4800)
_BATCHES = (1, 2, 4, 16, 64, 256, 1024)
_WIDTHS = (64, 128, 256, 512, 1024, 2048)
_ROUNDS = 7


def _best(call: Callable[[], object], n: int) -> float:
    """Return the seconds of one call, in the best of several rounds of n calls."""
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        for _ in range(n):
            call()
        times.append((time.perf_counter() - start) / n)
    return min(times)


def _png(jpeg: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _network(width: int) -> Network:
    rng = np.random.default_rng(0)
    sizes = [PIXELS, width, width // 2, 10]
    layers = [
        Layer(rng.normal(0, 0.05, shape).astype(np.float32), np.zeros(shape[1], np.float32), "relu")
        for shape in pairwise(sizes)
    ]
    layers[-1] = Layer(layers[-1].weights, layers[-1].biases, "softmax")
    return Network(tuple(layers), tuple(range(10)))


def main() -> None:
    """Measure and print."""
    print(f"{'side in pixels':>16}{'PNG decoded':>14}{'JPEG decoded':>14}{'normalised':>14}   milliseconds")
    for side in _SIDES:
        jpeg = pictures.photo(side, side)
        png = _png(jpeg)
        n = 20 if side < 1000 else 2
        pixels = decode(jpeg, _MAX_PIXELS).pixels
        decoded = [1000 * _best(lambda data=data: decode(data, _MAX_PIXELS), n) for data in (png, jpeg)]  # type: ignore[misc]
        print(f"{side:16}{decoded[0]:14.2f}{decoded[1]:14.2f}{1000 * _best(lambda: normalize(pixels), n):14.2f}")  # noqa: B023

    model = artifact.load(bundled_model())
    print(f"\n{'digits at once':>16}{'together':>14}{'each':>14}   microseconds")
    for size in _BATCHES:
        inputs = np.repeat(model.metadata.known_answer.inputs, size, axis=0)
        together = 1e6 * _best(lambda: model.answer(inputs), max(3, 300 // size))  # noqa: B023
        print(f"{size:16}{together:14.0f}{together / size:14.1f}")

    inputs = model.metadata.known_answer.inputs
    print(f"\n{'hidden units':>16}{'parameters':>14}{'one digit':>14}   microseconds")
    for width in _WIDTHS:
        network = _network(width)
        one = 1e6 * _best(lambda: network.feedforward(inputs), 200)  # noqa: B023
        print(f"{f'{width} + {width // 2}':>16}{network.n_parameters:14}{one:14.0f}")


if __name__ == "__main__":
    main()
