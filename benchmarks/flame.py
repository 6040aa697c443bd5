"""Flame graph of `POST /predict`: the call tree of the service, each function as wide as its share of the samples.

    python -m benchmarks.flame [--output FILE]

Needs wrk, taskset and py-spy (`pip install py-spy`), and may need root. wrk sends a form with a picture in MNIST form
for some seconds, while py-spy samples the stack 500 times per second. Other pictures take most of their time in a
thread, in steps that `benchmarks.stages` measures. Frames outside of the ASGI application, and line numbers, are
dropped. Colours show the package of the code. Prints the share of the samples of each package.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from types import MappingProxyType

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.patches import Patch, Rectangle

from benchmarks.throughput import by_service, rate, running_case

_SECONDS = 4
_SAMPLING_HZ = 500
# The function by which the server calls the application.
_ROOT_FUNCTION = "run_asgi"
# Shares of the width below which a function is not drawn, and not labelled.
_MIN_WIDTH = 0.004
_MIN_LABELLED_WIDTH = 0.02
_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "service": "#4c78a8",
        "fastapi, starlette": "#f2a65a",
        "uvicorn": "#e9c46a",
        "PIL": "#54a24b",
        "numpy": "#72b7b2",
        "prometheus_client": "#b279a2",
        "logging": "#9d755d",
        "others": "#bab0ac",
    }
)
_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^():]+)(:\d+)?\)")


@dataclass
class Node:
    """A function of the call tree: the number of samples that contain it, and the functions that it called."""

    function: str
    owner: str
    n: int = 0
    called: dict[tuple[str, str], Node] = field(default_factory=dict)


def _owner(file: str) -> str:
    """Return the package of a source file, by its folders."""
    folders = set(file.split("/"))
    if folders & {"fastapi", "starlette"}:
        return "fastapi, starlette"
    return next((owner for owner in _COLOURS if owner in folders), "others")


def _tree(stacks: Counter[str]) -> Node:
    """Return the call tree of sampled stacks, from the application down."""
    root = Node("request", "uvicorn")
    for stack, n in stacks.items():
        frames = [match for frame in stack.split(";") if (match := _FRAME.fullmatch(frame))]
        start = next((i for i, frame in enumerate(frames) if frame["function"].endswith(_ROOT_FUNCTION)), None)
        if start is None:
            continue
        root.n += n
        node = root
        for frame in frames[start:]:
            name = ".".join(frame["function"].replace("<locals>.", "").split(".")[-2:])
            key = (name, _owner(frame["file"]))
            node = node.called.setdefault(key, Node(*key))
            node.n += n
    return root


def _rectangles(node: Node, left: float, depth: int, total: int) -> Iterator[tuple[float, int, float, Node]]:
    """Yield left edge, depth and width of a node and its descendants, edges and widths as shares of the total."""
    yield left, depth, node.n / total, node
    for called in sorted(node.called.values(), key=lambda one: -one.n):
        if called.n / total > _MIN_WIDTH:
            yield from _rectangles(called, left, depth + 1, total)
        left += called.n / total


def draw(root: Node, output: Path) -> None:
    """Draw the call tree to a PNG file."""
    mpl.use("agg")
    found = list(_rectangles(root, 0, 0, root.n))
    deepest = max(depth for _, depth, _, _ in found)
    figure, axes = plt.subplots(figsize=(16, 0.22 * deepest + 1), dpi=100)
    for left, depth, width, node in found:
        axes.add_patch(Rectangle((left, depth), width, 0.94, facecolor=_COLOURS[node.owner], edgecolor="white"))
        if width > _MIN_LABELLED_WIDTH:
            max_characters = int(width * 190)
            axes.text(left + 0.002, depth + 0.47, node.function[:max_characters], fontsize=7, va="center", clip_on=True)
    axes.set(xlim=(0, 1), ylim=(deepest + 1, 0))
    axes.axis("off")
    patches = [Patch(color=colour, label=owner) for owner, colour in _COLOURS.items()]
    figure.legend(handles=patches, ncols=len(patches), loc="lower center", frameon=False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output)


def _shares(node: Node, shares: Counter[str]) -> None:
    """Add the samples whose innermost frame is of each package."""
    shares[node.owner] += node.n - sum(called.n for called in node.called.values())
    for called in node.called.values():
        _shares(called, shares)


def main() -> None:
    """Record, draw, and print the share of each package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("flame.png"), help="a PNG file; default flame.png, here")
    arguments = parser.parse_args()
    missing = [program for program in ("wrk", "taskset", "py-spy") if shutil.which(program) is None]
    if missing:
        sys.exit(f"needs {' and '.join(missing)}")
    case = by_service("tiny")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_case(case) as server:
            load = Thread(target=rate, args=(case, folder))
            load.start()
            raw = folder / "stacks"
            options = ["--function", "-r", str(_SAMPLING_HZ), "-d", str(_SECONDS), "-f", "raw", "-o", str(raw)]
            command = ["py-spy", "record", *options]
            subprocess.run([*command, "-p", str(server.pid)], check=True, capture_output=True)
            load.join()
        stacks: Counter[str] = Counter()
        for line in raw.read_text().splitlines():
            stack, _, n = line.rpartition(" ")
            stacks[stack] += int(n)
    root = _tree(stacks)
    draw(root, arguments.output)
    shares: Counter[str] = Counter()
    _shares(root, shares)
    for owner, n_samples in shares.most_common():
        print(f"{owner:20}{100 * n_samples / root.n:6.1f} %")


if __name__ == "__main__":
    main()
