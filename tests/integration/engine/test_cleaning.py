"""What cleaners remove and when, to the second; and what does not hold them up."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import event, text, update

from eurydice_core.db.incoming import IncomingTransferable, OriginProfile
from eurydice_core.db.outgoing import OutgoingTransferable, RevocationRow
from eurydice_core.destination.clean import DestinationCleaner
from eurydice_core.errors import StorageUnavailable
from eurydice_core.model.clock import utc_now
from eurydice_core.model.states import IncomingState, RevocationReason, Side
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.submit import Submission
from eurydice_core.removal import remove_each

SECOND = timedelta(seconds=1)


@pytest.fixture
def arrived(sides):
    """Make records of the destination, whose bytes are in its storage."""

    def make(state, *, finished=None, **values):
        row = IncomingTransferable(
            id=uuid.uuid4(),
            profile=b"12345678",
            created_at=sides.clock() - timedelta(days=90),
            received_at=sides.clock() - timedelta(days=90),
            finished_at=finished,
            state=state,
            stored=True,
            size=1,
            piece_size=1,
            **values,
        )
        with sides.destination.storage.write(row.key) as writer:
            writer.write(b"x")
        with sides.destination.database.write() as session:
            session.merge(OriginProfile(profile=row.profile, created_at=row.created_at))
            session.flush()
            session.add(row)
        return str(row.id)

    return make


def clean(sides):
    """Take one step on each side."""
    OriginCleaner(sides.origin, now=sides.clock).step()
    DestinationCleaner(sides.destination, now=sides.clock).step()


def failing(storage, monkeypatch, *bad):
    """Have a storage refuse to delete these keys, or all."""
    delete = storage.delete

    def refuse(keys):
        keys = list(keys)
        if not bad or set(bad) & set(keys):
            raise StorageUnavailable("no access")
        delete(keys)

    monkeypatch.setattr(storage, "delete", refuse)


# Boundaries


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(59, "SUCCESS"), (60, "SUCCESS"), (61, "EXPIRED")],
)
def test_files_expire_after_their_time_and_not_at_it(make_installation, sides, seconds, state):
    sides.destination = make_installation(Side.DESTINATION, cleaner={"expire_after": 60})
    id = sides.submit(b"x")
    sides.receiver = sides.new_receiver()
    sides.deliver(sides.send())
    with sides.destination.database.write() as session:
        finished = sides.clock() - timedelta(seconds=seconds)
        session.execute(update(IncomingTransferable).values(finished_at=finished))
    clean(sides)
    row = sides.incoming()[id]
    assert (row.state, row.finished_at) == (state, finished)
    assert row.stored is (state == "SUCCESS")


@pytest.mark.parametrize("state", IncomingState)
def test_records_are_trimmed_after_their_end_and_never_what_can_be_fetched(
    make_installation, sides, arrived, state
):
    trim_after = timedelta(days=7)
    sides.destination = make_installation(Side.DESTINATION, cleaner={"expire_after": 10**9})
    young = arrived(state, finished=sides.clock() - trim_after)
    old = arrived(state, finished=sides.clock() - trim_after - SECOND)
    clean(sides)
    left = set(sides.incoming())
    is_gone = state not in (IncomingState.SUCCESS, IncomingState.ONGOING)
    assert left == ({young} if is_gone else {young, old})


def test_a_file_that_can_be_repaired_is_no_old_record(make_installation, sides, arrived):
    sides.destination = make_installation(Side.DESTINATION, cleaner={"repair_within": 10**9})
    ended = sides.clock() - timedelta(days=30)
    id = arrived(IncomingState.ERROR, finished=ended, repairable=True)
    with sides.destination.database.write() as session:
        session.execute(update(IncomingTransferable).values(stored=False))
    clean(sides)
    assert set(sides.incoming()) == {id}


def test_the_origin_trims_by_the_end_of_a_transfer_not_by_its_beginning(sides):
    old, young = sides.submit(b"x"), sides.submit(b"y")
    sides.send()
    sides.clock.forward(days=30)
    for id, days in ((old, 7.1), (young, 6.9)):
        with sides.origin.database.write() as session:
            session.execute(
                update(OutgoingTransferable)
                .where(OutgoingTransferable.id == uuid.UUID(id))
                .values(
                    created_at=sides.clock() - timedelta(days=30),
                    state_changed_at=sides.clock() - timedelta(days=days),
                )
            )
            session.execute(text("UPDATE outgoing_ranges SET sends_left = 0"))
    clean(sides)
    assert set(sides.outgoing()) == {young}


def test_a_revocation_that_was_not_sent_keeps_its_record(sides):
    id = uuid.UUID(sides.submit(b"x"))
    with sides.origin.database.write() as session:
        revoke(session, id, RevocationReason.USER_CANCELED, sides.clock())
    sides.clock.forward(days=30)
    clean(sides)
    assert set(sides.outgoing()) == {str(id)}
    with sides.origin.database.write() as session:
        session.execute(update(RevocationRow).values(sent_at=sides.clock()))
    clean(sides)
    assert sides.outgoing() == {}


# What holds nobody up


def test_one_object_that_cannot_go_holds_no_other_up_at_the_destination(
    sides, arrived, monkeypatch
):
    now = sides.clock()
    ids = [arrived(IncomingState.REMOVED, finished=now) for _ in range(5)]
    failing(sides.destination.storage, monkeypatch, f"files/{ids[2]}")
    clean(sides)
    assert {id for id, row in sides.incoming().items() if row.stored} == {ids[2]}


def test_one_object_that_cannot_go_holds_no_other_up_at_the_origin(sides, monkeypatch):
    ids = [sides.submit(b"x" * 150) for _ in range(3)]
    for id in ids:
        with sides.origin.database.write() as session:
            revoke(session, uuid.UUID(id), RevocationReason.USER_CANCELED, sides.clock())
    failing(sides.origin.storage, monkeypatch, f"ranges/{ids[1]}/100")
    clean(sides)
    assert sides.origin.storage.keys == {f"ranges/{ids[1]}/100"}
    monkeypatch.undo()
    clean(sides)
    assert sides.origin.storage.keys == frozenset()


def test_a_storage_that_is_away_keeps_no_record(sides, arrived, monkeypatch):
    now = sides.clock()
    for _ in range(4):
        arrived(IncomingState.REMOVED, finished=now)
    old = arrived(IncomingState.ERROR, finished=now - timedelta(days=30))
    with sides.destination.database.write() as session:
        session.get_one(IncomingTransferable, uuid.UUID(old)).stored = False
    failing(sides.destination.storage, monkeypatch)
    with pytest.raises(StorageUnavailable):
        DestinationCleaner(sides.destination, now=sides.clock).step()
    assert old not in sides.incoming()
    assert len(sides.incoming()) == 4


def test_failures_are_counted_in_a_row():
    def remove(number):
        if number % 3:
            raise StorageUnavailable("no")

    assert remove_each(range(10), remove) == [0, 3, 6, 9]
    with pytest.raises(StorageUnavailable):
        remove_each([0, 1, 2, 4, 6], remove)


@pytest.mark.parametrize(("timeout", "is_noted"), [(3600, False), (1e-9, True)])
def test_a_slow_upload_says_that_it_lives_before_it_is_taken_for_dead(
    make_installation, timeout, is_noted
):
    origin = make_installation(Side.ORIGIN, cleaner={"upload_timeout": timeout})
    submission = Submission(origin, origin.accounts.add("alice"))
    submission.write(b"x" * 250)
    submission._ranges._held.durable.result()
    submission.write(b"y")  # records the second range; what comes after it fills none
    long_ago = utc_now() - timedelta(hours=2)
    with origin.database.write() as session:
        row = session.get_one(OutgoingTransferable, submission.id)
        assert row.bytes_received == 200
        row.received_at = long_ago
    submission.write(b"y")
    with origin.database.read() as session:
        noted = session.get_one(OutgoingTransferable, submission.id).received_at
    assert (noted > long_ago) is is_noted
    submission.finish()


# Indexes


def test_cleaners_look_at_what_is_due_and_not_at_everything(sides):
    """On SQLite, whose plans say so; an empty table tells PostgreSQL nothing."""
    if not sides.origin.database.is_sqlite:
        pytest.skip("plans of PostgreSQL follow what the table holds")
    statements = []
    for side, cleaner in ((sides.origin, OriginCleaner), (sides.destination, DestinationCleaner)):
        engine = side.database.engine

        def note(connection, cursor, statement, parameters, context, many, engine=engine):
            if statement.startswith("SELECT") and not statement.startswith("SELECT 1"):
                statements.append((engine, statement, parameters))

        event.listen(engine, "before_cursor_execute", note)
        cleaner(side, now=sides.clock).step()
        event.remove(engine, "before_cursor_execute", note)
    scans = []
    for engine, statement, parameters in statements:
        with engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            scans += [(row[-1], statement) for row in plan if row[-1].startswith("SCAN")]
    short = ("CONSTANT ROW", "facts", "leases", "upload_reservations", "idempotency_keys")
    short += ("incoming_transferables USING INDEX ix_incoming_transferables_purge",)  # the due ones
    long = [scan for scan in scans if not scan[0].startswith(tuple(f"SCAN {s}" for s in short))]
    assert len(statements) > 8
    assert long == []
