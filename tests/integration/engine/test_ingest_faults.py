"""No error of database or storage drops a packet: it waits, or goes to the quarantine."""

from __future__ import annotations

import errno
import os
import random
import sqlite3

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from eurydice_core.destination.quarantine import open_quarantine
from eurydice_core.destination.receive import TRIES
from eurydice_core.destination.replay import replay
from eurydice_core.errors import (
    DatabaseUnavailable,
    IngestFailed,
    StorageError,
    StorageFull,
    StorageUnavailable,
)
from eurydice_core.model.states import IncomingState
from eurydice_core.outages import is_outage


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{size} {seed}").randbytes(size)


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


OUTAGE_ERRORS = [
    StorageFull("full"),
    StorageUnavailable("bucket away"),
    DatabaseUnavailable("database away"),
    *map(failure, (errno.EROFS, errno.EIO, errno.EMFILE, errno.ESTALE)),
    MemoryError(),
]
OTHER_ERRORS = [
    StorageError("refused"),
    DataError("INSERT", {}, sqlite3.DataError("too long")),
    IntegrityError("INSERT", {}, sqlite3.IntegrityError("not unique")),
    ProgrammingError("INSERT", {}, sqlite3.ProgrammingError("wrong")),
    KeyError("a bug"),
    failure(errno.EINVAL),
]
STEPS = range(1, 11)
"""The touches of storage and database that ingesting these packets takes."""


def every_error_and_every_step(errors):
    """Pair each error with one step, and one error with each step."""
    return [*((error, 3) for error in errors), *((errors[0], step) for step in STEPS)]


class Faulty:
    """Fails at the n-th touch of the storage or the database, and from then on if told so."""

    def __init__(self, installation, step: int, error: BaseException, *, once: bool) -> None:
        self.left, self.error, self.once = step, error, once
        self.engine, self.storage = installation.database.engine, installation.storage
        self.active = True
        for name in ("write", "read", "delete", "assemble"):
            setattr(self.storage, name, self._wrapped(getattr(self.storage, name)))
        event.listen(self.engine, "commit", self.touch)
        event.listen(self.engine, "before_cursor_execute", self.touch_statement)

    def _wrapped(self, method):
        def call(*arguments, **options):
            self.touch()
            return method(*arguments, **options)

        return call

    def touch_statement(self, _connection, _cursor, statement, *_: object) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self.touch()

    def touch(self, *_: object) -> None:
        if not self.active:
            return
        self.left -= 1
        if self.left == 0 or (self.left < 0 and not self.once):
            raise self.error

    def end(self) -> None:
        self.active = False
        event.remove(self.engine, "commit", self.touch)
        event.remove(self.engine, "before_cursor_execute", self.touch_statement)


def run_receiver(sides, steps: int) -> None:
    """Take steps as `Service.run` does, without its waits."""
    for _ in range(steps):
        try:
            sides.receiver.step()
        except Exception as error:
            if not is_outage(error):
                raise


def quarantine_of(sides):
    return open_quarantine(sides.destination.settings)


def assert_all_received(sides, files) -> None:
    incoming = sides.incoming()
    for id, data in files.items():
        assert incoming[id].state is IncomingState.SUCCESS
        assert sides.content(id) == data
    assert len(incoming) == len(files)


@pytest.fixture
def files(sides):
    return {sides.submit(content(size)): content(size) for size in (0, 50, 250)}


@pytest.mark.parametrize(("error", "step"), every_error_and_every_step(OUTAGE_ERRORS), ids=repr)
def test_an_outage_of_any_class_at_any_step_loses_nothing(sides, files, error, step):
    packets = sides.send()
    for packet in packets:
        sides.wire.sender.send(packet)
    faulty = Faulty(sides.destination, step, error, once=False)
    run_receiver(sides, 3 * TRIES)
    faulty.end()
    sides.deliver([])
    assert_all_received(sides, files)
    assert quarantine_of(sides).list() == []


@pytest.mark.parametrize(("error", "step"), every_error_and_every_step(OTHER_ERRORS), ids=repr)
def test_an_error_that_passes_is_tried_again(sides, files, error, step):
    packets = sides.send()
    faulty = Faulty(sides.destination, step, error, once=True)
    sides.deliver(packets)
    faulty.end()
    assert_all_received(sides, files)
    assert quarantine_of(sides).list() == []


@pytest.mark.parametrize("error", OTHER_ERRORS, ids=repr)
def test_an_error_that_stays_quarantines_and_a_replay_mends(sides, files, error):
    packets = sides.send()
    faulty = Faulty(sides.destination, 1, error, once=False)
    sides.deliver(packets)
    faulty.end()
    quarantine = quarantine_of(sides)
    kept = quarantine.list()
    assert len(kept) == len(packets)
    results = list(replay(sides.destination, quarantine, [packet.id for packet in kept]))
    assert [result.failure for result in results] == [None] * len(kept)
    assert quarantine.list() == []
    assert_all_received(sides, files)


def test_one_bad_element_costs_only_itself(sides, monkeypatch):
    files = {sides.submit(content(10, seed)): content(10, seed) for seed in range(3)}
    bad = list(files)[1]
    real = sides.destination.storage.write

    def write(key):
        if bad in key:
            raise RuntimeError("a bug")
        return real(key)

    monkeypatch.setattr(sides.destination.storage, "write", write)
    sides.deliver(sides.send())
    assert set(sides.incoming()) == set(files) - {bad}
    (packet,) = quarantine_of(sides).list()
    assert packet.reason == f"a part of transferable {bad}: RuntimeError: a bug"
    (again,) = replay(sides.destination, quarantine_of(sides), [packet.id])
    assert again.failure == packet.reason, "it stays while the reason does"
    monkeypatch.undo()
    list(replay(sides.destination, quarantine_of(sides), [packet.id]))
    assert_all_received(sides, files)


def test_a_file_the_storage_lost_parts_of_can_be_repaired(sides, monkeypatch):
    id = sides.submit(content(250))
    packets = sides.send()

    def commit(self, size):
        raise StorageError("a piece is gone")

    assembly = type(sides.destination.storage.assemble("x", piece_size=1))
    monkeypatch.setattr(assembly, "commit", commit)
    sides.deliver(packets)
    monkeypatch.undo()
    row = sides.incoming()[id]
    assert (row.state, row.repairable, row.bytes_received) == (IncomingState.ERROR, True, 0)
    sides.deliver(packets)
    assert sides.incoming()[id].state is IncomingState.SUCCESS
    assert sides.content(id) == content(250)


def test_a_full_quarantine_has_the_packet_put_back(sides, monkeypatch):
    bad, good = sides.submit(content(10)), sides.submit(content(250))
    packets = sides.send()
    monkeypatch.setattr(sides.receiver._quarantine, "add", lambda *_: False)
    real = sides.destination.storage.write
    monkeypatch.setattr(
        sides.destination.storage, "write", lambda key: 1 / 0 if bad in key else real(key)
    )
    for packet in packets:
        sides.wire.sender.send(packet)
    run_receiver(sides, 5 * TRIES)
    assert sides.incoming()[good].state is IncomingState.SUCCESS
    assert bad not in sides.incoming()
    monkeypatch.setattr(sides.destination.storage, "write", real)
    sides.deliver([])
    assert sides.incoming()[bad].state is IncomingState.SUCCESS


def test_a_bug_while_a_packet_is_opened_quarantines_it(sides, monkeypatch):
    id = sides.submit(content(250))
    packets = sides.send()

    def fail(data, key):
        raise RecursionError("too deep")

    with monkeypatch.context() as broken:
        broken.setattr("eurydice_core.destination.receive.open_packet", fail)
        sides.deliver(packets)
    quarantine = quarantine_of(sides)
    assert len(quarantine.list()) == len(packets)
    list(replay(sides.destination, quarantine, [packet.id for packet in quarantine.list()]))
    assert sides.incoming()[id].state is IncomingState.SUCCESS


def test_a_bug_while_recording_keeps_no_packet_away(sides, monkeypatch):
    id = sides.submit(content(10))
    monkeypatch.setattr(sides.receiver, "record", lambda: 1 / 0)
    sides.deliver(sides.send())
    assert sides.incoming()[id].state is IncomingState.SUCCESS


def test_a_failing_packet_waits_before_each_try(sides, monkeypatch):
    sides.submit(content(10))
    monkeypatch.setattr(sides.destination.storage, "write", lambda _key: 1 / 0)
    for packet in sides.send():
        sides.wire.sender.send(packet)
    with pytest.raises(IngestFailed, match=rf"\(try 1 of {TRIES}\): ZeroDivisionError"):
        sides.receiver.step()
