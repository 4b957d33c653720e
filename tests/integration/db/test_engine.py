from __future__ import annotations

import sqlite3
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from eurydice_core.db.engine import Database
from eurydice_core.db.facts import set_fact
from eurydice_core.errors import DatabaseMisconfigured, DatabaseUnavailable
from eurydice_core.model.states import Side

TERMINATE_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def database(make_database):
    database = Database(make_database(Side.ORIGIN), pool_size=1, busy_timeout=0.01)
    yield database
    database.dispose()


def test_a_pool_without_a_free_connection_is_an_outage_and_says_what_to_raise(database):
    with ExitStack() as stack:
        for _ in range(2):  # one of the pool, and one beyond it
            stack.enter_context(database.read()).execute(text("SELECT 1"))
        with (
            pytest.raises(DatabaseUnavailable, match=r"raise \[database\] pool_size"),
            database.read() as session,
        ):
            session.execute(text("SELECT 1"))
    with database.read() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_a_connection_that_is_in_use_at_the_end_is_closed_after_it(database):
    with database.engine.connect() as connection:
        used = connection.connection.driver_connection
        database.dispose()
        assert connection.scalar(text("SELECT 1")) == 1
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        used.execute("SELECT 1")


@pytest.mark.service
def test_a_table_that_somebody_keeps_locked_is_an_outage_and_not_for_ever(postgres_database):
    url = postgres_database(Side.ORIGIN)
    keeper, other = Database(url), Database(url, busy_timeout=0.01)
    with keeper.write() as session:
        session.execute(text("LOCK TABLE users"))
        with (
            pytest.raises(DatabaseUnavailable, match="lock timeout"),
            other.read() as waiting,
        ):
            waiting.execute(text("SELECT 1 FROM users"))
    with other.read() as session:
        session.execute(text("SELECT 1 FROM users"))
    for database in (keeper, other):
        database.dispose()


@pytest.mark.service
def test_what_the_url_says_of_waits_counts(postgres_database):
    url = make_url(postgres_database(Side.ORIGIN)).update_query_dict({"connect_timeout": "3"})
    database = Database(url.render_as_string(hide_password=False))
    with database.engine.connect() as connection:
        used = connection.connection.driver_connection.info.get_parameters()
    assert (used["connect_timeout"], used["keepalives_idle"]) == ("3", "30")
    database.dispose()


@pytest.mark.service
def test_read_only_postgresql_is_an_outage_and_heals(postgres_database):
    url = postgres_database(Side.ORIGIN)
    database, name = Database(url), make_url(url).database
    admin = make_url(url).set(drivername="postgresql", database="postgres")
    with psycopg.connect(admin.render_as_string(False), autocommit=True) as connection:
        with database.write() as session:
            set_fact(session, "before", 1)
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        database.engine.dispose()  # new connections, as after a fail-over
        with (
            pytest.raises(
                DatabaseUnavailable, match=r"read-only transaction.*target_session_attrs"
            ),
            database.write() as session,
        ):
            set_fact(session, "during", 1)
        # The connections to it, which would stay read-only, are not used again.
        connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        with database.write() as session:
            set_fact(session, "after", 1)
    database.dispose()


@pytest.mark.service
def test_connections_ended_by_the_server_are_an_outage_and_heal(postgres_database):
    url = postgres_database(Side.ORIGIN)
    database, other = Database(url), Database(url)

    def write(database, before=lambda: None):
        with database.write() as session:
            set_fact(session, "x", 1)
            before()
            set_fact(session, "x", 2)

    def terminate():
        with other.write() as session:
            session.execute(TERMINATE_OTHERS)

    with pytest.raises(DatabaseUnavailable):
        write(database, terminate)
    write(database)
    for each in (database, other):
        each.dispose()


@pytest.mark.service
@pytest.mark.parametrize(
    ("change", "reason"),
    [({"database": "nowhere"}, "does not exist"), ({"username": "nobody-here"}, "does not exist")],
)
def test_wrong_login_is_a_matter_of_configuration(postgres_database, change, reason):
    url = make_url(postgres_database(Side.ORIGIN)).set(**change)
    database = Database(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseMisconfigured, match=reason), database.read() as session:
        session.execute(text("SELECT 1"))
    database.dispose()


def test_full_sqlite_is_an_outage_and_heals(sqlite_database):
    database = Database(sqlite_database(Side.ORIGIN), pool_size=1)

    def write(pages):
        with database.write() as session:
            session.execute(text(f"PRAGMA max_page_count = {pages}"))
            for number in range(1000):
                set_fact(session, f"fact {number}", "x" * 1000)

    with pytest.raises(DatabaseUnavailable, match="full; free some space"):
        write(1)  # SQLite takes the number of pages there are instead
    write(1_000_000)
    database.dispose()


def test_sqlite_that_became_read_only_is_an_outage_and_heals(sqlite_database):
    url = sqlite_database(Side.ORIGIN)
    database = Database(url)

    def write(query_only):
        with database.write() as session:
            if query_only:
                session.execute(text("PRAGMA query_only = ON"))
            set_fact(session, "x", 1)

    with pytest.raises(DatabaseUnavailable, match="readonly"):
        write(query_only=True)
    write(query_only=False)  # on a new connection
    database.dispose()


def test_file_that_is_no_database_is_an_outage(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"not a database" * 1000)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnavailable, match="restore a backup"), database.read() as session:
        session.execute(text("SELECT 1"))
    database.dispose()


def test_wrong_statement_is_no_outage(database):
    with pytest.raises(DBAPIError), database.read() as session:
        session.execute(text("SELEKT 1"))


@pytest.mark.service
def test_url_of_several_hosts_finds_the_one_that_accepts_writes(postgres_database):
    url = make_url(postgres_database(Side.ORIGIN))
    directory = url.query["host"]
    several = url.set(host=None, port=None).update_query_dict(
        {
            "host": [f"{directory}-away:5432", f"{directory}:5432"],
            "target_session_attrs": "read-write",
        }
    )
    database = Database(several.render_as_string(hide_password=False))
    with database.write() as session:
        set_fact(session, "x", 1)
    database.dispose()
