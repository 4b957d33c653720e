"""Connections to PostgreSQL, made directly or through a pooler such as PgBouncer.

A pooler in transaction mode may use another server connection for each transaction. Nothing
may then be kept in the session: no prepared statement, no setting, no LISTEN, no session lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, ExceptionContext, event

from eurydice_core.db.faults import SWAPPED, classify

if TYPE_CHECKING:
    import psycopg

__all__ = ["LIBPQ_TIMEOUTS", "connect_arguments", "is_pooled", "prepare_postgresql"]

LIBPQ_TIMEOUTS: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Seconds, and milliseconds for the last: a server that vanished is noticed within a minute."""
POOLED: Final = "eurydice_pooled"
"""Key in a connection's info: whether a pooler is in between."""


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return the arguments of libpq that the URL does not give itself."""
    return {name: value for name, value in LIBPQ_TIMEOUTS.items() if name not in url.query}


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Return whether a pooler is in between: it gives clients process numbers of its own."""
    row = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    return row is None or row[0] != connection.info.backend_pid


def prepare_postgresql(engine: Engine, busy_timeout: float) -> None:
    """Set the lock timeout, and leave nothing in the session where a pooler is in between.

    Args:
        engine: of PostgreSQL.
        busy_timeout: seconds to wait for a lock, unless the URL's `options` say it.
    """
    milliseconds = max(1, round(busy_timeout * 1000))  # 0 would be for ever
    set_timeout = f"lock_timeout = {milliseconds}"
    is_set_by_url = "lock_timeout" in str(engine.url.query.get("options", ""))
    swapped = False

    @event.listens_for(engine, "connect")
    def on_connect(connection: psycopg.Connection[Any], record: Any) -> None:
        connection.autocommit = True
        pooled = record.info[POOLED] = swapped or is_pooled(connection)
        if pooled:
            connection.prepare_threshold = None
        elif not is_set_by_url:
            connection.execute(f"SET {set_timeout}", prepare=False)
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        if connection.info[POOLED] and not is_set_by_url:
            connection.exec_driver_sql(f"SET LOCAL {set_timeout}")

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        nonlocal swapped
        if classify(context.original_exception) is SWAPPED:
            swapped = True  # a pooler that is not recognised by its process numbers
