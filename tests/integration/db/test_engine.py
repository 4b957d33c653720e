from __future__ import annotations

import sqlite3
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import make_url, text

from eurydice_core.db.engine import Database
from eurydice_core.errors import DatabaseUnavailable
from eurydice_core.model.states import Side


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
