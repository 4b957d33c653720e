"""Which database errors are outages: one table for PostgreSQL, one for SQLite.

PostgreSQL: SQLSTATE codes (documentation, appendix A). SQLite: result codes
(https://sqlite.org/rescode.html). An error that is in neither table is a bug.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sqlalchemy.exc import DBAPIError

from eurydice_core.errors import DatabaseMisconfigured, DatabaseUnavailable, TransactionConflict
from eurydice_core.os_advice import FILE_LIMIT, has_descriptors

__all__ = ["SWAPPED", "Fault", "FaultKind", "classify", "to_error"]


class FaultKind(Enum):
    """Reactions to a database error."""

    OUTAGE = auto()
    """Wait and try again: the database cannot do it now."""
    RETRY = auto()
    """Repeat the transaction at once: a concurrent one got in its way."""
    CONFIGURATION = auto()
    """Wait for an administrator: login, permissions or tables are not as needed."""
    BUG = auto()
    """The statement or its values are wrong."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One class of database errors."""

    kind: FaultKind
    advice: str = ""
    """Advice to the administrator."""
    is_stale: bool = False
    """Whether the pool must open new connections: the host may have another role now."""


BUG: Final = Fault(FaultKind.BUG)
OUTAGE: Final = Fault(FaultKind.OUTAGE)
STALE: Final = Fault(FaultKind.OUTAGE, is_stale=True)
RETRY: Final = Fault(FaultKind.RETRY)
NO_SPACE: Final = "free some space on its disk"
LOGIN: Final = Fault(
    FaultKind.CONFIGURATION, "check user, password and name in [database] url", is_stale=True
)
TABLES: Final = Fault(
    FaultKind.CONFIGURATION,
    "its tables are not those of this program: run 'eurydice migrate' and restart the services",
)
SWAPPED: Final = Fault(FaultKind.RETRY, is_stale=True)
"""A connection pooler gave us another server connection within one of ours."""
READ_ONLY: Final = Fault(
    FaultKind.OUTAGE,
    "it accepts no writes, as a standby does; list all hosts in [database] url, with"
    " target_session_attrs=read-write",
    is_stale=True,
)
CORRUPT: Final = Fault(
    FaultKind.OUTAGE,
    "its files are damaged: stop the services and restore a backup",
    is_stale=True,
)

SQLSTATES: Final[Mapping[str, Fault]] = {
    "08": STALE,  # connection
    "25006": READ_ONLY,
    "25P03": STALE,  # idle in transaction for too long
    "25P04": STALE,  # transaction timeout
    "26000": SWAPPED,  # prepared statement does not exist
    "28": LOGIN,
    "3D": LOGIN,
    "40": RETRY,  # serialization failure, deadlock
    "42501": Fault(FaultKind.CONFIGURATION, "grant its user what is missing"),
    "42703": TABLES,  # undefined column
    "42P01": TABLES,  # undefined table
    "42P05": SWAPPED,  # prepared statement exists already
    "53": STALE,  # resources
    "53100": Fault(FaultKind.OUTAGE, NO_SPACE),
    "53300": Fault(
        FaultKind.OUTAGE, "raise its max_connections, or lower [database] pool_size", is_stale=True
    ),
    "55": OUTAGE,  # lock not available, object in use
    "57": STALE,  # shutdown, crash, start, canceled
    "57014": OUTAGE,  # statement canceled or timed out; the connection is fine
    "58": STALE,  # system, input and output
    "72": RETRY,  # snapshot too old
    "F0": STALE,  # its configuration file
    "XX": STALE,  # internal
    "XX001": CORRUPT,
    "XX002": CORRUPT,
}
"""Faults by SQLSTATE, or by its class, the first two characters."""

WRITE_ACCESS: Final = Fault(
    FaultKind.OUTAGE,
    "give the service's user write access to the file and its directory",
    is_stale=True,
)
SQLITE_CODES: Final[Mapping[int, Fault]] = {
    sqlite3.SQLITE_ABORT: RETRY,
    sqlite3.SQLITE_BUSY: OUTAGE,
    sqlite3.SQLITE_BUSY_SNAPSHOT: RETRY,
    sqlite3.SQLITE_CANTOPEN: WRITE_ACCESS,
    sqlite3.SQLITE_CORRUPT: CORRUPT,
    sqlite3.SQLITE_FULL: Fault(FaultKind.OUTAGE, NO_SPACE),
    sqlite3.SQLITE_INTERRUPT: OUTAGE,
    sqlite3.SQLITE_IOERR: STALE,
    sqlite3.SQLITE_LOCKED: OUTAGE,
    sqlite3.SQLITE_NOLFS: STALE,
    sqlite3.SQLITE_NOMEM: OUTAGE,
    sqlite3.SQLITE_NOTADB: CORRUPT,
    sqlite3.SQLITE_PERM: WRITE_ACCESS,
    sqlite3.SQLITE_PROTOCOL: OUTAGE,
    sqlite3.SQLITE_READONLY: WRITE_ACCESS,
    sqlite3.SQLITE_SCHEMA: RETRY,
}
"""Faults by extended result code, or by its primary one, the low byte."""

CONNECT_MESSAGES: Final[Mapping[str, Fault]] = {
    "Too many open files": Fault(FaultKind.OUTAGE, FILE_LIMIT, is_stale=True),
    "password authentication failed": LOGIN,
    "no password supplied": LOGIN,
    "no pg_hba.conf entry": LOGIN,
    "is not permitted to log in": LOGIN,
    "does not exist": LOGIN,
    "session is read-only": READ_ONLY,
    "server is in hot standby mode": READ_ONLY,
}
"""Faults by text: libpq tells no SQLSTATE when it cannot connect."""


def classify(error: BaseException) -> Fault:
    """Return the fault of a driver's error."""
    if isinstance(error, sqlite3.Error):
        return _classify_sqlite(error)
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate:
        return SQLSTATES.get(sqlstate) or SQLSTATES.get(sqlstate[:2], BUG)
    if type(error).__name__ not in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
        return BUG
    text = str(error)
    return next((fault for part, fault in CONNECT_MESSAGES.items() if part in text), STALE)


def to_error(name: str, error: DBAPIError) -> DatabaseUnavailable | None:
    """Return what a database error is for the rest of the program; None for a bug.

    Args:
        name: the database's, without a password.
        error: from SQLAlchemy, around the driver's.
    """
    fault = classify(error.orig) if error.orig else BUG
    if fault.kind is FaultKind.BUG:
        if not error.connection_invalidated:
            return None
        fault = STALE
    reason = next(iter(str(error.orig).strip().splitlines()), "no answer")
    message = f"database {name}: {reason}" + (f"; {fault.advice}" if fault.advice else "")
    if fault.kind is FaultKind.RETRY:
        return TransactionConflict(message)
    if fault.kind is FaultKind.CONFIGURATION:
        return DatabaseMisconfigured(message)
    return DatabaseUnavailable(message)


def _classify_sqlite(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # from Python's own checks, such as of a closed connection
        return OUTAGE if type(error) is sqlite3.OperationalError else BUG
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN and not has_descriptors():
        return Fault(FaultKind.OUTAGE, FILE_LIMIT)
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(("no such table", "no such column")):
        return TABLES
    return SQLITE_CODES.get(code) or SQLITE_CODES.get(code & 0xFF, BUG)
