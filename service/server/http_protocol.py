"""HTTP/1.1 as uvicorn speaks it, but a request that offers another protocol keeps its body.

Java's client offers HTTP/2 with every request that is not encrypted. To httptools, uvicorn's parser, what follows such
a head is in the other protocol, and the application would find the body empty. Nothing else is spoken here, so that
the offer is ignored, as RFC 9110 (7.8) has it. Out of scope: everything else, which is uvicorn's.
"""

from __future__ import annotations

import sys
from typing import cast

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """One connection."""

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._data = data
        super().data_received(data)

    def _should_upgrade(self) -> bool:
        # uvicorn then begins no request with this head, and calls the method below.
        return any(name == b"upgrade" for name, _ in self.headers)

    def handle_websocket_upgrade(self) -> None:
        """Parse the head once more, without the offer, and what follows it as this request's."""
        # uvicorn handles this error just now; it tells where the head ends.
        end = cast("HttpParserUpgrade", sys.exception()).args[0]
        version = self.parser.get_http_version()
        lines = [b"%s %s HTTP/%s" % (self.scope["method"].encode(), self.url, version.encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        # A new parser: to the old one, a connection that is to be closed is at its end already.
        self.parser = HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", self._data[end:]]))
