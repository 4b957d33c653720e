"""Searches find names in any case and Unicode form, whether an index can help or not."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import delete, insert, text

from eurydice_core.api.paging import PageRequest, fetch_page
from eurydice_core.db import names
from eurydice_core.db.engine import Database
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.db.schema import migrate, script_config
from eurydice_core.db.tables import User
from eurydice_core.model.states import OutgoingState, Side
from eurydice_core.origin.catalogue import Filter, transferables

NOW = datetime(2026, 11, 23, tzinfo=UTC)
FIRST = PageRequest(50, b"", None, 0, False)
NAMES = (
    "ÉTÉ.txt",
    "Отчёт.txt",
    "STRASSE",
    "e\u0301te\u0301.md",
    "100%.txt",
    "a_b",
    'x"y"z',
    "a\\b",
)
FOUND = [
    ("été", {"ÉTÉ.txt", "e\u0301te\u0301.md"}),
    ("e\u0301te\u0301", {"ÉTÉ.txt", "e\u0301te\u0301.md"}),
    ("отчёт", {"Отчёт.txt"}),
    ("straße", {"STRASSE"}),
    ("TXT", {"ÉTÉ.txt", "Отчёт.txt", "100%.txt"}),
    ("%", {"100%.txt"}),
    ("0%.", {"100%.txt"}),
    ("_", {"a_b"}),
    ("a_b", {"a_b"}),
    ('"y"', {'x"y"z'}),
    ("\\", {"a\\b"}),
    ("a\\b", {"a\\b"}),
    ("nothing", set()),
    ("x" * 5000, set()),
]


@pytest.fixture
def alice(database):
    user_id = uuid.uuid4()
    with database.write() as session:
        session.add(User(id=user_id, username="alice", created_at=NOW))
    return user_id


def add(database, user_id, added):
    values = {"piece_size": 1, "received_at": NOW, "state_changed_at": NOW}
    rows = [
        {"id": uuid.uuid4(), "user_id": user_id, "created_at": NOW, "name": name, **values}
        for name in added
    ]
    with database.write() as session:
        session.execute(insert(OutgoingTransferable), rows)


def find(database, user_id, name, **more):
    wanted = transferables(user_id, Filter(name=name, **more))
    with database.connect() as connection:
        page = fetch_page(connection, wanted, FIRST)
    assert page.count >= len(page.rows)
    return {row.name for row in page.rows}


@pytest.mark.parametrize("others", [0, 600])  # 512 names are indexed at once on SQLite
def test_names_are_found_in_any_case_and_form(database, alice, others):
    add(database, alice, NAMES)
    if others:
        add(database, alice, [f"n {number}" for number in range(others)])
    assert {term: find(database, alice, term) for term, _ in FOUND} == dict(FOUND)


def test_searches_without_an_index_are_right(database, alice, monkeypatch):
    monkeypatch.setattr(names, "MOST_IDS", -1)
    add(database, alice, NAMES)
    assert {term: find(database, alice, term) for term, _ in FOUND} == dict(FOUND)


def test_other_conditions_hold_for_what_is_found(database, alice):
    add(database, alice, ["one.txt", "two.txt"])
    assert find(database, alice, "txt", states=[OutgoingState.PENDING]) == {"one.txt", "two.txt"}
    assert find(database, alice, "txt", states=[OutgoingState.SUCCESS]) == set()
    assert find(database, uuid.uuid4(), "txt") == set()


def test_removed_name_is_found_no_more(database, alice):
    add(database, alice, [f"file {number}" for number in range(600)])
    gone = OutgoingTransferable.name.in_(["file 1", "file 599"])
    with database.write() as session:
        session.execute(delete(OutgoingTransferable).where(gone))
    assert find(database, alice, "file 599") == set()
    assert find(database, alice, "file 59") == {f"file {n}" for n in (59, *range(590, 599))}


def test_pages_of_a_search_follow_each_other(database, alice):
    add(database, alice, [f"part {number:02}" for number in range(10)])
    wanted = transferables(alice, Filter(name="PART"))
    with database.connect() as connection:
        first = fetch_page(connection, wanted, PageRequest(4, b"", None, 0, False))
        seen = [row.id for row in first.rows]
        for step in (1, 2):
            page = fetch_page(connection, wanted, PageRequest(4, b"", first.view, step, True))
            seen += [row.id for row in page.rows]
        back = fetch_page(connection, wanted, PageRequest(4, b"", page.view, -1, True))
    assert len(set(seen)) == 10 == first.count
    assert [row.id for row in back.rows] == seen[4:8]


def test_names_of_an_older_database_are_folded(make_database):
    database = Database(make_database(Side.ORIGIN))
    user_id = uuid.uuid4()
    stored = user_id.hex if database.is_sqlite else user_id
    with database.write() as session:
        config = script_config(Side.ORIGIN)
        config.attributes["connection"] = session.connection()
        command.upgrade(config, "origin_0002")
        session.add(User(id=user_id, username="alice", created_at=NOW))
        session.flush()
        for name in (*NAMES, ""):
            session.execute(
                text(
                    "INSERT INTO outgoing_transferables (id, user_id, created_at, name,"
                    " user_provided_meta, piece_size, bytes_received, received_at, ranges_pending,"
                    " ranges_transferred, ranges_canceled, ranges_error, bytes_transferred, state,"
                    " state_changed_at, announced)"
                    " VALUES (:id, :user, '2026-11-23 00:00:00.000000',"
                    " :name, '{}', 1, 0, '2026-11-23 00:00:00.000000', 0, 0, 0, 0, 0, 'PENDING',"
                    " '2026-11-23 00:00:00.000000', 0)".replace(":00", "\\:00")
                ),
                {
                    "id": uuid.uuid4().hex if database.is_sqlite else uuid.uuid4(),
                    "user": stored,
                    "name": name,
                },
            )
    migrate(database, Side.ORIGIN)
    assert {term: find(database, user_id, term) for term, _ in FOUND} == dict(FOUND)
    with database.connect() as connection:
        everything = fetch_page(connection, transferables(user_id, Filter()), FIRST)
    assert everything.count == len(NAMES) + 1
    database.dispose()
