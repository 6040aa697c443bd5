"""What one request costs within the process: without a server, without the system's network.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.request

Calls applications as uvicorn would, one request after the other: FastAPI that only reads a body or an upload, and the
service with the log and the metrics on. Prints microseconds, the best of many rounds in which they take turns.
"""

from __future__ import annotations

import asyncio
import json
import logging
import logging.config
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from benchmarks import ceilings, pictures
from service import logs
from service.app import create_app
from service.settings import read_settings

_ROUNDS = 40
_REQUESTS = 50
_FORM = "multipart/form-data; boundary=b"


def _form(*files: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="d.png"\r\nContent-Type: image/png\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + b"--b--\r\n"


async def _ask(app: ASGIApp, path: str, content_type: str, body: bytes) -> None:
    headers = {"host": "localhost", "content-type": content_type, "content-length": str(len(body))}
    scope: Mapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    await app(dict(scope), receive, send)
    # A round of the event loop, as there is between two requests.
    await asyncio.sleep(0)
    if statuses[0] != 200:
        message = f"{path} answered {statuses[0]}"
        raise RuntimeError(message)


async def main() -> None:
    """Measure and print."""
    png, pixels = pictures.tiny(), pictures.digit().ravel().tolist()
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, len(pixels)], "data": pixels}
    infer = json.dumps({"inputs": [tensor]}).encode()
    app = create_app(read_settings())
    cases: dict[str, tuple[ASGIApp, str, str, bytes]] = {
        "FastAPI, body read": (ceilings.raw, "/predict", "image/png", png),
        "FastAPI, UploadFile read": (ceilings.upload, "/predict", _FORM, _form(png)),
        "service, picture as body": (app, "/predict", "image/png", png),
        "service, form": (app, "/predict", _FORM, _form(png)),
        "service, /v2 infer, one row of JSON": (app, "/v2/models/mnist-mlp/infer", "application/json", infer),
        "service, batch of 64": (app, "/predict/batch", _FORM, _form(*[png] * 64)),
    }
    best = dict.fromkeys(cases, float("inf"))
    async with app.router.lifespan_context(app):
        for _ in range(_ROUNDS):
            for name, asked in cases.items():
                n = _REQUESTS if "batch" not in name else 3
                started = time.perf_counter()
                for _ in range(n):
                    await _ask(*asked)
                best[name] = min(best[name], (time.perf_counter() - started) / n)
    for name, seconds in best.items():
        print(f"{name:38}{1e6 * seconds:8.0f} microseconds")


if __name__ == "__main__":
    logging.config.dictConfig(logs.configuration("info", "json"))
    asyncio.run(main())
