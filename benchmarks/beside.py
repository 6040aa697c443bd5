"""What small requests notice of a photo of 12 megapixels that is read meanwhile.

    python -m benchmarks.beside [--seconds 20]

Starts the service and asks for the digit in a tiny picture, a hundred times a second: first alone, then while somebody
sends one photo after the other. Prints how long answers took and by how much the photos delayed them, with the service
free to use all processors, and bound to the first. Fails when they are delayed by more than 10 ms at the 99th
percentile with all processors. Needs Linux, two processors and taskset.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from http import HTTPStatus

from benchmarks import pictures
from benchmarks.serving import served
from benchmarks.wire import Connection, percentile, post

_PAUSE = 0.01
_SHARES = (0.5, 0.99, 1)
_MOST = 0.01


async def _answers(port: int, picture: bytes, until: float, pause: float = 0) -> list[float]:
    """Return the seconds of answers to this picture, asked for one after the other."""
    connection, request = Connection(port), post("/predict", picture)
    found = []
    while time.perf_counter() < until:
        answer = await connection.ask(request)
        if answer.status != HTTPStatus.OK:
            sys.exit(f"it answered {answer.status}")
        found.append(answer.seconds)
        await asyncio.sleep(pause)
    connection.close()
    return found


async def _measure(port: int, seconds: float) -> float:
    """Print a line for each case, and return by how many seconds answers are delayed at the 99th percentile."""
    tiny, photo = pictures.tiny(), pictures.large_photo()
    await _answers(port, tiny, time.perf_counter() + 1)
    alone = await _answers(port, tiny, time.perf_counter() + seconds, _PAUSE)
    until = time.perf_counter() + seconds
    beside, photos = await asyncio.gather(_answers(port, tiny, until, _PAUSE), _answers(port, photo, until))
    for name, found in (("small, alone", alone), ("small, beside photos", beside), ("12 megapixels", photos)):
        print(f"{name:24}{len(found):8}" + "".join(f"{1000 * percentile(found, share):9.1f}" for share in _SHARES))
    return percentile(beside, 0.99) - percentile(alone, 0.99)


def main() -> int:
    """Measure, print, and return 1 when small requests were delayed by more than they may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="for each line")
    arguments = parser.parse_args()
    delays = []
    for processor in (None, 0):
        if processor is not None:
            os.sched_setaffinity(0, {1 - processor})
        place = "all processors" if processor is None else "one processor"
        print(f"{'the service has ' + place:32}ms: 50 %     99 %     most")
        with served(processor=processor) as service:
            delays.append(asyncio.run(_measure(service.port, arguments.seconds)))
        print(f"delayed by {1000 * delays[-1]:.1f} ms at the 99th percentile\n")
    return 0 if delays[0] <= _MOST else 1


if __name__ == "__main__":
    sys.exit(main())
