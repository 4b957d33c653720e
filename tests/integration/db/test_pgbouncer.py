"""Everything works through PgBouncer in transaction mode, where sessions are shared."""

from __future__ import annotations

import threading
import uuid

import psycopg
import pytest
from sqlalchemy import make_url, text

from eurydice_core.db.bell import open_bell
from eurydice_core.db.engine import Database
from eurydice_core.db.exclusive import exclusively
from eurydice_core.db.facts import get_fact, set_fact
from eurydice_core.db.schema import migrate
from eurydice_core.errors import DatabaseUnavailable
from eurydice_core.model.states import Side

pytestmark = pytest.mark.service


@pytest.fixture
def direct_url(postgres_database):
    return postgres_database(Side.ORIGIN)


@pytest.fixture
def pooled_url(direct_url, through_pgbouncer):
    return through_pgbouncer(direct_url)


@pytest.fixture
def open_database():
    opened = []

    def open_(url, **options):
        opened.append(Database(url, **options))
        return opened[-1]

    yield open_
    for database in opened:
        database.dispose()


def set_often(database, name, count=30):
    for number in range(count):
        with database.write() as session:
            set_fact(session, name, number)
            assert get_fact(session, name) == number


def test_statements_repeated_by_many_connections_do_not_collide(pooled_url, open_database):
    databases = [open_database(pooled_url) for _ in range(3)]
    failed = []

    def work(number):
        try:
            set_often(databases[number % 3], f"fact {number}")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_pooler_that_is_not_recognised_costs_one_conflict(pooled_url, open_database, monkeypatch):
    monkeypatch.setattr("eurydice_core.db.postgresql.is_pooled", lambda _connection: False)
    databases = [open_database(pooled_url) for _ in range(2)]
    for _ in range(10):
        for database in databases:
            try:
                set_often(database, "x", 10)
            except DatabaseUnavailable:
                continue
    for database in databases:
        set_often(database, "x", 20)


def test_lock_timeout_holds_and_stays_in_its_transaction(
    pooled_url, direct_url, open_database, through_pgbouncer
):
    keeper = open_database(direct_url)
    other = open_database(pooled_url, busy_timeout=0.01)
    with keeper.write() as session:
        session.execute(text("LOCK TABLE users"))
        with pytest.raises(DatabaseUnavailable, match="lock timeout"), other.read() as waiting:
            waiting.execute(text("SELECT 1 FROM users"))
    address = make_url(pooled_url).set(drivername="postgresql").render_as_string(False)
    for _ in range(5):
        with psycopg.connect(address, autocommit=True) as stranger:
            assert stranger.execute("SHOW lock_timeout").fetchone() == ("0",)


@pytest.mark.parametrize("kind", ["direct", "pooled"])
def test_exclusive_locks_exclude_and_leave_nothing(kind, direct_url, pooled_url, open_database):
    url = {"direct": direct_url, "pooled": pooled_url}[kind]
    first, second, observer = open_database(url), open_database(url), open_database(direct_url)
    ids = [uuid.uuid4() for _ in range(3)]
    order, entered, go = [], threading.Event(), threading.Event()

    def hold():
        with exclusively(first, ids):
            entered.set()
            assert go.wait(60)
            order.append("first")

    def wait():
        with exclusively(second, reversed(ids)):
            order.append("second")

    holder, waiter = threading.Thread(target=hold), threading.Thread(target=wait)
    holder.start()
    assert entered.wait(60)
    waiter.start()
    go.set()
    for thread in (holder, waiter):
        thread.join(60)
    assert order == ["first", "second"]
    with observer.read() as session:
        assert session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype='advisory'")) == 0


def test_sender_polls_its_queue_where_it_cannot_listen(pooled_url, direct_url, open_database):
    stop = threading.Event()
    pooled = open_bell(open_database(pooled_url), 0.01)
    assert pooled.wait(stop, 60)
    assert pooled.wait(stop, 60)  # after a moment, though nothing happened
    pooled.close()
    direct = open_bell(open_database(direct_url), 0.01)
    assert direct.wait(stop, 60)
    assert not direct.wait(stop, 0.01)
    direct.close()


def test_tables_are_migrated_through_it(postgres_url, through_pgbouncer, open_database):
    name = f"empty_{uuid.uuid4().hex}"
    admin = make_url(postgres_url).set(drivername="postgresql").render_as_string(False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = make_url(postgres_url).set(database=name).render_as_string(False)
    database = open_database(through_pgbouncer(url))
    migrate(database, Side.ORIGIN)
    set_often(database, "x")
