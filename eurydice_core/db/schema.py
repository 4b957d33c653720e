"""Which tables a side has, and the migrations that lead there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text
from sqlalchemy.orm import Session

from eurydice_core.db import (
    admission,
    counts,
    idempotency,
    incoming,
    leases,
    outgoing,
    tables,
    waiting,
)
from eurydice_core.db.engine import Database
from eurydice_core.db.migration_lock import migration_lock
from eurydice_core.errors import DatabaseNotMigrated, WrongSideDatabase
from eurydice_core.model.states import Side

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = [
    "belongs_to",
    "migrate",
    "require_migrated",
    "revision",
    "script_config",
    "wanted_revision",
]

MIGRATIONS = Path(__file__).with_name("migrations")
SHARED = (
    tables.User,
    tables.ApiToken,
    tables.UserSession,
    tables.SignInFailures,
    tables.Fact,
    leases.Lease,
)
TABLES = {
    Side.ORIGIN: (
        *SHARED,
        outgoing.OutgoingTransferable,
        outgoing.OutgoingRange,
        outgoing.OutgoingContent,
        outgoing.OutgoingClaim,
        outgoing.RevocationRow,
        counts.OutgoingCount,
        waiting.WaitingCount,
        idempotency.IdempotencyKey,
        admission.UploadRate,
        admission.UploadReservation,
    ),
    Side.DESTINATION: (
        *SHARED,
        incoming.OriginProfile,
        incoming.IncomingTransferable,
        incoming.ReceivedExtent,
        counts.IncomingCount,
    ),
}


def belongs_to(side: Side) -> Callable[..., bool]:
    """Return alembic's `include_object` for one side's tables."""
    names = {table.__tablename__ for table in TABLES[side]}

    def include(thing: Any, name: str | None, kind: str, *_: object) -> bool:
        if name in counts.LIST_INDEXES:
            return False
        return (name if kind == "table" else thing.table.name) in names

    return include


def script_config(side: Side) -> Config:
    """Return alembic's configuration for one side's migrations."""
    # Every service starts by looking at the revision; only migrating needs alembic, which
    # takes a third of a second to import.
    from alembic.config import Config

    config = Config()
    # Alembic keeps its options in a configparser, to which a percent sign means something.
    location = str(MIGRATIONS).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{location}/versions/{side}")
    config.attributes["side"] = side
    return config


def migrate(
    database: Database, side: Side, *, on_wait: Callable[[], None] | None = None
) -> tuple[str | None, str]:
    """Bring the tables to this program's version, all or nothing; return (before, after).

    Of several processes that do this at once, the others wait for the first.

    Args:
        database: the database of that side.
        side: which tables it has.
        on_wait: called if another process migrates it now.

    Raises:
        DatabaseUnavailable: another process migrates it for longer than `busy_timeout`.
        WrongSideDatabase: it holds the other side's tables.
    """
    from alembic import command

    with migration_lock(database, on_wait) as session:
        before = _revision(session, database.name, side)
        config = script_config(side)
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "head")
        counts.install_lists(session, side)
        if side is Side.ORIGIN:
            waiting.install_waiting(session)
    return before, wanted_revision(side)


def require_migrated(database: Database, side: Side) -> None:
    """Return if the tables are those this program needs.

    Raises:
        DatabaseNotMigrated: they are missing, older or newer.
        WrongSideDatabase: it holds the other side's tables.
    """
    found, wanted = revision(database, side), wanted_revision(side)
    if found != wanted:
        raise DatabaseNotMigrated(database.name, found, wanted)


def wanted_revision(side: Side) -> str:
    """Return the newest revision this program knows: files are named after theirs."""
    newest = max(path.stem for path in (MIGRATIONS / "versions" / side).glob(f"{side}_*.py"))
    return "_".join(newest.split("_")[:2])


def revision(database: Database, side: Side) -> str | None:
    """Return the revision the database is at, None if it has no tables.

    Raises:
        WrongSideDatabase: it holds the other side's tables.
    """
    with database.read() as session:
        return _revision(session, database.name, side)


def _revision(session: Session, name: str, side: Side) -> str | None:
    other = Side.DESTINATION if side is Side.ORIGIN else Side.ORIGIN
    foreign = {t.__tablename__ for t in TABLES[other]} - {t.__tablename__ for t in TABLES[side]}
    present = set(inspect(session.connection()).get_table_names())
    if foreign & present:
        raise WrongSideDatabase(name, side)
    if "alembic_version" not in present:
        return None
    found: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return found
