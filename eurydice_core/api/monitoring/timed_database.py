"""How long the API's transactions take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, event

from eurydice_core.db.engine import WRITES

__all__ = ["time_transactions"]

BEGAN: Final = "eurydice_began"


def time_transactions(engine: Engine, observe: Callable[[str, float], None]) -> None:
    """Tell of each transaction whether it may write, and the seconds from its begin to its end."""

    def begin(connection: Connection) -> None:
        connection.info[BEGAN] = time.perf_counter()

    def end(connection: Connection) -> None:
        if connection.invalidated:  # it broke, and its info with it
            return
        began = connection.info.pop(BEGAN, None)
        if began is not None:
            writes = connection.get_execution_options().get(WRITES, False)
            observe("write" if writes else "read", time.perf_counter() - began)

    # First, so that waiting for SQLite's one write lock counts.
    event.listen(engine, "begin", begin, insert=True)
    event.listen(engine, "commit", end)
    event.listen(engine, "rollback", end)
