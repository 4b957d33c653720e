"""The receiver takes what is whole, bounds everything, and stops for nothing."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from loguru import logger

from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_transport_lidi import LidiTransport, Settings

OpenReceiver = Callable[..., tuple[PacketReceiver, int]]


@pytest.fixture
def open_receiver() -> Iterator[OpenReceiver]:
    with ExitStack() as stack:

        def open_one(**settings: float) -> tuple[PacketReceiver, int]:
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
            transport = LidiTransport(Settings(packet_receiver_port=port, **settings))
            return stack.enter_context(transport.receiver()), port

        yield open_one


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def deliver(port: int, packet: bytes) -> None:
    with connect(port) as peer:
        peer.sendall(packet)


def wait_until_closed(peer: socket.socket) -> None:
    with suppress(ConnectionResetError):  # closed with bytes of ours unread
        assert peer.recv(1) == b""


def send_for_ever(peer: socket.socket) -> None:
    while True:
        peer.sendall(b".")


def wait_for(receiver: PacketReceiver, counter: str, value: int) -> None:
    deadline = time.monotonic() + 10
    while receiver.counters()[counter] != value:
        assert time.monotonic() < deadline, receiver.counters()


def test_connections_are_read_at_the_same_time(open_receiver):
    receiver, port = open_receiver()
    with connect(port) as slow, connect(port) as quick:
        slow.sendall(b"slow, ")
        quick.sendall(b"quick")
        quick.shutdown(socket.SHUT_WR)
        assert receiver.receive(10) == b"quick"
        slow.sendall(b"but whole")
        slow.shutdown(socket.SHUT_WR)
        assert receiver.receive(10) == b"slow, but whole"


def test_connection_without_bytes_is_counted_and_ignored(open_receiver):
    receiver, port = open_receiver()
    deliver(port, b"")
    deliver(port, b"packet")
    assert receiver.receive(10) == b"packet"
    counted = {"packets": 1, "bytes": 6, "dropped": 0, "empty": 1, "refused": 0}
    assert receiver.counters() == counted


def test_too_long_packet_is_dropped_and_the_next_one_taken(open_receiver):
    receiver, port = open_receiver(max_packet=1000)
    with connect(port) as peer:
        peer.sendall(bytes(1001))
        wait_until_closed(peer)
    deliver(port, bytes(1000))
    assert receiver.receive(10) == bytes(1000)
    assert receiver.counters()["dropped"] == 1


def test_connection_that_breaks_is_dropped(open_receiver):
    receiver, port = open_receiver()
    with connect(port) as peer:
        peer.sendall(b"half")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    deliver(port, b"whole")
    assert receiver.receive(10) == b"whole"
    wait_for(receiver, "dropped", 1)


def test_silent_peer_is_dropped(open_receiver):
    receiver, port = open_receiver(read_timeout=0.05)
    with connect(port) as peer:
        peer.sendall(b"half")
        wait_until_closed(peer)
    assert receiver.counters()["dropped"] == 1
    assert receiver.receive(0) is None


def test_peer_that_trickles_for_ever_is_dropped(open_receiver):
    receiver, port = open_receiver(packet_timeout=0.05)
    with connect(port) as peer, pytest.raises(ConnectionError):
        send_for_ever(peer)
    wait_for(receiver, "dropped", 1)


def test_lidir_waits_while_there_is_no_room(open_receiver):
    receiver, port = open_receiver(receiver_buffer_max_items=1)
    deliver(port, b"first")
    wait_for(receiver, "packets", 1)
    with connect(port) as peer:
        peer.sendall(b"second")
        peer.shutdown(socket.SHUT_WR)
        peer.settimeout(0.05)
        with pytest.raises(TimeoutError):  # nobody reads it, so nobody closes it
            peer.recv(1)
        assert receiver.receive(10) == b"first"
        assert receiver.receive(10) == b"second"
    assert receiver.counters()["dropped"] == 0


def test_listening_goes_on_when_files_ran_out(open_receiver, monkeypatch):
    monkeypatch.setattr("eurydice_transport_lidi.receiver.ACCEPT_AGAIN_SECONDS", 0.01)
    receiver, port = open_receiver()
    real_accept, failures = socket.socket.accept, [OSError(24, "Too many open files")]

    def accept(self):
        if failures:
            raise failures.pop()
        return real_accept(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    deliver(port, b"packet")
    assert receiver.receive(10) == b"packet"


def test_ipv6_address_may_be_listened_on(open_receiver):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    receiver, port = open_receiver(packet_receiver_host="::1")
    with socket.create_connection(("::1", port), timeout=10) as peer:
        peer.sendall(b"packet")
    assert receiver.receive(10) == b"packet"


def test_slow_connections_give_way_to_one_that_waits(open_receiver, monkeypatch):
    monkeypatch.setattr("eurydice_transport_lidi.connection.FIRST_BYTE_SECONDS", 0.02)
    monkeypatch.setattr("eurydice_transport_lidi.connection.GRACE_SECONDS", 0.02)
    monkeypatch.setattr("eurydice_transport_lidi.receiver.WAITING_SECONDS", 0.02)
    receiver, port = open_receiver(receiver_buffer_max_items=2)
    with ExitStack() as stack:
        for first in (b"", b"x", b"", b"x", b"", b"x"):
            stack.enter_context(connect(port)).sendall(first)
        deliver(port, b"genuine")
        found = [receiver.receive(10) for _ in range(1)]
        while b"genuine" not in found:
            found.append(receiver.receive(10))
    assert b"genuine" in found


def test_connection_from_elsewhere_is_refused(open_receiver):
    lines = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    receiver, port = open_receiver(lidir_networks=["192.0.2.0/24"])
    for _ in range(20):
        with connect(port) as peer:
            wait_until_closed(peer)
    wait_for(receiver, "refused", 20)
    logger.remove(sink)
    assert [line for line in lines if "refused" in line] == [
        "connection from 127.0.0.1 refused: not in lidir_networks\n"
    ]


def test_connection_from_a_named_network_is_taken(open_receiver):
    receiver, port = open_receiver(lidir_networks=["127.0.0.0/8"])
    deliver(port, b"packet")
    assert receiver.receive(10) == b"packet"


def test_dropped_packets_cause_one_line_a_minute(open_receiver):
    lines = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    receiver, port = open_receiver(max_packet=1)
    for _ in range(20):
        with suppress(ConnectionError):
            deliver(port, b"too long")
    wait_for(receiver, "dropped", 20)
    logger.remove(sink)
    assert sum("dropped" in line for line in lines) == 1
