"""Runs the server: checks model, keys and addresses first, starts uvicorn, and shuts down gracefully on SIGTERM.

Enters: Settings. Leaves: a process that serves until SIGTERM or Ctrl-C and then exits with status 0. Out of scope:
failing the readiness probe before the shutdown (`process.shutdown`), and the sockets (`listeners`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.api import metrics
from service.app import create_app
from service.model import artifact
from service.process import logs
from service.server import listeners
from service.server.slow_clients import Connection
from service.settings import Settings, misspelt_settings

_log = logging.getLogger(__name__)

# Graceful shutdown: enough for requests in flight, less than the 30 s after which Kubernetes sends SIGKILL.
GRACE_SECONDS = 20
# Length of the listen queue: connections that the kernel holds until they are accepted.
_BACKLOG = 2048
# asyncio accepts up to `backlog` connections at a time. With several workers each accepts one, so that connections are
# spread over the workers.
_WORKER_BACKLOG = 1


class _TerminatedError(BaseException):
    """SIGTERM arrived before uvicorn installed its handler, or uvicorn raised it again after its shutdown."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises SettingsError and ArtifactError."""
    # Checked before uvicorn starts, which would wrap the error in a traceback.
    model = artifact.load(settings.model)
    settings.keys()
    signal.signal(signal.SIGTERM, _terminate)
    has_workers = settings.workers > 1
    with metrics.multiprocess_directory(needed=has_workers), ExitStack() as opened, suppress(_TerminatedError):
        sockets = [opened.enter_context(one) for one in listeners.bind(settings.hosts(), settings.port)]
        config = uvicorn.Config(
            "service.app:from_environment" if has_workers else create_app(settings, model),
            factory=has_workers,
            http=Connection,
            # asyncio accepts all waiting connections in one iteration. uvloop accepts one per iteration, which delays a
            # probe behind many connections.
            loop="asyncio",
            ws="none",
            workers=settings.workers,
            root_path=settings.root_path,
            log_config=logs.configuration(settings.log_level, settings.log_format),
            log_level=settings.log_level,
            access_log=False,
            server_header=False,
            forwarded_allow_ips=settings.forwarded_allow_ips,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=_WORKER_BACKLOG if has_workers else _BACKLOG,
        )
        # Only now: the configuration has set up the log.
        for warning in misspelt_settings(os.environ):
            _log.warning("%s", warning)
        if has_workers:
            _log_addresses(sockets)
            _Workers(config, sockets).run()
        else:
            _Server(config).run(sockets)


class _Server(uvicorn.Server):
    """Server of one process. It logs its addresses once it answers: uvicorn logs none for sockets that it is given."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        await super().startup(sockets)
        _log_addresses(sockets or [])


class _Workers(Multiprocess):
    """Supervisor of worker processes that share the listening sockets."""

    def keep_subprocess_alive(self) -> None:
        """Restart workers that died, and restore the length of the listen queue.

        A worker that starts sets the length of the shared queue to its own backlog.
        """
        super().keep_subprocess_alive()
        if not self.should_exit.is_set():
            for listener in self.sockets:
                listener.listen(_BACKLOG)

    def terminate_all(self) -> None:
        """Stop the workers. Close the sockets, so that new connections are refused instead of queued for nobody."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _TerminatedError


def _log_addresses(sockets: Iterable[socket.socket]) -> None:
    _log.info("running on %s (press Ctrl-C to quit)", ", ".join(listeners.url(one) for one in sockets))
