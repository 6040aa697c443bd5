"""uvicorn's HTTP/1.1 protocol, which ignores the header `Upgrade` instead of losing the request body.

Java's HTTP client offers an upgrade to HTTP/2 (h2c) with every unencrypted request. httptools, uvicorn's parser, takes
the bytes after such a head for the other protocol, so that the application receives an empty body. RFC 9110 (7.8)
allows a server to ignore the offer. Depends on private parts of uvicorn: `tests/service/server/test_uvicorn.py` lists
them. Out of scope: timeouts (`slow_clients`), and everything else that uvicorn does.
"""

from __future__ import annotations

import sys
from typing import cast

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """One HTTP/1.1 connection without protocol upgrades."""

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        self._data = data
        super().data_received(data)

    def _should_upgrade(self) -> bool:
        # If true, uvicorn starts no request for this head and calls `handle_websocket_upgrade` instead.
        return any(name == b"upgrade" for name, _ in self.headers)

    def handle_websocket_upgrade(self) -> None:
        """Parse the request again without its `Upgrade` header, followed by its body."""
        # uvicorn calls this in its `except HttpParserUpgrade`. The exception has the offset of the end of the head.
        head_end = cast("HttpParserUpgrade", sys.exception()).args[0]
        version = self.parser.get_http_version()
        lines = [b"%s %s HTTP/%s" % (self.scope["method"].encode(), self.url, version.encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        # The old parser accepts no more data after a head with `Connection: close`.
        self.parser = HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", self._data[head_end:]]))
