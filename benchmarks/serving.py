"""The service in a process of its own: where it listens, and what memory it takes as Linux tells it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import httpx

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Served:
    """A running service."""

    pid: int
    port: int

    def mebibytes(self) -> float:
        """Return the memory that the process takes now."""
        return self._status("VmRSS") / 1024

    def most_mebibytes(self) -> float:
        """Return the memory that the process took at most."""
        return self._status("VmHWM") / 1024

    def n_threads(self) -> int:
        """Return how many threads the process has."""
        return self._status("Threads")

    def n_files(self) -> int:
        """Return how many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(rf"{name}:\s+(\d+)", status)[0])


@contextmanager
def served(processor: int | None = None, **variables: str) -> Iterator[Served]:
    """Serve on a free port until the end of the block, with these settings, bound to a processor if one is named.

    Every request is logged, into a file that nobody reads.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"DIGITS_PORT": str(port)} | variables
    bound = [] if processor is None else ["taskset", "-c", str(processor)]
    command = [*bound, sys.executable, "-m", "service", "serve"]
    with TemporaryFile() as log, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log) as process:
        try:
            while not _is_ready(port):
                if process.poll() is not None:
                    sys.exit("the service did not start")
                time.sleep(0.1)
            yield Served(process.pid, port)
        finally:
            process.terminate()


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False
