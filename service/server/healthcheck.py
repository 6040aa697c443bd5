"""The container's health check: the environment in, exit status 0 if the service in this container is healthy, else 1.

`python -m service.server.healthcheck` runs every few seconds, hence nothing is imported that takes long: the port is
read from the environment as `settings` does it, without its checks. Out of scope: what healthy means (`GET /health`).
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping
from http import HTTPStatus

_DEFAULT_PORT = "8000"
# Seconds; less than the container engine allows.
_TIMEOUT = 2


def address(environment: Mapping[str, str]) -> tuple[str, int]:
    """Return host and port on which the service of this environment answers. Raises ValueError for an invalid port."""
    values = {name.upper(): value for name, value in environment.items()}
    return "127.0.0.1", int(values.get("DIGITS_PORT") or values.get("PORT") or _DEFAULT_PORT)


def main(environment: Mapping[str, str]) -> int:
    """Request /health once. Return 0 if it answers 200 within two seconds, else 1, and print the reason on stderr."""
    try:
        # Not urllib, which would ask the proxy that http_proxy names.
        connection = http.client.HTTPConnection(*address(environment), timeout=_TIMEOUT)
        connection.request("GET", "/health")
        status = connection.getresponse().status
        connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    if status != HTTPStatus.OK:
        print(f"unhealthy: /health answers {status}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
