"""Cost of one request in the application: without the HTTP server and the network.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.request

Calls the ASGI application as uvicorn does, one request after the other, with logs and metrics enabled. Prints
microseconds per request, the best of many rounds in which the kinds of requests take turns.
"""

from __future__ import annotations

import asyncio
import logging
import logging.config
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from benchmarks.throughput import Case, batch_by_service, body_by_service, by_service, inference_by_service
from service.app import create_app
from service.process import logs
from service.settings import read_settings

_ROUNDS = 40
_REQUESTS = 10


async def _call(app: ASGIApp, case: Case) -> None:
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
    # One iteration of the event loop, as between two requests.
    await asyncio.sleep(0)
    if statuses[0] != 200:
        message = f"{case.path} answered {statuses[0]}"
        raise RuntimeError(message)


async def main() -> None:
    """Measure and print."""
    app = create_app(read_settings())
    in_forms = [by_service(sample) for sample in ("inverted", "drawing", "photo", "tiny")]
    cases = [*in_forms, body_by_service("tiny"), batch_by_service(), inference_by_service()]
    best = {case.sent: float("inf") for case in cases}
    async with app.router.lifespan_context(app):
        for _ in range(_ROUNDS):
            for case in cases:
                n = -(-_REQUESTS // case.n_pictures)
                started = time.perf_counter()
                for _ in range(n):
                    await _call(app, case)
                best[case.sent] = min(best[case.sent], (time.perf_counter() - started) / n)
    for name, seconds in best.items():
        print(f"{name:38}{1e6 * seconds:8.0f} microseconds")


if __name__ == "__main__":
    logging.config.dictConfig(logs.configuration("info", "json"))
    asyncio.run(main())
