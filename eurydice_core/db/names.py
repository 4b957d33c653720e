# ruff: noqa: S608 (the statements have the names of our own tables in them)
"""Search in names: any case, any Unicode form, and an index of trigrams where there can be one.

Each transferable keeps its name folded, and a search is a substring of that. On PostgreSQL the
index is GIN over `pg_trgm`. On SQLite it is FTS5's `trigram`, a table of its own, filled by
triggers a batch at a time: adding 512 names at once costs a third of adding them one by one.
The latest names, not indexed yet, are in `<rows>_names_new`, which searches read as well.
Neither is required: without the extension, or FTS5, a search reads every folded name.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final
from unicodedata import normalize

from loguru import logger
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    String,
    Table,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["LONGEST", "MOST_IDS", "contains", "find_ids", "fold", "folded_name", "install_names"]

LONGEST: Final = 3 * 255
"""Characters of a folded name: no character folds to more than three."""
TRIGRAM: Final = 3
MOST_GRAMS: Final = 32
"""Trigrams of a term that the index is asked for; the rest of it is compared."""
MOST_IDS: Final = 5_000
"""Rows that a search collects; of more of them, a list is read in its order instead."""
BATCH: Final = 512


def fold(name: str) -> str:
    """Return a name as searches compare it: `STRASSE` for `Straße`, composed for decomposed."""
    return normalize("NFC", normalize("NFC", name).casefold())


def folded_name() -> Mapped[str]:
    """Return the column with the folded name, which follows from `name` when a row is made."""

    def folded(context: Any) -> str:
        return fold(context.get_current_parameters().get("name") or "")

    return mapped_column(String(LONGEST), default=folded, server_default="")


class contains(FunctionElement[bool]):
    """The condition that a column of folded names contains a folded term.

    PostgreSQL looks through the names: its index of trigrams is not used for this, which takes
    seconds for one or two characters.
    """

    inherit_cache = True
    type = Boolean()

    def __init__(self, column: ColumnElement[str], folded: str) -> None:
        """Compare a column, or what stands for it in a subquery, with a term."""
        super().__init__(column, literal(folded, String))


@compiles(contains, "sqlite")
def _in_sqlite(element: contains, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)}) > 0"


@compiles(contains, "postgresql")
def _in_postgresql(element: contains, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)}) > 0"


SQLITE: Final = (
    """CREATE TABLE IF NOT EXISTS {rows}_names_new (
        number INTEGER PRIMARY KEY, id CHAR(32) NOT NULL, place INTEGER NOT NULL,
        folded TEXT NOT NULL)""",
    "DROP TRIGGER IF EXISTS {rows}_name_added",
    """CREATE TRIGGER {rows}_name_added AFTER INSERT ON {rows} WHEN NEW.folded_name != '' BEGIN
        INSERT INTO {rows}_names_new (id, place, folded)
        VALUES (NEW.id, NEW.rowid, NEW.folded_name);
    END""",
    "DROP TRIGGER IF EXISTS {rows}_names_indexed",
    # Row numbers may change when a database is vacuumed: searches go by `id`, and an entry that
    # is to be deleted is looked for by `id`, slowly, if its number is another row's now.
    """CREATE TRIGGER {rows}_names_indexed AFTER INSERT ON {rows}_names_new
    WHEN NEW.number >= {batch} BEGIN
        INSERT INTO {rows}_names (rowid, folded, id)
        SELECT CASE WHEN EXISTS (SELECT 1 FROM {rows}_names WHERE rowid = place)
            THEN NULL ELSE place END, folded, id
        FROM {rows}_names_new;
        DELETE FROM {rows}_names_new;
    END""",
    "DROP TRIGGER IF EXISTS {rows}_name_removed",
    """CREATE TRIGGER {rows}_name_removed AFTER DELETE ON {rows} WHEN OLD.folded_name != '' BEGIN
        DELETE FROM {rows}_names WHERE rowid = (SELECT CASE
            WHEN OLD.id = (SELECT id FROM {rows}_names WHERE rowid = OLD.rowid) THEN OLD.rowid
            WHEN EXISTS (SELECT 1 FROM {rows}_names_new WHERE id = OLD.id) THEN NULL
            ELSE (SELECT rowid FROM {rows}_names WHERE id = OLD.id) END);
        DELETE FROM {rows}_names_new WHERE id = OLD.id;
    END""",
)
SQLITE_INDEX: Final = """CREATE VIRTUAL TABLE {rows}_names
    USING fts5(folded, id UNINDEXED, detail = none, tokenize = 'trigram case_sensitive 1')"""
SQLITE_FILL: Final = """INSERT INTO {rows}_names (rowid, folded, id)
    SELECT rowid, folded_name, id FROM {rows} WHERE folded_name != ''"""
CREATE_TRIGRAMS: Final = "CREATE EXTENSION pg_trgm"
POSTGRESQL_INDEX: Final = """CREATE INDEX IF NOT EXISTS ix_{rows}_names
    ON {rows} USING gin (folded_name gin_trgm_ops)"""


def install_names(session: Session, rows: str) -> bool:
    """Have the database index the names of a table if it can; return whether it does."""
    if session.get_bind().dialect.name == "postgresql":
        return _install_postgresql(session, rows)
    return _install_sqlite(session, rows)


def _install_postgresql(session: Session, rows: str) -> bool:
    if not session.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")):
        try:
            with session.begin_nested():
                session.execute(text(CREATE_TRIGRAMS))
        except DBAPIError:
            logger.warning(
                "searches of names are slow: run CREATE EXTENSION pg_trgm in this database as its"
                " administrator, then 'eurydice migrate' again"
            )
            return False
    session.execute(text(POSTGRESQL_INDEX.format(rows=rows)))
    return True


def _install_sqlite(session: Session, rows: str) -> bool:
    known = text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name")
    if not session.scalar(known, {"name": f"{rows}_names"}):
        try:
            session.execute(text(SQLITE_INDEX.format(rows=rows)))
        except DBAPIError:
            logger.warning("searches of names are slow: this SQLite has no FTS5 with trigrams")
            return False
        session.execute(text(SQLITE_FILL.format(rows=rows)))
    for statement in SQLITE:
        session.execute(text(statement.format(rows=rows, batch=BATCH)))
    return True


def find_ids(connection: Connection, table: Table, term: str) -> Sequence[uuid.UUID] | None:
    """Return the rows whose name contains a term, by the index.

    It is None where the index cannot tell: the term is shorter than three characters, there
    are more than `MOST_IDS` such rows, or there is no index.
    """
    folded = fold(term)
    if len(folded) < TRIGRAM:
        return None
    if len(folded) > LONGEST:
        return []
    if connection.dialect.name == "postgresql":
        found = _find_postgresql(connection, table, folded)
    else:
        found = _find_sqlite(connection, table, folded)
    return found if found is not None and len(found) <= MOST_IDS else None


def _find_postgresql(
    connection: Connection, table: Table, folded: str
) -> Sequence[uuid.UUID] | None:
    index = f"ix_{table.name}_names"
    if connection.scalar(select(func.to_regclass(index))) is None:
        return None
    like = table.c.folded_name.contains(folded, autoescape=True, escape="\\")
    query = select(table.c.id).where(like).limit(MOST_IDS + 1)
    return connection.scalars(query).all()


def _find_sqlite(connection: Connection, table: Table, folded: str) -> Sequence[uuid.UUID] | None:
    index = f"{table.name}_names"
    known = text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name")
    if connection.scalar(known, {"name": index}) is None:
        return None
    grams = dict.fromkeys(folded[i : i + TRIGRAM] for i in range(len(folded) - TRIGRAM + 1))
    quoted = " AND ".join(
        '"{}"'.format(gram.replace('"', '""')) for gram in list(grams)[:MOST_GRAMS]
    )
    query = text(
        f"SELECT id FROM {index}_new WHERE instr(folded, :term) > 0"
        f" UNION ALL SELECT id FROM {index}"
        f" WHERE {index} MATCH :grams AND instr(folded, :term) > 0 LIMIT :most"
    )
    values = {"term": folded, "grams": quoted, "most": MOST_IDS + 1}
    return [uuid.UUID(id) for id in connection.scalars(query, values)]
