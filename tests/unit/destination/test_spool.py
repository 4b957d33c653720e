"""Packets on disk: in order, bounded, there after a crash; the link is emptied meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from eurydice_core.destination.intake import open_intake
from eurydice_core.destination.spool import Spool
from eurydice_core.errors import ServiceError, TransportError
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_core.private_files import Access

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


def test_a_packet_that_cannot_be_written_is_not_taken(tmp_path, monkeypatch):
    spool = Spool(tmp_path, LIMIT)

    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Access, "open_file", full)
    assert not spool.put(b"x")
    assert len(spool) == 0


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


def test_a_spooled_packet_stays_until_the_next_is_asked_for(tmp_path):
    link = Link([b"first", b"second"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=1) as intake:
        assert link.emptied.wait(10)
        assert (intake.receive(0), intake.receive(0)) == (b"first", b"second")
        assert Spool(tmp_path, LIMIT).first() == b"second", "a crash now gives it again"
        assert intake.receive(0) is None
        assert len(Spool(tmp_path, LIMIT)) == 0


def test_what_waits_in_memory_when_the_service_stops_is_there_at_the_next_start(tmp_path):
    link = Link([b"a", b"b"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=4):
        assert link.emptied.wait(10)
    with open_intake(Link([]), Spool(tmp_path, LIMIT), packets=4) as intake:
        assert drain(intake) == [b"a", b"b"]


def test_a_link_that_fails_for_a_moment_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("eurydice_core.destination.intake.RETRY_SECONDS", 0.0)
    link = Link([TransportError("the collector died"), b"after"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=1) as intake:
        assert link.emptied.wait(10)
        assert intake.receive(0) == b"after"


def test_memory_is_bounded_in_bytes_as_well_and_one_packet_always_fits(tmp_path):
    packets = [b"a" * 30, b"b" * 15, b"c" * 15, b"d" * 15]
    link = Link(list(packets))
    with open_intake(link, Spool(tmp_path, LIMIT), packets=10, size=20) as intake:
        assert link.emptied.wait(10)
        assert intake.counters()["spooled"] == 3
        assert drain(intake) == packets
        assert intake.counters()["spool_packets"] == 0
