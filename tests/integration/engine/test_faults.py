"""Crashes, outages, revocations, forgeries: nothing lost, nothing twice, only itself harmed."""

from __future__ import annotations

import random
import threading
import uuid

import pytest
from sqlalchemy import event

from eurydice_core.destination.clean import DestinationCleaner
from eurydice_core.errors import (
    Conflict,
    SizeMismatch,
    StorageError,
    StorageFull,
    StorageUnavailable,
    TooLarge,
)
from eurydice_core.model.states import (
    IncomingState,
    OutgoingState,
    RevocationReason,
)
from eurydice_core.origin.clean import OriginCleaner
from eurydice_core.origin.revoke import revoke
from eurydice_core.origin.submit import Submission
from eurydice_core.protocol.elements import TransferablePart
from eurydice_core.protocol.packet import PacketBuilder


class Crash(BaseException):
    """The process is killed here."""


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{size} {seed}").randbytes(size)


def crash_at(monkeypatch: pytest.MonkeyPatch, storage: object, engine: object, step: int) -> None:
    """Kill the process at its `step`-th touch of the storage or commit of a transaction."""
    left = [step]

    def count(*_: object, **__: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Crash

    for name in ("write", "read", "delete", "assemble"):
        method = getattr(storage, name)

        def crashing(*arguments, method=method, **more):
            count()
            return method(*arguments, **more)

        monkeypatch.setattr(storage, name, crashing)
    event.listen(engine, "commit", count)
    monkeypatch.setattr(storage, "crash_listener", (engine, count), raising=False)


def survive(monkeypatch: pytest.MonkeyPatch, storage: object) -> None:
    event.remove(storage.crash_listener[0], "commit", storage.crash_listener[1])
    monkeypatch.undo()


@pytest.mark.parametrize("step", range(1, 30))
def test_a_receiver_killed_at_any_step_takes_the_same_packets_in_again(sides, monkeypatch, step):
    files = {sides.submit(content(size)): content(size) for size in (0, 50, 250, 700)}
    packets = sides.send()
    storage = sides.destination.storage
    crash_at(monkeypatch, storage, sides.destination.database.engine, step)
    try:
        sides.deliver(packets)
    except Crash:
        sides.wire.receiver.receive(0)
        while sides.wire.receiver.receive(0) is not None:
            pass
    survive(monkeypatch, storage)
    sides.receiver = sides.new_receiver()
    sides.deliver(packets)
    incoming = sides.incoming()
    for id, data in files.items():
        assert incoming[id].state is IncomingState.SUCCESS
        assert sides.content(id) == data
    assert storage.keys == {f"files/{id}" for id in files}


@pytest.mark.parametrize("step", range(1, 12))
def test_a_sender_killed_at_any_step_loses_nothing(sides, monkeypatch, step):
    files = {sides.submit(content(size)): content(size) for size in (0, 50, 250)}
    storage = sides.origin.storage
    crash_at(monkeypatch, storage, sides.origin.database.engine, step)
    packets = []
    try:
        packets += sides.send()
    except Crash:
        packets, sides.wire.packets = [*packets, *sides.wire.packets], []
    survive(monkeypatch, storage)
    sides.sender = sides.new_sender()
    sides.deliver(packets + sides.send())
    assert {row.state for row in sides.incoming().values()} == {IncomingState.SUCCESS}
    assert {row.state for row in sides.outgoing().values()} == {OutgoingState.SUCCESS}
    for id, data in files.items():
        assert sides.content(id) == data


def test_a_file_whole_but_unchecked_at_a_crash_is_checked_at_the_next_start(sides, monkeypatch):
    id = sides.submit(content(250))
    monkeypatch.setattr(sides.destination.storage, "read", None)  # never read: hashed as it came
    real = sides.destination.storage.assemble
    monkeypatch.setattr(sides.receiver._ingest, "digests", _Dies())
    with pytest.raises(Crash):
        sides.deliver(sides.send())
    monkeypatch.undo()
    assert sides.destination.storage.assemble == real
    assert sides.incoming()[id].state is IncomingState.ONGOING
    sides.receiver = sides.new_receiver()
    sides.deliver([])
    assert sides.incoming()[id].state is IncomingState.SUCCESS


class _Dies:
    def feed(self, *_: object) -> None: ...
    def forget(self, *_: object) -> None: ...
    def position(self, _: object) -> int:
        raise Crash


def test_a_file_that_cannot_be_put_together_is_an_error_and_stops_nothing(sides, monkeypatch):
    broken = sides.submit(content(250))
    packets = sides.send()

    def commit(self, size):
        raise StorageError("its end is missing")

    assembly = type(sides.destination.storage.assemble("x", piece_size=1))
    monkeypatch.setattr(assembly, "commit", commit)
    sides.deliver(packets)
    monkeypatch.undo()
    row = sides.incoming()[broken]
    assert (row.state, row.reason) == (IncomingState.ERROR, "its end is missing")
    sides.receiver = sides.new_receiver()
    whole = sides.submit(content(250, 1))
    sides.deliver(sides.send())
    assert sides.incoming()[whole].state is IncomingState.SUCCESS


@pytest.mark.parametrize("outage", [StorageFull("full"), StorageUnavailable("gone")], ids=repr)
def test_a_full_or_absent_storage_is_waited_for_and_the_packet_kept(sides, monkeypatch, outage):
    data = content(700)
    id = sides.submit(data)
    packets = sides.send()

    def fail(*_: object, **__: object):
        raise outage

    monkeypatch.setattr(sides.destination.storage, "assemble", fail)
    for packet in packets:
        sides.wire.sender.send(packet)
    for _ in range(3):
        with pytest.raises(type(outage)):
            sides.receiver.step()
    monkeypatch.undo()
    sides.deliver([])
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert sides.content(id) == data


def test_a_service_waits_out_an_outage_and_stops_when_told(sides):
    sides.submit(b"x")
    sides.wire.down = StorageUnavailable("not now")
    stop = threading.Event()
    thread = threading.Thread(target=sides.sender.run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert sides.wire.packets == []


def test_packets_of_another_secret_are_refused_and_those_after_them_are_not(sides):
    id = sides.submit(b"data")
    packets = sides.send()
    forged = PacketBuilder(
        stream=uuid.uuid4(),
        sequence=0,
        sent_at_ms=0,
        parts=[
            TransferablePart(
                id=uuid.uuid4(),
                profile=b"attacker",
                name="evil",
                metadata={},
                size=0,
                piece_size=100,
                sha1=b"." * 20,
                sha256=b"." * 32,
                ranges=[(0, 0)],
            )
        ],
    ).sealed(b"not the key of this link, really")
    sides.deliver([bytes(forged), b"noise", b"", *packets])
    assert list(sides.incoming()) == [id]


def test_a_file_whose_digest_is_wrong_is_an_error_and_its_bytes_do_not_stay(sides):
    for size in (100, 300):
        id = sides.submit(content(size))
        with sides.origin.database.write() as session:
            row = session.get(type(sides.outgoing()[id]), uuid.UUID(id))
            row.sha256 = b"." * 32
        sides.deliver(sides.send())
        assert sides.incoming()[id].state is IncomingState.ERROR
        assert "digest" in sides.incoming()[id].reason
    assert sides.destination.storage.keys == frozenset()


@pytest.mark.parametrize("sent_before", [0, 1, 3])
def test_a_canceled_file_ends_on_both_sides(sides, sent_before):
    id = sides.submit(content(1000))
    packets = []
    for _ in range(sent_before):
        sides.send_one()
    packets, sides.wire.packets = sides.wire.packets, []
    sides.deliver(packets)
    cancel(sides, id)
    sides.deliver(sides.send())
    assert sides.outgoing()[id].state is OutgoingState.CANCELED
    assert sides.incoming()[id].state is IncomingState.REVOKED
    assert sides.incoming()[id].reason == RevocationReason.USER_CANCELED
    assert sides.destination.storage.keys == frozenset()
    sides.clock.forward(days=2)
    assert sides.carried(sides.send()) == 0, "nothing of it is repeated"
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    cleaner.step()
    assert sides.origin.storage.keys == frozenset()


def test_canceling_twice_or_after_success_changes_nothing_at_the_destination(sides):
    id = sides.submit(content(10))
    sides.deliver(sides.send())
    cancel(sides, id)
    cancel(sides, id)
    sides.deliver(sides.send())
    assert sides.outgoing()[id].state is OutgoingState.CANCELED
    assert sides.incoming()[id].state is IncomingState.SUCCESS


def cancel(sides, id: str) -> None:
    with sides.origin.database.write() as session:
        revoke(session, uuid.UUID(id), RevocationReason.USER_CANCELED, sides.clock())


def test_canceling_during_the_upload_ends_the_upload(sides):
    submission = Submission(sides.origin, sides.user)
    submission.write(content(250))
    cancel(sides, str(submission.id))
    with pytest.raises(Conflict, match="revoked"):
        submission.write(content(250))
    submission.fail(RevocationReason.UNEXPECTED_EXCEPTION)
    assert sides.outgoing()[str(submission.id)].state is OutgoingState.CANCELED


def write_and_finish(submission: Submission, data: bytes) -> None:
    submission.write(data)
    submission.finish()


@pytest.mark.parametrize(("announced", "body"), [(0, 2), (1, 2), (3, 2), (500, 499), (500, 501)])
def test_a_body_of_another_length_than_announced_is_revoked(sides, announced, body):
    submission = Submission(sides.origin, sides.user, size=announced)
    with pytest.raises(SizeMismatch):
        write_and_finish(submission, content(body))
    submission.fail(RevocationReason.UPLOAD_SIZE_MISMATCH)
    row = sides.outgoing()[str(submission.id)]
    assert (row.state, row.sha1) == (OutgoingState.ERROR, None)
    sides.deliver(sides.send())
    assert sides.incoming()[str(submission.id)].state is IncomingState.REVOKED
    OriginCleaner(sides.origin).step()
    assert sides.origin.storage.keys == frozenset()


def test_a_file_over_the_limit_is_refused_at_once_or_when_it_grows_over_it(sides):
    limit = sides.origin.settings.upload.model_copy(update={"max_size": 150})
    settings = sides.origin.settings.model_copy(update={"upload": limit})
    object.__setattr__(sides.origin, "settings", settings)
    with pytest.raises(TooLarge):
        Submission(sides.origin, sides.user, size=151)
    submission = Submission(sides.origin, sides.user)
    submission.write(content(150))
    with pytest.raises(TooLarge):
        submission.write(b"x")
    submission.fail(RevocationReason.UNEXPECTED_EXCEPTION)
    assert sides.outgoing()[str(submission.id)].state is OutgoingState.ERROR


def test_an_upload_that_nobody_ended_is_revoked_by_the_cleaner(sides):
    submission = Submission(sides.origin, sides.user)
    submission.write(content(450))
    sides.deliver(sides.send())
    cleaner = OriginCleaner(sides.origin, now=sides.clock)
    cleaner.step()
    assert sides.outgoing()[str(submission.id)].state is OutgoingState.ONGOING
    sides.clock.forward(hours=2)
    cleaner.step()
    row = sides.outgoing()[str(submission.id)]
    assert (row.state, row.revocation_reason) == (
        OutgoingState.ERROR,
        RevocationReason.UPLOAD_INTERRUPTION,
    )
    sides.deliver(sides.send())
    assert sides.incoming()[str(submission.id)].state is IncomingState.REVOKED


def test_cleaners_forget_old_transfers_and_only_those(sides):
    old = sides.submit(content(10))
    sides.deliver(sides.send())
    sides.clock.forward(seconds=61)
    sides.send()  # the repeat
    sides.clock.forward(days=9)
    new = sides.submit(content(10, 1))
    origin = OriginCleaner(sides.origin, now=sides.clock)
    destination = DestinationCleaner(sides.destination, now=sides.clock)
    while origin.step() or destination.step():
        pass
    assert sides.incoming() == {}, "expired, and trimmed as its date is old enough"
    assert sides.destination.storage.keys == frozenset()
    assert list(sides.outgoing()) == [new]
    assert old != new


def test_a_file_that_never_became_whole_is_given_up_in_the_end(sides):
    id = sides.submit(content(1000))
    packets = sides.send()
    sides.deliver(packets[:1])
    sides.clock.forward(days=8)
    DestinationCleaner(sides.destination, now=sides.clock).step()
    row = sides.incoming()[id]
    assert (row.state, row.stored) == (IncomingState.ERROR, False)
    assert "never came" in row.reason


def test_ranges_are_finished_once(sides):
    id = sides.submit(content(250))
    chosen = sides.sender._planner._choose()
    rows = [item.id for item in chosen]
    for _ in range(2):
        with sides.origin.database.write() as session:
            sides.sender._queue.mark_sent(session, rows, [], sides.clock())
    row = sides.outgoing()[id]
    assert (row.ranges_pending, row.ranges_transferred) == (0, 3)
    assert row.bytes_transferred == 250
