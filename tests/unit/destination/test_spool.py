"""Packets on disk: in order, bounded, there after a crash; the link is emptied meanwhile."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from eurydice_core.destination.intake import open_intake
from eurydice_core.destination.spool import Spool
from eurydice_core.errors import ServiceError
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.outages import describe

LIMIT = 100


class SpoolMachine(RuleBasedStateMachine):
    """A spool beside a list, with crashes at any moment."""

    @initialize()
    def begin(self):
        self.directory = Path(mkdtemp(dir=SpoolMachine.root))
        self.spool = Spool(self.directory, LIMIT)
        self.model: list[bytes] = []

    @rule(packet=st.binary(max_size=60))
    def put(self, packet):
        room = sum(map(len, self.model)) + len(packet) <= LIMIT
        assert self.spool.put(packet) == room
        if room:
            self.model.append(packet)

    @rule()
    def take_in(self):
        first = self.spool.first()
        assert first == (self.model[0] if self.model else None)
        if first is not None:
            self.spool.drop_first()
            self.model.pop(0)

    @rule()
    def crash(self):
        self.spool = Spool(self.directory, LIMIT)

    @invariant()
    def agrees(self):
        assert len(self.spool) == len(self.model)
        assert self.spool.size == sum(map(len, self.model))


SpoolMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


class TestSpool(SpoolMachine.TestCase):
    @pytest.fixture(autouse=True)
    def _root(self, tmp_path):
        SpoolMachine.root = tmp_path


def test_a_directory_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match="cannot be used"):
        Spool(tmp_path / "file" / "spool", LIMIT)


def fail_write(monkeypatch, number):
    """Let every write to a new file fail, and the removal of what was begun."""

    def fail(path: Path, *_: object, **__: object):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("eurydice_core.destination.spool.write_private", fail)
    monkeypatch.setattr(Path, "unlink", fail)


def test_each_failed_write_has_the_same_reason(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "spool", LIMIT)
    fail_write(monkeypatch, errno.EROFS)
    reasons = set()
    for _ in range(2):
        with pytest.raises(OSError, match="Read-only") as caught:
            spool.put(b"packet")
        reasons.add(describe(caught.value))
    assert reasons == {f"{tmp_path / 'spool'}: Read-only file system"}


def test_a_packet_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    spool = Spool(tmp_path, LIMIT)
    with monkeypatch.context() as broken:
        fail_write(broken, errno.EROFS)
        with pytest.raises(OSError, match="Read-only"):
            spool.put(b"x")
    assert (len(spool), spool.size) == (0, 0)
    assert spool.put(b"y")
    assert Spool(tmp_path, LIMIT).first() == b"y"


def test_a_half_written_packet_is_removed_at_start(tmp_path):
    (tmp_path / "000000000007.partial").write_bytes(b"half of")
    assert len(Spool(tmp_path, LIMIT)) == 0
    assert list(tmp_path.iterdir()) == []


def test_spooled_packets_are_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        Spool(tmp_path / "spool", LIMIT).put(b"content")
    finally:
        os.umask(before)
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_one_unreadable_packet_holds_up_no_other(tmp_path, monkeypatch):
    spool = Spool(tmp_path, LIMIT)
    for packet in (b"bad", b"good"):
        spool.put(packet)
    real = Path.read_bytes

    def read(self):
        if self.stem.endswith("0"):
            raise OSError(errno.EIO, "Input/output error")
        return real(self)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", read)
        assert spool.first() == b"good"
        spool.drop_first()
        with pytest.raises(OSError, match="Input/output"):
            spool.first()
    assert spool.first() == b"bad", "it stays, for the disk may answer again"


def test_an_ingested_packet_that_cannot_be_deleted_goes_later(tmp_path, monkeypatch):
    spool = Spool(tmp_path, LIMIT)
    spool.put(b"one")
    spool.put(b"two")
    spool.first()
    with monkeypatch.context() as broken:
        fail_write(broken, errno.EROFS)
        spool.drop_first()
    assert spool.first() == b"two"
    spool.drop_first()
    assert list(tmp_path.iterdir()) == []


def test_a_packet_put_off_comes_after_the_others(tmp_path):
    spool = Spool(tmp_path, LIMIT)
    for packet in (b"poison", b"good"):
        spool.put(packet)
    spool.first()
    spool.put_off()
    assert spool.first() == b"good"


class Link(PacketReceiver):
    """Hands out what it is given, and says when it was emptied."""

    def __init__(self, items: list[object]) -> None:
        self.items = items
        self.emptied = threading.Event()

    def receive(self, timeout_seconds):
        if not self.items:
            self.emptied.set()
            threading.Event().wait(min(timeout_seconds, 0.01))
            return None
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def counters(self):
        return {"packets": 7}


def drain(intake) -> list[bytes]:
    taken = []
    while (packet := intake.receive(0)) is not None:
        taken.append(bytes(packet))
        intake.acknowledge()
    return taken


def test_what_ingestion_does_not_take_waits_in_memory_and_then_on_disk_in_order(tmp_path):
    packets = [bytes([number]) * 10 for number in range(8)]
    link = Link(list(packets))
    with open_intake(link, Spool(tmp_path, LIMIT), packets=2) as intake:
        assert link.emptied.wait(10)
        counters = intake.counters()
        assert (counters["spooled"], counters["spool_packets"], counters["packets"]) == (6, 6, 7)
        assert drain(intake) == packets
        assert intake.counters()["spool_bytes"] == 0
    assert list(tmp_path.iterdir()) == []


def test_beyond_the_limit_the_newest_is_dropped_and_counted(tmp_path):
    packets = [bytes([number]) * 30 for number in range(8)]
    link = Link(list(packets))
    with open_intake(link, Spool(tmp_path, LIMIT), packets=2) as intake:
        assert link.emptied.wait(10)
        assert intake.counters()["dropped"] == 3
        assert drain(intake) == packets[:5]


def test_a_spooled_packet_stays_until_it_is_acknowledged(tmp_path):
    link = Link([b"first", b"second"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=1) as intake:
        assert link.emptied.wait(10)
        assert intake.receive(0) == b"first"
        intake.acknowledge()
        assert intake.receive(0) == b"second"
        assert Spool(tmp_path, LIMIT).first() == b"second", "a crash now gives it again"
        intake.acknowledge()
        assert intake.receive(0) is None
        assert len(Spool(tmp_path, LIMIT)) == 0


def test_a_packet_not_acknowledged_when_stopping_is_spooled(tmp_path):
    link = Link([b"in work", b"waits"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=4) as intake:
        assert link.emptied.wait(10)
        assert intake.receive(0) == b"in work"
    with open_intake(Link([]), Spool(tmp_path, LIMIT), packets=4) as intake:
        assert drain(intake) == [b"in work", b"waits"]


def test_what_waits_in_memory_when_the_service_stops_is_there_at_the_next_start(tmp_path):
    link = Link([b"a", b"b"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=4):
        assert link.emptied.wait(10)
    with open_intake(Link([]), Spool(tmp_path, LIMIT), packets=4) as intake:
        assert drain(intake) == [b"a", b"b"]


def test_memory_is_bounded_in_bytes_as_well_and_one_packet_always_fits(tmp_path):
    packets = [b"a" * 30, b"b" * 15, b"c" * 15, b"d" * 15]
    link = Link(list(packets))
    with open_intake(link, Spool(tmp_path, LIMIT), packets=10, size=20) as intake:
        assert link.emptied.wait(10)
        assert intake.counters()["spooled"] == 3
        assert drain(intake) == packets
        assert intake.counters()["spool_packets"] == 0
