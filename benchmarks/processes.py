"""What a process costs and what a second one brings: the first answer, memory, and batches of 64 by one and by two.

    python -m benchmarks.processes

Prints the seconds from the start of a process to its first answer to a canvas drawing, and the memory that it has
after a thousand of them, beside those of the naive service; and how many batches two workers read in the time of one.
Needs Linux and wrk.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.serving import ROOT, Served
from benchmarks.throughput import ADDRESS, Case, batch_by_service, by_naive, by_service, rate, serving
from benchmarks.wire import post

_STARTS = 7
_REQUESTS = 1000


def _start(case: Case) -> float:
    """Return the seconds until a server gives its first answer."""
    port = int(ADDRESS.rpartition(":")[2])
    environment = os.environ | {"DIGITS_PORT": str(port), "DIGITS_DRAIN_SECONDS": "0"}
    request = post(case.path, case.body, case.content_type)
    started = time.perf_counter()
    with subprocess.Popen(case.command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200"):
            if process.poll() is not None:
                sys.exit(f"{case.name} did not start")
            try:
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(request)
                    answer = connection.recv(1024)
            except OSError:
                time.sleep(0.005)
        seconds = time.perf_counter() - started
        process.terminate()
    return seconds


def _memory(case: Case, log: Path) -> float:
    """Return the MiB that a server has after so many requests."""
    headers = {"Content-Type": case.content_type}
    with serving(case, log) as process, httpx.Client() as client:
        for _ in range(_REQUESTS):
            client.post(ADDRESS + case.path, content=case.body, headers=headers).raise_for_status()
        return Served(process.pid, 0).mebibytes()


def _batches(case: Case, folder: Path, workers: int) -> float:
    with serving(case, folder / "log", "0,1", DIGITS_WORKERS=str(workers)):
        return rate(case, folder, "0,1")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'':30}{'first answer':>14}{'fastest':>10}{'memory':>12}")
        for case in (by_service("drawing"), by_naive("drawing")):
            seconds = [_start(case) for _ in range(_STARTS)]
            memory = _memory(case, folder / "log")
            print(f"{case.server:30}{statistics.median(seconds):12.2f} s{min(seconds):8.2f} s{memory:8.0f} MiB")
        batch = batch_by_service()
        one, two = (max(_batches(batch, folder, n) for _ in range(2)) for n in (1, 2))
    print(f"\nbatches of 64 a second: {one:.0f} by one process, {two:.0f} by two, {two / one:.2f} times")


if __name__ == "__main__":
    main()
