"""Debian's PostgreSQL finds names by `pg_trgm`; SQLite's index outlives new row numbers."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import uuid
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete, insert, make_url, text

from eurydice_core.api.paging import PageRequest, fetch_page
from eurydice_core.db import names
from eurydice_core.db.engine import Database
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.db.schema import migrate
from eurydice_core.db.tables import User
from eurydice_core.model.states import Side
from eurydice_core.origin.catalogue import Filter, transferables
from eurydice_core.testing.postgresql_server import postgresql_server

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HAS_INDEX = "SELECT to_regclass('ix_outgoing_transferables_names') IS NOT NULL"


def add(database, number):
    user_id = uuid.uuid4()
    values = {"piece_size": 1, "received_at": NOW, "state_changed_at": NOW, "created_at": NOW}
    with database.write() as session:
        session.add(User(id=user_id, username="alice", created_at=NOW))
        session.flush()
        added = ["ÉTÉ.txt", "STRASSE", *(f"file {n}" for n in range(number))]
        rows = [{"id": uuid.uuid4(), "user_id": user_id, "name": name, **values} for name in added]
        session.execute(insert(OutgoingTransferable), rows)
    return user_id


def find(database, user_id, term):
    keyset = transferables(user_id, Filter(name=term))
    with database.connect() as connection:
        page = fetch_page(connection, keyset, PageRequest(50, b"", None, 0, False))
    return {row.name for row in page.rows}


@pytest.fixture(scope="module")
def server(debian_program):
    programs = debian_program("initdb", "postgresql").parent
    directory = Path(tempfile.mkdtemp(prefix="eurydice-pg-"))  # reachable, with a short path
    directory.chmod(0o755)
    try:
        with postgresql_server(programs, directory, fsync="off") as url:
            yield url
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def execute(server):
    """Run a statement as the server's administrator."""
    with psycopg.connect(
        make_url(server).set(drivername="postgresql").render_as_string(False), autocommit=True
    ) as connection:
        yield connection.execute


@pytest.fixture
def database(server, execute):
    name = f"test_{uuid.uuid4().hex}"
    execute(f"CREATE ROLE {name} LOGIN")
    execute(f"CREATE DATABASE {name} OWNER {name}")
    database = Database(make_url(server).set(database=name, username=name).render_as_string(False))
    yield database
    database.dispose()


def has_index(database):
    with database.connect() as connection:
        return connection.scalar(text(HAS_INDEX))


@pytest.mark.service
def test_migrating_makes_the_extension_and_its_index_serves(database):
    migrate(database, Side.ORIGIN)
    alice = add(database, 5000)
    assert find(database, alice, "été") == {"ÉTÉ.txt"}
    assert find(database, alice, "straße") == {"STRASSE"}
    assert find(database, alice, "e 499") == {"file 499", *(f"file {n}" for n in range(4990, 5000))}
    explained = "EXPLAIN SELECT id FROM outgoing_transferables WHERE folded_name LIKE '%strass%'"
    with database.connect() as connection:
        for way in ("seqscan", "indexscan", "indexonlyscan"):  # cheaper for so few rows
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        plan = "\n".join(row[0] for row in connection.exec_driver_sql(explained.replace("%", "%%")))
    assert "ix_outgoing_transferables_names" in plan


@pytest.mark.service
def test_index_is_made_once_the_extension_exists(server, database, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(names, "CREATE_TRIGRAMS", "CREATE EXTENSION no_such_extension")
        migrate(database, Side.ORIGIN)
    assert not has_index(database)
    alice = add(database, 10)
    assert find(database, alice, "été") == {"ÉTÉ.txt"}
    url = make_url(server).set(drivername="postgresql", database=database.engine.url.database)
    with psycopg.connect(url.render_as_string(False)) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
    migrate(database, Side.ORIGIN)
    assert has_index(database)
    assert find(database, alice, "straße") == {"STRASSE"}


@pytest.mark.parametrize("change", ["VACUUM", "UPDATE outgoing_transferables SET rowid = -rowid"])
def test_names_stay_right_when_rows_are_renumbered(change, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/origin.db")
    migrate(database, Side.ORIGIN)
    alice = add(database, 600)
    with closing(sqlite3.connect(tmp_path / "origin.db", isolation_level=None)) as connection:
        connection.execute(change)
    assert find(database, alice, "straße") == {"STRASSE"}
    with database.write() as session:
        session.execute(delete(OutgoingTransferable))
    assert find(database, alice, "straße") == set()
    with database.connect() as connection:
        kept = text("SELECT count(*) FROM outgoing_transferables_names")
        assert connection.scalar(kept) == 0
    database.dispose()
