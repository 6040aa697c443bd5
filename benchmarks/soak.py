"""Whether anything is left behind: 20 minutes of requests of every kind, good and bad.

    python -m benchmarks.soak [--minutes 20]

Starts the service and asks it all that can be asked, over connections that stay and others: pictures, tiny and
large, forms, batches, JSON, inference, explanations, weights, metrics, and cases of benchmarks.hostile. Some clients
leave in the middle of a body. Every 10 seconds it notes memory, open files and threads. Prints them, and the slope of
the memory over the second half beside its noise. Fails when that is more than twice the noise and 0.05 MiB a minute,
when files or threads become more, a good request is answered with neither 200 nor 503, or any with 500. Needs Linux.
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
from benchmarks.serving import ROOT, Served, served
from benchmarks.wire import Connection, get, post

_EVERY = 10
_CLIENTS = 4
# A pause between two requests of a client, so that the service is busy, not overloaded.
_PAUSE = 0.01
_NO_ANSWER = -1
_SLOPE = 0.05
_LARGE_SHARE, _HOSTILE_SHARE, _LEAVING_SHARE = 0.01, 0.4, 0.05


@dataclass(frozen=True)
class Sample:
    """What the process has at one moment."""

    seconds: float
    mebibytes: float
    n_files: int
    n_threads: int


@dataclass(frozen=True)
class Answers:
    """How often each status was answered, 0 where the connection was broken off."""

    to_good: Counter[int] = field(default_factory=Counter)
    to_hostile: Counter[int] = field(default_factory=Counter)


def _good() -> list[bytes]:
    """Return requests that are answered with 200."""
    tiny = pictures.tiny()
    seven = (ROOT / "docs" / "seven.jpg").read_bytes()
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
        post("/predict/batch", part % tiny + part % seven + part % b"no picture" + b"--soak--\r\n", form),
        post("/predict", json.dumps({"pixels": pixels}).encode(), "application/json"),
        post("/predict", json.dumps({"image": base64.b64encode(seven).decode()}).encode(), "application/json"),
        post("/v2/models/mnist-mlp/infer", json.dumps({"inputs": [tensor]}).encode(), "application/json"),
        *map(get, ("/", "/health", "/metrics", "/model", "/model/weights/1", "/openapi.json")),
        get("/model/weights/0/image"),
    ]


def _hostile(chance: Random, n: int) -> bytes:
    """Return a request that means no good."""
    kind = chance.choice(list(hostile.KINDS))
    case = hostile.KINDS[kind](Random(f"soak {kind} {n}"))  # noqa: S311 - chance, not secrets
    lines = [f"{case.method} {case.path.replace('{model}', 'mnist-mlp')} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in case.headers]
    head = "\r\n".join([*lines, f"Content-Length: {len(case.body)}", "", ""])
    return head.encode("latin-1") + case.body


async def _client(port: int, seed: int, until: float, answers: Answers) -> None:
    chance = Random(seed)  # noqa: S311
    good, large = _good(), post("/predict", pictures.large_photo())
    connection = Connection(port)
    n = 0
    while time.perf_counter() < until:
        n += 1
        drawn = chance.random()
        if drawn < _LEAVING_SHARE:
            await _leave(port, large[: chance.randrange(len(large))])
            continue
        is_hostile = drawn > 1 - _HOSTILE_SHARE
        if is_hostile:
            request = _hostile(chance, n)
            # What comes back to a garbled head may be no answer, or more than one.
            connection.close()
        else:
            request = large if drawn < _LEAVING_SHARE + _LARGE_SHARE else chance.choice(good)
        try:
            async with asyncio.timeout(60):
                status = (await connection.ask(request)).status
        except TimeoutError:
            status = _NO_ANSWER
            connection.close()
        (answers.to_hostile if is_hostile else answers.to_good)[status] += 1
        if is_hostile or chance.random() < _LEAVING_SHARE:
            connection.close()
        await asyncio.sleep(_PAUSE)
    connection.close()


async def _leave(port: int, part: bytes) -> None:
    """Send a part of a request and go."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(part)
    await asyncio.sleep(_PAUSE)
    writer.close()


async def _watch(service: Served, until: float) -> list[Sample]:
    found = []
    started = time.perf_counter()
    while time.perf_counter() < until:
        sample = Sample(time.perf_counter() - started, service.mebibytes(), service.n_files(), service.n_threads())
        counts = f"{sample.n_files:5} files {sample.n_threads:4} threads"
        print(f"{sample.seconds:6.0f} s {sample.mebibytes:8.1f} MiB {counts}", flush=True)
        found.append(sample)
        await asyncio.sleep(_EVERY)
    return found


async def _measure(service: Served, minutes: float) -> bool:
    until = time.perf_counter() + 60 * minutes
    answers = Answers()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_watch(service, until))
        for seed in range(_CLIENTS):
            group.create_task(_client(service.port, seed, until, answers))
    samples = watching.result()
    later = samples[len(samples) // 2 :]
    slope, error = _slope([one.seconds / 60 for one in later], [one.mebibytes for one in later])
    print()
    for name, statuses in (("good", answers.to_good), ("hostile", answers.to_hostile)):
        print(f"answers to {name} requests: " + ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())))
    print(f"memory in the second half: {slope:+.2f} MiB a minute, with a standard error of {error:.2f}")
    first, last = later[: len(later) // 2], later[len(later) // 2 :]
    more_files = max(one.n_files for one in last) > max(one.n_files for one in first) + _CLIENTS
    more_threads = max(one.n_threads for one in last) > max(one.n_threads for one in first)
    no_defect = set(answers.to_good) <= {200, 503} and not {500, _NO_ANSWER} & set(answers.to_hostile)
    return no_defect and slope <= 2 * error + _SLOPE and not (more_files or more_threads)


def _slope(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[float, float]:
    """Return the slope of y over x and its standard error, by least squares."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    residuals = y - y.mean() - slope * centred
    return slope, float(np.sqrt(residuals @ residuals / max(len(x) - 2, 1) / (centred @ centred)))


def main() -> int:
    """Measure, print, and return 1 when something was left behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="how long")
    arguments = parser.parse_args()
    with served() as service:
        return 0 if asyncio.run(_measure(service, arguments.minutes)) else 1


if __name__ == "__main__":
    sys.exit(main())
