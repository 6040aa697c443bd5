"""What one request costs within the process: without a server, without the system's network.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.request

Calls applications as uvicorn would, one request after the other: FastAPI that only reads a body or an upload, and the
service with the log and the metrics on. Prints microseconds, the best of many rounds in which they take turns.
"""

from __future__ import annotations

import asyncio
import logging
import logging.config
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.types import ASGIApp, Message

from benchmarks import ceilings
from benchmarks.throughput import Case, cases
from service import logs
from service.app import create_app
from service.settings import read_settings

_ROUNDS = 40
_REQUESTS = 50
# Of what `benchmarks.throughput` asks, the applications that can be called here.
_APPS: Mapping[str, ASGIApp | None] = MappingProxyType(
    {
        "FastAPI, body read": ceilings.raw,
        "FastAPI, UploadFile read": ceilings.upload,
        "service, picture as body": None,
        "service, form": None,
        "service, /v2 infer, one row of JSON": None,
        "service, batch of 64": None,
    }
)


async def _ask(app: ASGIApp, case: Case) -> None:
    headers = {"host": "localhost", "content-type": case.content_type, "content-length": str(len(case.body))}
    scope: Mapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": case.path,
        "raw_path": case.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": case.body, "more_body": False}

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    await app(dict(scope), receive, send)
    # A round of the event loop, as there is between two requests.
    await asyncio.sleep(0)
    if statuses[0] != 200:
        message = f"{case.path} answered {statuses[0]}"
        raise RuntimeError(message)


async def main() -> None:
    """Measure and print."""
    service = create_app(read_settings())
    compared = [case for case in cases() if case.name in _APPS]
    best = dict.fromkeys(_APPS, float("inf"))
    async with service.router.lifespan_context(service):
        for _ in range(_ROUNDS):
            for case in compared:
                n = -(-_REQUESTS // case.counts)
                started = time.perf_counter()
                for _ in range(n):
                    await _ask(_APPS[case.name] or service, case)
                best[case.name] = min(best[case.name], (time.perf_counter() - started) / n)
    for name, seconds in best.items():
        print(f"{name:38}{1e6 * seconds:8.0f} microseconds")


if __name__ == "__main__":
    logging.config.dictConfig(logs.configuration("info", "json"))
    asyncio.run(main())
