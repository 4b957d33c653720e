"""Forgers without the key of the link, beside a genuine sender that has it."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger
from udp_far_end import FarEnd, datagrams_of

from eurydice_transport_udp import Settings, UdpTransport
from eurydice_transport_udp.assembly import EventKind
from eurydice_transport_udp.authentication import NO_TAG, DatagramKey
from eurydice_transport_udp.codec import choose_codec

WAIT = 20.0
KEY = bytes(range(32))
OTHER_KEY = bytes(32)
START = 1_700_000_000
GENUINE = START << 32 | 7
CODEC = choose_codec("leopard")
PACKETS = [random.Random(number).randbytes(40_000) for number in range(20)]
SENT = [
    datagrams_of(packet, CODEC, number=number, instance=GENUINE, key=KEY)
    for number, packet in enumerate(PACKETS)
]
Forger = Callable[[int, random.Random], list[bytes]]


def noise(number: int, chance: random.Random) -> list[bytes]:
    return [chance.randbytes(chance.choice([1, 112, 1456]))]


def rival(number: int, chance: random.Random) -> list[bytes]:
    """Send whole packets as another sender would, started in the far future."""
    forged = chance.randbytes(3000)
    return datagrams_of(forged, CODEC, number=number, instance=(1 << 64) - 1)


def rival_with_another_key(number: int, chance: random.Random) -> list[bytes]:
    forged = chance.randbytes(3000)
    return datagrams_of(forged, CODEC, number=number, instance=(1 << 64) - 1, key=OTHER_KEY)


def claims(number: int, chance: random.Random) -> list[bytes]:
    """Begin packets of ever other senders that are never finished."""
    return [
        datagrams_of(bytes(40_000), CODEC, number=number, instance=chance.randrange(1 << 64))[n]
        for n in range(6)
    ]


def imitation(number: int, chance: random.Random) -> list[bytes]:
    """Use the genuine sender's instance, the next numbers, and other contents."""
    return datagrams_of(bytes(40_000), CODEC, number=number + 1, instance=GENUINE)


def replay(number: int, chance: random.Random) -> list[bytes]:
    return SENT[chance.randrange(number + 1)]


def earlier_run(number: int, chance: random.Random) -> list[bytes]:
    """Replay what was recorded of the genuine sender's earlier run."""
    instance = (START - 100) << 32 | 9
    return datagrams_of(PACKETS[0], CODEC, number=number, instance=instance, key=KEY)[:9]


FORGERS: list[Forger] = [
    noise,
    rival,
    rival_with_another_key,
    claims,
    imitation,
    replay,
    earlier_run,
]


@contextmanager
def far_end(**limits: int) -> Iterator[FarEnd]:
    far = FarEnd(key=KEY, **limits)
    try:
        yield far
    finally:
        far.arena.close()


@pytest.mark.parametrize("forger", FORGERS, ids=lambda forger: forger.__name__)
@pytest.mark.parametrize("batch", [1, 45])
def test_genuine_packets_arrive_beside_a_forger(forger: Forger, batch: int) -> None:
    chance = random.Random(1)
    with far_end() as far:
        for number, datagrams in enumerate(SENT):
            now = number / 4
            for forged in forger(number, chance):
                far.hear([forged], now)
            far.hear(datagrams[:15], now, batch)
            for forged in forger(number, chance):
                far.hear([forged], now)
            far.hear(datagrams[15:], now, batch)
            far.consume()
        assert [packet for packet in far.packets if packet in PACKETS] == PACKETS
        assert far.counted("dropped") == 0
        assert len(far.reports) <= 2 * len(set(far.reports))  # once a minute for each kind


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_genuine_packets_arrive_beside_any_mixture_of_forgers(data: st.DataObject) -> None:
    chance = random.Random(data.draw(st.integers(0, 1000)))
    with far_end() as far:
        for number, datagrams in enumerate(SENT[:6]):
            now = number / 4
            forged = [
                datagram
                for forger in data.draw(st.lists(st.sampled_from(FORGERS), max_size=3))
                for datagram in forger(number, chance)
            ]
            same_size = [each for each in forged if len(each) == len(datagrams[0])]
            mixed = [each for pair in zip(datagrams, same_size, strict=False) for each in pair]
            far.hear(mixed, now, batch=data.draw(st.sampled_from([1, 20, 540])))
            far.hear(datagrams[len(same_size) :], now, batch=45)
            far.consume()
        assert [packet for packet in far.packets if packet in PACKETS] == PACKETS[:6]


def test_forged_packets_do_not_take_the_room_of_genuine_ones() -> None:
    with far_end(buffer_packets=8) as far:
        far.hear(SENT[0], 0.0)
        far.consume()
        for number in range(20):  # the genuine sender is idle, and nobody takes anything
            forged = datagrams_of(bytes(100), CODEC, number=number, instance=5)
            far.hear(forged, 100.0)
        assert far.counted("dropped") == 18
        for number in range(1, 6):
            far.hear(SENT[number], 101.0)
        assert far.counted("dropped") == 18


def test_sender_of_an_earlier_version_is_received() -> None:
    with far_end() as far:
        for number, packet in enumerate(PACKETS):
            far.hear(datagrams_of(packet, CODEC, number=number), number / 4)
            far.consume()
        assert far.packets == PACKETS
        assert far.reports == []


def test_receiver_without_a_key_takes_tagged_datagrams() -> None:
    far = FarEnd()
    far.hear(SENT[0])
    far.consume()
    assert far.packets == PACKETS[:1]
    far.arena.close()


def test_many_distinct_forged_packets_in_one_batch_cost_little() -> None:
    with far_end() as far:
        far.hear(SENT[0][:10], 0.0)
        forged = [
            datagrams_of(bytes(40_000), CODEC, instance=number + 1)[0] for number in range(500)
        ]
        far.hear(forged, 0.1, batch=500)
        assert far.counted("unauthentic") == 500
        assert far.counted("links") <= 40  # the others were not looked at
        far.hear(SENT[0][10:], 0.2)
        far.consume()
        assert far.packets == PACKETS[:1]


@given(facts=st.binary(min_size=32, max_size=32), other=st.binary(min_size=32, max_size=32))
def test_tags_need_the_key_and_the_facts(facts: bytes, other: bytes) -> None:
    key = DatagramKey(KEY)
    tag = key.tag(facts)
    assert tag != NO_TAG
    assert key.accepts(facts, tag)
    assert key.accepts(other, tag) is (facts == other)
    assert not DatagramKey(OTHER_KEY).accepts(facts, tag)
    assert not DatagramKey(b"").accepts(facts, tag)
    assert DatagramKey(b"").tag(facts) == NO_TAG


def test_log_is_bounded_and_files_cross_beside_forgers_on_real_sockets() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    link = UdpTransport(Settings(bind="127.0.0.1", port=port, rate=500), KEY)
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    ended = threading.Event()

    def forge(forger: Forger) -> None:
        chance = random.Random(2)
        number = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not ended.wait(0.002):
                for datagram in forger(number % len(SENT), chance):
                    sock.sendto(datagram, ("127.0.0.1", port))
                number += 1

    threads = [threading.Thread(target=forge, args=[forger]) for forger in FORGERS]
    try:
        with link.receiver() as receiver, link.sender() as sender:
            for thread in threads:
                thread.start()
            for packet in PACKETS:
                sender.send(packet)
                assert packet in iter(lambda: bytes(receiver.receive(WAIT) or b""), b"")
            assert receiver.counters()["unauthentic"] > 0
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        logger.remove(sink)
    assert len([line for line in lines if "refused" in line or "lost" in line]) < 12
    assert any("lack this link's key" in line and "127.0.0.1:" in line for line in lines)


def test_reports_come_once_a_minute() -> None:
    with far_end() as far:
        for second in range(121):
            far.hear([b"noise" * 30], float(second))
        far.consume()
        assert far.reports == [EventKind.REFUSED] * 3
