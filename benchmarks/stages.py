"""Times of decoding, normalising and the whole prediction on one core, for pictures as people send them.

    python -m benchmarks.stages [--before CHECKOUT] [--seconds 0.1] [--rounds 5]

Measures this checkout (after), and with `--before` also another one (before), in alternating processes. The best round
counts. Both checkouts get the same files, which this one creates. Prints microseconds, `-` for a picture that is
rejected. HEIC is measured if pillow_heif is installed to write it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import pictures
from benchmarks.serving import ROOT
from benchmarks.tables import table
from tests.service.images.scenes import SCENES, dice, magnified

_STEPS = ("decode", "normalise", "answer")
_SCENE = "scene "
# One thread per library; `benchmarks.stage_times` binds itself to one processor.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}


@dataclass
class Times:
    """The best times of a checkout in seconds, by picture and step, and by step of the network.

    A picture that is rejected has no times.
    """

    checkout: Path
    pictures: dict[str, dict[str, float]] = field(default_factory=dict)
    network: dict[str, float] = field(default_factory=dict)

    def measure(self, folder: Path, seconds: float) -> None:
        """Run one round of measurements."""
        command = [sys.executable, "-P", str(ROOT / "benchmarks" / "stage_times.py"), str(folder), str(seconds)]
        environment = os.environ | _ONE_THREAD | {"PYTHONPATH": str(self.checkout)}
        printed = subprocess.run(command, cwd=self.checkout, env=environment, stdout=subprocess.PIPE, check=True).stdout
        found = json.loads(printed)
        for name, steps in found["pictures"].items():
            if steps is not None:
                self.pictures[name] = _best(self.pictures.get(name, {}), steps)
        self.network = _best(self.network, found["network"])

    def of(self, names: Sequence[str]) -> dict[str, float]:
        """Return the mean seconds of each step over these pictures, empty if one of them is rejected."""
        if not names or any(name not in self.pictures for name in names):
            return {}
        return {step: sum(self.pictures[name][step] for name in names) / len(names) for step in _STEPS}


def _best(known: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    return {step: min(seconds, known.get(step, seconds)) for step, seconds in measured.items()}


def _write_pictures(folder: Path) -> None:
    for name, sample in pictures.available().items():
        (folder / name).write_bytes(sample.make())
    hand = magnified(pictures.digit())
    for name, scene in SCENES.items():
        (folder / f"{_SCENE}{name}").write_bytes(scene(hand, dice(name)))


def _rows(sides: Sequence[Times]) -> Iterator[list[str]]:
    """Yield a row per picture; the mean over the scenes comes before the last one, which is in MNIST form."""
    *sent, last = [(sample.title, [name]) for name, sample in pictures.available().items()]
    # Only scenes that all checkouts accept, so that the means are over the same pictures.
    scenes = [name for name in sides[-1].pictures if name.startswith(_SCENE) and all(name in s.pictures for s in sides)]
    for title, names in (*sent, (f"mean of {len(scenes)} scenes of the tests", scenes), last):
        times = [side.of(names) for side in sides]
        yield [title, *(cell for step in _STEPS for cell in _cells([one.get(step) for one in times]))]


def _cells(seconds: Sequence[float | None]) -> list[str]:
    """Return the microseconds of each checkout, and the ratio of two."""
    cells = ["-" if one is None else f"{1e6 * one:,.0f}" for one in seconds]
    if len(seconds) == 1:
        return cells
    before, after = seconds
    return [*cells, "-" if before is None or after is None else f"{before / after:.1f}"]


def _head(first: str, steps: Sequence[str], n_sides: int) -> list[str]:
    kinds = [""] if n_sides == 1 else [" before", " after", " ratio"]
    return [first, *(f"{step}{kind}".strip() for step in steps for kind in kinds)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="another checkout of this project")
    parser.add_argument("--seconds", type=float, default=0.1, help="duration per step, picture and round")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds; the best one counts")
    arguments = parser.parse_args()
    sides = [Times(checkout.resolve()) for checkout in (arguments.before, ROOT) if checkout is not None]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_pictures(folder)
        for _ in range(arguments.rounds):
            for side in sides:
                side.measure(folder, arguments.seconds)
    ratio = "; ratio: before / after" if len(sides) > 1 else ""
    print(f"Microseconds of one core{ratio}:\n")
    print(table(_head("picture", _STEPS, len(sides)), _rows(sides)))
    print()
    network = ([step, *_cells([side.network[step] for side in sides])] for step in sides[-1].network)
    print(table(_head("network", ["" if len(sides) > 1 else "microseconds"], len(sides)), network))


if __name__ == "__main__":
    main()
