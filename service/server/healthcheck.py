"""The container's health check: the environment in, exit status 0 if the service in this container is healthy, else 1.

`python -m service.server.healthcheck` runs every few seconds, hence nothing is imported that takes long: host and port
are read from the environment as `settings` does it, without its checks. Out of scope: what healthy means
(`GET /health`).
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping
from http import HTTPStatus

_DEFAULT_HOST = "127.0.0.1"
_DEFAULT_PORT = "8000"
# Where a service answers that listens on all addresses: one of IPv6 alone, or on a machine without IPv6, on one of two.
_LOOPBACK = {"0.0.0.0": ["127.0.0.1"], "::": ["::1", "127.0.0.1"]}
# Seconds; less than the container engine allows.
_TIMEOUT = 2


def addresses(environment: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return hosts and port on which the service of this environment answers. Raises ValueError for an invalid port."""
    values = {name.upper(): value for name, value in environment.items()}
    port = int(values.get("DIGITS_PORT") or values.get("PORT") or _DEFAULT_PORT)
    hosts = [host.strip() for host in (values.get("DIGITS_HOST") or _DEFAULT_HOST).split(",") if host.strip()]
    return [(address, port) for host in hosts for address in _LOOPBACK.get(host, [host])]


def main(environment: Mapping[str, str]) -> int:
    """Return 0 if /health of the first address that answers is 200, else 1, with the reason on stderr.

    Each address has two seconds.
    """
    reason = "there is no address"
    try:
        for host, port in addresses(environment):
            try:
                status = _status(host, port)
            except (OSError, http.client.HTTPException) as error:
                reason = f"{host}, port {port}: {error}"
                continue
            if status == HTTPStatus.OK:
                return 0
            reason = f"/health answers {status}"
            break
    except ValueError as error:
        reason = str(error)
    print(f"unhealthy: {reason}", file=sys.stderr)
    return 1


def _status(host: str, port: int) -> int:
    # Not urllib, which would ask the proxy that http_proxy names.
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(os.environ))
