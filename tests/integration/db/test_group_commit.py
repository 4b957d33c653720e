"""Small changes share a transaction, and one that fails costs only itself."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from eurydice_core.db.engine import Database
from eurydice_core.db.facts import get_fact, set_fact
from eurydice_core.db.tables import Fact, User
from eurydice_core.errors import DatabaseUnavailable
from eurydice_core.model.states import Side


def user(name):
    return User(username=name, created_at=datetime(2026, 11, 23, tzinfo=UTC))


def hold(database, changes):
    """Have these changes wait together; return their futures once all are done."""
    entered, go = threading.Event(), threading.Event()

    def block(_session):
        entered.set()
        assert go.wait(60)

    first = database.write_soon(block)
    assert entered.wait(60)
    futures = [database.write_soon(change) for change in changes]
    go.set()
    wait([first, *futures], timeout=60)
    return futures


def test_changes_that_wait_together_are_committed_together(database):
    commits = []
    event.listen(database.engine, "commit", lambda connection: commits.append(connection))
    changes = [lambda session, n=n: set_fact(session, f"fact {n}", n) for n in range(10)]
    futures = hold(database, changes)
    assert all(future.result() is None for future in futures)
    assert len(commits) == 1  # what they waited for had nothing to commit
    with database.read() as session:
        assert [get_fact(session, f"fact {n}") for n in range(10)] == list(range(10))


def test_a_change_returns_what_it_returns_once_it_is_durable(database):
    assert database.write_soon(lambda session: session.scalar(select(41 + 1))).result() == 42


def test_a_change_that_fails_costs_only_itself(database):
    changes = [lambda session, name=name: session.add(user(name)) for name in ("a", "b", "b", "c")]
    futures = hold(database, changes)
    assert [type(future.exception()) for future in futures] == [
        type(None),
        type(None),
        IntegrityError,
        type(None),
    ]
    with database.read() as session:
        assert session.scalars(select(User.username).order_by(User.username)).all() == list("abc")


def test_an_outage_is_everybodys(database):
    def outage(_session):
        raise DatabaseUnavailable("gone")

    futures = hold(database, [outage, lambda session: set_fact(session, "x", 1)])
    assert all(isinstance(future.exception(), DatabaseUnavailable) for future in futures)
    with database.read() as session:
        assert session.scalars(select(Fact)).all() == []


def test_what_waits_is_written_before_the_database_is_closed(database, make_database):
    futures = [
        database.write_soon(lambda session, n=n: set_fact(session, f"fact {n}", n))
        for n in range(100)
    ]
    database.dispose()
    assert all(future.done() and future.exception() is None for future in futures)


def test_a_database_is_used_again_after_it_was_closed(database):
    database.write_soon(lambda session: set_fact(session, "x", 1)).result()
    database.dispose()
    database.write_soon(lambda session: set_fact(session, "x", 2)).result()
    with database.read() as session:
        assert get_fact(session, "x") == 2


def test_a_thread_that_never_gets_its_turn_is_told(sqlite_database):
    database = Database(sqlite_database(Side.ORIGIN), busy_timeout=0.01)
    with (
        database.write(),
        pytest.raises(DatabaseUnavailable, match="another thread"),
        database.write(),
    ):
        pass
    database.dispose()
