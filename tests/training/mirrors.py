"""A mirror of MNIST on this machine: a real HTTP server whose answers a test sets."""

from __future__ import annotations

import contextlib
import gzip
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers import free_port

Answer = Callable[[BaseHTTPRequestHandler], None]


def sends(content: bytes, *, length: int | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send this content, with its own Content-Length or another one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        # The client may disconnect early.
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(content)

    return answer


def sends_without_length(content: bytes) -> Answer:
    """Answer with this content and no Content-Length."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def responds_with(status: int) -> Answer:
    """Answer with a status and an empty body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()

    return answer


def sends_nothing(handler: BaseHTTPRequestHandler) -> None:
    """Send nothing until the client disconnects."""
    handler.rfile.read(1)


def redirects(url: str) -> Answer:
    """Redirect the client to another mirror."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url + handler.path.lstrip("/"))
        handler.end_headers()

    return answer


def interrupts(begun: Callable[[], bool], released: threading.Event) -> Answer:
    """Send half of a file, then SIGINT to the client once it has begun to write, and wait until released."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "40000")
        handler.end_headers()
        handler.wfile.write(bytes(20_000))
        any(begun() or released.wait(timeout=0.01) for _ in range(1000))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        released.wait(timeout=20)

    return answer


class Mirror:
    """A running server: its address, its answer for each file name, and the names that were requested."""

    def __init__(self, url: str, answers: dict[str, Answer]) -> None:
        self.url = url
        self.answers = answers
        self.requests: list[str] = []


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # So that closing the server waits for its answers.


@contextlib.contextmanager
def serve(contents: Mapping[str, bytes]) -> Iterator[Mirror]:
    """Run a mirror that serves these files with gzip, as long as the context lasts."""
    answers = {f"{name}.gz": sends(gzip.compress(content)) for name, content in contents.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            mirror.requests.append(name)
            mirror.answers.get(name, responds_with(404))(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
            """Log nothing: tests read the output of commands."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        mirror = Mirror(f"http://127.0.0.1:{server.server_port}/", answers)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            server.shutdown()
            thread.join()


def unreachable() -> str:
    """Return the address of a mirror that is down: a port that was just free."""
    return f"http://127.0.0.1:{free_port()}/"
