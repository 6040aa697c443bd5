"""How many requests a second one core answers, beside servers that do less, and those that people use otherwise.

The former are in `benchmarks.ceilings`, the latter in `benchmarks/peers`, if `make peers` has made their environments.

    python -m benchmarks.throughput

Needs wrk and taskset, and two processors: the server has the first, wrk with eight connections the second. The picture
is the digit of the model's known answer as a PNG of 28x28 pixels. Servers take turns for three rounds; the best one
counts. The service logs every request, into a file, and counts it, as it always does.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import pictures
from benchmarks.serving import ROOT

_PORT = 8077
ADDRESS = f"http://127.0.0.1:{_PORT}"
_ROUNDS = 3
_SECONDS = 5
_PATIENCE = 60
_BATCH = 64
_BOUNDARY = "digits-boundary"
# What uvicorn is fastest with; the service does without, see docs/decisions.md.
_FAST = ("--loop", "uvloop")
_PEERS = ROOT / ".venv-peers"
_RAW, _UPLOAD, _MLSERVER = "FastAPI, body read", "FastAPI, UploadFile read", "MLServer, /v2 infer"
_OPEN_INFERENCE = "service, /v2 infer, one row of JSON"


@dataclass(frozen=True)
class Case:
    """One server, how it is started, and what it is asked; `counts` is how many pictures a request has."""

    name: str
    command: tuple[str, ...]
    path: str
    content_type: str
    body: bytes
    counts: int = 1


def _uvicorn(app: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "uvicorn", app, "--port", str(_PORT), "--no-access-log", *options)


def _peer(name: str, *arguments: str) -> tuple[str, ...]:
    """Return how a program of a peer's environment is started."""
    return (str(_PEERS / name / "bin" / arguments[0]), *arguments[1:])


def _form(*files: bytes, field: str = "file") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="d.png"'
    head = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: image/png\r\n\r\n".encode()
    return b"".join(head + file + b"\r\n" for file in files) + f"--{_BOUNDARY}--\r\n".encode()


def cases() -> list[Case]:
    """Return everything that is compared, peers where their environments are there."""
    png = pictures.tiny()
    pixels = pictures.digit().ravel().tolist()
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, len(pixels)], "data": pixels}
    infer, infer_path = json.dumps({"inputs": [tensor]}).encode(), "/v2/models/mnist-mlp/infer"
    form, json_type = f"multipart/form-data; boundary={_BOUNDARY}", "application/json"
    in_json = json.dumps({"image": base64.b64encode(png).decode()}).encode()
    service = (sys.executable, "-m", "service", "serve")
    folder = str(ROOT / "benchmarks" / "peers")
    bentoml = ("bentoml", "serve", "bentoml_server:Digits", "--working-dir", folder, "--port", str(_PORT))
    found = [
        Case("bare uvicorn, body read", _uvicorn("benchmarks.ceilings:bare", *_FAST), "/predict", "image/png", png),
        Case(_RAW, _uvicorn("benchmarks.ceilings:raw", *_FAST), "/predict", "image/png", png),
        Case(_UPLOAD, _uvicorn("benchmarks.ceilings:upload", *_FAST), "/predict", form, _form(png)),
        Case("service, picture as body", service, "/predict", "image/png", png),
        Case("service, form", service, "/predict", form, _form(png)),
        Case(_OPEN_INFERENCE, service, infer_path, json_type, infer),
        Case("service, batch of 64", service, "/predict/batch", form, _form(*[png] * _BATCH), _BATCH),
        Case("usual FastAPI, form", _uvicorn("usual:app", "--app-dir", folder), "/predict", form, _form(png)),
        Case(
            _MLSERVER,
            _peer("mlserver", "python", f"{folder}/mlserver_server.py", str(_PORT)),
            infer_path,
            json_type,
            infer,
        ),
        Case(
            "LitServe, base64 in JSON",
            _peer("litserve", "python", f"{folder}/litserve_server.py", str(_PORT)),
            "/predict",
            json_type,
            in_json,
        ),
        Case("BentoML, form", _peer("bentoml", *bentoml), "/predict", form, _form(png, field="image")),
    ]
    return [case for case in found if _is_made(Path(case.command[0]))]


def _is_made(program: Path) -> bool:
    """Say whether a program's environment is complete."""
    return _PEERS not in program.parents or (program.parents[1] / ".made").exists()


@contextmanager
def serving(case: Case, log: Path, processors: str = "0", **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server of a case, bound to these processors, with these settings, until the end of the block."""
    command = ["taskset", "-c", processors, *case.command]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "DIGITS_PORT": str(_PORT), "DIGITS_DRAIN_SECONDS": "0"}
    environment |= variables
    with (
        log.open("ab") as stream,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
        ) as process,
    ):
        try:
            _wait_for(case, process)
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE / 6)
            # Some peers do not end, or leave their workers behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(case: Case, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as a server gives an answer."""
    started = time.monotonic()
    headers = {"Content-Type": case.content_type}
    while time.monotonic() - started < _PATIENCE and process.poll() is None:
        try:
            if httpx.post(ADDRESS + case.path, content=case.body, headers=headers).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    message = f"{case.name} does not answer"
    raise RuntimeError(message)


def rate(case: Case, folder: Path, processors: str = "1") -> float:
    """Return the requests a second that a running server answers to wrk on these processors."""
    body, script = folder / "body", folder / "post.lua"
    body.write_bytes(case.body)
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{case.content_type}"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )
    ask = ["wrk", "-t1", "-c8", f"-d{_SECONDS}s", "-s", str(script), ADDRESS + case.path]
    command = ["taskset", "-c", processors, *ask]
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
                with serving(case, folder / "log"):
                    rates[case.name] = max(rates.get(case.name, 0), rate(case, folder))
    raw, upload = rates[_RAW], rates[_UPLOAD]
    print(f"{'':38}{'requests/s':>12}{'pictures/s':>12}{'of raw':>9}{'of upload':>11}")
    for case in everything:
        found = rates[case.name]
        print(f"{case.name:38}{found:12.0f}{found * case.counts:12.0f}{found / raw:9.2f}{found / upload:11.2f}")
    if _MLSERVER in rates:
        print(f"\n{_OPEN_INFERENCE}: {rates[_OPEN_INFERENCE] / rates[_MLSERVER]:.1f} times MLServer")


if __name__ == "__main__":
    main()
