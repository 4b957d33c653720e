"""Wakes the sender when there may be something to send, without asking for it all the time."""

from __future__ import annotations

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from loguru import logger
from sqlalchemy import Engine

from eurydice_core.db.engine import Database
from eurydice_core.db.postgresql import connect_arguments, is_pooled
from eurydice_core.db.waiting import QUEUE_CHANNEL

if TYPE_CHECKING:
    import psycopg

__all__ = ["Bell", "open_bell"]

STOP_SECONDS: Final = 0.25
"""How soon a wait ends once the process is told to stop."""


class Bell(ABC):
    """Tells that the queue may have changed since the last wait ended."""

    @abstractmethod
    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Return True once it may have, False if `stop` is set or that time has passed."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening."""


def open_bell(database: Database, poll_seconds: float) -> Bell:
    """Return what listens to a database; SQLite has to be asked, every `poll_seconds`."""
    if database.is_sqlite:
        return SqliteBell(database.engine.url.database or "", poll_seconds)
    return PostgresBell(database.engine, poll_seconds)


class SqliteBell(Bell):
    """Looks at the number that SQLite raises with every commit of somebody else's.

    That is one read of shared memory, and no query at all.
    """

    def __init__(self, path: str, poll_seconds: float) -> None:
        self._poll_seconds = poll_seconds
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._seen: int | None = None

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Look again and again."""
        deadline = time.monotonic() + seconds
        while not self._changed():
            if time.monotonic() >= deadline or stop.wait(self._poll_seconds):
                return False
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _changed(self) -> bool:
        try:
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return False  # whoever looks for work says what is wrong
        before, self._seen = self._seen, version
        return bool(version != before)


class PostgresBell(Bell):
    """Listens for notifications of the queue's triggers; through a pooler it polls instead."""

    def __init__(self, engine: Engine, poll_seconds: float) -> None:
        self._engine = engine
        self._poll_seconds = poll_seconds
        self._connection: psycopg.Connection[Any] | None = None
        self._is_pooled = False

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Listen; without a connection, wait a moment and leave finding out to the caller."""
        import psycopg

        deadline = time.monotonic() + seconds
        if self._is_pooled:
            stop.wait(min(seconds, self._poll_seconds))
            return True
        try:
            if self._connection is None:
                return self._connect()  # what came before that was not heard
            while not stop.is_set():
                timeout = min(STOP_SECONDS, max(0.0, deadline - time.monotonic()))
                if list(self._connection.notifies(timeout=timeout, stop_after=1)):
                    # Of many notifications that came together, one is enough.
                    list(self._connection.notifies(timeout=0))
                    return True
                if time.monotonic() >= deadline:
                    break
        except psycopg.Error as error:
            logger.debug("not listening to the queue: {}", error)
            self.close()
            stop.wait(self._poll_seconds)
        return False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            import psycopg

            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _connect(self) -> bool:
        import psycopg

        address, arguments = self._engine.dialect.create_connect_args(self._engine.url)
        arguments = {**connect_arguments(self._engine.url), **arguments}
        self._connection = psycopg.connect(*address, **arguments, autocommit=True)
        if is_pooled(self._connection):
            # Notifications would go to whichever client has the server connection then.
            logger.info(
                "[database] url leads through a connection pooler: the sender polls its queue"
                " every {:g} seconds",
                self._poll_seconds,
            )
            self._is_pooled = True
            self.close()
        else:
            self._connection.execute(f"LISTEN {QUEUE_CHANNEL}")
        return True
