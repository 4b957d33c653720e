"""One migration of a database at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from eurydice_core.db.engine import Database
from eurydice_core.db.file_lock import file_lock
from eurydice_core.errors import DatabaseUnavailable

__all__ = ["migration_lock"]

KEY: Final = 0x6575727964696365  # "eurydice"
"""Number of the advisory lock; PostgreSQL counts those of each database apart."""


@contextmanager
def migration_lock(database: Database, on_wait: Callable[[], None] | None) -> Iterator[Session]:
    """Yield a session that writes, while no other process migrates the same database.

    Raises:
        DatabaseUnavailable: another one does for longer than the database's `busy_timeout`.
    """
    busy = (
        f"database {database.name}: another 'eurydice migrate' has not finished for"
        f" {database.busy_timeout:g} s; run this again once it has"
    )
    # Taken before the first connection: that alone may write to a new SQLite file.
    lock = (
        file_lock(
            f"{database.engine.url.database}-migration",
            seconds=database.busy_timeout,
            busy=busy,
            on_wait=on_wait,
        )
        if database.is_sqlite
        else nullcontext()
    )
    with lock, database.write() as session:
        if not database.is_sqlite:
            _lock_postgresql(session, database.busy_timeout, busy, on_wait)
        yield session


def _lock_postgresql(
    session: Session, seconds: float, busy: str, on_wait: Callable[[], None] | None
) -> None:
    """Take a lock that ends with the transaction, so that it works behind PgBouncer, too."""
    key = {"key": KEY}
    if session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), key):
        return
    if on_wait is not None:
        on_wait()
    session.execute(text(f"SET LOCAL lock_timeout = {max(1, round(seconds * 1000))}"))
    try:
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
    except OperationalError as error:
        raise DatabaseUnavailable(busy) from error
