"""What waits for the disk, and what need not."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from eurydice_core.db.engine import Database
from eurydice_core.model.states import Side

LEVELS = {
    "sqlite": ("PRAGMA synchronous", {True: 2, False: 1}),
    "postgresql": ("SHOW synchronous_commit", {True: "on", False: "off"}),
}


@pytest.fixture
def database(database_url):
    database = Database(database_url(Side.ORIGIN), pool_size=1)
    yield database
    database.dispose()


def test_only_what_may_be_undone_does_not_wait(database):
    kind = database.engine.dialect.name
    question, levels = LEVELS[kind]
    if kind == "postgresql":  # the tests' server is told not to wait for anything
        with database.write() as session:
            session.execute(text("SET SESSION synchronous_commit = on"))
    for durable in (True, False, True, False):
        with database.write(durable=durable) as session:
            assert session.scalar(text(question)) == levels[durable]


def test_what_is_not_durable_is_committed_all_the_same(database):
    with database.write(durable=False) as session:
        session.execute(text("INSERT INTO facts (name, value) VALUES ('seen', '1')"))
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM facts WHERE name = 'seen'")) == 1
