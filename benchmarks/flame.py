"""Where the time of `POST /predict` goes, as a flame graph: what called what, as wide as it took.

    python -m benchmarks.flame [--output FILE]

Needs wrk, taskset and py-spy (`pip install py-spy`), and may need to be run as root. The service answers a form with a
picture in MNIST form for some seconds, while py-spy looks at its stack 500 times a second: other pictures take most of
their time in a thread, by steps that `benchmarks.stages` measures. Frames above the application's, and lines within a
function, are left out. Colours tell whose code it is.
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

from benchmarks.throughput import by_service, rate, serving

_SECONDS = 4
_HERTZ = 500
# What the server calls for a request.
_BASE = "run_asgi"
_NARROWEST = 0.004
_LABELLED = 0.02
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
    """A function that was called, how often it was seen, and what it called in turn."""

    function: str
    owner: str
    n: int = 0
    called: dict[tuple[str, str], Node] = field(default_factory=dict)


def _owner(file: str) -> str:
    """Return whose code a file is, by the folders that it is in."""
    folders = set(file.split("/"))
    if folders & {"fastapi", "starlette"}:
        return "fastapi, starlette"
    return next((owner for owner in _COLOURS if owner in folders), "others")


def _tree(stacks: Counter[str]) -> Node:
    """Return what py-spy saw, from the application down."""
    root = Node("request", "uvicorn")
    for stack, n in stacks.items():
        frames = [match for frame in stack.split(";") if (match := _FRAME.fullmatch(frame))]
        start = next((i for i, frame in enumerate(frames) if frame["function"].endswith(_BASE)), None)
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
    """Yield left edge, depth and width, as shares of the whole, of a node and of all that is below it."""
    yield left, depth, node.n / total, node
    for called in sorted(node.called.values(), key=lambda one: -one.n):
        if called.n / total > _NARROWEST:
            yield from _rectangles(called, left, depth + 1, total)
        left += called.n / total


def draw(root: Node, output: Path) -> None:
    """Draw the tree into a PNG file."""
    mpl.use("agg")
    found = list(_rectangles(root, 0, 0, root.n))
    deepest = max(depth for _, depth, _, _ in found)
    figure, axes = plt.subplots(figsize=(16, 0.22 * deepest + 1), dpi=100)
    for left, depth, width, node in found:
        axes.add_patch(Rectangle((left, depth), width, 0.94, facecolor=_COLOURS[node.owner], edgecolor="white"))
        if width > _LABELLED:
            most = int(width * 190)
            axes.text(left + 0.002, depth + 0.47, node.function[:most], fontsize=7, va="center", clip_on=True)
    axes.set(xlim=(0, 1), ylim=(deepest + 1, 0))
    axes.axis("off")
    patches = [Patch(color=colour, label=owner) for owner, colour in _COLOURS.items()]
    figure.legend(handles=patches, ncols=len(patches), loc="lower center", frameon=False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output)


def _shares(node: Node, shares: Counter[str]) -> None:
    """Add up how often each owner's code was at work itself."""
    shares[node.owner] += node.n - sum(called.n for called in node.called.values())
    for called in node.called.values():
        _shares(called, shares)


def main() -> None:
    """Record, draw, and print whose code took which share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("flame.png"), help="a PNG file; default flame.png, here")
    arguments = parser.parse_args()
    missing = [program for program in ("wrk", "taskset", "py-spy") if shutil.which(program) is None]
    if missing:
        sys.exit(f"needs {' and '.join(missing)}")
    case = by_service("tiny")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(case, folder / "log") as process:
            asking = Thread(target=rate, args=(case, folder))
            asking.start()
            raw = folder / "stacks"
            options = ["--function", "-r", str(_HERTZ), "-d", str(_SECONDS), "-f", "raw", "-o", str(raw)]
            command = ["py-spy", "record", *options]
            subprocess.run([*command, "-p", str(process.pid)], check=True, capture_output=True)
            asking.join()
        stacks: Counter[str] = Counter()
        for line in raw.read_text().splitlines():
            stack, _, n = line.rpartition(" ")
            stacks[stack] += int(n)
    root = _tree(stacks)
    draw(root, arguments.output)
    shares: Counter[str] = Counter()
    _shares(root, shares)
    for owner, times in shares.most_common():
        print(f"{owner:20}{100 * times / root.n:6.1f} %")


if __name__ == "__main__":
    main()
