"""Of several migrations of one database, one works and the others wait."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from eurydice_core.db import schema
from eurydice_core.db.engine import Database
from eurydice_core.db.migration_lock import migration_lock
from eurydice_core.db.schema import migrate, wanted_revision
from eurydice_core.errors import DatabaseUnavailable
from eurydice_core.model.states import Side

NEWEST = wanted_revision(Side.ORIGIN)


@pytest.fixture
def url(make_database):
    return make_database(Side.ORIGIN)


@pytest.fixture
def opened():
    databases = []

    def open_one(url, **options):
        databases.append(Database(url, **options))
        return databases[-1]

    yield open_one
    for database in databases:
        database.dispose()


def test_migrations_at_once_both_succeed(url, opened):
    barrier = threading.Barrier(3)

    def run(_):
        database = opened(url)
        barrier.wait()
        return migrate(database, Side.ORIGIN)

    with ThreadPoolExecutor(3) as pool:
        found = sorted(pool.map(run, range(3)), key=str)
    assert found == [(None, NEWEST), (NEWEST, NEWEST), (NEWEST, NEWEST)] or found == [
        (NEWEST, NEWEST),
        (NEWEST, NEWEST),
        (None, NEWEST),
    ]


def test_a_waiting_migration_says_so(url, opened, monkeypatch):
    """The second one has to wait, as the first ends only once it is told of that."""
    waits = threading.Event()
    original = schema.counts.install_lists

    def slow(session, side):
        assert waits.wait(30)
        original(session, side)

    monkeypatch.setattr(schema.counts, "install_lists", slow)
    with ThreadPoolExecutor(2) as pool:
        results = [
            pool.submit(migrate, opened(url), Side.ORIGIN, on_wait=waits.set) for _ in range(2)
        ]
        assert {result.result()[1] for result in results} == {NEWEST}


def test_a_migration_that_never_ends_is_one_line(url, opened):
    with (
        migration_lock(opened(url), None),
        pytest.raises(DatabaseUnavailable, match=r"another 'eurydice migrate' has not finished"),
    ):
        migrate(opened(url, busy_timeout=0.1), Side.ORIGIN)
    assert migrate(opened(url), Side.ORIGIN)[1] == NEWEST


def test_a_migration_from_a_path_with_a_percent_sign(opened, tmp_path, monkeypatch):
    place = tmp_path / "100% sure %(here)s # ?"
    place.symlink_to(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", place)
    assert migrate(opened(f"sqlite:///{tmp_path}/a.db"), Side.ORIGIN) == (None, NEWEST)
