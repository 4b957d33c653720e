"""The cleaners beside tickets, uploads and packets: each decides about what is there then."""

from __future__ import annotations

import random
import uuid

import pytest

from eurydice_core.destination.clean import DestinationCleaner
from eurydice_core.errors import Gone
from eurydice_core.model.states import IncomingState, OutgoingState
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.repair import apply_ticket
from eurydice_core.origin.submit import Submission
from eurydice_core.protocol.repair import Ticket, issue_ticket

DATA = random.Random(2).randbytes(350)


def ticket(sides, id: str) -> str:
    return issue_ticket(Ticket(uuid.UUID(id), [(0, 3)]), sides.origin.repair_key)


@pytest.fixture
def sent(sides):
    """A file that was sent, repeated, and kept for long enough."""
    id = sides.submit(DATA)
    sides.send()
    sides.clock.forward(minutes=2)
    sides.send()
    sides.clock.forward(days=30)
    return id


@pytest.fixture
def cleaner(sides):
    return OriginCleaner(sides.origin, now=sides.clock)


def test_ticket_before_the_claim_keeps_the_bytes(sides, sent, cleaner, monkeypatch):
    done = cleaner._done()
    assert done
    apply_ticket(sides.origin, ticket(sides, sent))
    monkeypatch.setattr(cleaner, "_done", lambda: done)
    assert cleaner.free() == 0
    sides.deliver(sides.send())
    assert sides.content(sent) == DATA
    assert sides.outgoing()[sent].state is OutgoingState.SUCCESS


def test_ticket_after_the_claim_is_refused(sides, sent, cleaner, monkeypatch):
    storage, delete = sides.origin.storage, sides.origin.storage.delete
    refused = []

    def ticket_first(keys):
        with pytest.raises(Gone):
            apply_ticket(sides.origin, ticket(sides, sent))
        refused.append(True)
        delete(keys)

    monkeypatch.setattr(storage, "delete", ticket_first)
    assert cleaner.free() == 4
    assert refused
    assert sides.outgoing()[sent].state is OutgoingState.SUCCESS
    assert storage.keys == set()


def test_crash_between_claim_and_deletion_leaves_nothing(sides, sent, cleaner):
    assert cleaner._claimed(cleaner._done())
    assert len(sides.origin.storage.keys) == 4
    again = OriginCleaner(sides.origin, now=sides.clock)
    assert again.free() == 4
    assert sides.origin.storage.keys == set()
    assert again.free() == 0


def test_upload_that_ended_is_not_taken_for_dead(sides, cleaner):
    submission = Submission(sides.origin, sides.user, name="slow")
    submission.write(DATA)
    sides.clock.forward(days=2)
    id = str(submission.finish().id)
    assert cleaner.end_dead_uploads() == 0
    sides.deliver(sides.send())
    assert sides.content(id) == DATA


def test_upload_that_is_ending_is_left_alone(sides, cleaner):
    submission = Submission(sides.origin, sides.user, name="slow")
    submission.write(DATA)
    sides.clock.forward(days=2)
    if sides.origin.database.is_sqlite:  # one writer at a time: it cannot happen
        return
    with sides.origin.database.write() as session:
        submission._record(session, submission._ranges.last(), whole=False)
        assert cleaner.end_dead_uploads() == 0
        session.rollback()


def test_repaired_file_is_not_given_up(sides):
    id = sides.submit(DATA)
    packets = sides.send()
    sides.clock.forward(minutes=2)
    sides.send()
    sides.clock.forward(hours=1)
    sides.deliver([*packets[:1], *sides.send()])
    assert sides.incoming()[id].repairable
    sides.deliver(packets[1:])
    sides.clock.forward(days=365)
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert DestinationCleaner(sides.destination, now=sides.clock).end_repairs() == 0
