"""Costs of a process, and the gain of a second one: time to the first answer, memory, throughput of batches.

    python -m benchmarks.processes

Prints the seconds from the start of a process to its first answer to a canvas drawing, and its memory after a thousand
of them, also for the naive service; then the batches of 64 per second with one worker and with two. Needs Linux, wrk,
taskset and two processors.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import httpx

from benchmarks.serving import running
from benchmarks.throughput import ADDRESS, PORT, Case, batch_by_service, by_naive, by_service, rate, running_case

_STARTS = 7
_REQUESTS = 1000


def _startup_seconds(case: Case) -> float:
    with running(case.command, PORT, case.request) as server:
        return server.startup_seconds


def _memory_mib(case: Case) -> float:
    headers = {"Content-Type": case.content_type}
    with running_case(case) as server, httpx.Client() as client:
        for _ in range(_REQUESTS):
            client.post(ADDRESS + case.path, content=case.body, headers=headers).raise_for_status()
        return server.rss_mib()


def _batches(case: Case, folder: Path, workers: int) -> float:
    with running_case(case, "0,1", DIGITS_WORKERS=str(workers)):
        return rate(case, folder, "0,1")


def main() -> None:
    """Measure and print."""
    print(f"{'':30}{'first answer':>14}{'fastest':>10}{'memory':>12}")
    for case in (by_service("drawing"), by_naive("drawing")):
        seconds = [_startup_seconds(case) for _ in range(_STARTS)]
        memory = _memory_mib(case)
        print(f"{case.server:30}{statistics.median(seconds):12.2f} s{min(seconds):8.2f} s{memory:8.0f} MiB")
    batch = batch_by_service()
    with tempfile.TemporaryDirectory() as name:
        one, two = (max(_batches(batch, Path(name), n) for _ in range(2)) for n in (1, 2))
    print(f"\nbatches of 64 per second: {one:.0f} with one worker, {two:.0f} with two, ratio {two / one:.2f}")


if __name__ == "__main__":
    main()
