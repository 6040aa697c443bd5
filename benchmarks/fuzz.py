"""What the service does when requests mean no good: every answer, the slowest, and what stays in memory.

    python -m benchmarks.fuzz --cases 200000 [--seed 0]

Starts the service in a process of its own and sends it so many cases of benchmarks.hostile, of every kind in turn. For
each kind it prints how many there were, what they were answered, the slowest, and how much the process grew after the
first tenth, in which it warms up. Case i of a kind is made by a generator with the seed "SEED kind i". Fails when an
answer is 5xx, a connection is broken off, a case takes longer than a second, or the process ends. Needs Linux.
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
from benchmarks.serving import served

_MODEL = "mnist-mlp"
_SLOW_SECONDS = 1
_MADE_ONCE = ("/openapi.json", "/model/weights", "/model/weights/0", "/model/weights/1")


def _ask(connection: http.client.HTTPConnection, case: Case) -> str:
    """Return the status of the answer to a case, or in words that there is none."""
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
    """Send, print, and return 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200_000, help="how many, in all")
    parser.add_argument("--seed", default="0", help="of the first generator")
    arguments = parser.parse_args()
    n_each = -(-arguments.cases // len(KINDS))
    found = []
    print(f"{'kind':28}{'cases':>8}{'slowest':>10}{'grown':>10}  statuses")
    with served() as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        # Made when they are first asked for, which takes its time.
        for path in _MADE_ONCE:
            _ask(connection, Case("GET", path, (("accept-encoding", "gzip"),)))
        for kind, make in KINDS.items():
            statuses: Counter[str] = Counter()
            slowest, warm = 0.0, 0.0
            for i in range(n_each):
                seed = f"{arguments.seed} {kind} {i}"
                case = make(Random(seed))  # noqa: S311 - to be had again, not to be secret
                started = time.perf_counter()
                status = _ask(connection, case)
                seconds = time.perf_counter() - started
                statuses[status] += 1
                slowest = max(slowest, seconds)
                if not re.fullmatch("[234]..", status) or seconds > _SLOW_SECONDS:
                    found.append(f"{seed}: {status} in {seconds:.2f} s")
                if i == n_each // 10:
                    warm = service.mebibytes()
            told = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
            print(
                f"{kind:28}{n_each:8}{1000 * slowest:7.0f} ms{service.mebibytes() - warm:6.1f} MiB  {told}", flush=True
            )
    print("\n".join(["found:", *found[:100]] if found else ["nothing found"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
