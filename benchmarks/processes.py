"""What a process costs and what a second one brings: the first answer, memory, and batches of 64 by one and by two.

    python -m benchmarks.processes

Prints the seconds from the start of a process to its first answer, beside those of FastAPI that only reads a body, and
of the usual FastAPI + scikit-learn service; the memory that each has after a thousand tiny pictures; and how many
batches two workers read in the time of one. Needs Linux and wrk.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.throughput import ADDRESS, Case, cases, rate, serving

_STARTS = 7
_REQUESTS = 1000
_COMPARED = ("FastAPI, body read", "service, picture as body", "usual FastAPI, form")
_BATCH = "service, batch of 64"


def _start(case: Case) -> float:
    """Return the seconds until a server gives its first answer."""
    host, port = ADDRESS.removeprefix("http://").split(":")
    request = (
        f"POST {case.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {case.content_type}\r\n"
        f"Content-Length: {len(case.body)}\r\n\r\n"
    ).encode() + case.body
    environment = os.environ | {"DIGITS_PORT": port, "DIGITS_DRAIN_SECONDS": "0"}
    started = time.perf_counter()
    with subprocess.Popen(case.command, env=environment, stderr=subprocess.DEVNULL) as process:
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200"):
            try:
                with socket.create_connection((host, int(port))) as connection:
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
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def _batches(case: Case, folder: Path, workers: int) -> float:
    os.environ["DIGITS_WORKERS"] = str(workers)
    with serving(case, folder / "log", "0,1"):
        return rate(case, folder, "0,1")


def main() -> None:
    """Measure and print."""
    known = {case.name: case for case in cases()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'':30}{'first answer':>14}{'fastest':>10}{'memory':>12}")
        for compared in _COMPARED:
            case = known[compared]
            seconds = [_start(case) for _ in range(_STARTS)]
            memory = _memory(case, folder / "log")
            print(f"{compared:30}{statistics.median(seconds):12.2f} s{min(seconds):8.2f} s{memory:8.0f} MiB")
        one, two = (max(_batches(known[_BATCH], folder, n) for _ in range(2)) for n in (1, 2))
    print(f"\nbatches of 64 a second: {one:.0f} by one process, {two:.0f} by two, {two / one:.2f} times")


if __name__ == "__main__":
    main()
