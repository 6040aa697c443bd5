"""Real servers for tests: in a thread of this process, or in a subprocess."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from service.server.http_protocol import Protocol

_ROOT = Path(__file__).parents[1]
_SECONDS = 60


@contextmanager
def in_thread(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Serve an application in a thread, with options of uvicorn, and yield its base URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # connections before the server is ready wait in the listen queue
        settings = {"http": Protocol, **options}
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, **settings))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_SECONDS)


@contextmanager
def process(
    environment: Mapping[str, str], stderr: IO[bytes] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `digits serve` in a subprocess with these environment variables; yield its base URL and the process."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "service", "serve"]
    variables = {**os.environ, "DIGITS_PORT": str(port), **environment}
    with subprocess.Popen(command, cwd=_ROOT, env=variables, stderr=stderr) as server:
        try:
            # One client, since making one takes longer than a request.
            with httpx.Client(base_url=address) as client:
                wait_for(lambda: _is_ready(client))
            yield address, server
        finally:
            server.terminate()
            server.wait(_SECONDS)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def free_port() -> int:
    """Return a port of the loopback interface on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_for(condition: Callable[[], bool], pause: float = 0.02) -> None:
    """Wait until a condition holds, which is looked at after each pause, in seconds. Fails after a minute."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause)
