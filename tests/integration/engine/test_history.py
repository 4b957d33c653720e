"""The destination learns how everything ended, of files it never saw as well."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta

import pytest

from eurydice_core.destination.clean import DestinationCleaner
from eurydice_core.model.states import IncomingState, RevocationReason
from eurydice_core.origin.history import History
from eurydice_core.origin.revoke import revoke
from eurydice_core.protocol.packet import open_packet


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{size} {seed}").randbytes(size)


def send_all(sides, times: int = 2) -> list[bytes]:
    """Send everything, repeats too, and the history that follows."""
    packets = sides.send()
    for _ in range(times - 1):
        sides.clock.forward(seconds=61)
        packets += sides.send()
    return packets


def is_history(sides, packet: bytes) -> bool:
    parts = open_packet(packet, sides.origin.seal_key).parts
    return bool(parts) and all(part.ended is not None for part in parts)


@pytest.fixture
def split(sides):
    """Send everything; return the packets with data, and those that are history."""

    def split() -> tuple[list[bytes], list[bytes]]:
        packets = send_all(sides)
        history = [packet for packet in packets if is_history(sides, packet)]
        return [packet for packet in packets if packet not in history], history

    return split


def test_a_file_that_was_never_seen_is_named_and_can_be_repaired(sides, split):
    id = sides.submit(content(1000), name="lost.bin", metadata={"Metadata-Name": "lost.bin"})
    data, history = split()
    sides.deliver(history)
    row = sides.incoming()[id]
    assert (row.state, row.repairable) == (IncomingState.ERROR, True)
    assert (row.name, row.size, row.bytes_received) == ("lost.bin", 1000, 0)
    assert row.user_provided_meta == {"Metadata-Name": "lost.bin"}
    assert row.sha1 is not None
    assert row.reason == "1000 of 1000 bytes never came; a repair ticket brings them"
    sides.deliver(data)
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert sides.content(id) == content(1000)


def test_an_incomplete_file_is_named_and_late_data_revives_it(sides, split):
    id = sides.submit(content(1000))
    data, history = split()
    sides.deliver([data[0], *history])
    row = sides.incoming()[id]
    assert (row.state, row.bytes_received) == (IncomingState.ERROR, 300)
    assert row.finished_at is not None
    DestinationCleaner(sides.destination).step()
    sides.deliver(data[1:])
    row = sides.incoming()[id]
    assert (row.state, row.reason, row.repairable) == (IncomingState.SUCCESS, None, False)
    assert sides.content(id) == content(1000)


def test_an_empty_file_needs_no_more_than_its_entry(sides, split):
    id = sides.submit(b"")
    _, history = split()
    sides.deliver(history)
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert sides.content(id) == b""


def test_a_complete_file_is_left_alone(sides, split):
    id = sides.submit(content(1000))
    data, history = split()
    sides.deliver([*data, *history, *history])
    assert sides.incoming()[id].state is IncomingState.SUCCESS


def test_history_completes_a_file_that_only_missed_its_digest(sides):
    from eurydice_core.origin.submit import Submission

    submission = Submission(sides.origin, sides.user)
    submission.write(content(300))
    early = sides.send()
    submission.finish()
    late = send_all(sides)
    whole = [p for p in late if not is_history(sides, p)]
    history = [p for p in late if is_history(sides, p)]
    last_piece = open_packet(whole[0], sides.origin.seal_key)
    assert last_piece.parts[0].ranges == [(200, 100)]
    sides.deliver([*early, *history])
    assert sides.incoming()[str(submission.id)].state is IncomingState.ERROR
    sides.deliver(whole)
    assert sides.incoming()[str(submission.id)].state is IncomingState.SUCCESS


def test_a_canceled_file_whose_revocation_was_lost_is_revoked_by_history(sides):
    id = sides.submit(content(1000))
    packets = sides.send()
    sides.deliver(packets[:1])
    with sides.origin.database.write() as session:
        revoke(session, uuid.UUID(id), RevocationReason.USER_CANCELED, sides.clock())
    sides.send_one()
    sides.wire.packets.clear()  # the revocation is lost
    sides.deliver(sides.send())
    assert sides.incoming()[id].state is IncomingState.REVOKED
    assert sides.destination.storage.keys == frozenset()


def test_endings_are_told_at_growing_intervals_and_then_no_more(sides):
    sides.submit(b"x")
    told = []
    begin = sides.clock()
    for _ in range(6 * 60):
        told += [sides.clock() - begin for packet in sides.send() if is_history(sides, packet)]
        sides.clock.forward(minutes=1)
    minutes = [round(at / timedelta(minutes=1)) for at in told]
    assert minutes == [2, 3, 7, 23, 87]


def test_a_packet_carries_a_bounded_number_of_endings(sides):
    settings = sides.origin.settings
    sender = settings.sender.model_copy(update={"history_entries_per_packet": 10})
    object.__setattr__(sides.origin, "settings", settings.model_copy(update={"sender": sender}))
    sides.sender = sides.new_sender()
    for seed in range(35):
        sides.submit(content(1, seed))
    history = [packet for packet in send_all(sides) if is_history(sides, packet)]
    counts = [len(open_packet(packet, sides.origin.seal_key).parts) for packet in history]
    assert counts == [10, 10, 10, 5]


def test_the_whole_history_is_told_again_when_asked(sides):
    ids = {sides.submit(content(1, seed)) for seed in range(5)}
    send_all(sides)
    sides.clock.forward(days=2)
    assert sides.carried(sides.send()) == 0
    history = History(sides.origin.database, duration=timedelta(hours=5), limit=500)
    now = sides.clock()
    assert history.tell_again(now - timedelta(days=1), now) == 0
    assert history.tell_again(now - timedelta(days=3), now) == 5
    sides.deliver(sides.send())
    assert set(sides.incoming()) == ids
    assert sides.send() == []


def test_what_nobody_repaired_in_time_is_let_go(sides, split):
    id = sides.submit(content(1000))
    data, history = split()
    sides.deliver([data[0], *history])
    sides.clock.forward(days=3)
    DestinationCleaner(sides.destination, now=sides.clock).step()
    row = sides.incoming()[id]
    assert (row.state, row.repairable, row.stored) == (IncomingState.ERROR, False, False)
    sides.deliver(data[1:])
    assert sides.incoming()[id].state is IncomingState.ERROR
