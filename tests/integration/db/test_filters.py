"""Every filter lists the rows that comparing each row in Python finds, by whichever index."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from eurydice_core.api.paging import PageRequest, fetch_page
from eurydice_core.db import finders, names
from eurydice_core.db.names import fold
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.db.tables import User
from eurydice_core.model.states import OutgoingState
from eurydice_core.origin.catalogue import Filter, figures, transferables

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROWS = 400
SIZE = 7
SECONDS = st.none() | st.integers(-5, 105).map(lambda second: NOW + timedelta(seconds=second))
STATES = (OutgoingState.SUCCESS, OutgoingState.ERROR, OutgoingState.PENDING)
FILTERS = (
    st.builds(
        Filter,
        created_after=SECONDS,
        created_before=SECONDS,
        submission_succeeded_after=SECONDS,
        submission_succeeded_before=SECONDS,
        transfer_finished_after=SECONDS,
        transfer_finished_before=SECONDS,
        states=st.lists(st.sampled_from(STATES), max_size=2),
        name=st.sampled_from(("", "a", "É", "po", "rap", "RAPPORT", "%", "port_é", "nothing")),
    )
    | st.builds(Filter, created_after=SECONDS, created_before=SECONDS)
    | st.builds(Filter, submission_succeeded_after=SECONDS, submission_succeeded_before=SECONDS)
    | st.builds(Filter, transfer_finished_after=SECONDS, transfer_finished_before=SECONDS)
)


def make_row(draw, user_id):
    created = NOW + timedelta(seconds=draw.randrange(100))
    submitted = draw.choice([None, created + timedelta(seconds=draw.randrange(9))])
    state = draw.choice(STATES)
    return {
        "id": uuid.UUID(int=draw.getrandbits(128)),
        "user_id": user_id,
        "created_at": created,
        "name": draw.choice(("rapport é", "Rapport_É.pdf", "100%", "photo", "a", "")),
        "piece_size": 1,
        "size": 10,
        "bytes_transferred": draw.choice((10, 10, 0)),
        "received_at": created,
        "submission_succeeded_at": submitted,
        "last_range_finished_at": draw.choice([None, created + timedelta(seconds=5)]),
        "state": state,
        "state_changed_at": created,
    }


@pytest.fixture
def owner(database):
    draw = random.Random(9)
    users = [uuid.uuid4(), uuid.uuid4()]
    with database.write() as session:
        for user_id in users:
            session.add(User(id=user_id, username=user_id.hex, created_at=NOW))
        session.flush()
        rows = [make_row(draw, users[draw.random() < 0.2]) for _ in range(ROWS)]
        session.execute(insert(OutgoingTransferable), rows)
    return users[0]


def is_wanted(row, wanted):
    times = [
        (row.created_at, wanted.created_after, wanted.created_before),
        (
            row.submission_succeeded_at,
            wanted.submission_succeeded_after,
            wanted.submission_succeeded_before,
        ),
    ]
    finished = wanted.transfer_finished_after, wanted.transfer_finished_before
    if any(finished):
        is_whole = row.submission_succeeded_at and row.size == row.bytes_transferred
        times.append((row.last_range_finished_at if is_whole else None, *finished))
    return (
        all(
            not (after or before) or (at is not None and (after or at) <= at <= (before or at))
            for at, after, before in times
        )
        and (not wanted.states or row.state in wanted.states)
        and fold(wanted.name) in fold(row.name)
    )


def ids(page):
    return [row.id for row in page.rows]


@pytest.mark.parametrize("most", [0, 20, 5000])
def test_filters_list_the_rows_they_describe(database, owner, most, monkeypatch):
    monkeypatch.setattr(names, "MOST_IDS", most)
    monkeypatch.setattr(finders, "MOST_IDS", most)
    with database.read() as session:
        own = OutgoingTransferable.user_id == owner
        rows = list(session.scalars(select(OutgoingTransferable).where(own)))
    rows.sort(key=lambda row: (NOW - row.created_at, row.id))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(FILTERS)
    def check(wanted):
        expected = [row.id for row in rows if is_wanted(row, wanted)]
        keyset = transferables(owner, wanted)
        with database.connect() as connection:
            first = fetch_page(connection, keyset, PageRequest(SIZE, b"", None, 0, False))
            assert first.count == len(expected)
            assert ids(first) == expected[:SIZE]
            last = (len(expected) - 1) // SIZE
            if last > 0:
                jump = PageRequest(SIZE, b"", first.view, last, True)
                assert ids(fetch_page(connection, keyset, jump)) == expected[last * SIZE :]

    check()


def test_recent_ends_are_counted_from_any_time(database, owner):
    with database.read() as session:
        rows = list(session.scalars(select(OutgoingTransferable)))
        for second in (-1, 0, 10, 50, 90, 99, 200):
            since = NOW + timedelta(seconds=second)
            states = [row.state for row in rows if row.state_changed_at >= since]
            found = figures(session, since)
            assert found.recent_successes == states.count(OutgoingState.SUCCESS)
            assert found.recent_errors == states.count(OutgoingState.ERROR)
