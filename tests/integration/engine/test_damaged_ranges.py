"""Bytes that the origin's storage lost or changed are never sent, and cost only their file."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from loguru import logger
from sqlalchemy import select, update

from eurydice_core.db.outgoing import OutgoingContent, OutgoingRange
from eurydice_core.errors import Conflict, StorageFull, StorageUnavailable
from eurydice_core.model.states import IncomingState, OutgoingState, RevocationReason
from eurydice_core.origin import bad_ranges
from eurydice_core.origin.idempotency import Key
from eurydice_core.origin.repair import apply_ticket
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.submit import Submission
from eurydice_core.protocol.packet import open_packet
from eurydice_core.protocol.repair import Ticket, issue_ticket

SIZE = 350  # bytes; four ranges


def content(seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(SIZE)


@pytest.fixture
def log():
    lines: list[str] = []
    handler = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    logger.remove(handler)


def flip_bit(sides, id: str, offset: int = 100) -> str:
    """Turn one bit of a range in the storage; return the range's key."""
    key = f"ranges/{id}/{offset}"
    objects = sides.origin.storage._objects
    objects[key] = bytes([objects[key][0] ^ 1]) + objects[key][1:]
    return key


def cut_short(sides, id: str) -> str:
    key = f"ranges/{id}/100"
    sides.origin.storage._objects[key] = sides.origin.storage._objects[key][:-1]
    return key


def remove(sides, id: str) -> str:
    key = f"ranges/{id}/100"
    sides.origin.storage.delete([key])
    return key


def unreadable(sides, id: str) -> str:
    """Let the storage fail for one object while it works for all others, as a bad sector does."""
    key = f"ranges/{id}/100"
    storage, read = sides.origin.storage, sides.origin.storage.read

    def failing(wanted, start=0, stop=None):
        if wanted == key:
            raise StorageUnavailable("input/output error")
        return read(wanted, start, stop)

    storage.read = failing
    return key


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip_bit, "is damaged"),
        (cut_short, "it ends after 99 of 100 bytes"),
        (remove, "is missing"),
        (unreadable, "input/output error"),
    ],
)
def test_damaged_range_fails_its_file_alone(sides, monkeypatch, log, damage, says):
    monkeypatch.setattr(bad_ranges, "RETRY_AFTER", 0.0)
    bad, good = sides.submit(content()), sides.submit(content(1))
    key = damage(sides, bad)
    packets = sides.send()
    sides.deliver(packets)
    assert sides.outgoing()[bad].state is OutgoingState.ERROR
    assert sides.outgoing()[bad].revocation_reason is RevocationReason.DATA_DAMAGED
    assert sides.outgoing()[good].state is OutgoingState.SUCCESS
    assert sides.content(good) == content(1)
    incoming = sides.incoming()[bad]
    assert (incoming.state, incoming.reason) == (IncomingState.REVOKED, "DATA_DAMAGED")
    failures = [line for line in log if "failed" in line]
    assert len(failures) == 1
    assert key in failures[0]
    assert says in failures[0]
    assert sides.origin.settings.storage.plugin in failures[0]


def test_damaged_bytes_are_in_no_packet(sides):
    id = sides.submit(content())
    key = flip_bit(sides, id)
    wrong = sides.origin.storage._objects[key]
    assert not any(wrong in packet for packet in sides.send())


def test_damaged_content_in_the_database_is_not_sent(sides):
    submission = Submission(sides.origin, sides.user, name="small")
    id = str(submission.finish_with(b"as it was uploaded").result().id)
    with sides.origin.database.write() as session:
        session.execute(update(OutgoingContent).values(data=b"as it was uploadeD"))
    sides.deliver(sides.send())
    assert sides.outgoing()[id].state is OutgoingState.ERROR
    assert sides.incoming()[id].state is IncomingState.REVOKED


def test_range_damaged_on_its_way_is_read_again(sides):
    id = sides.submit(content())
    storage, read = sides.origin.storage, sides.origin.storage.read
    first = [True]

    def once_wrong(key, start=0, stop=None):
        data = b"".join(read(key, start, stop))
        if first.pop() if first else False:
            data = bytes(len(data))
        yield data

    storage.read = once_wrong
    sides.deliver(sides.send())
    assert sides.content(id) == content()


def test_ranges_without_digest_are_sent(sides):
    id = sides.submit(content())
    with sides.origin.database.write() as session:
        session.execute(update(OutgoingRange).values(digest=None))
    sides.deliver(sides.send())
    assert sides.content(id) == content()


def test_range_damaged_after_it_was_sent_is_not_repeated(sides, log):
    id = sides.submit(content())
    sides.deliver(sides.send())
    key = flip_bit(sides, id)
    sides.clock.forward(minutes=2)
    packets = sides.send()
    assert sides.carried(packets) == 3
    sides.deliver(packets)
    assert sides.outgoing()[id].state is OutgoingState.SUCCESS
    assert sides.content(id) == content()
    assert [key in line for line in log] == [True]


def test_ticket_for_a_damaged_range_fails_the_file(sides):
    id = sides.submit(content())
    lost = sides.send()
    key = flip_bit(sides, id)
    transferable = open_packet(lost[0], sides.origin.seal_key).parts[0].id
    ticket = issue_ticket(Ticket(transferable, [(1, 1)]), sides.origin.repair_key)
    apply_ticket(sides.origin, ticket)
    sides.deliver(sides.send())
    assert sides.outgoing()[id].state is OutgoingState.ERROR
    assert sides.incoming()[id].state is IncomingState.REVOKED
    assert key in sides.origin.storage.keys


def test_storage_that_is_away_fails_no_file(sides, monkeypatch):
    id = sides.submit(content())

    def away(*_, **__):
        raise StorageUnavailable("not mounted")

    with monkeypatch.context() as patch:
        patch.setattr(sides.origin.storage, "read", away)
        patch.setattr(sides.origin.storage, "check", away)
        for _ in range(10):
            with pytest.raises(StorageUnavailable):
                sides.sender.step()
    sides.deliver(sides.send())
    assert sides.content(id) == content()


def test_full_storage_hides_no_bad_sector(sides, monkeypatch):
    monkeypatch.setattr(bad_ranges, "RETRY_AFTER", 0.0)
    id = sides.submit(content())
    unreadable(sides, id)

    def full():
        raise StorageFull("no room")

    monkeypatch.setattr(sides.origin.storage, "check", full)
    sides.send()
    assert sides.outgoing()[id].state is OutgoingState.ERROR


def test_unreadable_range_lets_others_go_first(sides):
    bad, good = sides.submit(content()), sides.submit(content(1))
    unreadable(sides, bad)
    sides.deliver(sides.send())
    assert sides.outgoing()[bad].state is OutgoingState.ONGOING
    assert sides.content(good) == content(1)


def test_unreadable_range_that_recovers_is_sent(sides, monkeypatch):
    monkeypatch.setattr(bad_ranges, "RETRY_AFTER", 0.0)
    id = sides.submit(content())
    storage, read = sides.origin.storage, sides.origin.storage.read
    left = [bad_ranges.TRIES - 1]

    def failing(key, start=0, stop=None):
        if key.endswith("/100") and left[0]:
            left[0] -= 1
            raise StorageUnavailable("no answer in time")
        return read(key, start, stop)

    storage.read = failing
    sides.deliver(sides.send())
    assert sides.content(id) == content()


def test_upload_still_going_on_is_told(sides):
    submission = Submission(sides.origin, sides.user, name="long")
    submission.write(content())
    flip_bit(sides, str(submission.id), 0)
    sides.send()
    with pytest.raises(Conflict, match="while it was being uploaded"):
        submission.write(content())


def test_many_damaged_files_cost_one_packet(sides, monkeypatch):
    ids = [sides.submit(content(seed)[:80]) for seed in range(3)]
    for id in ids:
        flip_bit(sides, id, 0)
    packed = []
    real = sides.sender._pack
    monkeypatch.setattr(sides.sender, "_pack", lambda load: packed.append(load) or real(load))
    sides.send()
    assert sum(bool(load.ranges) for load in packed) == 1
    assert {row.state for row in sides.outgoing().values()} == {OutgoingState.ERROR}


def test_repeated_upload_heals_a_damaged_file(sides):
    key = Key(user_id=sides.user.id, digest=b"k" * 32, request=b"r" * 32)

    def upload() -> Submission:
        return Submission(sides.origin, sides.user, name="file", key=key)

    submission = upload()
    assert submission.claim() is None
    submission.write(content())
    bad = str(submission.finish().id)
    flip_bit(sides, bad)
    sides.deliver(sides.send())
    again = upload()
    assert again.claim() is None
    again.write(content())
    good = str(again.finish().id)
    sides.deliver(sides.send())
    assert good != bad
    assert sides.content(good) == content()


def test_taken_back_file_whose_bytes_are_gone_is_no_failure(sides, log):
    id = sides.submit(content())
    read = sides.origin.storage.read

    def revoked_meanwhile(key, start=0, stop=None):
        with sides.origin.database.write() as session:
            row = session.scalars(select(OutgoingRange.transferable_id)).first()
            revoke(session, row, RevocationReason.USER_CANCELED, datetime.now(UTC))
        sides.origin.storage.delete([key])
        return read(key, start, stop)

    sides.origin.storage.read = revoked_meanwhile
    sides.send()
    assert sides.outgoing()[id].state is OutgoingState.CANCELED
    assert log == []
