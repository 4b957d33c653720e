"""A ticket carried by hand brings just what is missing."""

from __future__ import annotations

import random
import uuid

import pytest

from eurydice_core.destination.repair import shortfall
from eurydice_core.errors import Conflict, Gone, InvalidRequest, NotFound
from eurydice_core.model.states import IncomingState, OutgoingState, RevocationReason
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.repair import apply_ticket
from eurydice_core.origin.revoke import revoke


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{size} {seed}").randbytes(size)


def lose(sides, size: int, lost: set[int]) -> str:
    """Send a file, losing some of its packets each time; return its id."""
    id = sides.submit(content(size))
    for _ in range(2):
        packets = sides.send()
        sides.deliver([packet for number, packet in enumerate(packets) if number not in lost])
        sides.clock.forward(seconds=61)
    sides.deliver(sides.send())
    return id


@pytest.mark.parametrize(
    ("size", "lost", "runs", "missing"),
    [
        (1000, {0}, "0-2", 300),
        (1000, {1, 3}, "3-5.9", 400),
        (1050, {3}, "9-10", 150),
        (1000, {0, 1, 2, 3}, "0-9", 1000),
    ],
)
def test_a_ticket_brings_what_is_missing_and_nothing_else(sides, size, lost, runs, missing):
    id = lose(sides, size, lost)
    short = shortfall(sides.destination, uuid.UUID(id))
    assert short.ticket.split(":")[2] == runs
    assert (short.bytes_missing, short.size) == (missing, size)
    repair = apply_ticket(sides.origin, short.ticket.lower())
    assert (repair.bytes, repair.ranges) == (missing, short.pieces_missing)
    assert sides.outgoing()[id].state in (OutgoingState.PENDING, OutgoingState.ONGOING)
    packets = sides.send()
    assert sides.carried(packets) == repair.ranges
    sides.deliver(packets)
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert sides.outgoing()[id].state is OutgoingState.SUCCESS
    assert sides.outgoing()[id].bytes_transferred == size
    assert sides.content(id) == content(size)
    with pytest.raises(Conflict, match="nothing is missing"):
        shortfall(sides.destination, uuid.UUID(id))


def test_applying_a_ticket_twice_queues_once(sides):
    id = lose(sides, 1000, {0})
    ticket = shortfall(sides.destination, uuid.UUID(id)).ticket
    assert apply_ticket(sides.origin, ticket).ranges == 3
    assert apply_ticket(sides.origin, ticket).ranges == 0
    row = sides.outgoing()[id]
    assert (row.ranges_pending, row.ranges_transferred, row.bytes_transferred) == (3, 7, 700)


def test_a_ticket_for_data_that_is_no_longer_kept_is_gone(sides):
    id = lose(sides, 1000, {0})
    ticket = shortfall(sides.destination, uuid.UUID(id)).ticket
    sides.clock.forward(days=2)
    OriginCleaner(sides.origin, now=sides.clock).step()
    with pytest.raises(Gone, match="send the file again"):
        apply_ticket(sides.origin, ticket)
    assert sides.outgoing()[id].state is OutgoingState.SUCCESS


def test_a_ticket_serves_its_owner_only(sides):
    id = lose(sides, 1000, {0})
    ticket = shortfall(sides.destination, uuid.UUID(id)).ticket
    with pytest.raises(NotFound):
        apply_ticket(sides.origin, ticket, user_id=uuid.uuid4())
    with pytest.raises(InvalidRequest, match="is for transferable"):
        apply_ticket(sides.origin, ticket, transferable_id=uuid.uuid4())
    owner = apply_ticket(sides.origin, ticket, user_id=sides.user.id, transferable_id=uuid.UUID(id))
    assert owner.ranges == 3
    with pytest.raises(NotFound):
        shortfall(sides.destination, uuid.UUID(id), b"somebody")
    assert shortfall(sides.destination, uuid.UUID(id), sides.user.profile).ticket == ticket


def test_a_canceled_file_is_not_repaired(sides):
    id = lose(sides, 1000, {0})
    ticket = shortfall(sides.destination, uuid.UUID(id)).ticket
    with sides.origin.database.write() as session:
        revoke(session, uuid.UUID(id), RevocationReason.USER_CANCELED, sides.clock())
    with pytest.raises(Conflict, match="CANCELED"):
        apply_ticket(sides.origin, ticket)
    sides.deliver(sides.send())
    assert sides.incoming()[id].state is IncomingState.REVOKED


def test_only_what_history_showed_incomplete_has_a_ticket(sides):
    id = sides.submit(content(1000))
    sides.deliver(sides.send()[:1])
    with pytest.raises(Conflict, match="still expected"):
        shortfall(sides.destination, uuid.UUID(id))
    with pytest.raises(NotFound):
        shortfall(sides.destination, uuid.uuid4())
