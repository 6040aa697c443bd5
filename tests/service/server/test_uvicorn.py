"""Tests of the private parts of uvicorn that `service.server` overrides and uses.

uvicorn may change them in any release. Then these tests fail with the name of the part, before others fail with a
consequence.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import signal
import sys
from typing import Any

import pytest
import uvicorn
from httptools import HttpParserUpgrade
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess

from service.server import http_protocol, slow_clients
from service.server.http_protocol import Protocol
from service.server.slow_clients import Connection

OVERRIDDEN: dict[str, list[str]] = {
    "_should_upgrade": [],
    "connection_lost": ["exc"],
    "connection_made": ["transport"],
    "data_received": ["data"],
    "handle_websocket_upgrade": [],
    "on_body": ["body"],
    "on_headers_complete": [],
    "on_response_complete": [],
    "pause_writing": [],
    "resume_writing": [],
}
USED = {"cycle", "headers", "loop", "parser", "scope", "transport", "url"}
OWN = {
    "_data",
    "_n_head_bytes",
    "_n_unsent_bytes",
    "_on_timeout",
    "_start_timer",
    "_stop_timer",
    "_timer",
    "head_timeout",
    "write_timeout",
}
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"


def changed(name: str) -> str:
    """Return the message of a failure."""
    return f"uvicorn {uvicorn.__version__} changed {name}: adapt service/server, or require an older uvicorn"


class Recorder(HttpToolsProtocol):
    """A connection that is asked to upgrade, and records the exception in progress at that moment."""

    exception: BaseException | None = None

    def _should_upgrade(self) -> bool:
        return True

    def handle_websocket_upgrade(self) -> None:
        """Record the exception that is being handled."""
        self.exception = sys.exception()


async def wait_for_body(_scope: Scope, receive: Receive, _send: Send) -> None:
    """Serve a request that never ends."""
    while True:
        await receive()


def receive(protocol: type[HttpToolsProtocol], data: bytes) -> Any:
    """Return a connection of uvicorn that has received these bytes."""

    async def main() -> HttpToolsProtocol:
        state = ServerState()
        connection = protocol(uvicorn.Config(wait_for_body, ws="none", log_config=None), state, {})
        connection.connection_made(asyncio.Transport())
        connection.data_received(data)
        for task in state.tasks:
            task.cancel()
        return connection

    return asyncio.run(main())


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_uvicorn_has_the_overridden_methods(name: str) -> None:
    """Each exists with the same parameters."""
    method = getattr(HttpToolsProtocol, name, None)

    assert method is not None, changed(f"HttpToolsProtocol.{name}")
    assert ["self", *OVERRIDDEN[name]] == list(inspect.signature(method).parameters), changed(
        f"the parameters of HttpToolsProtocol.{name}"
    )


def test_uvicorn_has_the_used_attributes() -> None:
    """They exist while a request is in flight, and its cycle has `response_complete`."""
    connection = receive(HttpToolsProtocol, REQUEST + b"\r\n")

    for name in sorted(USED):
        assert getattr(connection, name, None) is not None, changed(f"HttpToolsProtocol.{name}")
    assert getattr(connection.cycle, "response_complete", None) is False, changed("RequestResponseCycle")


def test_uvicorn_asks_for_an_upgrade_while_it_handles_the_parser_s_exception() -> None:
    """The exception has the offset of the end of the head."""
    head = REQUEST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    exception = receive(Recorder, head + b"x").exception

    assert isinstance(exception, HttpParserUpgrade), changed("the call of handle_websocket_upgrade")
    assert (len(head),) == exception.args, changed("HttpParserUpgrade")


def test_no_attribute_of_ours_hides_one_of_uvicorn() -> None:
    """Else uvicorn would read our value."""
    connection = receive(HttpToolsProtocol, REQUEST + b"\r\n")

    for name in sorted(OWN):
        assert not hasattr(connection, name), changed(f"HttpToolsProtocol.{name}, which hides ours")


def test_the_lists_above_are_complete() -> None:
    """Every attribute in the source is listed, and every overriding method."""
    source = inspect.getsource(http_protocol) + inspect.getsource(slow_clients)
    methods = {
        name for kind in (Protocol, Connection) for name, value in vars(kind).items() if inspect.isfunction(value)
    }

    assert set(re.findall(r"self\.(\w+)", source)) - set(OVERRIDDEN) == USED | OWN
    assert methods - OWN - {"__init__"} == set(OVERRIDDEN)


def test_uvicorn_has_the_supervisor_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its overridden methods take no arguments, and its used attributes exist."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    supervisor = Multiprocess(uvicorn.Config("x", log_config=None), [])

    for name in ("keep_subprocess_alive", "terminate_all"):
        method = getattr(supervisor, name, None)
        assert method is not None, changed(f"Multiprocess.{name}")
        assert [] == list(inspect.signature(method).parameters), changed(f"Multiprocess.{name}")
    assert [] == getattr(supervisor, "sockets", None), changed("Multiprocess.sockets")
    assert hasattr(getattr(supervisor, "should_exit", None), "is_set"), changed("Multiprocess.should_exit")


def test_uvicorn_has_the_startup_that_logs_addresses() -> None:
    """The overridden method of the server takes the sockets."""
    assert ["self", "sockets"] == list(inspect.signature(uvicorn.Server.startup).parameters), changed("Server.startup")
