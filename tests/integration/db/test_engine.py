from __future__ import annotations

from contextlib import ExitStack

import pytest
from sqlalchemy import text

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
