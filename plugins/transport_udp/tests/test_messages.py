from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eurydice_transport_udp.messages import MESSAGES, MessageReader, parse_control, parse_name
from eurydice_transport_udp.sockets import SOL_UDP, UDP_GRO, overflow_count, segmentation

LOCAL = "127.0.0.1"


class Pair:
    """Two sockets over the loopback, and the reader of one of them."""

    def __init__(self, family: socket.AddressFamily = socket.AF_INET, host: str = LOCAL) -> None:
        self.ours = socket.socket(family, socket.SOCK_DGRAM)
        self.theirs = socket.socket(family, socket.SOCK_DGRAM)
        self.ours.bind((host, 0))
        self.theirs.bind((host, 0))
        self.ours.setsockopt(SOL_UDP, UDP_GRO, 1)
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 20_000))
        self.reader = MessageReader(self.ours)

    def send(self, data: bytes, size: int = 0) -> None:
        ancillary = segmentation(size) if size else []
        self.theirs.sendmsg([data], ancillary, 0, self.ours.getsockname())

    def read_all(self) -> list[bytes]:
        """Return datagrams as they were sent, until no more come."""
        found = []
        while trains := self.reader.read():
            for train in trains:
                data, size = train.datagrams.tobytes(), train.size
                found += [data[at : at + size] for at in range(0, max(1, len(data)), size or 1)]
                assert train.source == self.theirs.getsockname()[:2]
        return found

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def test_silence_reads_as_nothing(pair: Pair) -> None:
    assert list(pair.reader.read()) == []
    assert pair.reader.messages == 0


def test_messages_of_the_usual_length_become_one_train(pair: Pair) -> None:
    data = [os.urandom(20 * 1456) for _ in range(5)]
    for several in data[:2]:
        pair.send(several, 1456)
    pair.read_all()
    for several in data:
        pair.send(several, 1456)
    (train,) = pair.reader.read()
    assert train.size == 1456
    assert train.datagrams.tobytes() == b"".join(data)
    assert pair.reader.messages == 5


def test_message_longer_than_the_usual_one_is_whole(pair: Pair) -> None:
    for _ in range(2):
        pair.send(bytes(2000), 1000)
    pair.read_all()
    longer, usual = os.urandom(40_000), os.urandom(2000)
    pair.send(longer, 1000)
    pair.send(usual, 1000)
    assert b"".join(pair.read_all()) == longer + usual


def test_more_messages_than_one_reading_takes_come_in_order(pair: Pair) -> None:
    sent = [number.to_bytes(4, "big") * 25 for number in range(3 * MESSAGES)]
    for datagram in sent:
        pair.send(datagram)
    assert pair.read_all() == sent


def test_internet_protocol_version_6_is_read_as_well() -> None:
    pair = Pair(socket.AF_INET6, "::1")
    pair.send(b"six")
    assert pair.read_all() == [b"six"]
    pair.close()


def test_what_the_kernel_dropped_is_told() -> None:
    pair = Pair()
    pair.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    pair.ours.setsockopt(socket.SOL_SOCKET, 40, 1)  # SO_RXQ_OVFL
    for _ in range(100):
        pair.send(bytes(1400))
    pair.read_all()
    pair.send(b"after")
    assert pair.read_all() == [b"after"]
    assert pair.reader.dropped is not None
    assert 0 < pair.reader.dropped < 100
    pair.close()


def test_reading_a_closed_socket_is_an_error(pair: Pair) -> None:
    pair.ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        pair.reader.read()


bursts = st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 20)), max_size=20)


@given(bursts, st.integers(0, 6))
@settings(deadline=None, max_examples=60)
def test_every_datagram_comes_out_as_it_was_sent(bursts: list[tuple[int, int]], pause: int) -> None:
    pair = Pair()
    sent = []
    for number, (size, count) in enumerate(bursts):
        data = bytes([(number + at) % 251 for at in range(size)])
        pair.send(data * count, size if count > 1 else 0)
        sent += [data] * count
        if number % 7 == pause:
            assert pair.read_all() == sent
            sent = []
    assert pair.read_all() == sent
    pair.close()


@given(st.binary(max_size=128))
def test_any_control_buffer_is_read_without_an_error(control: bytes) -> None:
    assert all(isinstance(data, bytes) for _, _, data in parse_control(control))


def test_control_messages_are_read_as_python_reads_them() -> None:
    header = struct.pack("@Nii", 20, socket.SOL_SOCKET, 40) + struct.pack("=I", 77) + bytes(4)
    assert overflow_count(parse_control(header + header)) == 77
    assert len(parse_control(header + header)) == 2


def test_addresses_of_both_families_are_read() -> None:
    four = struct.pack("=H", socket.AF_INET) + b"\x1c\xe8" + bytes([10, 9, 8, 7]) + bytes(20)
    six = (
        struct.pack("=H", socket.AF_INET6) + b"\x00\x50" + bytes(4) + bytes(15) + b"\x01" + bytes(4)
    )
    assert parse_name(four) == ("10.9.8.7", 7400)
    assert parse_name(six) == ("::1", 80)
