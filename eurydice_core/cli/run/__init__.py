"""`eurydice run`: one service, or all of a side under a supervisor."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import click
from loguru import logger

from eurydice_core.cli.exposure import exposures
from eurydice_core.cli.main import Invocation, pass_invocation
from eurydice_core.cli.run.services import SERVICES, Name, configure_log, run_service
from eurydice_core.cli.run.signals import stop_on_signals
from eurydice_core.cli.shortage import shortage
from eurydice_core.config import Loaded
from eurydice_core.db.schema import require_migrated
from eurydice_core.errors import EurydiceError
from eurydice_core.installation import open_database
from eurydice_core.outages import describe, is_configuration, is_outage_at_start
from eurydice_core.plugins import discover
from eurydice_core.service_ends import record_end
from eurydice_core.supervisor import EXIT_CONFIGURATION, Program, Supervision, Supervisor

__all__ = ["command_of", "run"]


@click.command()
@click.argument("service", required=False, type=click.Choice([name.value for name in Name]))
@click.option("--supervised", type=int, hidden=True)
@pass_invocation
def run(invocation: Invocation, service: str | None, supervised: int | None) -> None:
    """Run the services of this side.

    Without a name, all of them, each a process of its own that is started again if it
    dies: api, sender and cleaner on the origin, api, receiver and cleaner on the
    destination. With a name, that one alone, for a supervisor of your own.
    """
    if supervised is None:
        start(invocation, service, is_first=True)
        return
    supervision = Supervision(supervised)
    try:
        start(invocation, service)
    except Exception as error:
        is_ours = isinstance(error, EurydiceError)
        line = None if is_ours else shortage(error, [service or ""])
        if line is None and not is_ours:
            logger.opt(exception=error).critical("unexpected error")
        supervision.report(line or describe(error))
        code = EXIT_CONFIGURATION if is_configuration(error) else 1
        raise click.exceptions.Exit(code) from error


def start(invocation: Invocation, service: str | None, *, is_first: bool = False) -> None:
    """Run one service, or all of them, until told to stop.

    The first process of a side warns of files that are open to other users and of
    variables without effect, once for all.
    """
    loaded = invocation.load()
    if is_first:
        configure_log(loaded.settings, service or "supervisor")
        for line in [*loaded.notes, *exposures(loaded, discover())]:
            logger.warning("{}", line)
    if service is not None:
        with ends_recorded(loaded, service) if is_first else nullcontext():
            run_service(Name(service), loaded.settings)
    else:
        run_side(loaded)


@contextmanager
def ends_recorded(loaded: Loaded, service: str) -> Iterator[None]:
    """Record for `/readyz` why a service ended that no supervisor of ours watches."""
    try:
        yield
    except Exception as error:
        record_end(loaded.settings.state_dir, service, f"ended: {describe(error)}")
        raise


def run_side(loaded: Loaded) -> None:
    """Run every service of the side, each in a process of its own."""
    settings = loaded.settings
    configure_log(settings, "supervisor")
    try:
        with open_database(settings) as database:  # says in a moment what three processes would
            require_migrated(database, settings.side)
    except EurydiceError as error:
        if not is_outage_at_start(error):
            raise
        logger.error("{}; the services wait for it", error)
    programs = [Program(name, command_of(loaded, name)) for name in SERVICES[settings.side]]
    with stop_on_signals() as stop:
        Supervisor(programs, on_end=partial(record_end, settings.state_dir)).run(stop)
        logger.info("stopped")


def command_of(loaded: Loaded, service: str) -> Sequence[str]:
    """Return how a service is started with the same settings; what is secret stays in them."""
    config = ["--config", str(loaded.file.absolute())] if loaded.file else []
    return [sys.executable, "-m", "eurydice_core", *config, "run", service]
