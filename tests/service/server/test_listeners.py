"""Tests of service.server.listeners."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from service.errors import SettingsError
from service.server import listeners

pytestmark = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


def reachable(hosts: Sequence[str]) -> list[str]:
    """Return at which loopback addresses connections to these hosts are accepted, all on one port."""
    found = []
    with ExitStack() as opened:
        bound = [opened.enter_context(one) for one in listeners.bind(hosts, 0)]
        (port,) = {one.getsockname()[1] for one in bound}
        for one in bound:
            one.listen()
        for address in ("127.0.0.1", "::1"):
            try:
                socket.create_connection((address, port), 1).close()
                found.append(address)
            except ConnectionRefusedError:
                continue
    return found


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["127.0.0.1"], ["127.0.0.1"]),
        (["::1"], ["::1"]),
        (["0.0.0.0"], ["127.0.0.1"]),
        (["::"], ["127.0.0.1", "::1"]),
        (["::", "0.0.0.0"], ["127.0.0.1", "::1"]),
        (["127.0.0.1", "::"], ["127.0.0.1", "::1"]),
        (["127.0.0.1", "::1"], ["127.0.0.1", "::1"]),
    ],
    ids=",".join,
)
def test_hosts_are_listened_on(hosts: list[str], expected: list[str]) -> None:
    """`::` is IPv6 and IPv4, and can stand beside IPv4 addresses. All have the same port, also when it is picked."""
    assert expected == reachable(hosts)


def test_name_of_which_the_machine_lacks_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are bound: localhost has an address of IPv6 also where IPv6 is disabled."""
    infos: list[Any] = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in ("192.0.2.1", "127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)
    bound = listeners.bind(["localhost"], 0)
    names = [one.getsockname() for one in bound]
    for one in bound:
        one.close()

    assert ["127.0.0.1", "127.0.0.2"] == [name[0] for name in names]
    assert names[0][1] == names[1][1]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_foreign_address_is_named(host: str) -> None:
    """The error has the host, the port and the reason, and what was bound before is closed, else pytest would warn."""
    with pytest.raises(SettingsError) as caught:
        listeners.bind(["127.0.0.1", host], 0)

    assert f"cannot listen on {host}, port 0: Cannot assign requested address: set DIGITS_HOST or DIGITS_PORT" == str(
        caught.value
    )


def test_taken_port_is_named() -> None:
    """Also if only one of the addresses is taken."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            SettingsError, match=f"^cannot listen on ::1, port {port}: Address already in use"
        ) as caught:
            listeners.bind(["127.0.0.1", "::1"], port)

    assert isinstance(caught.value.__cause__, OSError)
    assert errno.EADDRINUSE == caught.value.__cause__.errno


def test_url_has_brackets_around_ipv6() -> None:
    """As a browser needs them."""
    with ExitStack() as opened:
        ipv4, ipv6 = [opened.enter_context(one) for one in listeners.bind(["127.0.0.1", "::1"], 0)]
        port = ipv4.getsockname()[1]

        assert [f"http://127.0.0.1:{port}", f"http://[::1]:{port}"] == [listeners.url(ipv4), listeners.url(ipv6)]
