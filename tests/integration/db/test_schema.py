"""Migrations lead to the tables this program speaks of, and nothing else passes for them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from eurydice_core.db.engine import Database
from eurydice_core.db.schema import (
    belongs_to,
    migrate,
    require_migrated,
    revision,
    script_config,
    wanted_revision,
)
from eurydice_core.db.tables import Base
from eurydice_core.errors import (
    ConfigurationError,
    DatabaseNotMigrated,
    DatabaseUnavailable,
    WrongSideDatabase,
)
from eurydice_core.model.states import Side


@pytest.fixture
def database(make_database):
    database = Database(make_database(Side.ORIGIN))
    yield database
    database.dispose()


@pytest.mark.parametrize("side", Side)
def test_migrating_gives_exactly_the_tables_of_the_side(make_database, side):
    database = Database(make_database(side))
    assert migrate(database, side) == (None, f"{side}_0001")
    assert migrate(database, side) == (f"{side}_0001", f"{side}_0001")
    require_migrated(database, side)
    with database.read() as session:
        context = MigrationContext.configure(
            session.connection(), opts={"include_object": belongs_to(side)}
        )
        assert compare_metadata(context, Base.metadata) == []
    database.dispose()


@pytest.mark.parametrize("side", Side)
def test_the_newest_file_is_alembics_head(side):
    script = ScriptDirectory.from_config(script_config(side))
    assert wanted_revision(side) == script.get_current_head()


def test_an_empty_database_is_not_taken_for_a_migrated_one(database):
    with pytest.raises(DatabaseNotMigrated, match=r"has no tables yet.*run 'eurydice migrate'"):
        require_migrated(database, Side.ORIGIN)


def test_a_database_of_another_version_is_refused_and_named(database):
    migrate(database, Side.ORIGIN)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'origin_9999'"))
    with pytest.raises(DatabaseNotMigrated, match="is at revision origin_9999"):
        require_migrated(database, Side.ORIGIN)


def test_the_other_sides_database_is_refused(database):
    migrate(database, Side.ORIGIN)
    for refused in (require_migrated, migrate, revision):
        with pytest.raises(WrongSideDatabase, match="does not belong to the destination side"):
            refused(database, Side.DESTINATION)


def test_a_failed_transaction_leaves_nothing(database):
    migrate(database, Side.ORIGIN)
    with suppress(ZeroDivisionError), database.write() as session:
        session.execute(text("INSERT INTO facts (name, value) VALUES ('a', '1')"))
        raise ZeroDivisionError
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM facts")) == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("mysql://host/name", "'mysql' is not supported"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:////nowhere/at/all/x.db", "/nowhere/at/all does not exist"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line(url, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        Database(url)
    assert "\n" not in str(caught.value)


def test_a_database_that_does_not_answer_is_one_line_without_the_password():
    database = Database("postgresql+psycopg://user:s3cret@127.0.0.1:1/name?connect_timeout=2")
    with pytest.raises(DatabaseUnavailable) as caught, database.read() as session:
        session.connection()
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    database.dispose()
