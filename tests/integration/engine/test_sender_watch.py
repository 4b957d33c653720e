"""What the sender notes of its work, for metrics and health checks."""

from __future__ import annotations

import uuid

import pytest

from eurydice_core.db.notes import NoteKind, get_notes
from eurydice_core.errors import LinkDown
from eurydice_core.origin.plan import Load
from eurydice_core.origin.watch import SenderWatch


def noted(sides):
    with sides.origin.database.read() as session:
        return get_notes(session, NoteKind.SENDER)


@pytest.fixture
def always(monkeypatch):
    """Have every step recorded."""
    monkeypatch.setattr("eurydice_core.origin.watch.RECORD_EVERY", -1.0)


def test_an_idle_sender_gives_a_sign_of_life(sides):
    assert noted(sides) is None
    sides.sender.step()
    assert noted(sides)["recorded_at"]


@pytest.mark.usefixtures("always")
def test_everything_that_the_link_took_is_counted(sides):
    sides.submit(b"x" * 10)
    sides.send()
    counted = noted(sides)["sender"]
    assert (counted["packets"], counted["ranges"], counted["bytes"]) == (1, 1, 10)
    sides.clock.forward(seconds=61)
    sides.send()
    counted = noted(sides)["sender"]
    assert (counted["ranges"], counted["ranges_again"], counted["bytes"]) == (1, 1, 20)


@pytest.mark.usefixtures("always")
def test_a_heartbeat_is_a_packet_that_carries_nothing(sides):
    sides.send()
    assert noted(sides)["sender"]["heartbeats"] == noted(sides)["sender"]["packets"] == 1


@pytest.mark.usefixtures("always")
def test_a_packet_that_the_link_did_not_take_is_a_failure_and_not_sent(sides):
    sides.submit(b"x")
    sides.wire.down = LinkDown("cut")
    for _ in range(2):
        sides.sender.step()
        with pytest.raises(LinkDown):
            sides.sender.land()
    sides.wire.down = None
    sides.send()
    counted = noted(sides)["sender"]
    assert (counted["failures"], counted["packets"], counted["ranges"]) == (2, 1, 1)


def test_records_are_seconds_apart(sides):
    now = 100.0
    watch = SenderWatch(
        sides.origin.database,
        sides.origin.leases,
        uuid.uuid4(),
        lambda: {"bytes": 7},
        monotonic=lambda: now,
    )
    watch.record()
    watch.sent(Load())
    watch.record()
    assert noted(sides)["sender"]["packets"] == 0
    now += 5
    watch.record()
    assert noted(sides)["sender"]["packets"] == 1
    assert noted(sides)["transport"] == {"bytes": 7}
