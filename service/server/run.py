"""The process that serves: what is in its way is said in one line, and SIGTERM ends it in order, with status 0."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.api import metrics
from service.app import create_app
from service.errors import SettingsError
from service.model import artifact
from service.process import logs
from service.server.slow_clients import Connection
from service.settings import Settings

# Long enough for the answers under way, shorter than the 30 s after which Kubernetes kills.
GRACE_SECONDS = 20
# Connections that may wait to be taken in.
_LINE = 2048
# Each of several workers takes in one of them at a time, so that it leaves some to the others.
_TAKEN_AT_ONCE = 1


class _TerminatedError(BaseException):
    """SIGTERM came before the server listened for it, or came again, as uvicorn has it, after the server stopped."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises SettingsError and ArtifactError."""
    # Before the server starts, which would bury the one clear line in its traceback.
    model = artifact.load(settings.model)
    settings.keys()
    _check_address(settings.host, settings.port)
    signal.signal(signal.SIGTERM, _terminate)
    several = settings.workers > 1
    with metrics.shared_folder(needed=several), suppress(_TerminatedError):
        config = uvicorn.Config(
            "service.app:from_environment" if several else create_app(settings, model),
            factory=several,
            http=Connection,
            # It takes in all who have connected; uvloop takes in one for each round of its loop, and a probe that comes
            # behind many waits for long.
            loop="asyncio",
            ws="none",
            workers=settings.workers,
            host=settings.host,
            port=settings.port,
            root_path=settings.root_path,
            log_config=logs.configuration(settings.log_level, settings.log_format),
            log_level=settings.log_level,
            access_log=False,
            server_header=False,
            forwarded_allow_ips=settings.forwarded_allow_ips,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=_TAKEN_AT_ONCE if several else _LINE,
        )
        if several:
            _Workers(config, [config.bind_socket()]).run()
        else:
            uvicorn.Server(config).run()


class _Workers(Multiprocess):
    """Several processes that take requests from one socket, started anew when they die."""

    def keep_subprocess_alive(self) -> None:
        """Start those anew that died, and have the system's line as long as for one process.

        Each that starts makes it as short as what it takes in at once: to asyncio both are the same number.
        """
        super().keep_subprocess_alive()
        if not self.should_exit.is_set():
            for listener in self.sockets:
                listener.listen(_LINE)

    def terminate_all(self) -> None:
        """Stop them, and listen no more: else who comes after the last one stopped would be left in line."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _TerminatedError


def _check_address(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on {host}, port {port}: {error.strerror}: set DIGITS_HOST or DIGITS_PORT"
            raise SettingsError(message) from error
