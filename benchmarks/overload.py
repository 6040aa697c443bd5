"""Overload: latency and load shedding with small pictures, photos of 12 megapixels, and pages of digits.

    python -m benchmarks.overload [--seconds 30] [--small 500] [--large 16] [--read 4]

Starts the service, bound to the first processor, and sends requests from the second. Every connection is a closed loop:
it sends its next request as soon as the previous one is answered, with 200 or 503. Probes are sent ten times per
second. Before that, photos alone and pages alone are sent from as many connections, for a sixth of the time each.
Prints the number and latency of answers by status, the memory of the process, and the recovery time.

Fails when admitted small requests take longer than 250 ms at the 99th percentile, when a probe takes longer than
100 ms, when photos or pages are answered at less than a tenth of their rate alone, when an answer is neither 200 nor
503 with Retry-After, or when the recovery takes longer than a second. In the
first half second, in which all clients connect, probes are counted separately and may take half a second. Needs Linux,
two processors and taskset.
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
from benchmarks.serving import Server, running_service
from benchmarks.wire import Answer, Connection, get, percentile, post

_PROBES = ("/readyz", "/metrics", "/health")
# Limits in seconds: small requests at the 99th percentile, probes, probes while clients connect.
_MAX_ADMITTED, _MAX_PROBE, _MAX_PROBE_CONNECTING = 0.25, 0.1, 0.5
_CONNECTING_SECONDS = 0.5
# Each kind of larger requests is answered at this share of its rate alone, at least.
_MIN_SHARE = 0.1
# The service has recovered after this many consecutive answers, each in less than 5 times the usual latency.
_RECOVERED_ANSWERS = 20


class Tally:
    """The latencies of one kind of requests, by status."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seconds: dict[int, list[float]] = defaultdict(list)
        self.n_unexpected = 0

    def add(self, answer: Answer) -> None:
        """Count an answer."""
        self.seconds[answer.status].append(answer.seconds)
        if answer.status != 200 and not (answer.status == 503 and b"retry-after: 1" in answer.head.lower()):
            self.n_unexpected += 1

    def is_within(self, seconds: float, share: float) -> bool:
        """Return whether there are answers with 200, and this share of them took at most so many seconds."""
        found = self.seconds[200]
        return bool(found) and percentile(found, share) <= seconds

    def line(self, status: int, during: float) -> str:
        """Return a table row: number, rate and latencies of the answers with a status."""
        found = sorted(self.seconds[status])
        times = "".join(f"{1000 * percentile(found, share):9.1f}" for share in (0.5, 0.99, 1))
        return f"{self.name:16}{status:6}{len(found):9}{len(found) / during:9.0f}{times}"


async def _closed_loop(port: int, request: bytes, until: float, tally: Tally, pause: float = 0) -> None:
    connection = Connection(port)
    while time.perf_counter() < until:
        tally.add(await connection.ask(request))
        if pause:
            await asyncio.sleep(pause)
    connection.close()


async def _alone(port: int, request: bytes, name: str, n: int, seconds: float) -> float:
    """Return how many of these requests are answered per second without other load."""
    tally, until = Tally(name), time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(_closed_loop(port, request, until, tally))
    return len(tally.seconds[200]) / seconds


async def _probe(port: int, path: str, *spans: tuple[float, Tally]) -> None:
    """Send a probe ten times per second; each span ends at its time and has a tally of its own."""
    for until, tally in spans:
        await _closed_loop(port, get(path), until, tally, 0.1)


async def _memory(server: Server, until: float) -> list[float]:
    """Return the memory in MiB, sampled twice per second."""
    found = []
    while time.perf_counter() < until:
        found.append(server.rss_mib())
        await asyncio.sleep(0.5)
    return found


async def _idle_latency(port: int, request: bytes, n: int) -> float:
    """Return the median latency of sequential requests without other load, in seconds."""
    connection = Connection(port)
    found = [await connection.ask(request) for _ in range(n)]
    connection.close()
    if any(answer.status != 200 for answer in found):
        sys.exit("the service does not answer")
    return statistics.median(answer.seconds for answer in found)


async def _recovery(port: int, request: bytes, usual: float) -> float:
    """Return the seconds until consecutive answers are about as fast as usual."""
    started, in_a_row = time.perf_counter(), 0
    connection = Connection(port)
    while in_a_row < _RECOVERED_ANSWERS and time.perf_counter() - started < 30:
        answer = await connection.ask(request)
        in_a_row = in_a_row + 1 if answer.status == 200 and answer.seconds < 5 * usual else 0
    connection.close()
    return time.perf_counter() - started


async def _measure(server: Server, seconds: float, n_small: int, n_large: int, n_read: int) -> bool:
    small, large = post("/predict", pictures.tiny()), post("/predict", pictures.large_photo())
    page = post("/read", pictures.page())
    usual = await _idle_latency(server.port, small, 200)
    usual_large, usual_page = [await _idle_latency(server.port, request, 3) for request in (large, page)]
    rates = [
        await _alone(server.port, request, name, n, seconds / 6)
        for request, name, n in ((large, "12 megapixels", n_large), (page, "pages to read", n_read))
    ]
    before = server.rss_mib()
    tallies = [Tally("small"), Tally("12 megapixels"), Tally("pages to read"), *map(Tally, _PROBES)]
    connecting = Tally("connecting")
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        sampling = group.create_task(_memory(server, until))
        requests = (small, large, page)
        for request, tally, n in zip(requests, tallies, (n_small, n_large, n_read), strict=False):
            for _ in range(n):
                group.create_task(_closed_loop(server.port, request, until, tally))
        for path, tally in zip(_PROBES, tallies[3:], strict=True):
            spans = (until - seconds + _CONNECTING_SECONDS, connecting), (until, tally)
            group.create_task(_probe(server.port, path, *spans))
    memory = sampling.result()
    recovery = await _recovery(server.port, small, usual)
    idle = f"12 megapixels {1000 * usual_large:.0f} ms, a page {1000 * usual_page:.0f} ms"
    print(f"without load: small {1000 * usual:.1f} ms, {idle}\n")
    print(f"{'':16}{'status':>6}{'answers':>9}{'per s':>9}{'ms: 50 %':>9}{'99 %':>9}{'max':>9}")
    for tally in [*tallies, connecting]:
        for status in sorted(tally.seconds):
            print(tally.line(status, seconds))
    shares = [
        len(tally.seconds[200]) / seconds / rate if rate else 1 for tally, rate in zip(tallies[1:3], rates, strict=True)
    ]
    alone = ", ".join(
        f"{tally.name} {rate:.1f} a second, and {100 * share:.0f} % of that under load"
        for tally, rate, share in zip(tallies[1:3], rates, shares, strict=True)
    )
    print(f"\nalone: {alone}")
    halves = memory[: len(memory) // 2], memory[len(memory) // 2 :]
    peaks = " and ".join(f"{max(half):.0f}" for half in halves)
    print(f"MiB: {before:.0f} before, at most {peaks} in the first and second half")
    print(f"recovered after {recovery:.2f} s")
    probes = tallies[3:]
    return (
        tallies[0].is_within(_MAX_ADMITTED, 0.99)
        and all(tally.is_within(_MAX_PROBE, 1) and len(tally.seconds) == 1 for tally in probes)
        and connecting.is_within(_MAX_PROBE_CONNECTING, 1)
        and min(shares) >= _MIN_SHARE
        and not any(tally.n_unexpected for tally in [*tallies, connecting])
        and recovery <= 1
    )


def main() -> int:
    """Measure, print, and return 1 when a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="duration")
    parser.add_argument("--small", type=int, default=500, help="connections with tiny pictures")
    parser.add_argument("--large", type=int, default=16, help="connections with photos of 12 megapixels")
    parser.add_argument("--read", type=int, default=4, help="connections with pages of 40 digits")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with running_service("0") as server:
        passed = uvloop.run(_measure(server, arguments.seconds, arguments.small, arguments.large, arguments.read))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
