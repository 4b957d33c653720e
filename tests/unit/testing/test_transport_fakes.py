"""The memory link keeps what a transport promises."""

from __future__ import annotations

import pytest

from eurydice_core.errors import LinkDown
from eurydice_core.interfaces.transport import Transport
from eurydice_core.testing.fakes.transport import MemoryTransport
from eurydice_core.testing.transport import TransportConformance


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
