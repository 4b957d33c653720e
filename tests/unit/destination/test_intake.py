"""The intake goes on after every error of the link and of the spool, and keeps its packets."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from eurydice_core.destination import intake as intake_module
from eurydice_core.destination.intake import Intake, open_intake
from eurydice_core.destination.spool import Spool
from eurydice_core.errors import TransportError
from eurydice_core.interfaces.transport import PacketReceiver

LIMIT = 10_000
PATIENCE = 10.0


def failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Link(PacketReceiver):
    """Returns or raises what it is given; tells when all of it is gone."""

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
        return {"dropped": 0}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(intake_module, "LONGEST_RETRY", 0.001)


def drain(intake: Intake) -> list[bytes]:
    taken = []
    while (packet := intake.receive(0)) is not None:
        taken.append(bytes(packet))
        intake.acknowledge()
    return taken


ERRORS = [
    TransportError("the collector cannot be started"),
    *map(failure, (errno.EMFILE, errno.EAGAIN, errno.EROFS, errno.EIO, errno.ENOBUFS)),
    MemoryError(),
    ValueError("a bug of the transport"),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_link_that_fails_for_a_while_is_tried_again(tmp_path, error):
    link = Link([error, b"between", error, error, b"after"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=5) as intake:
        assert link.emptied.wait(PATIENCE)
        assert drain(intake) == [b"between", b"after"]
        assert intake.state().problems == []


def test_a_link_that_fails_is_a_problem_while_it_does(tmp_path):
    link = Link([])
    link.receive = lambda _seconds: (_ for _ in ()).throw(TransportError("port is gone"))
    with open_intake(link, Spool(tmp_path, LIMIT), packets=5) as intake:
        reached(lambda: intake.state().problems)
        assert intake.state().problems == ["no packet can be received: port is gone"]
        del link.receive
        reached(lambda: not intake.state().problems)


def test_a_transport_that_hangs_is_a_problem(tmp_path):
    now = [0.0]
    intake = Intake(Link([]), Spool(tmp_path, LIMIT), packets=1, monotonic=lambda: now[0])
    assert intake.state().problems == []
    now[0] = 31.0
    assert "the transport does not answer for 31.0 s" in intake.state().problems[0]


def test_the_thread_ends_after_the_same_bug_ten_times(tmp_path, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: ended.set())
    link = Link([KeyError("bug")] * 10 + [b"never"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=1):
        assert ended.wait(PATIENCE)


def reached(condition):
    """Wait for another thread."""
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("not reached")


@pytest.fixture
def disk(monkeypatch):
    """A switch that makes the spool's disk fail, reads, writes and removals alike."""

    class Disk:
        error: BaseException | None = None

        def break_with(self, error: BaseException) -> None:
            self.error = error

        def mend(self) -> None:
            self.error = None

    state = Disk()

    def wrap(owner, name):
        real = getattr(owner, name)

        def call(*arguments, **options):
            if state.error is not None:
                raise state.error
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, call)

    wrap(os, "open")
    for name in ("read_bytes", "rename", "unlink"):
        wrap(Path, name)
    return state


NUMBERS = (errno.EROFS, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ESTALE)


@pytest.mark.parametrize(
    "error", [*map(failure, (*NUMBERS, errno.ESTALE)), MemoryError()], ids=repr
)
def test_nothing_is_lost_while_the_spool_fails(tmp_path, disk, error):
    packets = [bytes([number]) * 10 for number in range(20)]
    link = Link(packets[:6])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=2) as intake:
        assert link.emptied.wait(PATIENCE)  # two in memory, four on the disk
        disk.break_with(error)
        link.items += packets[6:]
        reached(lambda: intake.state().problems)  # its memory is full: the link has to wait
        taken = [intake.receive(0)]
        intake.acknowledge()
        taken.append(intake.receive(0))
        intake.acknowledge()
        link.emptied.clear()
        disk.mend()
        assert link.emptied.wait(PATIENCE)
        taken += drain(intake)
        assert sorted(taken) == packets
        assert intake.counters().get("dropped", 0) == 0
        reached(lambda: not intake.state().problems)


def test_packets_wait_in_memory_while_the_spool_fails(tmp_path, disk):
    link = Link([b"1" * 10, b"2" * 10, b"3" * 10])
    intake = Intake(link, Spool(tmp_path, LIMIT), packets=2)
    for _ in range(2):
        intake._collect_one()
    disk.break_with(failure(errno.EROFS))
    with pytest.raises(OSError, match="Read-only"):
        intake._collect_one()
    assert intake.receive(0) == b"1" * 10
    intake._collect_one()
    disk.mend()
    intake.acknowledge()
    assert drain(intake) == [b"2" * 10, b"3" * 10]


def test_stopping_without_a_disk_raises_nothing(tmp_path, disk):
    link = Link([b"a", b"b"])
    with open_intake(link, Spool(tmp_path, LIMIT), packets=2):
        assert link.emptied.wait(PATIENCE)
        disk.break_with(failure(errno.EROFS))


def test_a_packet_put_back_from_memory_is_spooled(tmp_path):
    intake = Intake(Link([b"poison", b"good"]), Spool(tmp_path, LIMIT), packets=2)
    for _ in range(2):
        intake._collect_one()
    assert intake.receive(0) == b"poison"
    assert intake.put_back()
    assert drain(intake) == [b"good", b"poison"]


def test_losses_are_shown_for_a_while(tmp_path):
    now = [0.0]
    link = Link([b"x" * 60] * 4)
    intake = Intake(link, Spool(tmp_path, 100), packets=1, monotonic=lambda: now[0])
    for _ in range(4):
        intake._collect_one()
    assert intake.counters()["dropped"] == 2
    (warning,) = intake.state().warnings
    assert warning.startswith("2 packets were dropped")
    now[0] = 901.0
    assert intake.state().warnings == []
