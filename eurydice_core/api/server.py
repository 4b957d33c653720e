"""Serves the API: Granian, one worker process or several, each with the installation open."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server
from loguru import logger
from starlette.types import ASGIApp, Receive, Scope, Send

from eurydice_core import log
from eurydice_core.api.app import create_app
from eurydice_core.api.monitoring.tally_files import shared_directory
from eurydice_core.api.unix_socket import OWN, reserved_socket, share_socket
from eurydice_core.api.waiting import answer_waiting
from eurydice_core.config import Settings
from eurydice_core.errors import EurydiceError, ServiceError
from eurydice_core.installation import open_installation
from eurydice_core.os_advice import advice, is_shortage
from eurydice_core.outages import OutageLog, describe, is_outage_at_start
from eurydice_core.private_files import group_access
from eurydice_core.service import settle_down
from eurydice_core.service_ends import record_end
from eurydice_core.supervisor import stop_with_parent
from eurydice_core.thread_guard import guard_threads

__all__ = ["serve"]

STOP_SECONDS: Final = 30
"""How long requests that are being answered may go on once the service is told to stop."""
# Everything goes the way of all our logs, instead of to handlers of its own.
LOGGERS: Final[dict[str, Any]] = {
    "handlers": {},
    "formatters": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}


def serve(settings: Settings) -> None:
    """Serve the API of one side until the process is told to stop.

    Raises:
        EurydiceError: what keeps the service from starting.
        ServiceError: the port is in use, or a worker process failed for good.
    """
    _check(settings)
    with ExitStack() as stack:
        tallies_dir = stack.enter_context(shared_directory(settings.state_dir / "tallies"))
        server, place = _listening(settings, stack)
        logger.info("the API of the {} listens on {}", settings.side, place)
        loader = partial(_load_worker, settings, tallies_dir)
        try:
            server.serve(target_loader=loader, wrap_loader=False)
        except SystemExit as error:
            if error.code:
                raise ServiceError(
                    "the API stopped: a worker process fails again and again"
                ) from None


def _listening(settings: Settings, stack: ExitStack) -> tuple[Any, str]:
    """Return a server for the configured socket or address, and the place as text."""
    path = settings.api.socket
    if path is None:
        host, port = settings.api.host, _free_port(settings.api.host, settings.api.port)
        return _server(settings, address=host, port=port), f"http://{_bracketed(host)}:{port}"
    group = group_access(settings.api.socket_group, "[api] socket_group").gid
    stack.enter_context(reserved_socket(path))
    server = _server(settings, uds=path, uds_permissions=OWN)
    umask = os.umask(0o777 & ~OWN)  # the socket is private before its mode is set, too
    stack.callback(os.umask, umask)

    def on_bound() -> None:
        os.umask(umask)
        if group is not None:
            share_socket(path, group)

    server.on_startup(on_bound)
    return server, f"unix:{path}"


def _server(settings: Settings, **place: Any) -> Any:
    return Server(
        # Settings reach a worker as it is forked, or through a pipe: never in a command line.
        "eurydice_core.api",
        **place,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        # A client that does not end its headers is given no more time than for a body.
        http1_settings=HTTP1Settings(header_read_timeout=round(settings.api.body_timeout * 1000)),
        websockets=False,
        workers=settings.api.workers,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        log_dictconfig=LOGGERS,
    )


def _check(settings: Settings) -> None:
    """Report wrong settings once, before any worker; an outage is left to the workers.

    Raises:
        EurydiceError: what keeps the service from starting.
    """
    try:
        with open_installation(settings) as installation:
            create_app(installation).state.eurydice.close()
    except Exception as error:
        if not is_outage_at_start(error):
            raise
        logger.error("{}; the API answers 503 until then", describe(error))


def _free_port(host: str, port: int) -> int:
    """Return the port if nobody listens on it; for 0, one that is free.

    The server shares its port between its workers, and would share it with a stranger.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            free: int = probe.getsockname()[1]
            return free
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {_bracketed(host)}:{port}: {error.strerror}; "
            + (
                advice(error)
                if is_shortage(error)
                else "choose another [api] host or port, or stop what is using it"
            )
        ) from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _load_worker(settings: Settings, tallies_dir: Path) -> ASGIApp:
    """Return the application of a worker process, or end it with one line."""
    # A forked worker inherits the parent's handlers; told to stop before the server has
    # its own, it would go on.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # Or a worker would go on, and hold the port, after its server was killed.
    stop_with_parent()
    log.configure(
        level=settings.log.level,
        format=settings.log.format,
        file=settings.log.file,
        service="api",
        access=group_access(settings.log.group, "[log] group"),
    )
    try:
        worker = Worker(settings, tallies_dir)
    except EurydiceError as error:
        logger.critical("{}", error)
        sys.exit(1)
    settle_down()
    return worker


class Worker:
    """The application and the installation it works with, open until the server stops.

    While the installation cannot be opened because of an outage, requests are answered by
    `answer_waiting`, and a thread tries again.
    """

    def __init__(self, settings: Settings, tallies_dir: Path) -> None:
        self._settings = settings
        self._tallies_dir = tallies_dir
        self._stack = ExitStack()
        self._stop = threading.Event()
        self._outage = OutageLog()
        self._app: FastAPI | None = None
        self._thread: threading.Thread | None = None
        self._stack.enter_context(guard_threads(self._end))
        try:
            self._open()
        except Exception as error:
            if not is_outage_at_start(error):
                raise
            self._outage.report(describe(error))
            self._thread = threading.Thread(target=self._open_later, name="open", daemon=True)
            self._thread.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on everything; close the installation once the application has ended."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        else:
            reason = self._outage.reason or "the service is starting"
            watchers = self._settings.api.metrics_from
            await answer_waiting(scope, receive, send, reason, watchers)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Follow the ASGI lifespan protocol; the application may be opened after its start."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._app is not None:
            async with self._app.router.lifespan_context(self._app):
                pass
        self._stack.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _open(self) -> None:
        with ExitStack() as stack:
            installation = stack.enter_context(open_installation(self._settings))
            app = create_app(installation, self._tallies_dir)
            self._stack.push(stack.pop_all())
        self._app = app

    def _open_later(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            try:
                self._open()
            except Exception as error:
                if not (isinstance(error, EurydiceError) or is_outage_at_start(error)):
                    raise
                wait = self._outage.report(describe(error))
            else:
                self._outage.end()
                return

    def _end(self, reason: str) -> None:
        record_end(self._settings.state_dir, "api", reason)
        os.kill(os.getpid(), signal.SIGTERM)
