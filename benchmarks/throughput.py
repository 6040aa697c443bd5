"""How many requests a second one process answers on one core, beside servers that do less (`benchmarks.ceilings`).

    python -m benchmarks.throughput

Needs wrk and taskset, and two processors: the server has the first, wrk with eight connections the second. The picture
is the digit of the model's known answer as a PNG of 28x28 pixels. Servers take turns for two rounds; the better one
counts. The service logs every request, into a file, and counts it, as it always does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import pictures

_ROOT = Path(__file__).parents[1]
_PORT = 8077
_ADDRESS = f"http://127.0.0.1:{_PORT}"
_ROUNDS = 2
_SECONDS = 5
_BATCH = 64
_SERVICE = "digits serve"
_BOUNDARY = "digits-boundary"


@dataclass(frozen=True)
class Case:
    """One server and what it is asked; `counts` is how many pictures a request has."""

    name: str
    app: str
    path: str
    content_type: str
    body: bytes
    counts: int = 1


def _form(pictures: list[bytes]) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="d.png"\r\n\r\n'.encode()
    return b"".join(head + picture + b"\r\n" for picture in pictures) + f"--{_BOUNDARY}--\r\n".encode()


def cases() -> list[Case]:
    """Return everything that is compared."""
    png = pictures.tiny()
    pixels = pictures.digit().ravel().tolist()
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, len(pixels)], "data": pixels}
    form, json_type = f"multipart/form-data; boundary={_BOUNDARY}", "application/json"
    return [
        Case("bare uvicorn, body read", "benchmarks.ceilings:bare", "/predict", "image/png", png),
        Case("FastAPI, body read", "benchmarks.ceilings:raw", "/predict", "image/png", png),
        Case("FastAPI, UploadFile read", "benchmarks.ceilings:upload", "/predict", form, _form([png])),
        Case("service, picture as body", _SERVICE, "/predict", "image/png", png),
        Case("service, form", _SERVICE, "/predict", form, _form([png])),
        Case(
            "service, /v2 infer, one row of JSON",
            _SERVICE,
            "/v2/models/mnist-mlp/infer",
            json_type,
            json.dumps({"inputs": [tensor]}).encode(),
        ),
        Case("service, batch of 64", _SERVICE, "/predict/batch", form, _form([png] * _BATCH), _BATCH),
    ]


@contextmanager
def _serving(app: str, log: Path) -> Iterator[None]:
    serve = ["service", "serve"] if app == _SERVICE else ["uvicorn", app, "--port", str(_PORT), "--no-access-log"]
    command = ["taskset", "-c", "0", sys.executable, "-m", *serve]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "DIGITS_PORT": str(_PORT), "DIGITS_DRAIN_SECONDS": "0"}
    with log.open("ab") as stream, subprocess.Popen(command, cwd=_ROOT, env=environment, stderr=stream) as process:
        try:
            while process.poll() is None:
                try:
                    httpx.get(f"{_ADDRESS}/livez")
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _rate(case: Case, folder: Path) -> float:
    """Return requests a second."""
    body, script = folder / "body", folder / "post.lua"
    body.write_bytes(case.body)
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{case.content_type}"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c8", f"-d{_SECONDS}s", "-s", str(script), _ADDRESS + case.path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed:
        message = f"{case.name}: {printed}"
        raise RuntimeError(message)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", printed)[0])


def main() -> None:
    """Measure and print."""
    missing = [program for program in ("wrk", "taskset") if shutil.which(program) is None]
    if missing:
        sys.exit(f"needs {' and '.join(missing)}")
    everything = cases()
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(_ROUNDS):
            for case in everything:
                with _serving(case.app, folder / "log"):
                    rates[case.name] = max(rates.get(case.name, 0), _rate(case, folder))
    raw, upload = rates["FastAPI, body read"], rates["FastAPI, UploadFile read"]
    print(f"{'':38}{'requests/s':>12}{'pictures/s':>12}{'of raw':>9}{'of upload':>11}")
    for case in everything:
        rate = rates[case.name]
        print(f"{case.name:38}{rate:12.0f}{rate * case.counts:12.0f}{rate / raw:9.2f}{rate / upload:11.2f}")


if __name__ == "__main__":
    main()
