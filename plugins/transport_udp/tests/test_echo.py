"""Short disturbances, most of all after silence, cost no packet of any size."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from udp_far_end import FarEnd

from eurydice_core.testing.diode import Faults, diode_process
from eurydice_transport_udp import Settings, UdpTransport
from eurydice_transport_udp.codec import choose_codec
from eurydice_transport_udp.echo import HEAD_DATAGRAMS, MAX_WAITING, SILENCE_SECONDS, Echoes
from eurydice_transport_udp.encoder import PacketEncoder
from eurydice_transport_udp.wire import Bytes

WAIT = 20.0
LOST = 91
SIZES = [1, 70_000, 1_000_000, 3_500_000, 33_000_000]


class NearEnd:
    """A sender without sockets or threads, its clock in the hands of the test."""

    def __init__(self, **settings: int) -> None:
        self.now = 0.0
        self.echoes = Echoes(clock=lambda: self.now)
        self._encoder = PacketEncoder(Settings(**settings).plan(), choose_codec("leopard"), 1)
        self._number = 0

    def packet(self, data: bytes) -> Iterator[bytes]:
        layout = self._encoder.layout(self._number, len(data))
        self._number += 1
        self.echoes.begin(layout)
        for datagrams in self._encoder.datagrams(layout, data):
            yield from self._sent(datagrams)
            self.echoes.sent(datagrams)

    def wait(self, seconds: float) -> Iterator[bytes]:
        """Let time pass on an idle link, and yield the echoes that leave meanwhile."""
        end = self.now + seconds
        while (due := self.echoes.next_due()) is not None and due <= end:
            self.now = max(due, self.now)
            for datagrams in self.echoes.take_due():
                yield from self._sent(datagrams)
        self.now = end

    @staticmethod
    def _sent(datagrams: Bytes) -> Iterator[bytes]:
        return (row.tobytes() for row in datagrams)


@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("size", SIZES)
def test_first_datagrams_after_silence_may_be_lost(size: int, mtu: int) -> None:
    near, far = NearEnd(mtu=mtu), FarEnd(max_packet=64 << 20)
    for number in range(3):
        near.now += 2 * SILENCE_SECONDS
        data = random.Random(number).randbytes(size)
        sent = [*near.packet(data), *near.wait(0.2)]
        far.hear(sent[LOST:], near.now)
        far.consume()
        assert far.packets.pop() == data
    far.arena.close()


@pytest.mark.parametrize("size", [1, 1400, 10_000])
def test_burst_that_takes_a_small_packet_with_its_repair_costs_nothing(size: int) -> None:
    near, far = NearEnd(), FarEnd()
    [*near.packet(bytes(100)), *near.wait(0.2)]
    data = random.Random(1).randbytes(size)
    list(near.packet(data))  # all of it is lost
    far.hear(list(near.wait(0.2)), near.now)
    far.consume()
    assert data in far.packets
    far.arena.close()


def test_echoes_cost_a_busy_link_nothing() -> None:
    near = NearEnd()
    list(near.packet(bytes(33_000_000)))
    echoed = 0
    for _ in range(1000):
        list(near.packet(bytes(1000)))
        near.now += 0.001
        echoed += sum(len(rows) for rows in near.echoes.take_due())
    assert echoed <= 2 * HEAD_DATAGRAMS  # those of the silence before
    assert len(near.echoes._waiting) <= MAX_WAITING + 1


def test_nothing_is_kept_once_it_was_sent_again() -> None:
    near = NearEnd()
    for size in SIZES:
        list(near.packet(bytes(size)))
        near.now += 2
    assert list(near.wait(1))
    assert near.echoes.next_due() is None
    assert not list(near.wait(10))


def test_silence_costs_a_bounded_number_of_datagrams() -> None:
    near = NearEnd()
    for size in SIZES:
        near.now += 10
        list(near.packet(bytes(size)))
        assert len(list(near.wait(1))) <= 2 * HEAD_DATAGRAMS


def test_link_that_repairs_by_itself_gets_no_echoes() -> None:
    near = NearEnd(repair=0)
    list(near.packet(bytes(1000)))
    assert near.echoes.next_due() is None


def test_closing_sends_what_waits() -> None:
    near, far = NearEnd(), FarEnd()
    list(near.packet(b"last words"))
    far.hear([row.tobytes() for rows in near.echoes.take_due(at_once=True) for row in rows])
    far.consume()
    assert far.packets == [b"last words"]
    assert near.echoes.next_due() is None
    far.arena.close()


def test_every_packet_crosses_a_diode_that_falls_asleep() -> None:
    ports = unused_ports()
    faults = Faults(lost_after_silence=LOST, silence=0.4)
    receiving = UdpTransport(Settings(bind="127.0.0.1", port=ports[1], reassembly_timeout=5))
    sending = UdpTransport(Settings(port=ports[0]))
    with ExitStack() as stack:
        listen, forward = ("127.0.0.1", ports[0]), ("127.0.0.1", ports[1])
        stack.enter_context(diode_process(listen=listen, forward=forward, faults=faults))
        receiver = stack.enter_context(receiving.receiver())
        sender = stack.enter_context(sending.sender())
        for number, size in enumerate((1, 70_000, 1_000_000)):
            data = random.Random(number).randbytes(size)
            sender.send(data)
            assert bytes(receiver.receive(WAIT) or b"") == data
            assert receiver.receive(SILENCE_SECONDS) is None
        assert sender.counters()["echoes"] > 0


def unused_ports() -> list[int]:
    with ExitStack() as stack:
        ports = []
        for _ in range(2):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
        return ports
