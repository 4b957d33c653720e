"""Sealed packets through the emulated diode, into one receiver that has to survive it all.

`DIODE_SEEDS=1000 pytest tests/e2e/test_link_faults.py` tries that many seeds of everything
instead of a few.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from loguru import logger

from eurydice_core.errors import SealBroken
from eurydice_core.interfaces.transport import PacketReceiver, PacketSender
from eurydice_core.protocol.elements import TransferablePart
from eurydice_core.protocol.packet import PacketBuilder, open_packet
from eurydice_core.testing.diode import EmulatedDiode, Fault, Faults, Incident, Trace
from eurydice_transport_udp import Settings, UdpTransport
from eurydice_transport_udp.codec import choose_codec
from eurydice_transport_udp.encoder import PacketEncoder

pytestmark = pytest.mark.e2e

SEEDS = range(int(os.environ.get("DIODE_SEEDS", "3")))
KEY = bytes(range(32))
LOCAL = ("127.0.0.1", 0)
MIB = 1 << 20
WAIT = 20.0
SILENCE = 0.3
"""Seconds after which the receiver gives a packet up."""
WIRE = 1.18
"""Bytes on the wire for each of a packet, at least: headers and 10 % of repair."""


def sealed(size: int, seed: int = 0) -> bytes:
    """Return a packet as the origin's sender makes it."""
    part = TransferablePart(
        id=uuid.UUID(int=seed),
        profile=bytes(8),
        name="file",
        metadata={},
        size=size,
        piece_size=max(1, size),
        sha1=None,
        sha256=None,
        ranges=[(0, size)],
    )
    builder = PacketBuilder(stream=uuid.UUID(int=1), sequence=seed, sent_at_ms=0, parts=[part])
    builder.slots[0][:] = random.Random(seed).randbytes(size)
    return bytes(builder.sealed(KEY))


def transport(port: int, **settings: Any) -> UdpTransport:
    checked: dict[str, Any] = {"rate": 800, "reassembly_timeout": SILENCE, "buffer_packets": 16}
    return UdpTransport(
        Settings.model_validate({"bind": "127.0.0.1", "port": port, **checked, **settings})
    )


def unused_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(LOCAL)
        port: int = sock.getsockname()[1]
    return port


class FarSide:
    """The one receiver of this module; what it counted before a test does not matter."""

    def __init__(self, receiver: PacketReceiver, port: int) -> None:
        self.port = port
        self.address = ("127.0.0.1", port)
        self._receiver = receiver
        self._before: dict[str, int] = {}
        self._markers = 0

    def begin(self) -> None:
        while self._receiver.receive(0) is not None:
            pass
        self._before = dict(self._receiver.counters())

    def counted(self, name: str) -> int:
        return self._receiver.counters()[name] - self._before.get(name, 0)

    def receive(self, seconds: float = WAIT) -> bytes | None:
        packet = self._receiver.receive(seconds)
        return None if packet is None else bytes(packet)

    def settled(self, packets: int) -> list[bytes]:
        """Return what came, once so many packets came or were lost and it has seen a marker.

        The marker comes by a link of its own that nothing happens to, and shows that the
        receiver lives.
        """
        self._markers += 1
        marker = sealed(100, 1_000_000 + self._markers)
        with transport(self.port).sender() as sender:
            sender.send(marker)
        found: list[bytes] = []
        deadline = time.monotonic() + WAIT
        patience = time.monotonic() + 3 * SILENCE
        while time.monotonic() < deadline:
            packet = self._receiver.receive(SILENCE / 4)
            if packet is not None:
                found.append(bytes(packet))
            ended = len(found) + self.counted("lost_packets") > packets
            if marker in found and (ended or time.monotonic() > patience):
                break
        found.remove(marker)
        return found


@pytest.fixture(scope="module")
def one_receiver() -> Iterator[FarSide]:
    port = unused_port()
    with transport(port).receiver() as receiver:
        yield FarSide(receiver, port)


@pytest.fixture
def far(one_receiver: FarSide) -> Iterator[FarSide]:
    one_receiver.begin()
    yield one_receiver
    assert one_receiver.counted("dropped") == 0
    assert one_receiver.counted("kernel_drops") == 0


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    yield lines
    logger.remove(sink)


@contextmanager
def link(far: FarSide, faults: Faults | Trace, **settings: Any) -> Iterator[PacketSender]:
    """Yield a sender that reaches the receiver through a diode; at the end all went through."""
    with EmulatedDiode(LOCAL, far.address, faults) as diode:
        with diode.running(), transport(diode.address[1], **settings).sender() as sender:
            yield sender
        assert diode.counts()["kernel_drops"] == 0


def datagrams_of(packet: bytes, *, number: int = 0, instance: int = 77) -> list[bytes]:
    encoder = PacketEncoder(Settings().plan(), choose_codec("auto"), instance)
    arrays = encoder.datagrams(encoder.layout(number, len(packet)), packet)
    return [row.tobytes() for array in arrays for row in array]


def post(far: FarSide, datagrams: list[bytes]) -> None:
    """Put datagrams on the link by hand."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for datagram in datagrams:
            sock.sendto(datagram, far.address)


HARMLESS: dict[str, Callable[[int], Faults]] = {
    "nothing": lambda seed: Faults(),
    "3 % random loss": lambda seed: Faults(loss=0.03, seed=seed),
    "a burst of 8 %": lambda seed: Faults(
        burst_bytes=int(0.08 * 2 * MIB), burst_every=int(WIRE * 2 * MIB), seed=seed
    ),
    "duplicates": lambda seed: Faults(duplicate=0.3, seed=seed),
    "reordering": lambda seed: Faults(reorder=0.3, reorder_by=400, seed=seed),
    "damage": lambda seed: Faults(corrupt=0.03, seed=seed),
    "truncation": lambda seed: Faults(truncate=0.03, seed=seed),
    "a stall": lambda seed: Faults(stalls=[(0.0, 0.05), (0.06, 0.1)], seed=seed),
    "all of it": lambda seed: Faults(
        loss=0.01, duplicate=0.1, reorder=0.1, corrupt=0.01, truncate=0.01, seed=seed
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", HARMLESS)
def test_costs_nothing(far: FarSide, kind: str, seed: int) -> None:
    packet = sealed(2 * MIB, seed)
    with link(far, HARMLESS[kind](seed)) as sender:
        sender.send(packet)
    assert far.settled(1) == [packet]
    assert open_packet(packet, KEY).sequence == seed
    assert far.counted("lost_packets") == 0


@pytest.mark.parametrize(
    "faults",
    [
        Faults(loss=0.03, seed=1),
        Faults(burst_bytes=int(0.08 * 32 * MIB), burst_every=int(WIRE * 32 * MIB), seed=1),
    ],
    ids=["3 % random loss", "a burst of 8 %"],
)
def test_costs_a_packet_of_32_mib_nothing(far: FarSide, faults: Faults) -> None:
    packet = sealed(32 * MIB)
    with link(far, faults) as sender:
        sender.send(packet)
    assert far.settled(1) == [packet]
    assert far.counted("repaired") > 400


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_nothing_wrong_comes_and_the_next_packet_flows(
    far: FarSide, seed: int
) -> None:
    chance = random.Random(seed)
    faults = Faults(
        loss=chance.random() * 0.1,
        burst_bytes=chance.randrange(200_000),
        burst_every=500_000,
        duplicate=chance.random() * 0.2,
        reorder=chance.random() * 0.2,
        reorder_by=chance.randint(1, 2000),
        corrupt=chance.random() * 0.05,
        truncate=chance.random() * 0.05,
        seed=seed,
    )
    packets = [sealed(chance.choice([0, 500, 30_000, 500_000]), n) for n in range(6)]
    with link(far, faults) as sender:
        for packet in packets:
            sender.send(packet)
    found = far.settled(len(packets))
    assert all(packet in packets for packet in found)
    assert len(set(found)) == len(found)
    assert len(found) + far.counted("lost_packets") <= len(packets)


def test_packet_that_cannot_be_repaired_costs_itself_alone(far: FarSide) -> None:
    packets = [sealed(500_000, number) for number in range(5)]
    each = len(datagrams_of(packets[0]))
    with link(far, Trace([Incident(2 * each + 50, Fault.LOSE, each // 3)])) as sender:
        for packet in packets:
            sender.send(packet)
    assert far.settled(5) == packets[:2] + packets[3:]
    assert far.counted("lost_packets") == 1


def test_cut_costs_what_was_sent_during_it(far: FarSide) -> None:
    packets = [sealed(500_000, number) for number in range(8)]
    with link(far, Faults(cuts=[(0.02, 0.04)]), rate=100) as sender:
        for packet in packets:
            sender.send(packet)
    found = far.settled(8)
    assert packets[-1] in found
    assert 8 > len(found) >= 6
    assert far.counted("lost_packets") + len(found) == 8


def test_repeated_cuts_leave_the_receiver_able_to_receive(far: FarSide) -> None:
    cuts = [(at / 100, at / 100 + 0.005) for at in range(0, 100, 2)]
    with link(far, Faults(cuts=cuts), rate=200) as sender:
        for number in range(10):
            sender.send(sealed(300_000, number))
    far.settled(10)
    packet = sealed(300_000, 99)
    with link(far, Faults()) as sender:
        sender.send(packet)
    assert packet in far.settled(1)


def test_replayed_datagrams_bring_no_second_packet(far: FarSide) -> None:
    packet = sealed(200_000)
    sent = datagrams_of(packet, instance=random.getrandbits(64))
    post(far, sent * 3)
    assert far.settled(1) == [packet]
    assert far.counted("packets") == 2  # and the marker
    assert far.counted("surplus") >= 2 * len(sent)


def test_forged_content_in_the_place_of_ours_does_not_pass_the_seal(far: FarSide) -> None:
    instance = random.getrandbits(64)
    packet = sealed(200_000)
    forged = bytearray(packet)
    forged[150_000] ^= 1
    genuine = datagrams_of(packet, instance=instance)
    post(far, [datagrams_of(bytes(forged), instance=instance)[150_000 // 1408], *genuine])
    (found,) = far.settled(1)
    with pytest.raises(SealBroken):
        open_packet(found, KEY)


def test_forged_facts_cost_only_themselves(far: FarSide) -> None:
    packet = sealed(200_000)
    strangers = [datagrams_of(sealed(100_000, n), number=n, instance=n)[n] for n in range(50)]
    genuine = datagrams_of(packet, instance=random.getrandbits(64))
    post(far, [datagram for pair in zip(genuine, strangers, strict=False) for datagram in pair][:8])
    post(far, genuine)
    assert packet in far.settled(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_changes_nothing(far: FarSide, seed: int) -> None:
    chance = random.Random(seed)
    packet = sealed(200_000, seed)
    genuine = datagrams_of(packet, instance=random.getrandbits(64))
    noise = [chance.randbytes(chance.choice([0, 1, 48, 112, 1456, 9000])) for _ in range(100)]
    foreign = [b"EUDL\x02" + datagram[5:] for datagram in genuine[:20]]
    mixed = genuine + noise + foreign
    chance.shuffle(mixed)
    post(far, mixed)
    assert far.settled(1) == [packet]
    assert far.counted("refused") == 120


SEND_SLOWLY = """
import sys
from eurydice_transport_udp import Settings, UdpTransport
with UdpTransport(Settings(port=int(sys.argv[1]), rate=50)).sender() as sender:
    sender.send(bytes(8_000_000))
"""


def test_sender_killed_in_the_middle_of_a_packet_costs_that_packet(far: FarSide) -> None:
    packet = sealed(200_000)
    with EmulatedDiode(LOCAL, far.address) as diode, diode.running():
        command = [sys.executable, "-c", SEND_SLOWLY, str(diode.address[1])]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + WAIT
            while far.counted("datagrams") < 100:
                assert time.monotonic() < deadline, "the sender does not send"
            process.send_signal(signal.SIGKILL)
        with transport(diode.address[1]).sender() as sender:
            sender.send(packet)
        assert far.settled(2) == [packet]
    assert far.counted("lost_packets") == 1
    assert far.counted("rival_datagrams") == 0


def test_receiver_that_comes_late_gets_the_next_packet(log: list[str]) -> None:
    early, late = sealed(4_000_000, 1), sealed(50_000, 2)  # echoes would complete a smaller one
    port = unused_port()
    with (
        EmulatedDiode(LOCAL, ("127.0.0.1", port)) as diode,
        diode.running(),
        transport(diode.address[1], rate=20).sender() as sender,
    ):
        sending = threading.Thread(target=lambda: [sender.send(early), sender.send(late)])
        sending.start()
        deadline = time.monotonic() + WAIT
        while diode.counts()["datagrams"] < 500:
            assert time.monotonic() < deadline, "nothing is sent"
        with transport(port).receiver() as receiver:
            packet = receiver.receive(WAIT)
            sending.join()
            assert packet is not None
            assert bytes(packet) == late
            while not any("lost" in line for line in log):
                assert time.monotonic() < deadline
                assert receiver.receive(SILENCE) is None
    (line,) = (line for line in log if "lost" in line)
    assert line.startswith("packet 0 of")


def test_second_sender_at_one_port_is_refused_and_named(far: FarSide, log: list[str]) -> None:
    with transport(far.port).sender() as one, transport(far.port).sender() as other:
        deadline = time.monotonic() + WAIT
        number = 0
        while not any("two senders use port" in line for line in log):
            assert time.monotonic() < deadline, far.counted("rival_datagrams")
            for sender in (one, other):
                packet = sealed(50_000, number)
                sender.send(packet)
                number += 1
                came = far.receive(WAIT if sender is one else SILENCE / 4)
                assert came == packet or (sender is other and came is None)
        rival = sealed(60_000, number)
        other.send(rival)
        wanted = sealed(70_000, number + 1)
        one.send(wanted)
        assert far.receive() == wanted
    assert far.counted("rival_datagrams") > 0
    assert far.counted("links") == 2
    (line,) = (line for line in log if "two senders" in line)
    assert line.count("from 127.0.0.1:") == 2
    assert "is refused" in line
