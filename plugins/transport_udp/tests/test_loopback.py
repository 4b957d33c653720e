"""Real sockets and the real collecting process."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from eurydice_core.errors import TransportError
from eurydice_core.interfaces.transport import PacketReceiver
from eurydice_transport_udp import Settings, UdpTransport
from eurydice_transport_udp.codec import choose_codec
from eurydice_transport_udp.encoder import PacketEncoder
from eurydice_transport_udp.receiver import UdpReceiver

WAIT = 20.0


def unused_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def transport(**settings: Any) -> UdpTransport:
    checked = {"bind": "127.0.0.1", "port": unused_port(), "reassembly_timeout": 0.2, **settings}
    return UdpTransport(Settings.model_validate(checked))


def received(receiver: PacketReceiver) -> bytes | None:
    packet = receiver.receive(WAIT)
    return None if packet is None else bytes(packet)


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    yield lines
    logger.remove(sink)


@pytest.mark.parametrize(
    "settings",
    [{}, {"mtu": 9000}, {"mtu": 65535, "rate": 0}, {"codec": "raptorq"}, {"rate": 400}],
    ids=str,
)
def test_packet_crosses(settings: dict[str, Any]) -> None:
    packet = random.Random(1).randbytes(3_000_000)
    link = transport(**settings)
    with link.receiver() as receiver, link.sender() as sender:
        sender.send(packet)
        assert received(receiver) == packet
        assert receiver.counters()["lost_packets"] == 0


def test_packet_crosses_by_ipv6() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    link = transport(host="::1", bind="::1")
    with link.receiver() as receiver, link.sender() as sender:
        sender.send(b"seventeen bytes ..")
        assert received(receiver) == b"seventeen bytes .."


def test_packet_crosses_without_offload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eurydice_transport_udp.sender.MAX_SEGMENTS", 1)
    monkeypatch.setattr("eurydice_transport_udp.sockets.UDP_GRO", 9999)
    packet = random.Random(1).randbytes(1_000_000)
    link = transport()
    with link.receiver() as receiver, link.sender() as sender:
        sender.send(packet)
        assert received(receiver) == packet


def test_link_knows_what_it_carried() -> None:
    link = transport()
    with link.receiver() as receiver, link.sender() as sender:
        sender.send(bytes(1_000_000))
        assert received(receiver) == bytes(1_000_000)
        sent, got = sender.counters(), receiver.counters()
    assert (got["packets"], got["bytes"]) == (1, 1_000_000)
    assert got["datagrams"] <= sent["datagrams"]
    assert got["margin_percent"] == 100
    assert got["refused"] == got["kernel_drops"] == 0


def test_port_in_use_is_told_in_one_line() -> None:
    port = unused_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        with pytest.raises(TransportError) as failure, transport(port=port).receiver():
            pass
    assert str(failure.value) == (
        f"cannot listen on 127.0.0.1:{port}: address already in use; stop the other receiver,"
        " or set another [transport] port on both sides"
    )


def test_foreign_address_is_told() -> None:
    with (
        pytest.raises(TransportError, match=r"set \[transport\] bind to an address of this"),
        transport(bind="192.0.2.1").receiver(),
    ):
        pass


def await_count(receiver: PacketReceiver, name: str, count: int) -> None:
    """Look until the collecting process has counted that many."""
    deadline = time.monotonic() + WAIT
    while receiver.counters()[name] < count:
        assert time.monotonic() < deadline, receiver.counters()


def test_packet_nobody_took_in_time_is_dropped_and_told(log: list[str]) -> None:
    link = transport(buffer_packets=1)
    with link.receiver() as receiver, link.sender() as sender:
        for number in range(3):
            sender.send(bytes([number]) * 500)
        await_count(receiver, "dropped", 2)
        assert received(receiver) == bytes(500)
        sender.send(b"later")
        assert received(receiver) == b"later"
    assert sum("of 500 bytes dropped" in line for line in log) == 1  # a minute


def test_lost_packet_is_told_and_the_next_one_flows(log: list[str]) -> None:
    link = transport()
    packet = random.Random(1).randbytes(200_000)
    with link.receiver() as receiver, link.sender() as sender:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(first_datagram(packet), ("127.0.0.1", link._settings.port))
        await_count(receiver, "lost_packets", 1)
        sender.send(packet)
        assert received(receiver) == packet
    assert any("packet 7 of 200000 bytes lost: 142 of its 143 datagrams" in line for line in log)


def first_datagram(packet: bytes) -> bytes:
    encoder = PacketEncoder(Settings().plan(), choose_codec("leopard"), 99)
    array = next(encoder.datagrams(encoder.layout(7, len(packet)), packet))
    return array[0].tobytes()


def test_killed_collecting_process_is_replaced(log: list[str]) -> None:
    link = transport()
    with link.receiver() as receiver, link.sender() as sender:
        sender.send(b"before")
        assert received(receiver) == b"before"
        assert isinstance(receiver, UdpReceiver)
        os.kill(receiver._process._process.pid, signal.SIGKILL)
        receiver._process._process.wait()
        sender.send(b"after")
        # Repair of the first packet that nobody had read yet may make it come again.
        assert b"after" in iter(lambda: received(receiver), None)
        assert receiver.counters()["packets"] >= 2
    assert any("ended unexpectedly" in line for line in log)


def test_collecting_process_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    link = transport()
    with link.receiver() as receiver, link.sender() as sender:
        assert isinstance(receiver, UdpReceiver)
        os.kill(receiver._process._process.pid, signal.SIGKILL)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/bin/false")
            for _ in range(2):
                with pytest.raises(TransportError, match="did not start"):
                    receiver.receive(WAIT)
        sender.send(b"after")
        assert received(receiver) == b"after"


def test_refused_datagrams_are_told_once(log: list[str]) -> None:
    link = transport()
    with link.receiver() as receiver, link.sender() as sender:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(3):
                sock.sendto(b"not one of ours", ("127.0.0.1", link._settings.port))
        for text in (b"one", b"two"):
            sender.send(text)
            assert received(receiver) == text
        assert receiver.counters()["refused"] == 3
    assert sum("refused" in line for line in log) == 1


def test_small_receive_buffer_is_told(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eurydice_transport_udp.sockets.SO_RCVBUFFORCE", 9999)  # as without root
    with transport(receive_buffer="1GiB").receiver():
        pass
    assert sum("sysctl -w net.core.rmem_max=1073741824" in line for line in log) == 1


def test_collecting_process_ends_when_its_receiver_is_killed() -> None:
    port = unused_port()
    program = (
        "import sys\n"
        "from eurydice_transport_udp import Settings, UdpTransport\n"
        f"settings = Settings(bind='127.0.0.1', port={port}, reassembly_timeout=0.2)\n"
        "with UdpTransport(settings).receiver():\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        assert not is_free(port)
        process.kill()
    deadline = time.monotonic() + WAIT
    while not is_free(port):
        assert time.monotonic() < deadline, "the collecting process still holds the port"


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
