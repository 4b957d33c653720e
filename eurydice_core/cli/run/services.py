"""The services of each side, each a process of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Final

from loguru import logger

from eurydice_core import log
from eurydice_core.cli.run.signals import stop_on_signals
from eurydice_core.config import Settings
from eurydice_core.errors import ConfigurationError
from eurydice_core.installation import Installation, open_installation
from eurydice_core.model.states import Side
from eurydice_core.outages import OutageLog, describe, is_outage_at_start
from eurydice_core.private_files import group_access
from eurydice_core.service import Service, settle_down
from eurydice_core.thread_guard import guard_threads

__all__ = ["SERVICES", "Name", "configure_log", "require_service", "run_service"]


class Name(StrEnum):
    """What can be run."""

    API = "api"
    SENDER = "sender"
    RECEIVER = "receiver"
    CLEANER = "cleaner"


SERVICES: Final = {
    Side.ORIGIN: (Name.API, Name.SENDER, Name.CLEANER),
    Side.DESTINATION: (Name.API, Name.RECEIVER, Name.CLEANER),
}
"""In the order they are started."""


def require_service(name: Name, side: Side) -> None:
    """Return if this side has the service.

    Raises:
        ConfigurationError: it has not.
    """
    if name not in SERVICES[side]:
        has = ", ".join(SERVICES[side])
        raise ConfigurationError(f"the {side} side has no {name}: it runs {has}")


def run_service(name: Name, settings: Settings) -> None:
    """Run one service until the process is told to stop.

    Raises:
        EurydiceError: what keeps it from working.
    """
    require_service(name, settings.side)
    configure_log(settings, name)
    if name is Name.API:
        # Imported only here: nobody else pays for a web framework. Its server takes the signals.
        from eurydice_core.api.server import serve

        serve(settings)
        return
    with stop_on_signals() as stop:
        outage = OutageLog()
        while not stop.is_set():
            try:
                run_daemon(name, settings, stop)
                break
            except Exception as error:
                if not is_outage_at_start(error):
                    raise
                stop.wait(outage.report(describe(error)))
    logger.info("stopped")


def run_daemon(name: Name, settings: Settings, stop: threading.Event) -> None:
    """Open everything that a service needs and run it until `stop` is set.

    Raises:
        Exception: something cannot be opened, a thread ended by an error, or a bug.
    """

    def run(service: Service) -> None:
        logger.info("works for the {}", settings.side)
        settle_down()
        service.run(stop)

    with guard_threads(lambda _reason: stop.set()) as guard:
        with open_installation(settings) as installation:
            DAEMONS[name](installation, run)
        guard.check()


def configure_log(settings: Settings, service: str) -> None:
    """Log as the settings say, under the name of a service."""
    configure = partial(
        log.configure,
        level=settings.log.level,
        format=settings.log.format,
        access=group_access(settings.log.group, "[log] group"),
        service=service,
    )
    try:
        configure(file=settings.log.file)
    except ConfigurationError as error:
        if not is_outage_at_start(error):
            raise
        configure(file=None)
        logger.error("{}; logging to the standard error until the next start", error)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells how it does what it does


Run = Callable[[Service], None]


def _run_sender(installation: Installation, run: Run) -> None:
    from eurydice_core.origin.send import Sender

    plugins, settings = installation.plugins, installation.settings
    transport = plugins.create_transport(
        settings.transport.plugin, settings.transport.options, installation.transport_context
    )
    scheduler = plugins.create_scheduler(
        settings.scheduler.plugin, settings.scheduler.options, installation.context
    )
    with transport.sender() as link:
        run(Sender(installation, scheduler, link))


def _run_receiver(installation: Installation, run: Run) -> None:
    from eurydice_core.destination.gate import SealGate
    from eurydice_core.destination.intake import open_intake
    from eurydice_core.destination.receive import Receiver
    from eurydice_core.destination.spool import Spool, spool_alone

    settings, limits = installation.settings, installation.settings.receiver
    transport = installation.plugins.create_transport(
        settings.transport.plugin, settings.transport.options, installation.transport_context
    )
    directory = settings.state_dir / "spool"
    with spool_alone(directory), transport.receiver() as link:
        spool = Spool(directory, limits.spool_size)
        sizes = {"packets": limits.buffer_packets, "size": limits.buffer_size}
        gate = SealGate(link, spool, installation.seal_key)
        with open_intake(gate, spool, **sizes) as intake:
            run(Receiver(installation, intake))


def _run_cleaner(installation: Installation, run: Run) -> None:
    from eurydice_core.destination.clean import DestinationCleaner
    from eurydice_core.origin.clean import OriginCleaner

    if installation.settings.side is Side.ORIGIN:
        run(OriginCleaner(installation))
    else:
        run(DestinationCleaner(installation))


DAEMONS: Final[dict[Name, Callable[[Installation, Run], None]]] = {
    Name.SENDER: _run_sender,
    Name.RECEIVER: _run_receiver,
    Name.CLEANER: _run_cleaner,
}
