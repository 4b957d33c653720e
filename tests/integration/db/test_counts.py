"""The length of a list is known without counting, whoever adds and removes."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, text

from eurydice_core.db.counts import OutgoingCount
from eurydice_core.db.engine import Database
from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.db.outgoing import OutgoingTransferable
from eurydice_core.db.schema import migrate
from eurydice_core.db.tables import User
from eurydice_core.db.upsert import insert as upsert
from eurydice_core.destination import catalogue as destination
from eurydice_core.model.states import Side
from eurydice_core.origin import catalogue as origin

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def users(database, count):
    ids = [uuid.uuid4() for _ in range(count)]
    with database.write() as session:
        session.add_all(User(id=id, username=id.hex, created_at=NOW) for id in ids)
    return ids


def row(user_id):
    return {
        "id": uuid.uuid4(),
        "user_id": user_id,
        "created_at": NOW,
        "piece_size": 1,
        "received_at": NOW,
        "state_changed_at": NOW,
    }


def total(database, user_id):
    with database.connect() as connection:
        ends = origin.transferables(user_id, origin.Filter()).ends(connection)
    return None if ends is None else ends.total


def test_rows_count_however_they_come_and_go(database):
    alice, bob = users(database, 2)
    with database.write() as session:
        session.execute(insert(OutgoingTransferable), [row(alice) for _ in range(5)])
        session.execute(insert(OutgoingTransferable), [row(bob), row(alice), row(bob)])
        session.add(OutgoingTransferable(**row(bob)))
    assert (total(database, alice), total(database, bob)) == (6, 3)
    with database.write() as session:
        session.execute(delete(OutgoingTransferable).where(OutgoingTransferable.user_id == alice))
    assert (total(database, alice), total(database, bob)) == (None, 3)


def test_rows_that_were_there_already_or_were_undone_do_not_count(database):
    (alice,) = users(database, 1)
    known = row(alice)
    with database.write() as session:
        session.execute(insert(OutgoingTransferable), [known])
        session.execute(
            upsert(session, OutgoingTransferable).values(known).on_conflict_do_nothing()
        )
    with database.write() as session:
        session.execute(insert(OutgoingTransferable), [row(alice)])
        session.rollback()
    assert total(database, alice) == 1


def test_writers_at_the_same_time_count_right(database):
    alice, bob = users(database, 2)

    def add(*owners):
        for _ in range(10):
            with database.write() as session:
                for owner in owners:
                    session.execute(insert(OutgoingTransferable), [row(owner)])

    threads = [
        threading.Thread(target=add, args=owners)
        for owners in ((alice, bob), (bob, alice), (alice,), (bob,))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (total(database, alice), total(database, bob)) == (30, 30)


def test_what_was_there_before_is_counted_once(database):
    (alice,) = users(database, 1)
    with database.write() as session:
        session.execute(insert(OutgoingTransferable), [row(alice) for _ in range(4)])
        session.execute(text("DELETE FROM outgoing_counts"))
    migrate(database, Side.ORIGIN)
    migrate(database, Side.ORIGIN)
    assert total(database, alice) == 4
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(OutgoingCount)) == 1


def test_a_user_who_goes_takes_the_counters_along(database):
    (alice,) = users(database, 1)
    with database.write() as session:
        session.execute(insert(OutgoingTransferable), [row(alice)])
        session.execute(delete(OutgoingTransferable))
        session.execute(delete(User).where(User.id == alice))
        assert session.scalar(select(func.count()).select_from(OutgoingCount)) == 0


def test_the_destination_counts_by_profile(make_database):
    database = Database(make_database(Side.DESTINATION))
    migrate(database, Side.DESTINATION)
    with database.write() as session:
        session.add(OriginProfile(profile=bytes(8), created_at=NOW))
        session.flush()
        for _ in range(3):
            id = uuid.uuid4()
            session.add(
                IncomingTransferable(id=id, profile=bytes(8), created_at=NOW, received_at=NOW)
            )
    with database.connect() as connection:
        ends = destination.transferables(bytes(8), destination.Filter()).ends(connection)
    assert ends is not None
    assert ends.total == 3
    database.dispose()
