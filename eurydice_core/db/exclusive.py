"""Work on a transferable that spans several transactions, done by one process at a time."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import text

from eurydice_core.db.engine import Database
from eurydice_core.db.file_lock import file_lock

__all__ = ["exclusively"]

WAIT_SECONDS = 60
LOCK_ALL = text(
    "SELECT pg_advisory_xact_lock(number) FROM"
    " (SELECT unnest(CAST(:numbers AS bigint[])) AS number ORDER BY 1) AS sorted"
)


@contextmanager
def exclusively(database: Database, ids: Collection[uuid.UUID]) -> Iterator[None]:
    """Hold a lock on each of some transferables, against other processes that do the same.

    PostgreSQL: advisory locks of a transaction, on a connection of their own; they end with
    that connection. SQLite: one lock for all, on a file next to the database.

    Raises:
        DatabaseUnavailable: the database does not answer, or another process or thread holds
            one of them for a minute (PostgreSQL) or `[database] busy_timeout` (SQLite).
    """
    if not ids:
        yield
    elif database.is_sqlite:
        path = f"{database.engine.url.database}-turn"
        busy = (
            f"database {database.name}: another process or thread has changed files for"
            f" {database.busy_timeout:g} s; 'fuser {path}' names the process, [database]"
            " busy_timeout waits longer"
        )
        with file_lock(path, seconds=database.busy_timeout, busy=busy):
            yield
    else:
        with _advisory_locks(database, ids):
            yield


@contextmanager
def _advisory_locks(database: Database, ids: Collection[uuid.UUID]) -> Iterator[None]:
    # In order, so that two of these never wait for each other in a circle. The locks are those
    # of a transaction, since a pooler may give each transaction another session.
    numbers = sorted(int.from_bytes(id.bytes[:8], signed=True) for id in ids)
    with database.connect() as connection, connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
        # The transaction stays open while bytes are stored, for as long as that takes.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(LOCK_ALL, {"numbers": numbers})
        yield
