"""Times of the steps of a prediction for the pictures of a folder, as JSON. `benchmarks.stages` runs it.

    PYTHONPATH=CHECKOUT python -P benchmarks/stage_times.py FOLDER [SECONDS]

Measures the service on PYTHONPATH: that of this checkout, or of one before pictures moved to `service.images`. So it
imports nothing else of the project. Prints {"pictures": {name: {step: seconds} | None}, "network": {step: seconds}},
None for a picture that the service rejects. Each time is the best of SECONDS of calls, on one processor, with one
thread.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

_SECONDS = 0.1
_MAX_PIXELS = 50_000_000
# Shorter calls are repeated within a sample, since reading the clock takes a tenth of a microsecond.
_MIN_SAMPLE_SECONDS = 0.0005

Calls = Mapping[str, Callable[[], object]]


def timed(calls: Calls, seconds: float) -> dict[str, float]:
    """Return the seconds of each call by its name: the best sample in this many seconds."""
    return {name: _best(call, seconds) for name, call in calls.items()}


def _best(call: Callable[[], object], seconds: float) -> float:
    n = max(1, int(_MIN_SAMPLE_SECONDS / _sample(call, 1)))
    best, until = _sample(call, n), time.perf_counter() + seconds
    while time.perf_counter() < until:
        best = min(best, _sample(call, n))
    return best


def _sample(call: Callable[[], object], n: int) -> float:
    started = time.perf_counter()
    for _ in range(n):
        call()
    return (time.perf_counter() - started) / n


def _interface() -> tuple[Callable[[bytes], Any], Callable[[Any], object]]:
    """Return the functions that decode and normalise a picture in the measured checkout."""
    try:
        decode, field = import_module("service.images.decoding").decode, "pixels"
        normalize = import_module("service.images.pipeline").normalize
    except ModuleNotFoundError:
        decode, field = import_module("service.decoding").decode, "grey"
        normalize = import_module("service.normalization").normalize
    return lambda data: getattr(decode(data, _MAX_PIXELS), field), normalize


def _pictures(folder: Path, answer: Callable[[bytes], object], seconds: float) -> dict[str, dict[str, float] | None]:
    decode, normalize = _interface()
    picture_error = import_module("service.errors").PictureError
    found: dict[str, dict[str, float] | None] = {}
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        try:
            answer(data)
        except picture_error:
            found[file.name] = None
            continue
        pixels = decode(data)
        steps: Calls = {
            "decode": lambda data=data: decode(data),  # type: ignore[misc]
            "normalise": lambda pixels=pixels: normalize(pixels),  # type: ignore[misc]
            "answer": lambda data=data: answer(data),  # type: ignore[misc]
        }
        found[file.name] = timed(steps, seconds)
    return found


def main() -> None:
    """Measure and print."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else _SECONDS
    # With one processor, libraries start one thread.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    classifier = import_module("service.classifier").Classifier.load(import_module("service.settings").bundled_model())
    model, inputs = classifier.model, classifier.model.metadata.known_answer.inputs
    network: Calls = {
        "feedforward of one digit": lambda: model.network.feedforward(inputs),
        "with probabilities and novelty": lambda: model.answer(inputs),
    }
    pictures = _pictures(folder, classifier.predict_picture, seconds)
    print(json.dumps({"pictures": pictures, "network": timed(network, seconds)}))


if __name__ == "__main__":
    main()
