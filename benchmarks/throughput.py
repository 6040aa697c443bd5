"""Throughput of one core: requests per second of this service and of other servers of a scikit-learn network.

    python -m benchmarks.throughput [--only sent,peers,inference,mnist] [--seconds 5] [--rounds 3]

Prints a table for each section:

    sent       pictures as people send them, in a form: this service, and the naive one of `benchmarks/peers/naive.py`
    peers      the canvas drawing: this service, and all peers that accept pictures
    inference  one row of JSON over the Open Inference Protocol: this service, and MLServer
    mnist      the 28x28 picture in MNIST form, which only benchmarks send, and batches of 64 of it

Peers are measured if `make peers` has installed their environments, HEIC if pillow_heif is installed to write it. Needs
wrk, taskset and two processors: the server is bound to the first, wrk to the second. Servers take turns for several
rounds, and the best round counts. The service logs every request to a file and updates its metrics, as in production.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks import pictures
from benchmarks.pictures import SAMPLES
from benchmarks.serving import ROOT, SERVICE_COMMAND, Server, running
from benchmarks.tables import table
from benchmarks.wire import post

PORT = 8077
ADDRESS = f"http://127.0.0.1:{PORT}"
_TIMEOUT = 60
_BATCH = 64
_CONNECTIONS = 8
# A picture that takes half a second: with eight connections the service would shed load.
_CONNECTIONS_OF_SLOW = 2
_BOUNDARY = "digits-boundary"
_FORM, _JSON = f"multipart/form-data; boundary={_BOUNDARY}", "application/json"
_PEERS = ROOT / ".venv-peers"
_PEERS_CODE = ROOT / "benchmarks" / "peers"
_SERVICE, _NAIVE = "service", "naive service"
_SENT = {"inverted", "drawing", "photo", "large_photo", "heic", "bare_heic"}


@dataclass(frozen=True)
class Case:
    """A server, its command, and the request that it is sent. `n_pictures` is the number of pictures per request."""

    server: str
    sent: str
    command: tuple[str, ...]
    path: str
    content_type: str
    body: bytes
    n_pictures: int = 1
    connections: int = _CONNECTIONS

    @property
    def name(self) -> str:
        """A unique name."""
        return f"{self.server}, {self.sent}"

    @property
    def request(self) -> bytes:
        """The HTTP request."""
        return post(self.path, self.body, self.content_type)


Rates = Mapping[Case, float]


def by_service(sample: str) -> Case:
    """Return the case of a picture that is sent to this service in a form."""
    return Case(
        _SERVICE, SAMPLES[sample].title, SERVICE_COMMAND, "/predict", _FORM, _form(sample), 1, _connections(sample)
    )


def by_naive(sample: str) -> Case:
    """Return the case of a picture that is sent to the naive service in a form."""
    options = ("--app-dir", str(_PEERS_CODE), "--port", str(PORT), "--no-access-log")
    command = (sys.executable, "-m", "uvicorn", "naive:app", *options)
    return Case(_NAIVE, SAMPLES[sample].title, command, "/predict", _FORM, _form(sample))


def body_by_service(sample: str) -> Case:
    """Return the case of a picture that is the body of a request to this service."""
    title = f"{SAMPLES[sample].title}, as body"
    return Case(_SERVICE, title, SERVICE_COMMAND, "/predict", SAMPLES[sample].media_type, SAMPLES[sample].make())


def batch_by_service() -> Case:
    """Return the case of a batch of 64 pictures in MNIST form that is sent to this service."""
    return Case(
        _SERVICE, f"{_BATCH} at once", SERVICE_COMMAND, "/predict/batch", _FORM, _form("tiny", n=_BATCH), _BATCH
    )


def inference_by_service() -> Case:
    """Return the case of one row of JSON that is sent to this service over the Open Inference Protocol."""
    return _inference(_SERVICE, SERVICE_COMMAND)


def _sent() -> list[Case]:
    found = [name for name in pictures.available() if name in _SENT]
    # The naive service has no HEIC decoder.
    return [case for name in found for case in (by_service(name), *([] if "heic" in name else [by_naive(name)]))]


def _print_sent(rates: Rates) -> None:
    rows = []
    for case, rate_ in rates.items():
        if case.server == _SERVICE:
            naive = next((rates[one] for one in rates if one.server == _NAIVE and one.sent == case.sent), None)
            found = ["not supported", ""] if naive is None else [_figure(naive), f"{rate_ / naive:.2f}"]
            rows.append([case.sent, _figure(rate_), *found])
    print("Pictures as people send them, in a form, requests per second:\n")
    print(table(["sent", _SERVICE, _NAIVE, f"{_SERVICE} / naive"], rows))
    if "heic" not in pictures.available():
        print("\nHEIC is skipped: pillow_heif, which writes it, is not installed.")


def _peers() -> list[Case]:
    title, picture = SAMPLES["drawing"].title, SAMPLES["drawing"].make()
    in_json = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
    litserve = _peer("litserve", "python", f"{_PEERS_CODE}/litserve_server.py", str(PORT))
    options = ("--working-dir", str(_PEERS_CODE), "--port", str(PORT))
    bentoml = _peer("bentoml", "bentoml", "serve", "bentoml_server:Digits", *options)
    found = [
        by_service("drawing"),
        by_naive("drawing"),
        Case("LitServe, base64 in JSON", title, litserve, "/predict", _JSON, in_json),
        Case("BentoML", title, bentoml, "/predict", _FORM, _form("drawing", field="image")),
    ]
    return _installed(found)


def _print_peers(rates: Rates) -> None:
    print(f"{SAMPLES['drawing'].title}, in a form unless stated otherwise:\n")
    print(_comparison(rates))


def _inference_cases() -> list[Case]:
    script = f"{_PEERS_CODE}/mlserver_server.py"
    found = [
        inference_by_service(),
        _inference("MLServer, parallel_workers: 0", _peer("mlserver", "python", script, str(PORT), "0")),
        _inference("MLServer, its defaults", _peer("mlserver", "python", script, str(PORT))),
    ]
    return _installed(found)


def _print_inference(rates: Rates) -> None:
    print("One row of JSON, /v2/models/mnist-mlp/infer:\n")
    print(_comparison(rates))


def _mnist() -> list[Case]:
    return [by_service("tiny"), body_by_service("tiny"), batch_by_service(), by_naive("tiny")]


def _print_mnist(rates: Rates) -> None:
    by_name = {case.name: rate_ for case, rate_ in rates.items()}
    form = by_name[f"{_SERVICE}, {SAMPLES['tiny'].title}"]
    rows = [
        [case.name, _figure(rate_), _figure(case.n_pictures * rate_), f"{case.n_pictures * rate_ / form:.2f}"]
        for case, rate_ in rates.items()
    ]
    print("The picture in MNIST form, in a form unless stated otherwise:\n")
    print(table(["server and request", "requests per second", "pictures per second", "pictures / service, form"], rows))


@dataclass(frozen=True)
class Section:
    """The cases that are compared, and the function that prints their rates."""

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


def _peer(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a program in a peer's environment."""
    return (str(_PEERS / name / "bin" / arguments[0]), *arguments[1:])


def _installed(cases: list[Case]) -> list[Case]:
    """Return the cases whose servers are installed, and print which are not."""
    found = []
    for case in cases:
        program = Path(case.command[0])
        if _PEERS not in program.parents or (program.parents[1] / ".made").exists():
            found.append(case)
        else:
            print(f"{case.server} is skipped: `make peers` installs it.\n")
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
    """Return a rate as text, with one decimal below 100."""
    return f"{rate_:,.0f}" if rate_ >= 100 else f"{rate_:.1f}"


def _comparison(rates: Rates) -> str:
    """Return a table of servers that are sent the same picture, with their rates relative to this service."""
    service = next(rate_ for case, rate_ in rates.items() if case.server == _SERVICE)
    rows = [[case.server, _figure(rate_), f"{service / rate_:.2f}"] for case, rate_ in rates.items()]
    return table(["server", "requests per second", "service / this one"], rows)


@contextmanager
def running_case(case: Case, processors: str = "0", **variables: str) -> Iterator[Server]:
    """Run the server of a case, bound to these processors, with these environment variables."""
    environment = {"OPENBLAS_NUM_THREADS": "1"} | variables
    with running(case.command, PORT, case.request, environment, processors) as server:
        yield server


def rate(case: Case, folder: Path, processors: str = "1", seconds: int = 5) -> float:
    """Return the requests per second of a running server, measured by wrk on these processors."""
    body, script = folder / "body", folder / "post.lua"
    body.write_bytes(case.body)
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{case.content_type}"\n'
        f'local file = io.open("{body}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
    )
    options = ["-t1", f"-c{case.connections}", f"-d{seconds}s", "--timeout", f"{_TIMEOUT}s", "-s", str(script)]
    command = ["taskset", "-c", processors, "wrk", *options, ADDRESS + case.path]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed:
        message = f"{case.name}: {printed}"
        raise RuntimeError(message)
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", printed)[0])


def _measured(cases: list[Case], folder: Path, rounds: int, seconds: int) -> Rates:
    """Return the best rate of each case, in the order of the cases."""
    rates = dict.fromkeys(cases, 0.0)
    for _ in range(rounds):
        for case in cases:
            with running_case(case):
                rates[case] = max(rates[case], rate(case, folder, seconds=seconds))
    return rates


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(SECTIONS):
        message = f"unknown section {', '.join(sorted(unknown))}: choose from {', '.join(SECTIONS)}"
        raise argparse.ArgumentTypeError(message)
    return names


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", type=_names, metavar="NAME,...", default=list(SECTIONS), help="run only these sections"
    )
    parser.add_argument("--seconds", type=int, default=5, help="duration per server and round")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds; the best one counts")
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
