"""What every transport must do, as tests to inherit."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from eurydice_core.errors import LinkDown, TransportError
from eurydice_core.interfaces.storage import Buffer
from eurydice_core.interfaces.transport import PacketReceiver, PacketSender, Transport
from eurydice_core.testing.kit import ConformanceKit

__all__ = ["TransportConformance", "exchange"]

WAIT_SECONDS = 30.0
"""How long a packet that must come is waited for."""
QUIET_SECONDS = 0.02
"""How long a receiver is asked where nothing must come."""
CLOSING_SECONDS = 5.0
"""How long the far end of a link may take to close after ours."""

SIZES = [48, 1024, 64 * 1024, 64 * 1024 + 1, 5 * 2**20, 33 * 2**20]
GARBAGE_SIZES = [0, 1, 3, 47, 100, 1400, 9000]


class TransportConformance(ConformanceKit):
    """Packets cross whole, and nothing is left behind when an end closes.

    A subclass gives a fixture `transport`: one whose two ends are connected on this
    machine and lose nothing. Where its time-outs can be set, set them short.
    """

    exclusive_receiver = True
    """Whether a second receiver at the same address is refused."""
    detects_link_down = False
    """Whether `send` notices, within seconds, that nobody takes the packet."""

    def receiver_address(self, transport: Transport) -> str:
        """Return what the error of a second receiver must name, such as `127.0.0.1:65432`."""
        raise NotImplementedError("an exclusive receiver has an address: override this")

    def inject(self, transport: Transport, data: bytes) -> bool:
        """Send raw bytes to where the receiver listens; False where nobody could."""
        return False

    @pytest.mark.parametrize("size", SIZES)
    def test_packet_crosses_whole(self, transport: Transport, size: int) -> None:
        packet = random_bytes(size)
        with open_link(transport) as (sender, receiver):
            assert_same(exchange(sender, receiver, [packet]), [packet])

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_kind_of_buffer_is_taken(
        self, transport: Transport, kind: type[bytes | bytearray | memoryview]
    ) -> None:
        packet = random_bytes(70_000)
        with open_link(transport) as (sender, receiver):
            assert_same(exchange(sender, receiver, [kind(packet)]), [packet])

    def test_part_of_a_buffer_is_taken(self, transport: Transport) -> None:
        buffer = bytearray(random_bytes(5000))
        with open_link(transport) as (sender, receiver):
            received = exchange(sender, receiver, [memoryview(buffer)[100:2000]])
        assert_same(received, [bytes(buffer[100:2000])])

    def test_buffer_may_be_reused_once_sent(self, transport: Transport) -> None:
        buffer = bytearray(random_bytes(300_000))
        first = bytes(buffer)

        def send_and_overwrite(sender: PacketSender) -> None:
            sender.send(buffer)
            buffer[:] = bytes(len(buffer))

        with open_link(transport) as (sender, receiver), ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send_and_overwrite, sender)
            received = receive_all(receiver, 1)
            sending.result(WAIT_SECONDS)
        assert_same(received, [first])

    def test_received_packet_is_the_callers(self, transport: Transport) -> None:
        packets = [random_bytes(3000, seed) for seed in range(3)]
        with open_link(transport) as (sender, receiver):
            received = [exchange(sender, receiver, [packet])[0] for packet in packets]
        assert_same(received, packets)

    def test_many_packets_cross(self, transport: Transport) -> None:
        packets = [random_bytes(48 + 997 * seed, seed) for seed in range(24)]
        with open_link(transport) as (sender, receiver):
            assert_same(exchange(sender, receiver, packets), packets)

    def test_packet_sent_before_anybody_asks_waits(self, transport: Transport) -> None:
        packet = random_bytes(20_000)
        with open_link(transport) as (sender, receiver):
            sender.send(packet)
            assert_same(receive_all(receiver, 1), [packet])

    @pytest.mark.parametrize("timeout_seconds", [0.0, QUIET_SECONDS])
    def test_receive_gives_up_where_nothing_comes(
        self, transport: Transport, timeout_seconds: float
    ) -> None:
        with transport.receiver() as receiver:
            began = time.monotonic()
            assert receiver.receive(timeout_seconds) is None
            assert time.monotonic() - began < timeout_seconds + 5

    def test_nothing_more_comes_than_was_sent(self, transport: Transport) -> None:
        with open_link(transport) as (sender, receiver):
            exchange(sender, receiver, [random_bytes(4000)])
            assert receiver.receive(QUIET_SECONDS) is None

    def test_sender_may_open_first(self, transport: Transport) -> None:
        packet = random_bytes(4000)
        with transport.sender() as sender, transport.receiver() as receiver:
            assert_same(exchange(sender, receiver, [packet]), [packet])

    def test_sender_opens_again(self, transport: Transport) -> None:
        packets = [random_bytes(4000, seed) for seed in range(3)]
        received: list[Buffer] = []
        with transport.receiver() as receiver:
            for packet in packets:
                with transport.sender() as sender:
                    received += exchange(sender, receiver, [packet])
        assert_same(received, packets)

    def test_receiver_opens_again(self, transport: Transport) -> None:
        packets = [random_bytes(4000, seed) for seed in range(3)]
        with transport.sender() as sender:
            for packet in packets:
                with transport.receiver() as receiver, ThreadPoolExecutor(1) as pool:
                    sending = pool.submit(sender.send, packet)
                    # What was sent to an earlier receiver may come a second time.
                    assert receive_until(receiver, packet, most=len(packets))
                    sending.result(WAIT_SECONDS)

    def test_counters_move(self, transport: Transport) -> None:
        packets = [random_bytes(size) for size in (500, 70_000)]
        with open_link(transport) as (sender, receiver):
            before = (dict(sender.counters()), dict(receiver.counters()))
            exchange(sender, receiver, packets)
            after = (dict(sender.counters()), dict(receiver.counters()))
        for old, new in zip(before, after, strict=True):
            assert new["packets"] - old.get("packets", 0) >= 2
            assert new["bytes"] - old.get("bytes", 0) >= 70_500
        assert after[1]["dropped"] == 0

    def test_closing_leaves_nothing_behind(self, transport: Transport) -> None:
        threads, files = set(threading.enumerate()), open_files()
        with open_link(transport) as (sender, receiver):
            exchange(sender, receiver, [random_bytes(4000)])
        assert_closed(threads, files)

    def test_closing_after_an_exception_leaves_nothing_behind(self, transport: Transport) -> None:
        threads, files = set(threading.enumerate()), open_files()
        with pytest.raises(ZeroDivisionError), open_link(transport):
            raise ZeroDivisionError
        assert_closed(threads, files)

    def test_packets_nobody_took_do_not_keep_a_receiver_from_closing(
        self, transport: Transport
    ) -> None:
        with open_link(transport) as (sender, _):
            sender.send(random_bytes(4000))

    def test_second_receiver_is_refused(self, transport: Transport) -> None:
        if not self.exclusive_receiver:
            pytest.skip("several receivers may open")
        threads, files = set(threading.enumerate()), open_files()
        with transport.receiver(), pytest.raises(TransportError) as refusal, ExitStack() as stack:
            stack.enter_context(transport.receiver())
        assert_one_line(str(refusal.value))
        assert self.receiver_address(transport) in str(refusal.value)
        assert_closed(threads, files)

    def test_receiver_survives_garbage(self, transport: Transport) -> None:
        packet = random_bytes(30_000)
        with open_link(transport) as (sender, receiver):
            for size in GARBAGE_SIZES:
                if not self.inject(transport, random_bytes(size, seed=size + 1)):
                    pytest.skip("nothing but packets can reach this receiver")
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(sender.send, packet)
                # A transport that does not look into packets hands garbage over as well.
                received = receive_until(receiver, packet, most=len(GARBAGE_SIZES) + 1)
                sending.result(WAIT_SECONDS)
        assert received

    def test_send_says_when_the_link_is_down(self, transport: Transport) -> None:
        self._need_link_down_detection()
        with transport.sender() as sender:
            with pytest.raises(LinkDown) as failure:
                sender.send(random_bytes(4000))
            assert sender.counters().get("packets", 0) == 0
        assert_one_line(str(failure.value))

    def test_send_works_again_when_the_link_is_back(self, transport: Transport) -> None:
        self._need_link_down_detection()
        packet = random_bytes(4000)
        with transport.sender() as sender:
            with pytest.raises(LinkDown):
                sender.send(packet)
            with transport.receiver() as receiver:
                assert_same(exchange(sender, receiver, [packet]), [packet])

    def _need_link_down_detection(self) -> None:
        if not self.detects_link_down:
            pytest.skip("this link cannot tell that nobody takes a packet")


@contextmanager
def open_link(transport: Transport) -> Iterator[tuple[PacketSender, PacketReceiver]]:
    """Open both ends, the receiver first."""
    with transport.receiver() as receiver, transport.sender() as sender:
        yield sender, receiver


def exchange(
    sender: PacketSender, receiver: PacketReceiver, packets: Sequence[Buffer]
) -> list[Buffer]:
    """Send from a thread of its own while receiving, as the two machines would."""

    def send_all() -> None:
        for packet in packets:
            sender.send(packet)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_all)
        received = receive_all(receiver, len(packets))
        sending.result(WAIT_SECONDS)
    return received


def receive_all(receiver: PacketReceiver, count: int) -> list[Buffer]:
    """Return that many packets, or fail."""
    received: list[Buffer] = []
    for number in range(count):
        packet = receiver.receive(WAIT_SECONDS)
        assert packet is not None, f"only {number} of {count} packets came"
        received.append(packet)
    return received


def receive_until(receiver: PacketReceiver, wanted: bytes, *, most: int) -> bool:
    """Tell whether a packet is among the next ones."""
    return any(receiver.receive(WAIT_SECONDS) == wanted for _ in range(most))


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Return bytes that are the same in every run."""
    return random.Random(seed).randbytes(size)  # noqa: S311 (test data)


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def assert_closed(threads: set[threading.Thread], files: int) -> None:
    """Fail unless no more threads and files are open than these, or soon are not."""
    deadline = time.monotonic() + CLOSING_SECONDS
    while time.monotonic() < deadline and open_files() > files:
        time.sleep(0.001)  # nothing tells when the far end has closed
    assert set(threading.enumerate()) <= threads
    assert open_files() <= files


def assert_same(received: Sequence[Buffer], sent: Sequence[Buffer]) -> None:
    """Fail unless these are the same packets in any order; never prints megabytes."""
    same = Counter(map(bytes, received)) == Counter(map(bytes, sent))
    assert same, f"sent {[len(p) for p in sent]} bytes, received {[len(p) for p in received]}"


def assert_one_line(message: str) -> None:
    """Fail unless the message is one printable line."""
    assert message.isprintable(), repr(message)
    assert message
