"""What users see of an empty file, in each of its states on both sides."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from eurydice_core.api.destination.schemas import IncomingTransferable
from eurydice_core.api.origin.schemas import OutgoingTransferable
from eurydice_core.destination import catalogue as received
from eurydice_core.destination import deliver
from eurydice_core.model.states import IncomingState, OutgoingState, RevocationReason
from eurydice_core.origin import catalogue as sent
from eurydice_core.origin.revoke import revoke


def at_origin(sides, id):
    """Return the state and progress that the API shows."""
    with sides.origin.database.read() as session:
        found = sent.find(session, sides.user.id, uuid.UUID(id))
    shown = OutgoingTransferable.of(found, sides.clock())
    return shown.state, shown.progress


def at_destination(sides, id):
    found = received.shown(sides.incoming()[id])
    shown = IncomingTransferable.of(found, timedelta(days=1))
    return shown.state, shown.progress


def take_back(sides, id, reason=RevocationReason.USER_CANCELED):
    with sides.origin.database.write() as session:
        revoke(session, uuid.UUID(id), reason, sides.clock())


@pytest.mark.parametrize("size", [0, None], ids=["announced", "chunked"])
def test_empty_file_goes_from_0_to_100(sides, size):
    id = sides.submit(b"", size=size)
    assert at_origin(sides, id) == (OutgoingState.PENDING, 0)
    packets = sides.send()
    assert at_origin(sides, id) == (OutgoingState.SUCCESS, 100)
    sides.deliver(packets)
    assert at_destination(sides, id) == (IncomingState.SUCCESS, 100)
    row = sides.incoming()[id]
    deliver.remove(sides.destination, row.profile, row.id)
    assert at_destination(sides, id) == (IncomingState.REMOVED, 100)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (RevocationReason.USER_CANCELED, OutgoingState.CANCELED),
        (RevocationReason.UNEXPECTED_EXCEPTION, OutgoingState.ERROR),
    ],
)
def test_ended_empty_file_keeps_its_progress(sides, reason, state):
    early = sides.submit(b"")
    take_back(sides, early, reason)
    late = sides.submit(b"")
    packets = sides.send()
    take_back(sides, late, reason)
    assert at_origin(sides, early) == (state, 0)
    assert at_origin(sides, late) == (state, 100)
    sides.deliver(packets)
    assert at_destination(sides, early) == (IncomingState.REVOKED, None)


def test_repeated_or_announced_empty_file_is_whole(sides):
    id = sides.submit(b"")
    sides.send()  # lost
    sides.clock.forward(seconds=61)
    sides.deliver(sides.send())
    assert at_destination(sides, id) == (IncomingState.SUCCESS, 100)
