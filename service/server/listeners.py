"""The listening sockets: hosts and a port in, bound sockets out. Out of scope: accepting connections (uvicorn).

uvicorn takes one host alone, and for `::` listens on IPv6 alone with one process, but on IPv4 too with several.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from service.errors import SettingsError

_ALL_OF_IPV6 = "::"


def bind(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Return a bound socket, which does not listen yet, for each address of these hosts. The caller closes them.

    `hosts` are addresses, or names, which may have several addresses. `::` stands for all addresses of IPv6 and of IPv4
    (dual stack), beside an IPv4 address for those of IPv6 alone. `port` is from 0 to 65535; for 0 the system picks a
    free one, the same for all hosts. Raises SettingsError, which names the host that cannot be bound.
    """
    listeners: list[socket.socket] = []
    with ExitStack() as on_error:
        for host in hosts:
            dual = host == _ALL_OF_IPV6 and all(":" in other for other in hosts)
            chosen = listeners[0].getsockname()[1] if listeners else port
            try:
                bound = _bind(host, chosen, only_ipv6=not dual)
            except OSError as error:
                message = f"cannot listen on {host}, port {port}: {error.strerror}: set DIGITS_HOST or DIGITS_PORT"
                raise SettingsError(message) from error
            for listener in bound:
                on_error.enter_context(listener)
            listeners += bound
        on_error.pop_all()
    return listeners


def url(listener: socket.socket) -> str:
    """Return the URL of a bound socket, with an IPv6 address in brackets."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind(host: str, port: int, *, only_ipv6: bool) -> list[socket.socket]:
    """Return a socket for each address of a host. Raises OSError if one of them is taken, or none is of this machine.

    An address that this machine lacks does not count beside another: localhost has one of IPv6 also without IPv6.
    """
    bound: list[socket.socket] = []
    with ExitStack() as on_error:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            listener = on_error.enter_context(socket.socket(family, kind, protocol))
            # Else the port of a process that has just ended counts as taken for a minute.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
            try:
                # The second address of a name gets the port that the first one got.
                listener.bind((address[0], bound[0].getsockname()[1] if bound else port, *address[2:]))
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                listener.close()
            else:
                bound.append(listener)
        if not bound:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        on_error.pop_all()
    return bound
