"""Work on a transferable that spans several transactions, done by one process at a time."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from eurydice_core.db.engine import Database
from eurydice_core.db.file_lock import file_lock
from eurydice_core.errors import DatabaseUnavailable

__all__ = ["exclusively"]

WAIT_SECONDS = 60
LOCK_ALL = text(
    "SELECT pg_advisory_lock(number) FROM"
    " (SELECT unnest(CAST(:numbers AS bigint[])) AS number ORDER BY 1) AS sorted"
)


@contextmanager
def exclusively(database: Database, ids: Collection[uuid.UUID]) -> Iterator[None]:
    """Keep other processes that do the same away from some transferables.

    PostgreSQL keeps a lock for each, which ends with the connection, should this process be
    killed. SQLite's processes are all of one machine, and take turns at a file beside it.

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
    # In order, so that two of these never wait for each other in a circle.
    numbers = sorted(int.from_bytes(id.bytes[:8], signed=True) for id in ids)
    with database.translated():
        connection = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        try:
            with database.translated():
                connection.execute(text(f"SET lock_timeout = '{WAIT_SECONDS}s'"))
                connection.execute(LOCK_ALL, {"numbers": numbers})
        except DatabaseUnavailable:
            connection.invalidate()  # which lets go of those it has
            raise
        try:
            yield
        finally:
            try:
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
                connection.execute(text("RESET lock_timeout"))
            except DBAPIError:
                connection.invalidate()
