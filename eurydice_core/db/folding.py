# ruff: noqa: S608 (the statements have the names of our own tables in them)
"""Folds the names that are in a database already, in batches; for migrations alone."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, bindparam, column, select, table, text, update

from eurydice_core.db.names import LONGEST, fold

__all__ = ["fold_names"]

BATCH: Final = 10_000


def fold_names(connection: Connection, rows: str) -> None:
    """Write `folded_name` of every row that has a name.

    SQLite calls `fold` for each row. PostgreSQL folds ASCII names itself; the others are folded
    here, `BATCH` of them at a time.
    """
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.create_function("eurydice_fold", 1, fold, deterministic=True)
        # One pass in the order of the file: by id, each row would be another page.
        connection.execute(
            text(f"UPDATE {rows} SET folded_name = eurydice_fold(name) WHERE name != ''")
        )
        return
    # Written anew with all its indexes, the table takes a tenth of what updating each row does.
    connection.execute(
        text(
            f"ALTER TABLE {rows} ALTER COLUMN folded_name"
            f' TYPE varchar({LONGEST}) USING lower(name COLLATE "C")'
        )
    )
    others = "name COLLATE \"C\" !~ '^[ -~]*$'"
    it: Any = table(rows, column("id"), column("name"), column("folded_name"))
    page = select(it.c.id, it.c.name).where(text(others)).order_by(it.c.id).limit(BATCH)
    change = update(it).where(it.c.id == bindparam("row")).values(folded_name=bindparam("folded"))
    last = None
    while True:
        found = connection.execute(page if last is None else page.where(it.c.id > last)).all()
        if found:
            values = [{"row": row.id, "folded": fold(row.name)} for row in found]
            connection.execute(change, values)
        if len(found) < BATCH:
            return
        last = found[-1].id
