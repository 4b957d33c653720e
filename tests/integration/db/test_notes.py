from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eurydice_core.db.engine import Database
from eurydice_core.db.facts import set_fact
from eurydice_core.db.notes import NoteKind, get_notes, set_note
from eurydice_core.db.schema import migrate
from eurydice_core.model.states import Side

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def session(make_database):
    database = Database(make_database(Side.DESTINATION))
    migrate(database, Side.DESTINATION)
    with database.write() as session:
        yield session
    database.dispose()


def note(session, place, *, ago=0.0, **groups):
    at = (NOW - timedelta(seconds=ago)).isoformat()
    set_note(session, NoteKind.LINK, place, {"recorded_at": at, **groups})


def test_nothing_noted_is_nothing(session):
    assert get_notes(session, NoteKind.LINK) is None


def test_what_living_processes_counted_is_added_up(session):
    note(session, "receiver/0", receiver={"packets": 5}, transport={"margin_percent": 30})
    note(session, "receiver/1", ago=4, receiver={"packets": 2}, transport={"margin_percent": 90})
    found = get_notes(session, NoteKind.LINK)
    assert found["receiver"] == {"packets": 7}
    assert found["transport"] == {"margin_percent": 30}
    assert found["recorded_at"] == NOW.isoformat()


def test_streams_stand_side_by_side(session):
    note(session, "receiver/0", streams={"a": {"packets": 1}})
    note(session, "receiver/1", streams={"b": {"packets": 2}})
    assert get_notes(session, NoteKind.LINK)["streams"] == {
        "a": {"packets": 1},
        "b": {"packets": 2},
    }


def test_process_that_is_no_more_does_not_count(session):
    note(session, "receiver/0", receiver={"packets": 5})
    note(session, "receiver/1", ago=60, receiver={"packets": 2})
    assert get_notes(session, NoteKind.LINK)["receiver"] == {"packets": 5}


def test_last_note_stays_when_nobody_lives(session):
    note(session, "receiver/0", ago=9999, receiver={"packets": 5})
    assert get_notes(session, NoteKind.LINK)["receiver"] == {"packets": 5}


def test_facts_with_similar_names_are_no_notes(session):
    set_fact(session, "linked", {"receiver": {"packets": 9}})
    assert get_notes(session, NoteKind.LINK) is None
