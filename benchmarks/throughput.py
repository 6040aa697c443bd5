"""How many requests a second one core answers to what people send, beside what else serves a scikit-learn network.

    python -m benchmarks.throughput [--only sent,peers,inference,mnist] [--seconds 5] [--rounds 3]

Prints a table for each section:

    sent       pictures as people send them, in a form: the service, and the naive one of `benchmarks/peers/naive.py`
    peers      the canvas drawing, by all peers that take pictures
    inference  one row of JSON over the Open Inference Protocol, beside MLServer
    mnist      the 28x28 picture in MNIST form, which hardly anybody but a benchmark sends, and 64 of it at once

Peers are measured where `make peers` has made their environments, HEIC where pillow_heif is there to write it. Needs
wrk and taskset, and two processors: the server has the first, wrk the second. Servers take turns for some rounds; the
best one counts. The service logs every request, into a file, and counts it, as it always does.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from benchmarks import pictures
from benchmarks.pictures import SAMPLES
from benchmarks.serving import ROOT
from benchmarks.tables import table

_PORT = 8077
ADDRESS = f"http://127.0.0.1:{_PORT}"
_PATIENCE = 60
_BATCH = 64
_CONNECTIONS = 8
# A picture that takes half a second keeps eight connections waiting for longer than the service lets anybody wait.
_CONNECTIONS_OF_SLOW = 2
_BOUNDARY = "digits-boundary"
_FORM, _JSON = f"multipart/form-data; boundary={_BOUNDARY}", "application/json"
_PEERS = ROOT / ".venv-peers"
_PEERS_CODE = ROOT / "benchmarks" / "peers"
_SERVICE, _NAIVE = "service", "naive service"
_SENT = {"inverted", "drawing", "photo", "large_photo", "heic", "bare_heic"}


@dataclass(frozen=True)
class Case:
    """One server, how it is started, and what it is asked; `counts` is how many pictures a request has."""

    server: str
    sent: str
    command: tuple[str, ...]
    path: str
    content_type: str
    body: bytes
    counts: int = 1
    connections: int = _CONNECTIONS

    @property
    def name(self) -> str:
        """What no other case is called."""
        return f"{self.server}, {self.sent}"


Rates = Mapping[Case, float]


def by_service(sample: str) -> Case:
    """Return a picture that is sent to the service in a form."""
    return Case(_SERVICE, SAMPLES[sample].title, _service(), "/predict", _FORM, _form(sample), 1, _connections(sample))


def by_naive(sample: str) -> Case:
    """Return a picture that is sent to the naive service in a form."""
    options = ("--app-dir", str(_PEERS_CODE), "--port", str(_PORT), "--no-access-log")
    command = (sys.executable, "-m", "uvicorn", "naive:app", *options)
    return Case(_NAIVE, SAMPLES[sample].title, command, "/predict", _FORM, _form(sample))


def body_by_service(sample: str) -> Case:
    """Return a picture that is sent to the service as it is."""
    title = f"{SAMPLES[sample].title}, as body"
    return Case(_SERVICE, title, _service(), "/predict", SAMPLES[sample].media_type, SAMPLES[sample].make())


def batch_by_service() -> Case:
    """Return 64 pictures in MNIST form that are sent to the service at once."""
    return Case(_SERVICE, f"{_BATCH} at once", _service(), "/predict/batch", _FORM, _form("tiny", n=_BATCH), _BATCH)


def inference_by_service() -> Case:
    """Return one row of JSON that is sent to the service over the Open Inference Protocol."""
    return _inference(_SERVICE, _service())


def _sent() -> list[Case]:
    found = [name for name in pictures.available() if name in _SENT]
    # Pillow reads no HEIC by itself.
    return [case for name in found for case in (by_service(name), *([] if "heic" in name else [by_naive(name)]))]


def _print_sent(rates: Rates) -> None:
    rows = []
    for case, rate_ in rates.items():
        if case.server == _SERVICE:
            naive = next((rates[one] for one in rates if one.server == _NAIVE and one.sent == case.sent), None)
            found = ["cannot read it", ""] if naive is None else [_figure(naive), f"{rate_ / naive:.2f}"]
            rows.append([case.sent, _figure(rate_), *found])
    print("Pictures as people send them, in a form, requests a second:\n")
    print(table(["sent", _SERVICE, _NAIVE, f"{_SERVICE} / naive"], rows))
    if "heic" not in pictures.available():
        print("\nHEIC is left out: pillow_heif, which writes it, is not installed.")


def _peers() -> list[Case]:
    title, picture = SAMPLES["drawing"].title, SAMPLES["drawing"].make()
    in_json = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
    litserve = _peer("litserve", "python", f"{_PEERS_CODE}/litserve_server.py", str(_PORT))
    options = ("--working-dir", str(_PEERS_CODE), "--port", str(_PORT))
    bentoml = _peer("bentoml", "bentoml", "serve", "bentoml_server:Digits", *options)
    found = [
        by_service("drawing"),
        by_naive("drawing"),
        Case("LitServe, base64 in JSON", title, litserve, "/predict", _JSON, in_json),
        Case("BentoML", title, bentoml, "/predict", _FORM, _form("drawing", field="image")),
    ]
    return _made(found)


def _print_peers(rates: Rates) -> None:
    print(f"{SAMPLES['drawing'].title}, in a form where nothing else is said:\n")
    print(_beside_service(rates))


def _inference_cases() -> list[Case]:
    script = f"{_PEERS_CODE}/mlserver_server.py"
    found = [
        inference_by_service(),
        _inference("MLServer, parallel_workers: 0", _peer("mlserver", "python", script, str(_PORT), "0")),
        _inference("MLServer, its defaults", _peer("mlserver", "python", script, str(_PORT))),
    ]
    return _made(found)


def _print_inference(rates: Rates) -> None:
    print("One row of JSON, /v2/models/mnist-mlp/infer:\n")
    print(_beside_service(rates))


def _mnist() -> list[Case]:
    return [by_service("tiny"), body_by_service("tiny"), batch_by_service(), by_naive("tiny")]


def _print_mnist(rates: Rates) -> None:
    by_name = {case.name: rate_ for case, rate_ in rates.items()}
    form = by_name[f"{_SERVICE}, {SAMPLES['tiny'].title}"]
    rows = [
        [case.name, _figure(rate_), _figure(case.counts * rate_), f"{case.counts * rate_ / form:.2f}"]
        for case, rate_ in rates.items()
    ]
    print("What is in MNIST form already, in a form where nothing else is said:\n")
    print(
        table(
            ["server and what it is sent", "requests a second", "pictures a second", "pictures / service, form"], rows
        )
    )


@dataclass(frozen=True)
class Section:
    """What is compared with each other, and how that is printed."""

    cases: Callable[[], list[Case]]
    show: Callable[[Rates], None]


SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "sent": Section(_sent, _print_sent),
        "peers": Section(_peers, _print_peers),
        "inference": Section(_inference_cases, _print_inference),
        "mnist": Section(_mnist, _print_mnist),
    }
)


def _service() -> tuple[str, ...]:
    return (sys.executable, "-m", "service", "serve")


def _peer(name: str, *arguments: str) -> tuple[str, ...]:
    """Return how a program of a peer's environment is started."""
    return (str(_PEERS / name / "bin" / arguments[0]), *arguments[1:])


def _made(cases: list[Case]) -> list[Case]:
    """Return the cases whose servers have a complete environment, and print which have none."""
    found = []
    for case in cases:
        program = Path(case.command[0])
        if _PEERS not in program.parents or (program.parents[1] / ".made").exists():
            found.append(case)
        else:
            print(f"{case.server} is left out: `make peers` makes its environment.\n")
    return found


def _inference(server: str, command: tuple[str, ...]) -> Case:
    pixels = pictures.digit().ravel().tolist()
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, len(pixels)], "data": pixels}
    body = json.dumps({"inputs": [tensor]}).encode()
    return Case(server, "/v2 infer, one row of JSON", command, "/v2/models/mnist-mlp/infer", _JSON, body)


def _form(sample: str, field: str = "file", n: int = 1) -> bytes:
    file, media_type = SAMPLES[sample].make(), SAMPLES[sample].media_type
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="digit.{media_type.partition("/")[2]}"'
    part = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: {media_type}\r\n\r\n".encode() + file + b"\r\n"
    return n * part + f"--{_BOUNDARY}--\r\n".encode()


def _connections(sample: str) -> int:
    return _CONNECTIONS_OF_SLOW if sample == "bare_heic" else _CONNECTIONS


def _figure(rate_: float) -> str:
    """Return requests a second, with a decimal where these are few."""
    return f"{rate_:,.0f}" if rate_ >= 100 else f"{rate_:.1f}"


def _beside_service(rates: Rates) -> str:
    """Return a table of servers that are asked the same, the service the first."""
    service = next(rate_ for case, rate_ in rates.items() if case.server == _SERVICE)
    rows = [[case.server, _figure(rate_), f"{service / rate_:.2f}"] for case, rate_ in rates.items()]
    return table(["server", "requests a second", "service / this one"], rows)


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
    headers, last = {"Content-Type": case.content_type}, "nothing"
    while time.monotonic() - started < _PATIENCE and process.poll() is None:
        try:
            answer = httpx.post(ADDRESS + case.path, content=case.body, headers=headers)
        except httpx.TransportError:
            pass
        else:
            if answer.is_success:
                return
            last = f"{answer.status_code} {answer.text}"
        time.sleep(0.05)
    message = f"{case.name} was answered with {last}"
    raise RuntimeError(message)


def rate(case: Case, folder: Path, processors: str = "1", seconds: int = 5) -> float:
    """Return the requests a second that a running server answers to wrk on these processors."""
    body, script = folder / "body", folder / "post.lua"
    body.write_bytes(case.body)
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{case.content_type}"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )
    options = ["-t1", f"-c{case.connections}", f"-d{seconds}s", "--timeout", f"{_PATIENCE}s", "-s", str(script)]
    command = ["taskset", "-c", processors, "wrk", *options, ADDRESS + case.path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed:
        message = f"{case.name}: {printed}"
        raise RuntimeError(message)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", printed)[0])


def _measured(cases: list[Case], folder: Path, rounds: int, seconds: int) -> Rates:
    """Return the best rate of each case, in their order."""
    rates = dict.fromkeys(cases, 0.0)
    for _ in range(rounds):
        for case in cases:
            with serving(case, folder / "log"):
                rates[case] = max(rates[case], rate(case, folder, seconds=seconds))
    return rates


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(SECTIONS):
        message = f"no section is called {', '.join(sorted(unknown))}: there are {', '.join(SECTIONS)}"
        raise argparse.ArgumentTypeError(message)
    return names


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=_names, metavar="NAME,...", default=list(SECTIONS), help="these sections")
    parser.add_argument("--seconds", type=int, default=5, help="of asking each server in each round")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best one counts")
    arguments = parser.parse_args()
    missing = [program for program in ("wrk", "taskset") if shutil.which(program) is None]
    if missing:
        sys.exit(f"needs {' and '.join(missing)}")
    with tempfile.TemporaryDirectory() as name:
        for section in arguments.only:
            found = SECTIONS[section]
            found.show(_measured(found.cases(), Path(name), arguments.rounds, arguments.seconds))
            print(flush=True)


if __name__ == "__main__":
    main()
