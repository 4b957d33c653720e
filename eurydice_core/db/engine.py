"""The database: short transactions, one way to begin them, errors translated at the edge."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from eurydice_core.db.faults import classify, to_error
from eurydice_core.db.group_commit import GroupCommit
from eurydice_core.db.postgresql import connect_arguments, prepare_postgresql
from eurydice_core.db.recorded_events import EventReporter, begin_recording, report_events
from eurydice_core.errors import ConfigurationError, DatabaseUnavailable
from eurydice_core.private_files import PRIVATE

__all__ = ["Database", "sqlite_path"]

T = TypeVar("T")

WRITES = "eurydice_writes"
"""Execution option of a connection that will write."""
HASTY = "eurydice_hasty"
"""Execution option of one whose writing need not survive a power cut."""


class Database:
    """One side's database, SQLite or PostgreSQL.

    Sessions never outlive a few statements, and never wait for a client or a storage.
    """

    def __init__(self, url: str, *, pool_size: int = 10, busy_timeout: float = 30.0) -> None:
        parsed = _checked_url(url)
        self.name = parsed.render_as_string(hide_password=True)
        self.busy_timeout = busy_timeout
        """Seconds to wait for a lock."""
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        arguments = (
            _sqlite_arguments(parsed, busy_timeout) if self.is_sqlite else connect_arguments(parsed)
        )
        self.engine = create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=busy_timeout,
            pool_pre_ping=not self.is_sqlite,
            connect_args=arguments,
        )
        if self.is_sqlite:
            _prepare_sqlite(self.engine, busy_timeout)
        else:
            prepare_postgresql(self.engine, busy_timeout)
        _drop_stale_connections(self.engine)
        self._writing = self.engine.execution_options(**{WRITES: True})
        self._hasty = self.engine.execution_options(**{WRITES: True, HASTY: True})
        self._turn: AbstractContextManager[None] = (
            _Turn(self.name, busy_timeout) if self.is_sqlite else nullcontext()
        )
        self._report: EventReporter | None = None
        self._together = GroupCommit(self.write)

    def report_events_to(self, report: EventReporter) -> None:
        """Have the events of every transaction reported there once it is committed."""
        self._report = report

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session that only reads, all of it from one moment where SQLite can.

        Raises:
            DatabaseUnavailable: the database does not answer, or cannot do it now.
        """
        with self.translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield what `read` does, for rows in place of objects: what every request asks.

        Raises:
            DatabaseUnavailable: the database does not answer, or cannot do it now.
        """
        with self.translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """Yield a session; commit when the block exits cleanly, else undo all of it.

        On SQLite the transaction takes the write lock when it begins: taking it half-way
        would fail at once if somebody else wrote meanwhile, instead of waiting.
        What is not `durable` may be undone by a power cut, and does not wait for the disk.

        Raises:
            DatabaseUnavailable: the database does not answer, or cannot do it now.
        """
        with (
            self._turn,
            self.translated(),
            Session(self._writing if durable else self._hasty, expire_on_commit=False) as session,
            session.begin(),
        ):
            if not (durable or self.is_sqlite):
                session.execute(text("SET LOCAL synchronous_commit = off"))
            if self._report is not None:
                begin_recording(session)
            yield session
        if self._report is not None:
            report_events(session, self._report)

    def write_soon(self, change: Callable[[Session], T]) -> Future[T]:
        """Make a small change, in one transaction with others that wait at the same time.

        The future is done once it is committed, or has what `write` would have raised.
        Should another change of the group fail, this one is made again, alone.
        """
        return self._together.submit(change)

    def dispose(self) -> None:
        """Finish what is to be written, and close every connection, or have it closed after use."""
        self._together.close()
        # A thread that nobody waits for, such as a check that hangs, may still have one.
        event.listen(self.engine, "checkin", lambda _, record: record.close())
        self.engine.dispose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Say in one line that the database does not answer, or cannot do it now.

        Raises:
            DatabaseUnavailable: it does not, or cannot.
        """
        try:
            yield
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                f"database {self.name}: all its connections are in use; raise [database] pool_size"
            ) from error
        except DBAPIError as error:
            if (outage := to_error(self.name, error)) is None:
                raise
            raise outage from error


class _Turn(AbstractContextManager[None]):
    """Lets one thread of this process write at a time.

    SQLite has one writer, and lets the others sleep and look again, longer each time; here
    the next one goes on at once.
    """

    def __init__(self, name: str, busy_timeout: float) -> None:
        self._name = name
        self._busy_timeout = busy_timeout
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._busy_timeout):
            raise DatabaseUnavailable(f"database {self._name}: another thread keeps writing")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _checked_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "[database] url: not a database URL; write for example sqlite:////var/lib/eurydice/x.db"
            " or postgresql+psycopg://user:password@host/name"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigurationError(
            f"[database] url: {parsed.drivername!r} is not supported;"
            " use sqlite or postgresql+psycopg"
        )
    return parsed


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite database; None of any other URL, or one that is none."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(parsed.database) if is_file and parsed.database else None


def _sqlite_arguments(url: URL, busy_timeout: float) -> dict[str, Any]:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError(
            "[database] url: SQLite needs a file, since several processes share it;"
            " write sqlite:// followed by its absolute path, four slashes in all"
        )
    directory = Path(url.database).parent
    if not directory.is_dir():
        raise ConfigurationError(f"[database] url: the directory {directory} does not exist")
    return {"timeout": busy_timeout, "check_same_thread": False}


def _prepare_sqlite(engine: Engine, busy_timeout: float) -> None:
    @event.listens_for(engine, "do_connect")
    def before_connect(*_: object) -> None:
        # SQLite gives its own files, `-wal` and `-shm`, the mode of the database.
        with suppress(OSError):  # SQLite says what is wrong
            os.close(PRIVATE.open_descriptor(engine.url.database or "", os.O_CREAT | os.O_RDWR))

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        # The driver's own idea of when to begin would make reads part of nothing and
        # writes begin too late; with None it leaves transactions to us.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {round(busy_timeout * 1000)}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        writes = options.get(WRITES, False)
        if writes:
            level = "NORMAL" if options.get(HASTY, False) else "FULL"
            connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _drop_stale_connections(engine: Engine) -> None:
    """Have the pool open new connections after an error that says that the host has changed.

    After a fail-over the old primary may answer on, without accepting writes; a new connection
    resolves the host names and `target_session_attrs` again. SQLite opens a file that it cannot
    write for reading, and the connection never writes again.
    """

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error = context.original_exception
        if not isinstance(error, Exception) or not classify(error).is_stale:
            return
        context.is_disconnect = True
        if isinstance(error, sqlite3.Error) and context.connection is not None:
            # A closed connection keeps its locks while a traceback refers to its statements.
            with suppress(sqlite3.Error):
                context.connection.connection.rollback()
