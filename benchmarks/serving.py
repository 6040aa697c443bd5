"""Starts servers for benchmarks: a command, an environment and a readiness probe in, a running process out.

Every benchmark starts its servers here, this service and the peers. Memory, threads and open files of the process are
read from /proc, so Linux is needed.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.wire import get

ROOT = Path(__file__).parents[1]
SERVICE_COMMAND = (sys.executable, "-m", "service", "serve")

_START_TIMEOUT = 60
_STOP_TIMEOUT = 10
_PROBE_INTERVAL = 0.005


@dataclass(frozen=True)
class Server:
    """A running server; `startup_seconds` is the time from its start to its first answer."""

    pid: int
    port: int
    startup_seconds: float

    def rss_mib(self) -> float:
        """Return the resident memory in MiB."""
        return self._status("VmRSS") / 1024

    def peak_rss_mib(self) -> float:
        """Return the peak of the resident memory in MiB."""
        return self._status("VmHWM") / 1024

    def n_threads(self) -> int:
        """Return the number of threads."""
        return self._status("Threads")

    def n_files(self) -> int:
        """Return the number of open files and sockets."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(rf"{name}:\s+(\d+)", status)[0])


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    probe: bytes,
    environment: Mapping[str, str] | None = None,
    processors: str | None = None,
) -> Iterator[Server]:
    """Run a server until the end of the block. Yields it once it has answered `probe`, an HTTP request, with 200.

    The command has to make it listen on the port. DIGITS_PORT and DIGITS_DRAIN_SECONDS are set for the service.
    `processors` are those that taskset binds it to, such as "0,1". Its log goes to a temporary file. Raises
    RuntimeError when the server exits or gives no such answer within a minute.
    """
    variables = {"DIGITS_PORT": str(port), "DIGITS_DRAIN_SECONDS": "0", **(environment or {})}
    bound = [] if processors is None else ["taskset", "-c", processors]
    started = time.perf_counter()
    with (
        TemporaryFile() as log,
        subprocess.Popen(
            [*bound, *command],
            cwd=ROOT,
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_until_ready(process, port, probe)
            yield Server(process.pid, port, time.perf_counter() - started)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT)
            # Some peers ignore SIGTERM, or leave worker processes behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def running_service(processors: str | None = None, **variables: str) -> Iterator[Server]:
    """Run this service on a free port, with these environment variables, until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(SERVICE_COMMAND, port, get("/readyz"), variables, processors) as server:
        yield server


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, probe: bytes) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    answer = b""
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), _START_TIMEOUT) as connection:
            connection.sendall(probe)
            answer = connection.recv(1024)
            if answer.startswith(b"HTTP/1.1 200"):
                return
        time.sleep(_PROBE_INTERVAL)
    message = f"{process.args!r} is not ready; its last answer was {answer!r}"
    raise RuntimeError(message)
