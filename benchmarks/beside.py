"""Latency of small requests while photos of 12 megapixels are decoded (head-of-line blocking).

    python -m benchmarks.beside [--seconds 20]

Starts the service and sends a tiny picture a hundred times per second: first alone, then while another client sends one
photo after the other. Prints the latencies and the delay by the photos, with the service on all processors, and bound
to one. Fails when the delay at the 99th percentile is more than 10 ms with all processors. Needs Linux, two processors
and taskset.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from http import HTTPStatus

from benchmarks import pictures
from benchmarks.serving import running_service
from benchmarks.wire import Connection, percentile, post

_INTERVAL = 0.01
_PERCENTILES = (0.5, 0.99, 1)
_MAX_DELAY = 0.01


async def _latencies(port: int, picture: bytes, until: float, pause: float = 0) -> list[float]:
    """Send a picture sequentially until this time, and return the latencies in seconds."""
    connection, request = Connection(port), post("/predict", picture)
    found = []
    while time.perf_counter() < until:
        answer = await connection.ask(request)
        if answer.status != HTTPStatus.OK:
            sys.exit(f"the service answered {answer.status}")
        found.append(answer.seconds)
        await asyncio.sleep(pause)
    connection.close()
    return found


async def _measure(port: int, seconds: float) -> float:
    """Print a line per case, and return the delay at the 99th percentile in seconds."""
    tiny, photo = pictures.tiny(), pictures.large_photo()
    await _latencies(port, tiny, time.perf_counter() + 1)  # warm-up
    alone = await _latencies(port, tiny, time.perf_counter() + seconds, _INTERVAL)
    until = time.perf_counter() + seconds
    beside, photos = await asyncio.gather(_latencies(port, tiny, until, _INTERVAL), _latencies(port, photo, until))
    for name, found in (("small, alone", alone), ("small, beside photos", beside), ("12 megapixels", photos)):
        print(f"{name:24}{len(found):8}" + "".join(f"{1000 * percentile(found, share):9.1f}" for share in _PERCENTILES))
    return percentile(beside, 0.99) - percentile(alone, 0.99)


def main() -> int:
    """Measure, print, and return 1 when the delay is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="duration of each measurement")
    arguments = parser.parse_args()
    delays = []
    for processor in (None, 0):
        if processor is not None:
            os.sched_setaffinity(0, {1 - processor})
        place = "all processors" if processor is None else "one processor"
        print(f"{'service on ' + place:32}ms: 50 %     99 %      max")
        with running_service(None if processor is None else str(processor)) as server:
            delays.append(asyncio.run(_measure(server.port, arguments.seconds)))
        print(f"delayed by {1000 * delays[-1]:.1f} ms at the 99th percentile\n")
    return 0 if delays[0] <= _MAX_DELAY else 1


if __name__ == "__main__":
    sys.exit(main())
