"""More than can be done: what becomes of small pictures when 500 ask at once and 16 send photos of 12 megapixels.

    python -m benchmarks.overload [--seconds 30] [--small 500] [--large 16]

Starts the service, bound to the first processor, and asks from the second: every connection sends its next request as
soon as the last is answered, be it with a digit or with 503. Meanwhile probes are asked ten times a second. Prints how
many were answered and refused and how soon, the memory of the process, and when all was as before. Fails when what is
accepted of the small takes longer than 250 ms at the 99th percentile, a probe longer than 100 ms, an answer is neither
200 nor 503 with Retry-After, or things are not as before after a second. The first half second, in which all connect,
is counted apart for the probes, which may then take half a second. Needs Linux and taskset.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections import defaultdict

import uvloop

from benchmarks import pictures
from benchmarks.serving import Served, served
from benchmarks.wire import Answer, Connection, get, percentile, post

_PROBES = ("/readyz", "/metrics", "/health")
_MOST_ACCEPTED, _MOST_PROBE, _MOST_AT_FIRST = 0.25, 0.1, 0.5
_AS_BEFORE = 20
_CONNECTING = 0.5


class Tally:
    """The answers of one kind of requests."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds: dict[int, list[float]] = defaultdict(list)
        self.wrong = 0

    def add(self, answer: Answer) -> None:
        """Take note of an answer."""
        self.seconds[answer.status].append(answer.seconds)
        if answer.status != 200 and not (answer.status == 503 and b"retry-after: 1" in answer.head.lower()):
            self.wrong += 1

    def is_within(self, seconds: float, share: float) -> bool:
        """Say whether there were answers with 200, and this share of them came within so many seconds."""
        found = self.seconds[200]
        return bool(found) and percentile(found, share) <= seconds

    def line(self, status: int, during: float) -> str:
        """Return how many there were with a status and how soon they came."""
        found = sorted(self.seconds[status])
        times = "".join(f"{1000 * percentile(found, share):9.1f}" for share in (0.5, 0.99, 1))
        return f"{self.name:16}{status:6}{len(found):9}{len(found) / during:9.0f}{times}"


async def _keep_asking(port: int, request: bytes, until: float, tally: Tally, pause: float = 0) -> None:
    connection = Connection(port)
    while time.perf_counter() < until:
        tally.add(await connection.ask(request))
        if pause:
            await asyncio.sleep(pause)
    connection.close()


async def _watch(port: int, path: str, *spans: tuple[float, Tally]) -> None:
    """Ask a probe ten times a second, and note the answers until each of these times in a tally of its own."""
    for until, tally in spans:
        await _keep_asking(port, get(path), until, tally, 0.1)


async def _memory(service: Served, until: float) -> list[float]:
    found = []
    while time.perf_counter() < until:
        found.append(service.mebibytes())
        await asyncio.sleep(0.5)
    return found


async def _usual(port: int, request: bytes, n: int) -> float:
    """Return the median seconds of an answer while nobody else asks."""
    connection = Connection(port)
    found = [await connection.ask(request) for _ in range(n)]
    connection.close()
    if any(answer.status != 200 for answer in found):
        sys.exit("the service does not answer")
    return statistics.median(answer.seconds for answer in found)


async def _recovery(port: int, request: bytes, usual: float) -> float:
    """Return the seconds until answers come as soon as usual, give or take, one after the other."""
    started, in_a_row = time.perf_counter(), 0
    connection = Connection(port)
    while in_a_row < _AS_BEFORE and time.perf_counter() - started < 30:
        answer = await connection.ask(request)
        in_a_row = in_a_row + 1 if answer.status == 200 and answer.seconds < 5 * usual else 0
    connection.close()
    return time.perf_counter() - started


async def _measure(service: Served, seconds: float, n_small: int, n_large: int) -> bool:
    small, large = post("/predict", pictures.tiny()), post("/predict", pictures.large_photo())
    usual = await _usual(service.port, small, 200)
    alone = await _usual(service.port, large, 3)
    before = service.mebibytes()
    tallies = [Tally("small"), Tally("12 megapixels"), *map(Tally, _PROBES)]
    at_first = Tally("probes at first")
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as asking:
        watching = asking.create_task(_memory(service, until))
        for request, tally, n in ((small, tallies[0], n_small), (large, tallies[1], n_large)):
            for _ in range(n):
                asking.create_task(_keep_asking(service.port, request, until, tally))
        for path, tally in zip(_PROBES, tallies[2:], strict=True):
            asking.create_task(_watch(service.port, path, (until - seconds + _CONNECTING, at_first), (until, tally)))
    memory = watching.result()
    recovery = await _recovery(service.port, small, usual)
    print(f"alone: small {1000 * usual:.1f} ms, 12 megapixels {1000 * alone:.0f} ms\n")
    print(f"{'':16}{'status':>6}{'answers':>9}{'a second':>9}{'ms: 50 %':>9}{'99 %':>9}{'most':>9}")
    for tally in [*tallies, at_first]:
        for status in sorted(tally.seconds):
            print(tally.line(status, seconds))
    halves = memory[: len(memory) // 2], memory[len(memory) // 2 :]
    print(f"\nMiB: {before:.0f} before, at most {max(halves[0]):.0f} in the first half, {max(halves[1]):.0f} then")
    print(f"as before after {recovery:.2f} s")
    probes = tallies[2:]
    return (
        tallies[0].is_within(_MOST_ACCEPTED, 0.99)
        and all(tally.is_within(_MOST_PROBE, 1) and len(tally.seconds) == 1 for tally in probes)
        and at_first.is_within(_MOST_AT_FIRST, 1)
        and not any(tally.wrong for tally in [*tallies, at_first])
        and recovery <= 1
    )


def main() -> int:
    """Measure, print, and return 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="how long")
    parser.add_argument("--small", type=int, default=500, help="connections with tiny pictures")
    parser.add_argument("--large", type=int, default=16, help="connections with photos of 12 megapixels")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with served(processor=0) as service:
        well = uvloop.run(_measure(service, arguments.seconds, arguments.small, arguments.large))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
