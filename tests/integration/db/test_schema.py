"""Migrations lead to the tables this program speaks of, and nothing else passes for them."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from eurydice_core.db.engine import Database
from eurydice_core.db.leases import Lease
from eurydice_core.db.outgoing import OutgoingRange
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
    assert migrate(database, side) == (None, wanted_revision(side))
    assert migrate(database, side) == (wanted_revision(side), wanted_revision(side))
    require_migrated(database, side)
    with database.read() as session:
        context = MigrationContext.configure(
            session.connection(), opts={"include_object": belongs_to(side)}
        )
        assert compare_metadata(context, Base.metadata) == []
    database.dispose()


@pytest.mark.parametrize("side", Side)
def test_leases_of_the_first_revision_are_kept(make_database, side):
    database = Database(make_database(side))
    with database.write() as session:
        config = script_config(side)
        config.attributes["connection"] = session.connection()
        command.upgrade(config, f"{side}_0001")
        holder = uuid.uuid4()
        session.execute(
            text("INSERT INTO leases (name, holder, expires_at) VALUES ('cleaner', :holder, 1)"),
            {"holder": holder.hex},
        )
    migrate(database, side)
    with database.read() as session:
        lease = session.get_one(Lease, "cleaner")
        assert (lease.holder, lease.renewals) == (holder, 0)
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


def test_populated_database_gets_range_digests(database):
    from alembic import command

    with database.write() as session:
        config = script_config(Side.ORIGIN)
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "origin_0001")
    with database.write() as session:
        for statement in OLD_RANGE:
            session.execute(text(statement))
    assert migrate(database, Side.ORIGIN) == ("origin_0001", wanted_revision(Side.ORIGIN))
    with database.read() as session:
        row = session.scalars(select(OutgoingRange)).one()
    assert (row.size, row.digest) == (5, None)


NOBODY = "00000000000000000000000000000001"
OLD_RANGE = (
    "INSERT INTO users (id, username, profile, priority, is_active, is_staff, sees_metrics,"
    f" created_at) VALUES ('{NOBODY}', 'alice', '12345678', 0, TRUE, FALSE, FALSE,"
    " '2026-01-01 00:00:00')",
    "INSERT INTO outgoing_transferables (id, user_id, created_at, name, user_provided_meta,"
    " piece_size, bytes_received, received_at, ranges_pending, ranges_transferred,"
    " ranges_canceled, ranges_error, bytes_transferred, state, state_changed_at, announced)"
    f" VALUES ('{NOBODY}', '{NOBODY}', '2026-01-01 00:00:00', 'a', '{{}}', 5, 5,"
    " '2026-01-01 00:00:00', 1, 0, 0, 0, 0, 'PENDING', '2026-01-01 00:00:00', 0)",
    "INSERT INTO outgoing_ranges (transferable_id, user_id, byte_offset, size, whole, stored,"
    f" inline, state, created_at, sends_left) VALUES ('{NOBODY}', '{NOBODY}', 0, 5, TRUE,"
    " TRUE, FALSE, 'PENDING', '2026-01-01 00:00:00', 0)",
)
