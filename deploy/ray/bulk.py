"""The command `python -m deploy.ray.bulk`: pictures in, a folder of Parquet files out, by Ray Data.

It runs on the cluster that RAY_ADDRESS names, else on the one that runs on this machine, else on one of its own. Run
again, it leaves out the pictures that have a row. Out of scope: finding and reading pictures (`pictures`), the answers
(`rows`), and the files (`output`).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
import ray.exceptions
from ray.util.annotations import RayDeprecationWarning
from threadpoolctl import threadpool_limits

from deploy.ray.output import Output, without
from deploy.ray.pictures import PictureFiles, find_pictures
from deploy.ray.rows import Question, answer_table
from service.classifier import CHUNK_SIZE, Classifier
from service.errors import DigitsError
from service.model import artifact
from service.model.artifact import Artifact
from service.settings import Settings, read_settings

# Pictures of a file, which are answered again when they were not finished: some seconds of one CPU.
_ROWS = 1000
# How often a part is tried again whose process or node was lost; and how many parts may fail before the job does. A
# picture that kills its process costs the job its part, and a full disk ends it soon.
_RETRIES = 3
_MAX_FAILED_PARTS = 10


class ClusterError(DigitsError):
    """The cluster cannot be reached."""


@dataclass(frozen=True)
class Job:
    """What an actor needs: the question, the Artifact, the limits of the settings, and where to read and write."""

    question: Question
    model: ray.ObjectRef
    settings: Settings
    root: str
    output: str


class Answerer:
    """One actor: it answers the parts of a job, each a row of Ray Data, with a model that is loaded once."""

    def __init__(self, job: Job) -> None:
        """Load the model. Raises ArtifactError when it does not give its known answer on this machine."""
        # An actor per CPU: more BLAS threads would compete for the same CPUs.
        threadpool_limits(1, user_api="blas")
        model: Artifact = ray.get(job.model)
        model.check_known_answer()
        self._question = job.question
        self._classifier = Classifier(model, job.settings.max_pixels, formats=job.settings.formats)
        self._files = PictureFiles(job.root, job.settings.max_bytes)
        self._output = Output(job.output)

    def __call__(self, part: dict[str, Any]) -> dict[str, Any]:
        """Write the rows of the paths in `part`.

        Return their `errors`, a code for each row that is empty without one, and the `cpu_seconds` that they took.
        """
        started = time.process_time()
        paths = list(part["paths"])
        table = pa.concat_tables(self._tables(paths))
        self._output.write(paths, table)
        errors = [code or "" for code in table["error"].to_pylist()]
        return {"errors": errors, "cpu_seconds": time.process_time() - started}

    def _tables(self, paths: Sequence[str]) -> Generator[pa.Table]:
        """Yield the rows of a few pictures after the other, so that the bytes of only a few are in memory."""
        files = self._files.read_all(paths)
        for start in range(0, len(paths), CHUNK_SIZE):
            chunk = paths[start : start + CHUNK_SIZE]
            yield answer_table(self._classifier, self._question, chunk, [next(files) for _ in chunk])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 when each picture has a row, 1 when not, 130 for Ctrl-C.

    A row with an error is a row. Raises SystemExit for --help and invalid arguments, as argparse does.
    """
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except DigitsError as error:
        print(f"bulk: {error}", file=sys.stderr)
        return 1
    except ray.exceptions.RayError as error:
        print(f"bulk: {error}\nbulk: run it again, and it continues", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bulk: interrupted: run it again, and it continues", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    settings = read_settings()
    model = artifact.load(arguments.model or settings.model)
    question: Question = "read" if arguments.read else "predict"
    pictures = find_pictures(arguments.input)
    output = Output(arguments.output)
    done = output.open({"input": pictures.root, "question": question, "model": model.version})
    paths = without(pictures.paths, done)
    n_before = len(pictures.paths) - len(paths)
    skipped = f", {pictures.n_skipped:,} other files skipped" if pictures.n_skipped else ""
    print(f"{len(pictures.paths):,} pictures, {n_before:,} of them done before{skipped}", flush=True)
    if not len(paths):
        return 0

    try:
        ray.init()
    except ConnectionError as error:
        raise ClusterError(str(error)) from error
    n_parts = math.ceil(len(paths) / arguments.rows)
    n_actors = min(n_parts, arguments.actors or max(1, int(ray.cluster_resources()["CPU"])))
    job = Job(question, ray.put(model), settings, pictures.root, output.name)
    started = time.monotonic()
    errors: Counter[str] = Counter()
    cpu_seconds = 0.0
    for part in _answer(paths, job, arguments.rows, n_actors):
        errors.update(part["errors"])
        cpu_seconds += part["cpu_seconds"]
    seconds = time.monotonic() - started
    n_rows = errors.total()
    del errors[""]
    by_code = ", ".join(f"{n:,} {code}" for code, n in errors.most_common())
    print(f"{n_rows:,} rows written, {errors.total():,} of them with an error{': ' if errors else ''}{by_code}")
    print(f"{seconds:,.1f} s with {n_actors} actors, {n_rows / seconds:,.0f} rows a second")
    print(f"{cpu_seconds:,.1f} s of CPU, {n_rows / max(cpu_seconds, 1e-9):,.0f} rows for each")
    n_missing = len(paths) - n_rows
    if n_missing:
        print(f"bulk: {n_missing:,} pictures have no row: see above, and run it again, with --rows 1", file=sys.stderr)
    return 1 if n_missing else 0


def _answer(paths: pa.ChunkedArray, job: Job, n_rows: int, n_actors: int) -> Iterator[dict[str, Any]]:
    """Write a row for each path, in parts of `n_rows`, and return what Answerer returns of each finished part."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = sys.stderr.isatty()
    context.max_errored_blocks = _MAX_FAILED_PARTS
    # A row for each part, and a block for each row: Ray shares out blocks. The parts of all paths, cut in their order,
    # are the parts of what a killed run left, too, since it left out whole parts. So a process that outlived it for a
    # moment writes the same files.
    parts = [
        pa.table({"paths": pa.array([paths.slice(start, n_rows).to_pylist()], pa.list_(pa.string()))})
        for start in range(0, len(paths), n_rows)
    ]
    with warnings.catch_warnings():
        # Ray 2.64 will have another way to say it. By default a picture that kills its process is tried for ever.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        results = ray.data.from_arrow(parts).map(
            Answerer,
            fn_constructor_args=(job,),
            compute=ray.data.ActorPoolStrategy(size=n_actors),
            num_cpus=1,
            max_task_retries=_RETRIES,
        )
    finished: Iterator[dict[str, Any]] = iter(results.iter_rows())
    return finished


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.ray.bulk",
        description="Answer many pictures on a Ray cluster. Run again, it continues where it was stopped.",
        epilog="DIGITS_MAX_BYTES, DIGITS_MAX_PIXELS and DIGITS_FORMATS limit what is read, as in the service.",
    )
    parser.add_argument(
        "input", metavar="INPUT", help="a folder of pictures, or a table with a column `path` (.parquet or .csv)"
    )
    parser.add_argument("output", metavar="OUTPUT", help="a folder for the Parquet files; for both a path or a URI")
    parser.add_argument("--read", action="store_true", help="read every digit in each picture, as /read does")
    parser.add_argument("--model", type=Path, metavar="FILE", help="model file; default: $DIGITS_MODEL, or the bundled")
    parser.add_argument("--actors", type=_positive, metavar="N", help="number of actors; default: the cluster's CPUs")
    parser.add_argument(
        "--rows", type=_positive, default=_ROWS, metavar="N", help=f"pictures of a file; default: {_ROWS}"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        message = f"must be 1 or more, not {text}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
