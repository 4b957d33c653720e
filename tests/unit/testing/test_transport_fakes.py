"""The memory link keeps what a transport promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from eurydice_core.errors import LinkDown
from eurydice_core.interfaces.transport import PacketReceiver, Transport
from eurydice_core.testing.fakes.transport import MemoryTransport
from eurydice_core.testing.transport import TransportConformance


class Truncating(MemoryTransport):
    """A link that carries no more than one datagram would."""

    def carry(self, packet: bytes) -> None:
        super().carry(packet[:65507])


class Repeating(MemoryTransport):
    """A link that hands everything over twice."""

    def carry(self, packet: bytes) -> None:
        super().carry(packet)
        super().carry(packet)


class Leaking(MemoryTransport):
    """A link whose receiver leaves a file open."""

    def __init__(self) -> None:
        super().__init__()
        self.leaks: list[BinaryIO] = []

    @contextmanager
    def receiver(self) -> Iterator[PacketReceiver]:
        self.leaks.append(Path("/dev/null").open("rb"))  # noqa: SIM115 (that is the fault)
        with super().receiver() as receiver:
            yield receiver


class TestMemoryTransport(TransportConformance):
    detects_link_down = True

    @pytest.fixture
    def transport(self) -> Transport:
        return MemoryTransport()

    def receiver_address(self, transport: Transport) -> str:
        return "memory link"

    def inject(self, transport: Transport, data: bytes) -> bool:
        assert isinstance(transport, MemoryTransport)
        transport.carry(data)
        return True


def test_link_that_is_down_takes_nothing() -> None:
    link = MemoryTransport()
    link.down = True
    with link.receiver() as receiver, link.sender() as sender:
        with pytest.raises(LinkDown):
            sender.send(b"packet")
        link.down = False
        sender.send(b"packet")
        assert receiver.receive(1) == b"packet"


def test_full_link_takes_nothing_more() -> None:
    link = MemoryTransport(capacity=1)
    with link.receiver(), link.sender() as sender:
        sender.send(b"first")
        with pytest.raises(LinkDown):
            sender.send(b"second")


def test_kit_finds_a_test_that_was_overridden() -> None:
    class Lax(TransportConformance):
        def test_counters_move(self, transport: Transport) -> None:
            pass

    with pytest.raises(AssertionError, match="test_counters_move"):
        Lax().test_no_inherited_test_is_overridden_without_a_reason()


def test_kit_lets_a_known_failure_be_marked() -> None:
    class Honest(TransportConformance):
        @pytest.mark.xfail(reason="counts nothing yet")
        def test_counters_move(self, transport: Transport) -> None:
            pass

    Honest().test_no_inherited_test_is_overridden_without_a_reason()


def test_kit_finds_a_packet_cut_short() -> None:
    with pytest.raises(AssertionError, match="received"):
        TransportConformance().test_packet_crosses_whole(Truncating(), 2**20)


def test_kit_finds_a_packet_that_comes_twice() -> None:
    with pytest.raises(AssertionError):
        TransportConformance().test_nothing_more_comes_than_was_sent(Repeating())


def test_kit_finds_a_file_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eurydice_core.testing.transport.CLOSING_SECONDS", 0)
    leaking = Leaking()
    with pytest.raises(AssertionError):
        TransportConformance().test_closing_leaves_nothing_behind(leaking)
    for leak in leaking.leaks:
        leak.close()
