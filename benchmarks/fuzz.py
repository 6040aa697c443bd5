"""Fuzzing over HTTP: statuses, longest latency and memory growth for malformed and malicious requests.

    python -m benchmarks.fuzz --cases 200000 [--seed 0]

Starts the service and sends it this many cases of benchmarks.hostile, one kind after the other. Prints for each kind
the number of cases, the longest latency, the memory growth after the first tenth, which is the warm-up, and the
statuses. Case i of a kind is generated with the seed "SEED kind i". Fails when a status is 5xx, a connection breaks, a
case takes longer than a second, or than three for /read, which works for a second on one picture, and is sent up to
two; or when the process ends. Needs Linux.
"""

from __future__ import annotations

import argparse
import http.client
import re
import sys
import time
from collections import Counter
from random import Random

from benchmarks.hostile import KINDS, Case
from benchmarks.serving import running_service

_MODEL = "mnist-mlp"
_MAX_SECONDS, _MAX_SECONDS_READ = 1, 3
# Responses that are computed by the first request and cached.
_CACHED = ("/openapi.json", "/model/weights", "/model/weights/0", "/model/weights/1")


def _ask(connection: http.client.HTTPConnection, case: Case) -> str:
    """Send a case and return the status, or the name of the transport error."""
    headers = {name: value.encode("latin-1") for name, value in case.headers}
    try:
        path = case.path.replace("{model}", _MODEL)
        connection.request(case.method, path, case.body, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__
    return str(response.status)


def main() -> int:
    """Send, print, and return 1 when a case failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200_000, help="total number of cases")
    parser.add_argument("--seed", default="0", help="seed of the generators")
    arguments = parser.parse_args()
    n_each = -(-arguments.cases // len(KINDS))
    failed = []
    print(f"{'kind':28}{'cases':>8}{'slowest':>10}{'growth':>10}  statuses")
    with running_service() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for path in _CACHED:
            _ask(connection, Case("GET", path, (("accept-encoding", "gzip"),)))
        for kind, make in KINDS.items():
            statuses: Counter[str] = Counter()
            slowest, warm = 0.0, 0.0
            for i in range(n_each):
                seed = f"{arguments.seed} {kind} {i}"
                case = make(Random(seed))  # noqa: S311 - reproducible, not secret
                started = time.perf_counter()
                status = _ask(connection, case)
                seconds = time.perf_counter() - started
                statuses[status] += 1
                slowest = max(slowest, seconds)
                limit = _MAX_SECONDS_READ if case.path.startswith("/read") else _MAX_SECONDS
                if not re.fullmatch("[234]..", status) or seconds > limit:
                    failed.append(f"{seed}: {status} in {seconds:.2f} s")
                if i == n_each // 10:
                    warm = server.rss_mib()
            counts = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
            growth = server.rss_mib() - warm
            print(f"{kind:28}{n_each:8}{1000 * slowest:7.0f} ms{growth:6.1f} MiB  {counts}", flush=True)
    print("\n".join(["failed:", *failed[:100]] if failed else ["no case failed"]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
