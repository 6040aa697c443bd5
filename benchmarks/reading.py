"""Times of reading numbers, beside those of `/predict` on the same picture.

    python -m benchmarks.reading [--rounds 15]

Each picture is a photo of 1.1 megapixels with lines of digits. Both answers are computed in turns in this process, with
one thread. Prints the median milliseconds of each, and their ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from time import perf_counter

# Before numpy is imported, which reads it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from benchmarks import pictures
from benchmarks.tables import table
from service.classifier import Classifier
from service.reader import Reader
from service.settings import bundled_model

# Lines and digits a line.
_PAGES = ((1, 8), (2, 10), (1, 20), (5, 8))


def _seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, metavar="NUMBER", help="rounds of each; default %(default)s")
    rounds = range(parser.parse_args().rounds)
    classifier = Classifier.load(bundled_model())
    reader = Reader(classifier)
    rows = []
    for n_lines, n_columns in _PAGES:
        picture = pictures.page(n_lines, n_columns)
        text = reader.read_picture(picture).text
        times = [
            (_seconds(lambda: classifier.predict_picture(picture)), _seconds(lambda: reader.read_picture(picture)))  # noqa: B023 - called at once
            for _ in rounds
        ]
        predicted, read = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
        found = f"{sum(map(str.isdecimal, text))} in {len(text.splitlines())}"
        rows.append(
            [f"{n_lines * n_columns} in {n_lines}", found, f"{predicted:.1f}", f"{read:.1f}", f"{read / predicted:.1f}"]
        )
    print(table(["digits, in lines", "read", "/predict, ms", "/read, ms", "ratio"], rows))


if __name__ == "__main__":
    main()
