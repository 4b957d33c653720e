"""One side, opened: its settings, database, storage, accounts and plugins, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from loguru import logger

from eurydice_core.config import Settings
from eurydice_core.db.accounts import Accounts
from eurydice_core.db.engine import Database, sqlite_path
from eurydice_core.db.schema import require_migrated
from eurydice_core.errors import ConfigurationError, StorageFull
from eurydice_core.events import EventStream
from eurydice_core.file_systems import network_file_system
from eurydice_core.hookspecs import Context
from eurydice_core.interfaces.storage import Storage
from eurydice_core.leases import Leases, hold_machine
from eurydice_core.model.states import Side
from eurydice_core.os_advice import WRITE_ACCESS, advice
from eurydice_core.plugins import Plugins, discover
from eurydice_core.private_files import PRIVATE
from eurydice_core.protocol.keys import ASSOCIATION, REPAIR, SEAL, TRANSPORT, derive_key

__all__ = ["Installation", "network_problems", "open_database", "open_installation"]

UPLOAD_WORKERS: Final = 16
"""Threads that all uploads of a process share; started when they are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What every service of a side works with."""

    settings: Settings
    plugins: Plugins
    context: Context
    database: Database
    storage: Storage
    accounts: Accounts
    events: EventStream
    leases: Leases
    upload_workers: ThreadPoolExecutor
    """Hashes and syncs for uploads; a task never waits for another one."""

    @property
    def seal_key(self) -> bytes:
        """Seals packets; the same on both sides."""
        return derive_key(self.settings.link.secret.get_secret_value(), SEAL)

    @property
    def association_key(self) -> bytes:
        """Proves association words; the same on both sides."""
        return derive_key(self.settings.link.secret.get_secret_value(), ASSOCIATION)

    @property
    def repair_key(self) -> bytes:
        """Proves repair tickets; the same on both sides."""
        return derive_key(self.settings.link.secret.get_secret_value(), REPAIR)

    @property
    def transport_context(self) -> Context:
        """The context of the transport, the only plugin that gets a key."""
        key = derive_key(self.settings.link.secret.get_secret_value(), TRANSPORT)
        return replace(self.context, link_key=key)

    def require(self, side: Side) -> None:
        """Return if this is that side.

        Raises:
            ConfigurationError: it is the other one.
        """
        if self.settings.side is not side:
            raise ConfigurationError(
                f"this is the {self.settings.side} side, and only the {side} side does that"
            )


@contextmanager
def open_installation(settings: Settings, plugins: Plugins | None = None) -> Iterator[Installation]:
    """Open everything a service needs, check that it works, and close it in the end.

    Raises:
        EurydiceError: what is wrong, where, and what to do about it.
    """
    plugins = plugins or discover()
    with ExitStack() as stack:
        context = Context(side=settings.side, state_dir=_state_dir(settings))
        database = stack.enter_context(open_database(settings))
        require_migrated(database, settings.side)
        leases = Leases(database, settings.state_dir)
        stack.callback(leases.close)
        hold_machine(database, leases)
        storage = plugins.create_storage(settings.storage.plugin, settings.storage.options, context)
        try:
            storage.check()
        except StorageFull as error:  # who sends or deletes makes room, and must be able to start
            logger.warning("{}", error)
        listeners = [
            plugins.create_listener(name, settings.events.options_of(name), context)
            for name in settings.events.plugins
        ]
        events = EventStream(settings.side, listeners)
        stack.callback(events.close)
        if listeners:
            database.report_events_to(events.tell)
        upload_workers = stack.enter_context(ThreadPoolExecutor(UPLOAD_WORKERS, "upload"))
        yield Installation(
            settings=settings,
            plugins=plugins,
            context=context,
            database=database,
            storage=storage,
            accounts=Accounts(database),
            events=events,
            leases=leases,
            upload_workers=upload_workers,
        )


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Open the database alone, migrated or not.

    Raises:
        ConfigurationError: its URL is wrong, or the side's files are on a network file system.
    """
    if problems := list(network_problems(settings)):
        raise ConfigurationError("\n".join(problems))
    database = Database(
        settings.database.url.get_secret_value(),
        pool_size=settings.database.pool_size,
        busy_timeout=settings.database.busy_timeout,
    )
    try:
        yield database
    finally:
        database.dispose()


def network_problems(settings: Settings) -> Iterator[str]:
    """Yield a line for each setting whose files need a local file system and have none.

    SQLite, the leases and the spool rely on file locks and shared memory.
    """
    if settings.allow_network_file_system:
        return
    places = [("state_dir", settings.state_dir, "")]
    if (path := sqlite_path(settings.database.url.get_secret_value())) is not None:
        places.append(("[database] url", path, ", or PostgreSQL"))
    for setting, path, choice in places:
        if (kind := network_file_system(path)) is not None:
            yield (
                f"{setting}: {path} is on a network file system ({kind}), whose locks cannot be"
                f" relied on: choose a local disk{choice};"
                " allow_network_file_system = true starts all the same"
            )


def _state_dir(settings: Settings) -> Path:
    try:
        PRIVATE.make_directory(settings.state_dir)
    except OSError as error:
        raise ConfigurationError(
            f"state_dir: cannot make {settings.state_dir} ({error.strerror});"
            f" {advice(error, WRITE_ACCESS)}, or choose another"
        ) from error
    return settings.state_dir
