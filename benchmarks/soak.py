"""Soak test for leaks: 20 minutes of valid and malicious requests of every kind.

    python -m benchmarks.soak [--minutes 20]

Starts the service and sends it requests of every kind, over persistent and new connections: pictures, tiny and large,
forms, batches, JSON, inference, explanations, weights, metrics, and cases of benchmarks.hostile. Some clients
disconnect in the middle of a body. Memory, open files and threads are sampled and printed every 10 seconds. Then the
slope of the memory over the second half is printed, with its standard error.

Fails when the slope exceeds twice its standard error by more than 0.05 MiB per minute, when the number of files or
threads grows, when a valid request is answered with neither 200 nor 503, or when any is answered with 500. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from benchmarks import hostile, pictures
from benchmarks.serving import ROOT, Server, running_service
from benchmarks.wire import Connection, get, post

_SAMPLING_SECONDS = 10
_CLIENTS = 4
# Pause between two requests of a client, so that the service is busy, but not overloaded.
_PAUSE = 0.01
_NO_ANSWER = -1
_MAX_SLOPE = 0.05
_LARGE_SHARE, _HOSTILE_SHARE, _DISCONNECTING_SHARE = 0.01, 0.4, 0.05


@dataclass(frozen=True)
class Sample:
    """The resources of the process at one time."""

    seconds: float
    rss_mib: float
    n_files: int
    n_threads: int


@dataclass(frozen=True)
class Answers:
    """The number of answers by status; status 0 is a connection error."""

    to_valid: Counter[int] = field(default_factory=Counter)
    to_hostile: Counter[int] = field(default_factory=Counter)


def _valid() -> list[bytes]:
    """Return requests that are answered with 200."""
    tiny = pictures.tiny()
    seven, numbers = ((ROOT / "docs" / name).read_bytes() for name in ("seven.jpg", "numbers.png"))
    boundary = b"soak"
    part = b'--soak\r\nContent-Disposition: form-data; name="file"; filename="d"\r\n\r\n%s\r\n'
    form = f"multipart/form-data; boundary={boundary.decode()}"
    pixels = pictures.digit().tolist()
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 28, 28], "data": pixels}
    return [
        post("/predict", tiny),
        post("/predict", seven),
        post("/predict?explain=true&top_k=3", tiny),
        post("/predict", part % seven + b"--soak--\r\n", form),
        post("/read", numbers),
        post("/read?explain=true", seven),
        post("/read/batch", part % numbers + part % b"no picture" + b"--soak--\r\n", form),
        post("/predict/batch", part % tiny + part % seven + part % b"no picture" + b"--soak--\r\n", form),
        post("/predict", json.dumps({"pixels": pixels}).encode(), "application/json"),
        post("/predict", json.dumps({"image": base64.b64encode(seven).decode()}).encode(), "application/json"),
        post("/v2/models/mnist-mlp/infer", json.dumps({"inputs": [tensor]}).encode(), "application/json"),
        *map(get, ("/", "/health", "/metrics", "/model", "/model/weights/1", "/openapi.json")),
        get("/model/weights/0/image"),
    ]


def _hostile(rng: Random, n: int) -> bytes:
    """Return a malformed or malicious request."""
    kind = rng.choice(list(hostile.KINDS))
    case = hostile.KINDS[kind](Random(f"soak {kind} {n}"))  # noqa: S311 - reproducible, not secret
    lines = [f"{case.method} {case.path.replace('{model}', 'mnist-mlp')} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in case.headers]
    head = "\r\n".join([*lines, f"Content-Length: {len(case.body)}", "", ""])
    return head.encode("latin-1") + case.body


async def _client(port: int, seed: int, until: float, answers: Answers) -> None:
    rng = Random(seed)  # noqa: S311
    valid, large = _valid(), post("/predict", pictures.large_photo())
    connection = Connection(port)
    n = 0
    while time.perf_counter() < until:
        n += 1
        drawn = rng.random()
        if drawn < _DISCONNECTING_SHARE:
            await _disconnect(port, large[: rng.randrange(len(large))])
            continue
        is_hostile = drawn > 1 - _HOSTILE_SHARE
        if is_hostile:
            request = _hostile(rng, n)
            # A malformed head may get no answer, or several.
            connection.close()
        else:
            request = large if drawn < _DISCONNECTING_SHARE + _LARGE_SHARE else rng.choice(valid)
        try:
            async with asyncio.timeout(60):
                status = (await connection.ask(request)).status
        except TimeoutError:
            status = _NO_ANSWER
            connection.close()
        (answers.to_hostile if is_hostile else answers.to_valid)[status] += 1
        if is_hostile or rng.random() < _DISCONNECTING_SHARE:
            connection.close()
        await asyncio.sleep(_PAUSE)
    connection.close()


async def _disconnect(port: int, part: bytes) -> None:
    """Send a part of a request and disconnect."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(part)
    await asyncio.sleep(_PAUSE)
    writer.close()


async def _sample(server: Server, until: float) -> list[Sample]:
    """Return the resources of the server, sampled until this time."""
    found = []
    started = time.perf_counter()
    while time.perf_counter() < until:
        sample = Sample(time.perf_counter() - started, server.rss_mib(), server.n_files(), server.n_threads())
        counts = f"{sample.n_files:5} files {sample.n_threads:4} threads"
        print(f"{sample.seconds:6.0f} s {sample.rss_mib:8.1f} MiB {counts}", flush=True)
        found.append(sample)
        await asyncio.sleep(_SAMPLING_SECONDS)
    return found


async def _measure(server: Server, minutes: float) -> bool:
    until = time.perf_counter() + 60 * minutes
    answers = Answers()
    async with asyncio.TaskGroup() as group:
        sampling = group.create_task(_sample(server, until))
        for seed in range(_CLIENTS):
            group.create_task(_client(server.port, seed, until, answers))
    samples = sampling.result()
    later = samples[len(samples) // 2 :]
    slope, error = _slope([one.seconds / 60 for one in later], [one.rss_mib for one in later])
    print()
    for name, statuses in (("valid", answers.to_valid), ("hostile", answers.to_hostile)):
        print(f"answers to {name} requests: " + ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())))
    print(f"memory in the second half: {slope:+.2f} MiB per minute, with a standard error of {error:.2f}")
    first, last = later[: len(later) // 2], later[len(later) // 2 :]
    more_files = max(one.n_files for one in last) > max(one.n_files for one in first) + _CLIENTS
    more_threads = max(one.n_threads for one in last) > max(one.n_threads for one in first)
    no_defect = set(answers.to_valid) <= {200, 503} and not {500, _NO_ANSWER} & set(answers.to_hostile)
    return no_defect and slope <= 2 * error + _MAX_SLOPE and not (more_files or more_threads)


def _slope(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[float, float]:
    """Return the slope of y over x and its standard error, by linear least squares."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    residuals = y - y.mean() - slope * centred
    return slope, float(np.sqrt(residuals @ residuals / max(len(x) - 2, 1) / (centred @ centred)))


def main() -> int:
    """Measure, print, and return 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="duration")
    arguments = parser.parse_args()
    with running_service() as server:
        return 0 if asyncio.run(_measure(server, arguments.minutes)) else 1


if __name__ == "__main__":
    sys.exit(main())
